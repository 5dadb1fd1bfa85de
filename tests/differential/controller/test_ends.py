"""What a controller leaves behind when it ends, ours beside the original's (ovn-controller(8))."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.controller.site import NETWORK, PORTS, one_chassis
from support.waiting import until

if TYPE_CHECKING:
    import subprocess

    from support.controller.site import Site

OURS = (sys.executable, "-m", "ovenbird.cli", "controller")
ORIGINAL = ("ovn-controller",)
WAYS = {"SIGTERM": (), "SIGINT": (), "exit": ("exit",), "exit --restart": ("exit", "--restart")}


class Left(NamedTuple):
    """What is in the databases and in the switch."""

    chassis: list[str]
    bound: list[str]
    tunnels: list[str]
    flows: int


def left(site: Site) -> Left:
    columns = ("--bare", "-f", "csv", "--columns=logical_port", "find", "Port_Binding", "chassis!=[]")
    ports = site.vsctl("list-ports", "br-int").split()
    return Left(
        sorted(site.sbctl("--bare", "--columns=name", "list", "Chassis").split()),
        sorted(site.sbctl(*columns).split()),
        [name for name in ports if name.startswith("ovn-")],
        len(site.flows()),
    )


def end(site: Site, process: subprocess.Popen[bytes], how: str) -> None:
    if command := WAYS[how]:
        site.run("ovs-appctl", "-t", f"{site.directory}/ovn-controller.{process.pid}.ctl", *command)
    else:
        process.send_signal(signal.Signals[how])
    process.wait(10)
    site.processes.remove(process)


@pytest.mark.parametrize("how", WAYS)
def test_ours_leaves_what_the_original_leaves(how: str) -> None:
    found = {}
    for program in (ORIGINAL, OURS):
        with one_chassis(NETWORK, PORTS, ovn_bridge_mappings="net1:br-ex") as site:
            process = site.spawn(*program, f"unix:{site.directory}/db.sock")
            until(lambda site=site: "p1" in left(site).bound)
            site.nbctl("--wait=hv", "sync")
            before = left(site)
            assert "ovn-hv2-0" in before.tunnels
            end(site, process, how)
            after = left(site)
            assert after.flows == before.flows, "packets go on"
            found[program] = after[:3], after[:3] == before[:3]
    assert found[OURS] == found[ORIGINAL]


def test_a_host_may_keep_everything_at_exit_and_acknowledge_on_its_bridge_alone() -> None:
    """`ovn-cleanup-on-exit` and `enable_chassis_nb_cfg_update` of OVN 26.03."""
    with one_chassis(NETWORK, PORTS, ovn_cleanup_on_exit="false") as site:
        process = site.spawn(*OURS, f"unix:{site.directory}/db.sock")
        until(lambda: "p1" in left(site).bound)
        site.nbctl("--wait=hv", "sync")
        site.nbctl("set", "NB_Global", ".", "options:enable_chassis_nb_cfg_update=false")
        site.nbctl("--wait=sb", "sync")
        number = site.nbctl("get", "NB_Global", ".", "nb_cfg").strip()
        until(lambda: number in site.vsctl("get", "Bridge", "br-int", "external_ids:ovn-nb-cfg"))
        assert number not in site.sbctl("--bare", "--columns=nb_cfg", "list", "Chassis_Private").split()
        before = left(site)
        end(site, process, "exit")
        assert left(site) == before
        assert before.chassis
