"""Every other daemon and command beside Northbounds and Southbounds of other releases: API, metadata, trace.

What their schemas lack is left out, what they have more is left alone; nothing is refused and nothing tried for ever.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.ovsdb.other_schemas import newer, ungrouped
from support.waiting import until

PROGRAMS = ("ovsdb-server", "ovsdb-tool", "ovn-nbctl", "ovn-sbctl")
pytestmark = pytest.mark.skipif(any(shutil.which(p) is None for p in PROGRAMS), reason="needs Debian's OVN")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli")


class Site:
    """Databases of the original server with changed schemas, and what runs beside them."""

    def __init__(self, place, change):
        self.place = place
        self.env = {**os.environ, **dict.fromkeys(("OVS_RUNDIR", "OVN_RUNDIR", "OVN_LOGDIR"), str(place))}
        self.running, self.remotes = [], {"cloud": f"unix:{place}/cloud.sock"}
        for name in ("nb", "sb"):
            (place / f"{name}.ovsschema").write_text(json.dumps(change(name)))
            self.remotes[name] = self.original(name, place / f"{name}.ovsschema")
        self.remotes["vs"] = self.original("vs", "/usr/share/openvswitch/vswitch.ovsschema")
        self.daemon("db", "--create=cloud", f"--remote=p{self.remotes['cloud']}", str(place / "cloud.db"))
        has = json.loads((place / "sb.ovsschema").read_text())["tables"]
        self.answering = "Chassis_Private" if "Chassis_Private" in has else "Chassis"

    def original(self, name, schema):
        """Serve a database by the original server, and return where."""
        self.run("ovsdb-tool", "create", str(self.place / f"{name}.db"), str(schema))
        remote = f"unix:{self.place}/{name}.sock"
        self.start("ovsdb-server", f"--remote=p{remote}", f"--unixctl={name}.ctl", str(self.place / f"{name}.db"))
        return remote

    def start(self, *argv):
        with (self.place / f"{Path(argv[0]).name}.{len(self.running)}.out").open("w") as log:
            self.running.append(subprocess.Popen(argv, env=self.env, cwd=self.place, stdout=log, stderr=log))

    def daemon(self, name, *argv):
        self.start(*OVENBIRD, name, f"--log-file={name}.log", f"--unixctl={self.place}/{name}-o.ctl", *argv)

    def run(self, *argv):
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def sbctl(self, *words):
        return self.run("ovn-sbctl", f"--db={self.remotes['sb']}", "--timeout=20", *words)

    @property
    def port(self):
        """Where the API listens, as its log says."""
        said = (self.place / "api.log").read_text().rpartition("127.0.0.1, port ")[2]
        assert said
        return int(said.split()[0])

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v2.0/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def answers(self):
        return self.call("GET", "networks")

    def make(self, kind, **values):
        return self.call("POST", f"{kind}s", {kind: values})[kind]

    def wait_bound(self, port):
        """Wait until northd has brought a port to Southbound."""
        find = ("--bare", "--columns=_uuid", "find", "Port_Binding", f"logical_port={port}")
        until(lambda: self.sbctl(*find).strip())

    def close(self):
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(30)

    def complaints(self):
        """Lines of the logs that speak of what went wrong, other than of a beginning without databases."""
        lines = [line for log in self.place.glob("*.log") for line in log.read_text().splitlines()]
        return [line for line in lines if re.search(r"\|(ERR|EMER)\||Traceback|refus", line)]


@pytest.fixture(params=[ungrouped, newer])
def site(request, tmp_path):
    made = Site(tmp_path, request.param)
    yield made
    made.close()


def test_the_api_its_compilers_trace_and_metadata(site):
    below = (f"--ovnnb-db={site.remotes['nb']}", f"--ovnsb-db={site.remotes['sb']}")
    site.daemon("api", f"--cloud-db={site.remotes['cloud']}", *below, "--port=0")
    site.daemon("northd", *below)
    until(site.answers, despite=(OSError, AssertionError, ValueError))
    site.sbctl("chassis-add", "hv1", "geneve", "127.0.0.1")
    site.sbctl("set", "Chassis", "hv1", "hostname=hv1")
    if site.answering == "Chassis_Private":
        chassis = site.sbctl("--bare", "get", "Chassis", "hv1", "_uuid").strip()
        site.sbctl("create", "Chassis_Private", "name=hv1", f"chassis={chassis}")
    network_and_ports(site)
    agents(site)
    if not os.geteuid():
        serves_metadata(site)
    assert not site.complaints()


def network_and_ports(site):
    network = site.make("network", name="n")
    subnet = site.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")
    router = site.make("router", name="r")
    site.call("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    first, second = (site.make("port", network_id=network["id"], name=name) for name in ("p", "q"))
    for port in (first, second):
        site.wait_bound(port["id"])
    remotes = ("--db", site.remotes["sb"], "--nb", site.remotes["nb"], "--cloud", site.remotes["cloud"])
    ask = (*OVENBIRD, "trace", *remotes, "--from", first["id"], "--to", second["fixed_ips"][0]["ip_address"])
    until(lambda: "=>" in site.run(*ask))
    said = site.run(*ask, "--tcp", "22")  # the default group lets its members in
    assert f'delivered to "{second["id"]}"' in said, said
    assert f'output to "{second["id"]}"' in site.run(*ask, "--reply", "--summary")


def agents(site):
    (agent,) = until(lambda: site.call("GET", "agents")["agents"])
    changed = site.call("PUT", f"agents/{agent['id']}", {"agent": {"description": "rack 1"}})["agent"]
    assert (changed["host"], changed["description"]) == ("hv1", "rack 1")
    assert site.call("GET", "availability_zones")["availability_zones"] is not None


def serves_metadata(site):
    ids = f"external_ids:ovn-remote={site.remotes['sb']}"
    vsctl = ("ovs-vsctl", "--no-wait", f"--db={site.remotes['vs']}")
    site.run(*vsctl, "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id=hv1", ids)
    site.daemon("metadata", f"--boots={site.place}", f"--prefix=s{os.getpid()}-", site.remotes["vs"])
    log = site.place / "metadata.log"
    until(lambda: log.exists() and "bridge br-int is not in Open_vSwitch" in log.read_text())
    said = ("list", site.answering)
    assert "neutron:ovn-metadata-id" not in site.sbctl(*said)
    site.run(*vsctl, "add-br", "br-int")
    until(lambda: "neutron:ovn-metadata-id" in site.sbctl(*said))
