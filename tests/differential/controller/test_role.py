"""Whole controllers at a Southbound whose remote has the role `ovn-controller`, known by their certificates.

Our programs and the original's side by side, as database server, northd and controller: the role lets a controller do
all its work, and lets no other chassis's certificate touch it (ovn-architecture(7), ovsdb-server(7)).
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from support.controller.site import ORIGINAL_SERVER, OVENBIRD, one_chassis
from support.ovsdb.certificates import Authority
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from support.controller.site import Site

NETWORK = r"""
ls-add sw0
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p3 -- lsp-set-addresses p3 unknown
lsp-add sw0 vip -- lsp-set-type vip virtual -- lsp-set-options vip virtual-ip=10.0.0.9 virtual-parents=p1
lr-add lr
lrp-add lr lr-sw0 0a:00:00:00:ff:01 10.0.0.1/24
lsp-add sw0 sw0-lr -- lsp-set-type sw0-lr router -- lsp-set-addresses sw0-lr router
lsp-set-options sw0-lr router-port=lr-sw0
"""
PORTS = {"p1": 11, "p3": 13}
BROADCAST, ARP = "ffffffffffff", "08060001080006040001"
CONTROLLERS = {"original": ("ovn-controller",), "ours": (OVENBIRD, "controller")}
PLACES = {
    "our server, the original's northd": ((OVENBIRD, "db"), ("ovn-northd",)),
    "the original's server, our northd": (ORIGINAL_SERVER, (OVENBIRD, "northd")),
}


def announce(site: Site, port: str, mac: str, address: str) -> None:
    """Have a station ask everybody for its own address."""
    mac, ip = mac.replace(":", ""), "".join(f"{int(byte):02x}" for byte in address.split("."))
    (switch,) = site.directory.glob("ovs-vswitchd.*.ctl")
    packet = f"{BROADCAST}{mac}{ARP}{mac}{ip}{'0' * 12}{ip}"
    site.run("ovs-appctl", "-t", str(switch), "netdev-dummy/receive", port, packet)


def found(site: Site, table: str, *condition: str, column: str = "_uuid") -> str:
    return site.sbctl("--bare", f"--columns={column}", "find", table, *condition).strip()


def learns(site: Site, port: str, mac: str, address: str, table: str, *condition: str) -> None:
    """See a row come of a station's announcements."""

    def there() -> str:
        announce(site, port, mac, address)
        return found(site, table, *condition)

    until(there)


def works(site: Site, keys: list[str], program: tuple[str, ...], number: int) -> None:
    """See a controller do all its work, and leave when told to."""
    process = site.spawn(*program, f"unix:{site.directory}/db.sock", "--pidfile", *keys)
    until(lambda: found(site, "Port_Binding", "logical_port=p1", "up=true"))
    site.nbctl("--wait=hv", "sync")
    station = f"0a:00:00:00:01:{number:02x}"
    learns(site, "p3", station, f"10.0.0.{50 + number}", "FDB", f'mac="{station}"')
    for port, mac in (("p3", f"0a:00:00:00:02:{number:02x}"), ("p1", f"0a:00:00:00:03:{number:02x}")):
        learns(site, port, mac, f"10.0.0.{70 + number}", "MAC_Binding", f'mac="{mac}"')  # the second one changes a row
    learns(site, "p1", "0a:00:00:00:00:01", "10.0.0.9", "Port_Binding", "logical_port=vip", "virtual_parent=p1")
    if program == CONTROLLERS["ours"]:  # which the role does not let it tell, and which stops the original's
        site.vsctl("set", "Open_vSwitch", ".", "external_ids:hostname=other")
    site.vsctl("set", "Open_vSwitch", ".", f"external_ids:ovn-cms-options=x{number}")
    until(lambda: found(site, "Chassis", f"other_config:ovn-cms-options=x{number}"))
    site.vsctl("set", "Open_vSwitch", ".", f"external_ids:ovn-encap-ip=192.0.2.{number}")
    until(lambda: found(site, "Encap", f"ip=192.0.2.{number}"))
    site.nbctl("--wait=hv", "sync")
    site.run("ovs-appctl", "-t", "ovn-controller", "exit")
    process.wait(10)
    site.processes.remove(process)
    assert not found(site, "Chassis", "name=hv1")
    assert not found(site, "Port_Binding", "logical_port=p1", "chassis!=[]")


def others_may_not(site: Site, keys: list[str], remote: str) -> None:
    """See the certificate of another chassis change nothing of this one's."""
    site.sbctl("chassis-add", "hv1", "geneve", "192.0.2.1", "--", "create", "Chassis_Private", "name=hv1")
    owned = ("Chassis", "Chassis_Private", "Encap")
    before = [site.sbctl("list", table) for table in owned]
    port = found(site, "Port_Binding", "logical_port=p1")
    for change in (
        ("set", "Chassis", "hv1", "other_config:x=y"),
        ("chassis-del", "hv1"),
        ("set", "Chassis_Private", "hv1", "nb_cfg=9"),
        ("set", "Encap", found(site, "Chassis", "name=hv1", column="encaps"), "ip=192.0.2.66"),
        ("chassis-add", "hv3", "geneve", "192.0.2.3"),
        ("set", "Port_Binding", port, "mac=x"),
        ("destroy", "Port_Binding", port),
        ("destroy", "Datapath_Binding", found(site, "Datapath_Binding", "external_ids:name=sw0")),
    ):
        command = ("ovn-sbctl", f"--db={remote}", *keys, "--timeout=20", *change)
        done = subprocess.run(command, capture_output=True, text=True, env=site.env, check=False)
        assert done.returncode, change
        assert "permission error" in done.stderr, (change, done.stderr)
    log = site.directory / "intruder.log"
    site.spawn(*CONTROLLERS["ours"], f"unix:{site.directory}/db.sock", *keys, f"--log-file={log}")
    until(lambda: log.exists() and "prohibit" in log.read_text())
    assert [site.sbctl("list", table) for table in owned] == before


@pytest.mark.parametrize("place", PLACES)
def test_a_controller_may_do_its_work_and_no_other_may(tmp_path: Path, place: str) -> None:
    authority = Authority(tmp_path)
    keys = {name: authority.options(name) for name in ("server", "hv1", "hv2")}
    server, northd = PLACES[place]
    southbound = (*server, "--remote=db:OVN_Southbound,SB_Global,connections", *keys["server"])
    with one_chassis(NETWORK, PORTS, servers={"nb": server, "sb": southbound}, northd=northd) as site:
        site.sbctl("set-connection", "role=ovn-controller", "pssl:0:127.0.0.1")
        until(lambda: found(site, "Connection", column="status"))
        port = found(site, "Connection", column="status").partition("bound_port=")[2].split()[0]
        remote = f"ssl:127.0.0.1:{port}"
        site.vsctl("set", "Open_vSwitch", ".", f'external_ids:ovn-remote="{remote}"')
        for number, program in enumerate(CONTROLLERS.values(), 3):
            works(site, keys["hv1"], program, number)
        others_may_not(site, keys["hv2"], remote)
