"""A chassis on a dummy datapath with databases and northd of the original, and the flows that each controller makes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovenbird.controller.controller import Controller
from support.waiting import until, until_async

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROGRAMS = (
    "ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovn-northd", "ovn-nbctl", "ovn-sbctl",
    "ovn-controller",
)  # fmt: skip


ORIGINAL_SERVER = ("ovsdb-server",)
OVENBIRD = str(Path(sys.executable).parent / "ovenbird")
NETWORK = r"""
ls-add sw0
ls-add sw1
ls-add sw2
lsp-add sw2 c1 p1 5 -- lsp-set-addresses c1 "0a:00:00:00:02:01 10.2.0.11"
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-set-port-security p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 p3 -- lsp-set-addresses p3 "0a:00:00:00:00:03 10.0.0.13" unknown
lsp-add sw0 meta -- lsp-set-type meta localport -- lsp-set-addresses meta "0a:00:00:00:00:99 10.0.0.2"
lsp-add sw1 q1 -- lsp-set-addresses q1 "0a:00:00:00:01:01 10.1.0.11"
lsp-add sw1 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown
lsp-set-options ln network_name=net1 -- set Logical_Switch_Port ln tag=42
pg-add pg p1 p2 q1
acl-add pg from-lport 1002 "inport == @pg && ip4" allow-related
acl-add pg to-lport 1002 "outport == @pg && ip4.src == $pg_ip4 && tcp.dst == 22" allow-related
acl-add pg to-lport 1002 "outport == @pg && ip4.src == {1.1.1.1, 2.2.2.2, 4.4.4.4} && udp.dst == {3, 6, 12}" allow
acl-add pg to-lport 1003 "outport == @pg && tcp.dst == 8000" allow-stateless
acl-add pg to-lport 1001 "outport == @pg && ip" drop
"""
PORTS = {"p1": 11, "p3": 13, "meta": 14, "q1": 15}


class Site:
    """One chassis on a dummy datapath, with databases and northd of the original."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kinds = ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")
        self.env = os.environ | {f"{family}_{kind}": str(directory) for family in ("OVS", "OVN") for kind in kinds}
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *argv: str, stdout: Path | None = None) -> str:
        done = subprocess.run(argv, check=True, capture_output=True, env=self.env, timeout=30)
        if stdout is not None:
            stdout.write_bytes(done.stdout)
        return done.stdout.decode()

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([*argv, "-vsyslog:off"], stdout=quiet, stderr=quiet, env=self.env)
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        process.wait(10)
        self.processes.remove(process)

    def database(self, name: str, schema: str, server: Sequence[str] = ORIGINAL_SERVER) -> None:
        self.run("ovsdb-tool", "create", f"{self.directory}/{name}.db", schema)
        self.serve(name, self.directory / f"{name}.db", server)

    def serve(self, name: str, file: Path, server: Sequence[str] = ORIGINAL_SERVER) -> None:
        """Serve a database, by a program with its options."""
        socket = self.directory / f"{name}.sock"
        unixctl = self.directory / f"{name}.ctl"
        self.spawn(*server, f"--remote=punix:{socket}", f"--unixctl={unixctl}", str(file))
        until(socket.exists)

    def vsctl(self, *argv: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.directory}/db.sock", "--timeout=10", *argv)

    def nbctl(self, *argv: str) -> str:
        return self.run("ovn-nbctl", f"--db=unix:{self.directory}/nb.sock", "--timeout=20", *argv)

    def sbctl(self, *argv: str) -> str:
        return self.run("ovn-sbctl", f"--db=unix:{self.directory}/sb.sock", "--timeout=20", *argv)

    def flows(self) -> set[str]:
        """Return the flows of the bridge, and its groups without their ids."""
        text = self.run("ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "dump-flows", f"{self.directory}/br-int.mgmt")
        groups = self.run("ovs-ofctl", "-O", "OpenFlow15", "dump-groups", f"{self.directory}/br-int.mgmt")
        groups = groups.replace("/0xffff->reg15", "->reg15")  # a port's whole key, either way
        flows = {normal(line) for line in text.splitlines() if "actions=" in line}
        return flows | {re.sub(r"^ *group_id=\d+", "group", line) for line in groups.splitlines() if "bucket=" in line}


@contextmanager
def one_chassis(
    network: str,
    ports: dict[str, int],
    *,
    real: bool = False,
    schemas: Callable[[str], object] | None = None,
    servers: Mapping[str, Sequence[str]] | None = None,
    northd: Sequence[str] = ("ovn-northd",),
    **ids: str,
) -> Iterator[Site]:
    """Make a site with a network, its ports' interfaces by OpenFlow port, and more of the chassis's configuration.

    With `real` the switch has real tunnels, in a network namespace of its own; with `schemas` of their own for
    Northbound (`nb`) and Southbound (`sb`), northd is ours. `servers` serve these databases: programs with options.
    """
    if real and os.geteuid() != 0:
        pytest.skip("needs root")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"missing {', '.join(missing)}")
    directory = Path(tempfile.mkdtemp(prefix="obc"))
    site = Site(directory)
    try:
        for name in ("nb", "sb"):
            schema = Path(f"/usr/share/ovn/ovn-{name}.ovsschema")
            if schemas is not None:
                schema = directory / f"{name}.ovsschema"
                schema.write_text(json.dumps(schemas(name)))
            site.database(name, str(schema), (servers or {}).get(name, ORIGINAL_SERVER))
        site.database("db", "/usr/share/openvswitch/vswitch.ovsschema")
        own = ("external_ids:system-id=hv1", "external_ids:hostname=host1")
        site.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *own)
        switch = ("unshare", "--net", "ovs-vswitchd") if real else ("ovs-vswitchd", "--enable-dummy=override")
        site.spawn(*switch, "--disable-system", f"unix:{directory}/db.sock")
        program = northd if schemas is None else (OVENBIRD, "northd")
        site.spawn(*program, f"--ovnnb-db=unix:{directory}/nb.sock", f"--ovnsb-db=unix:{directory}/sb.sock")
        bridges = ("br-ex", "br-ex2", "br-int") if real else ()
        site.vsctl(
            *("add-br", "br-ex", "--", "add-br", "br-ex2", "--", "add-br", "br-int"),
            *("--", "set", "Bridge", "br-int", "fail_mode=secure"),
            *(word for name in bridges for word in ("--", "set", "Bridge", name, "datapath_type=netdev")),
            *("--", "set", "Open_vSwitch", ".", f"external_ids:ovn-remote=unix:{directory}/sb.sock"),
            *("external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=192.0.2.1"),
            *(f'external_ids:{key.replace("_", "-")}="{value}"' for key, value in ids.items()),
        )
        for name, ofport in ports.items():
            interface = ("type=dummy", f"external_ids:iface-id={name}", f"ofport_request={ofport}")
            site.vsctl("add-port", "br-int", name, "--", "set", "Interface", name, *interface)
        for line in network.strip().splitlines():
            site.run("sh", "-c", f"exec ovn-nbctl --db=unix:{directory}/nb.sock " + line.replace("$", "\\$"))
        site.nbctl("--wait=sb", "sync")
        site.sbctl("chassis-add", "hv2", "geneve", "192.0.2.2")
        yield site
    finally:
        for process in list(reversed(site.processes)):
            site.stop(process)
        shutil.rmtree(directory)


