"""What an operator asks of a controller, or sets on its host: ours beside the original, each as a process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.controller.site import Site, one_chassis
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK = """
ls-add sw0
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 c1 p1 5 -- lsp-set-addresses c1 "0a:00:00:00:00:03 10.0.0.13"
lsp-add sw0 far -- lsp-set-addresses far "0a:00:00:00:00:04 10.0.0.14"
"""
OURS = (str(Path(sys.executable).parent / "ovenbird"), "controller")
MICROFLOW = "eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.11 && icmp4.type == 8"


@pytest.fixture
def site() -> Iterator[Site]:
    with one_chassis(NETWORK, {"p1": 11, "p2": 12}) as site:
        yield site


@pytest.fixture(params=["ovn-controller", "ovenbird"])
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("ovn-controller",) if request.param == "ovn-controller" else OURS


def start(site: Site, program: tuple[str, ...]) -> str:
    """Start a controller; return its control socket when its ports are there."""
    process = site.spawn(*program, f"--log-file={site.directory}/oc.log", f"unix:{site.directory}/db.sock")
    ours = ("--bare", "--columns=up", "find", "Port_Binding", "logical_port=p2")
    until(lambda: site.sbctl(*ours).strip() == "true")
    return str(site.directory / f"ovn-controller.{process.pid}.ctl")


def appctl(site: Site, socket: str, *argv: str) -> str:
    words = ("ovn-appctl", "-t", socket, *argv)
    done = subprocess.run(words, check=False, capture_output=True, env=site.env, timeout=30)
    return done.stdout.decode() if done.returncode == 0 else f"error: {done.stderr.decode()}"


def packets(site: Site, ofport: int, tag: str = "") -> int:
    text = site.run("ovs-ofctl", "-O", "OpenFlow15", "dump-flows", f"{site.directory}/br-int.mgmt", "table=0")
    found = re.findall(rf"n_packets=(\d+).* priority=1[05]0,in_port={ofport}{tag} ", text)
    return sum(map(int, found))


def test_an_injected_packet_enters_through_its_port(site: Site, program: tuple[str, ...]) -> None:
    socket = start(site, program)
    assert appctl(site, socket, "inject-pkt", f'inport == "p1" && {MICROFLOW}') == ""
    if program is OURS:  # the original lets a packet in behind the first table, and knows no containers there
        until(lambda: packets(site, 11) == 1)
        assert appctl(site, socket, "inject-pkt", f'inport == "c1" && {MICROFLOW}') == ""
        until(lambda: packets(site, 11, ",dl_vlan=5") == 1)
    for wrong in (f'inport == "nobody" && {MICROFLOW}', f'inport == "far" && {MICROFLOW}', MICROFLOW, "ip4 &&"):
        assert appctl(site, socket, "inject-pkt", wrong).startswith("error: "), wrong


def test_the_bridge_says_which_changes_are_installed(site: Site, program: tuple[str, ...]) -> None:
    start(site, program)
    site.nbctl("--wait=hv", "set", "NB_Global", ".", "external_ids:x=y")
    number = site.nbctl("--bare", "get", "NB_Global", ".", "nb_cfg").strip()
    said = "external_ids:ovn-nb-cfg"
    until(lambda: site.vsctl("--if-exists", "get", "Bridge", "br-int", said).strip() == f'"{number}"')
    assert int(site.vsctl("get", "Bridge", "br-int", f"{said}-ts").strip().strip('"')) > 1_600_000_000_000
    assert site.vsctl("get", "Bridge", "br-int", "datapath_type").strip() == "system"
    assert "datapath-type=system" in site.sbctl("get", "Chassis", "hv1", "other_config")


def test_a_file_may_name_the_chassis(site: Site, program: tuple[str, ...]) -> None:
    (site.directory / "system-id-override").write_text("special\n")
    site.vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-encap-ip-special=192.0.2.77")
    start(site, program)
    until(lambda: "special" in site.sbctl("--bare", "--columns=name", "list", "Chassis"))
    assert site.sbctl("--bare", "--columns=ip", "find", "Encap", "chassis_name=special").strip() == "192.0.2.77"


def test_changes_wait_for_a_northd_of_the_same_version(site: Site) -> None:
    start(site, OURS)  # the site's northd is the original
    site.vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-match-northd-version=true")
    until(lambda: "mismatch" in (site.directory / "oc.log").read_text())
    site.vsctl("add-port", "br-int", "far", "--", "set", "Interface", "far", "type=dummy", "external_ids:iface-id=far")
    assert site.sbctl("get", "Port_Binding", "far", "chassis").strip() == "[]"
    site.vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-match-northd-version=false")
    until(lambda: site.sbctl("get", "Port_Binding", "far", "chassis").strip() != "[]")


def test_template_variables_of_a_chassis_are_listed(site: Site, program: tuple[str, ...]) -> None:
    for host, value in (("hv1", "10.0.0.1"), ("hv2", "10.0.0.2")):
        site.nbctl("create", "Chassis_Template_Var", f"chassis={host}", f"variables:vip={value}", "variables:a=b")
    socket = start(site, program)
    listed = "Local template vars:\nname: 'a' value: 'b'\nname: 'vip' value: '10.0.0.1'\n"
    until(lambda: appctl(site, socket, "debug/dump-local-template-vars") == listed)
