"""Two availability zones by real packets: ping across, routes that nobody configured, and a gateway that dies.

The lab's hosts share an underlay. `e1` and `e2` are the gateways of zone east, with the lab's databases, and `e3` has
its instance: a gateway that hears nobody at all would take itself to be the one that is cut off. `w1` is zone west,
with databases of its own and the original's northd and ovn-ic.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from ovenbird.lab.command import run
from ovenbird.model import ic_nb, ic_sb, nb, sb
from ovenbird.ovsdb.journal import create
from support.processes import end
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(shutil.which("ovn-ic") is None, reason="needs ovn-ic"),
]

NAMES = {"nb": nb, "sb": sb, "ic_nb": ic_nb, "ic_sb": ic_sb}
"""The databases of the west, and those that both zones share, in one server."""


class West:
    """Zone west and what the zones share: one server, and the programs that follow it.

    Arguments:
        directory: for files and sockets.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        paths = [str(directory / f"{name}.db") for name in NAMES]
        for path, module in zip(paths, NAMES.values(), strict=True):
            create(Path(path), module.schema())
        self.remote = f"unix:{directory}/west.sock"
        self.spawn(*programs.ovenbird("db"), f"--remote=p{self.remote}", f"--unixctl={directory}/db.ctl", *paths)
        until((directory / "west.sock").exists)

    def spawn(self, *command: str) -> None:
        rundirs = {f"{family}_RUNDIR": str(self.directory) for family in ("OVN", "OVS")}
        with (self.directory / f"{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | rundirs, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append(process)

    def interconnect(self, program: tuple[str, ...], *, northbound: str, southbound: str) -> None:
        """Run a zone's program between its databases and the shared ones."""
        self.spawn(
            *program,
            f"--ovnnb-db={northbound}",
            f"--ovnsb-db={southbound}",
            f"--ic-nb-db={self.remote}",
            f"--ic-sb-db={self.remote}",
            f"--unixctl={self.directory}/{len(self.processes)}.ctl",
        )

    def close(self) -> None:
        end(reversed(self.processes))


@pytest.fixture
def west() -> Iterator[West]:
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="obic", dir="/tmp"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        made = West(directory)
        stack.callback(made.close)
        yield made


def boot(lab: Lab, remote: str, *, host: str, number: int, gateways: tuple[str, ...]) -> Instance:
    """Make a zone's network with an instance, and its router on the transit switch."""
    net, name, mac = f"10.8.{number}", f"vm{number}", f"02:00:00:08:{number:02}:05"
    commands = [
        ("ls-add", "net"),
        ("lsp-add", "net", name),
        ("lsp-set-addresses", name, f"{mac} {net}.5"),
        ("lr-add", "lr"),
        ("lrp-add", "lr", "inside", f"02:00:00:08:{number:02}:01", f"{net}.1/24"),
        ("lsp-add", "net", "net-lr"),
        ("lsp-set-type", "net-lr", "router"),
        ("lsp-set-addresses", "net-lr", "router"),
        ("lsp-set-options", "net-lr", "router-port=inside"),
        ("lrp-add", "lr", f"lrp{number}", f"02:00:00:08:{number:02}:02", f"169.254.100.{number}/24"),
        ("lsp-add", "ts1", f"ts1-lr{number}"),
        ("lsp-set-type", f"ts1-lr{number}", "router"),
        ("lsp-set-addresses", f"ts1-lr{number}", "router"),
        ("lsp-set-options", f"ts1-lr{number}", f"router-port=lrp{number}"),
        ("set", "NB_Global", ".", "options:ic-route-adv=true", "options:ic-route-learn=true"),
    ]
    commands += [
        ("lrp-set-gateway-chassis", f"lrp{number}", gateway, str(20 - at)) for at, gateway in enumerate(gateways)
    ]
    nbctl = ["ovn-nbctl", f"--db={remote}"]
    run([*nbctl, *[word for command in commands for word in ("--", *command)][1:]])
    told = f'options={{server_id="{net}.1",server_mac="02:00:00:08:{number:02}:01",router="{net}.1",lease_time="3600"}}'
    options = run([*nbctl, "create", "DHCP_Options", f"cidr={net}.0/24", told]).strip()
    run([*nbctl, "lsp-set-dhcpv4-options", name, options])
    return lab.attach(name, host=host, port_id=name, mac=mac, wait=90)


def test_instances_of_two_zones_reach_each_other(originals: None, make_lab: Callable[..., Lab], west: West) -> None:
    lab = make_lab(central=programs.split(api=False), hosts=("e1", "e2", "e3", "w1"))
    east_nb, east_sb = (lab.layout.remote(name) for name in ("nb", "sb"))
    for remote, name in ((east_nb, "east"), (west.remote, "west")):
        run(["ovn-nbctl", f"--db={remote}", "init", "--", "set", "NB_Global", ".", f"name={name}"])
    west.spawn(
        "ovn-northd", f"--ovnnb-db={west.remote}", f"--ovnsb-db={west.remote}", f"--unixctl={west.directory}/n.ctl"
    )
    lab.hypervisor("w1").vsctl("set", "Open_vSwitch", ".", f'external_ids:ovn-remote="{west.remote}"')
    for host in ("e1", "e2", "w1"):
        lab.hypervisor(host).vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-is-interconn=true")
    chassis = ["--bare", "--columns=name", "list", "Chassis"]
    until(lambda: run(["ovn-sbctl", f"--db={west.remote}", *chassis]).split() == ["w1"], what="the west's chassis")
    run(["ovn-sbctl", f"--db={east_sb}", "chassis-del", "w1"])  # which it leaves behind, as the original's does
    west.interconnect(programs.ovenbird("ic"), northbound=east_nb, southbound=east_sb)
    west.interconnect(("ovn-ic",), northbound=west.remote, southbound=west.remote)
    run(["ovn-ic-nbctl", f"--db={west.remote}", "ts-add", "ts1"])
    for remote in (east_nb, west.remote):
        until(lambda remote=remote: "ts1" in run(["ovn-nbctl", f"--db={remote}", "ls-list"]), what="the transit switch")
    near = boot(lab, east_nb, host="e3", number=1, gateways=("e1", "e2"))
    far = boot(lab, west.remote, host="w1", number=2, gateways=("w1",))
    until(lambda: near.pings("10.8.2.5"), what="an answer from the other zone")
    until(lambda: far.pings("10.8.1.5"), what="an answer the other way")
    port = ["ovn-ic-sbctl", f"--db={west.remote}", "--bare", "--columns=gateway", "find", "Port_Binding"]

    def gateway() -> str:
        return run([*port, "logical_port=ts1-lr1"]).strip()

    assert gateway() == "e1"
    lab.kill_host("e1")
    until(lambda: gateway() == "e2", what="the other gateway")
    until(lambda: near.pings("10.8.2.5"), what="an answer by the other gateway")
    until(lambda: far.pings("10.8.1.5"), what="an answer by the other gateway, the other way")