def normal(line: str) -> str:
    """Return a flow without what may differ: numbers of conjunctions, their flows' cookies, the order of copies."""
    line = re.sub(r"^ *cookie=0x0, ", "", line.strip())
    line = re.sub(r"conj_id=\d+", "conj_id=N", line)
    head, _, actions = line.partition(" actions=")
    if "conjunction(" in actions:
        head = re.sub(r"cookie=0x[0-9a-f]+, ", "", head)
        clauses = re.findall(r"conjunction\(\d+,([^)]*)\)", actions)
        actions = ",".join(sorted(clauses))
    if re.search(r"table=(39|40),.*reg15=0x8", head):  # the original leaves assignments without effect in between
        copies = re.findall(r"set_field:(\w+)->reg15,resubmit\(,41\)", actions)
        tunnels = re.findall(r"set_field:\w+/?\w*->tun_\w+|output:\d+", actions)
        actions = ",".join([*sorted(copies), *tunnels])
    return f"{head} actions={actions}"


def compared(flows: set[str]) -> set[str]:
    """Return the flows on which the two must agree.

    Tables 81 to 83 are for actions that only newer releases have. Neighbour checks of table 74 differ on purpose (see
    `controller.port_security`), and the original ends a packet's way into a tunnel by looking at the local ports, among
    which the port is not. It marks what comes from a container, and lets that alone, as long as no router takes the
    mark off, out of the interface of the container's parent by which it came in; ours lets out whatever is for the
    parent.
    """
    left_out = re.compile("table=(74|8[123])|reg10=0x20/0x20")
    kept = {f.replace("set_field:0x20/0x20->reg10,", "") for f in flows if not left_out.search(f)}
    return {re.sub(r"(table=39,.*,output:\d+),resubmit\(,40\)$", r"\1", f) if "reg15=0x8" not in f else f for f in kept}


