"""Tables Connection and SSL rule where databases are served: `ovenbird central` and `db` beside the original server.

The original has the command line that `ovn-ctl` gives it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys

import pytest

from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.journal import create
from support.places import free_port
from support.waiting import until

PROGRAMS = ("ovsdb-client", "ovsdb-server", "ovn-nbctl", "ovn-sbctl", "openssl")
MISSING = [p for p in PROGRAMS if shutil.which(p) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")
ROOTS = {"nb": "OVN_Northbound,NB_Global", "sb": "OVN_Southbound,SB_Global", "cloud": "Cloud,Cloud_Global"}
SCHEMAS = {"nb": nb.schema, "sb": sb.schema, "cloud": cloud.schema}
ELSEWHERE = "127.0.0.2"
"""An address of this machine where nothing is served by default."""


def as_ovn_ctl_does(command, place, name):
    """Return the command line of a server of one database (ovn-ctl(8), `start_ovsdb__`)."""
    database = ROOTS[name].partition(",")[0]
    create(place / f"{name}.db", SCHEMAS[name]())
    keys = [f"--{n}=db:{database},SSL,{n.replace('-', '_')}" for n in
            ("private-key", "certificate", "ca-cert", "ssl-protocols", "ssl-ciphers")]  # fmt: skip
    remotes = [f"--remote=punix:{place}/{name}.sock", f"--remote=db:{ROOTS[name]},connections"]
    return [*command, "-vconsole:off", f"--unixctl={place}/{name}.ctl", *remotes, *keys, f"{place}/{name}.db"]


class Served:
    """Servers of the databases, at sockets in a folder: `kind` is original, db or central."""

    def __init__(self, kind, place):
        self.kind, self.place, self.log = kind, place, place / "log"
        self.names = ("nb", "sb") if kind == "original" else ("nb", "sb", "cloud")
        self.ports = {name: free_port() for name in ("nb", "sb", "cloud", "api")}
        if kind == "central":
            lines = [[*OVENBIRD, "central", f"--rundir={place}", f"--unixctl={place}/c.ctl", f"--log-file={self.log}",
                      *(f"--{name}-port={port}" for name, port in self.ports.items())]]  # fmt: skip
        else:
            command = ("ovsdb-server",) if kind == "original" else (*OVENBIRD, "db")
            command = (*command, f"--log-file={self.log}")
            lines = [as_ovn_ctl_does(command, place, name) for name in self.names]
        self.processes = [subprocess.Popen(line) for line in lines]
        for name in self.names:
            until(lambda name=name: (place / f"{name}.sock").exists())
        until(lambda: self.ctl("nb", "init") is not None and self.ctl("sb", "init") is not None)

    def ctl(self, name, *words):
        done = subprocess.run(
            [f"ovn-{name}ctl", f"--db=unix:{self.place}/{name}.sock", *words],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        return None if done.returncode else done.stdout

    def connection(self, name):
        """Return `status` and `is_connected` of the one row, but for seconds, which the original has of listeners."""
        said = self.ctl(name, "--bare", "--columns=status,is_connected", "list", "connection").split()
        (connected,) = [word for word in said if word in ("true", "false")]
        return [" ".join(word for word in said if word != connected and "sec_since" not in word), connected]

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)


def answers(remote, keys=(), database="OVN_Southbound"):
    """Return whether a client gets the schema of a database."""
    options = [f"--{n}={path}" for n, path in zip(("private-key", "certificate", "ca-cert"), keys, strict=False)]
    done = subprocess.run(
        ["ovsdb-client", "--timeout=20", *options, "get-schema-version", remote, database],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


@pytest.fixture(scope="module", params=["original", "db", "central"])
def served(request, tmp_path_factory):
    made = Served(request.param, tmp_path_factory.mktemp("s"))
    yield made
    made.close()


def test_rows_of_connection_replace_the_default_listeners(served):
    port = served.ports["sb"]
    for name, database in (("nb", "OVN_Northbound"), ("sb", "OVN_Southbound")):
        port = served.ports[name]
        assert not answers(f"tcp:{ELSEWHERE}:{port}", (), database)
        assert served.ctl(name, "--inactivity-probe=30000", "set-connection", f"ptcp:{port}") is not None
        until(lambda at=f"tcp:{ELSEWHERE}:{port}", database=database: answers(at, (), database))
        assert answers(f"tcp:127.0.0.1:{port}", (), database)
        until(lambda name=name, port=port: served.connection(name) == [f"bound_port={port}", "false"])
    with socket.create_connection((ELSEWHERE, port)):
        until(lambda: served.connection("sb") == [f"bound_port={port}", "true"])
    change = ("--db", f"tcp:{ELSEWHERE}:{port}", "create", "Address_Set", "name=a")
    assert served.ctl("sb", *change) is not None
    assert served.ctl("sb", "set-connection", "read-only", f"ptcp:{port}:[::]") is not None
    until(lambda: served.ctl("sb", "--db", f"tcp:[::1]:{port}", "get-connection"))
    assert served.ctl("sb", "--db", f"tcp:{ELSEWHERE}:{port}", "get-connection") is not None
    assert served.ctl("sb", *change[:-1], "name=b") is None
    assert served.ctl("sb", "del-connection") is not None
    until(lambda: not answers(f"tcp:{ELSEWHERE}:{port}"))
    if served.kind == "central":  # the default is there again
        until(lambda: answers(f"tcp:127.0.0.1:{port}"))


def test_keys_of_the_database(served, keys):
    port = free_port()
    assert served.ctl("sb", "set-connection", f"pssl:{port}") is not None
    assert served.ctl("sb", "set-ssl", "/nonexistent/key", "/nonexistent/certificate", "/nonexistent/ca") is not None
    if served.kind != "original":
        until(lambda: "No such file" in served.connection("sb")[0])
        assert "No such file" in served.log.read_text()
    assert not answers(f"ssl:127.0.0.1:{port}", keys["ours"])
    assert served.ctl("sb", "set-ssl", *keys["ours"]) is not None
    until(lambda: answers(f"ssl:127.0.0.1:{port}", keys["ours"]))
    until(lambda: "last_error" not in served.connection("sb")[0])
    assert not answers(f"ssl:127.0.0.1:{port}", keys["stranger"])
    until(lambda: any("WARN" in line and "ssl" in line.lower() for line in served.log.read_text().splitlines()))
    assert not answers(f"tcp:127.0.0.1:{port}")


def test_a_database_that_is_converted(served, tmp_path):
    if served.kind == "central":
        pytest.skip("central works on its databases, and lets nobody convert them")
    (tmp_path / "schema").write_text(json.dumps(nb.schema().to_json()))
    convert = ["ovsdb-client", "--timeout=20", "convert", f"unix:{served.place}/nb.sock", tmp_path / "schema"]
    subprocess.run(convert, check=True, capture_output=True)
    port = free_port()
    assert served.ctl("nb", "set-connection", f"ptcp:{port}:127.0.0.1") is not None
    until(lambda: answers(f"tcp:127.0.0.1:{port}", (), "OVN_Northbound"))
    until(lambda: served.connection("nb") == [f"bound_port={port}", "false"])


def test_a_port_in_use_is_reported_in_the_status_of_the_remote(served):
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        assert served.ctl("nb", "set-connection", f"ptcp:{port}:127.0.0.1") is not None
        until(lambda: "ddress already in use" in served.log.read_text())
        if served.kind != "original":
            until(lambda: "ddress already in use" in served.connection("nb")[0])
    until(lambda: answers(f"tcp:127.0.0.1:{port}", (), "OVN_Northbound"))
    until(lambda: served.connection("nb") == [f"bound_port={port}", "false"])
    assert served.ctl("nb", "set-connection", "nonsense") is not None
    until(lambda: not answers(f"tcp:127.0.0.1:{port}", (), "OVN_Northbound"))


def test_cloud_says_where_it_is_served(served, keys):
    if "cloud" not in served.names:
        pytest.skip("Cloud is ours")
    port = free_port()
    at = f"unix:{served.place}/cloud.sock"
    row = f'{{"target": "ptcp:{port}:{ELSEWHERE}"}}'
    root = '{"op": "insert", "table": "Cloud_Global", "row": {"connections": ["named-uuid", "c"]}}'
    if served.kind == "central":
        root = root.replace('"insert"', '"update"').replace('"row"', '"where": [], "row"')
    transaction = f'["Cloud", {{"op": "insert", "table": "Connection", "uuid-name": "c", "row": {row}}}, {root}]'
    done = subprocess.run(["ovsdb-client", "transact", at, transaction], capture_output=True, text=True, check=True)
    assert "error" not in done.stdout
    until(lambda: answers(f"tcp:{ELSEWHERE}:{port}", (), "Cloud"))