async def settled(site: Site, condition: Callable[[set[str]], bool], what: str) -> set[str]:
    """Return the flows when they are as they should be."""

    def there() -> set[str]:
        flows = site.flows()
        assert condition(flows), what
        return flows

    return await until_async(lambda: asyncio.to_thread(there))


async def told(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that asks programs, while ours run."""
    await until_async(lambda: asyncio.to_thread(condition))


async def install(site: Site, sync: list[str]) -> set[str]:
    """Run our controller until Northbound says that everything is installed; return the flows."""
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    try:
        waiting = asyncio.create_task(asyncio.to_thread(site.nbctl, *sync))
        done, _ = await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return await asyncio.to_thread(site.flows)
    finally:
        await controller.close()
        await running


def installed_by_the_original(site: Site) -> set[str]:
    """Return the flows that the original's controller installs, and leave none of them."""
    original = site.spawn("ovn-controller", f"unix:{site.directory}/db.sock")
    site.sbctl("wait-until", "Chassis_Private", "hv1")  # before that nobody waits for it
    site.nbctl("--wait=hv", "sync")
    until(lambda: "table=65" in "".join(site.flows()))
    site.nbctl("--wait=hv", "sync")
    theirs = site.flows()
    original.kill()  # so that it leaves everything as it is
    original.wait()
    site.processes.remove(original)
    for command in ("del-flows", "del-groups"):
        site.run("ovs-ofctl", "-O", "OpenFlow15", command, f"{site.directory}/br-int.mgmt")
    return theirs


def difference(theirs: set[str], ours: set[str]) -> str:
    missing, extra = compared(theirs) - compared(ours), compared(ours) - compared(theirs)
    return "\n".join(sorted([f"missing {f}" for f in missing] + [f"extra {f}" for f in extra]))


def physical(flows: set[str]) -> set[str]:
    """Return groups, and flows of the tables around the logical ones: what these do is said in more ways than one.

    Tables 66, 67, 71 and 72 are left out: they hold what packets have taught, as far as they have come by now.
    """
    around = {0, *range(37, 42), 64, 65, *range(68, 71)}
    found = {line: re.search(r"table=(\d+)", line) for line in flows}
    numbers = {line: 0 if line.startswith("group") or not table else int(table[1]) for line, table in found.items()}
    return {line for line, number in numbers.items() if number in around}
