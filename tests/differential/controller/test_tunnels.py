"""Tunnel ports of a real switch: what the controller makes of them, keeps and restores."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ovenbird.controller.controller import Controller
from support.controller.site import Site, one_chassis, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NETWORK = r"""
ls-add sw0
lsp-add sw0 there -- lsp-set-addresses there "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 here -- lsp-set-addresses here "0a:00:00:00:00:01 10.0.0.11"
"""
Ends = dict[str, tuple[str, bool]]
"""By remote end, the type of the tunnel port, and whether the switch has added it."""


@pytest.fixture
def site() -> Iterator[Site]:
    with one_chassis(NETWORK, {}, real=True, ovn_encap_type="geneve,vxlan") as site:
        site.vsctl(
            *("add-port", "br-int", "here", "--", "set", "Interface", "here", "type=internal"),
            "external_ids:iface-id=here",
        )
        yield site


@asynccontextmanager
async def controlled(site: Site) -> AsyncIterator[Controller]:
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    try:
        yield controller
    finally:
        await controller.close(restart=True)
        await running


def interfaces(site: Site) -> list[tuple[str, str, str, str]]:
    """Return name, remote end, type and OpenFlow port of the tunnel ports of br-int."""
    found = []
    for name in site.vsctl("list-ports", "br-int").split():
        end = site.vsctl("--if-exists", "get", "Port", name, "external_ids:ovn-chassis-id").strip()
        if end:
            kind, ofport = site.vsctl("get", "Interface", name, "type", "ofport").split()
            found.append((name, end.strip('"'), kind, ofport))
    return found


async def become(site: Site, wanted: dict[str, str]) -> None:
    """Wait until the tunnels that the switch has are these, type by remote end."""

    def condition() -> bool:
        return {end: kind for _, end, kind, port in interfaces(site) if int(port) > 0} == wanted

    await told(condition)
    assert len(interfaces(site)) == len(wanted)


def row(site: Site, chassis: str) -> str:
    return site.sbctl("get", "Chassis", chassis, "_uuid").strip()


def outputs(site: Site) -> set[str]:
    """Return the OpenFlow ports by which packets to `there` leave."""
    flows = [flow for flow in site.flows() if "table=39" in flow and "tun_" in flow]
    return {flow.rpartition("output:")[2].split(",")[0] for flow in flows}


async def a_neighbour_changes(site: Site) -> None:
    async with controlled(site):
        await become(site, {"hv2@192.0.2.2": "geneve"})
        (port,) = interfaces(site)
        site.sbctl("chassis-del", "hv2", "--", "chassis-add", "hv2-new", "geneve", "192.0.2.2")
        await become(site, {"hv2-new@192.0.2.2": "geneve"})
        assert interfaces(site)[0][3] == port[3], "the tunnel itself is the same"
        site.sbctl("lsp-bind", "there", "hv2-new")
        await told(lambda: outputs(site) == {port[3]})
        site.sbctl("chassis-del", "hv2-new", "--", "chassis-add", "hv2-new", "geneve", "192.0.2.3")
        site.sbctl("lsp-bind", "there", "hv2-new")
        await become(site, {"hv2-new@192.0.2.3": "geneve"})
        await told(lambda: outputs(site) == {interfaces(site)[0][3]})
        site.sbctl("chassis-del", "hv2-new", "--", "chassis-add", "hv2-new", "geneve,vxlan", "192.0.2.3")
        site.sbctl("chassis-add", "hv3", "vxlan", "192.0.2.4")
        await become(site, {"hv2-new@192.0.2.3": "geneve", "hv3@192.0.2.4": "vxlan"})
        site.sbctl("chassis-del", "hv2-new", "--", "chassis-add", "hv2-new", "vxlan", "192.0.2.3")
        await become(site, {"hv2-new@192.0.2.3": "vxlan", "hv3@192.0.2.4": "vxlan"})


def test_tunnels_follow_a_neighbour_with_another_name_address_or_encapsulation(site: Site) -> None:
    asyncio.run(a_neighbour_changes(site))


async def another_zone(site: Site) -> None:
    async with controlled(site):
        site.sbctl(
            "chassis-add", "far", "geneve", "192.0.2.9", "--", "set", "Chassis", "far", "other_config:is-remote=true"
        )
        site.sbctl("chassis-add", "hv3", "geneve", "192.0.2.4")
        await become(site, {"hv2@192.0.2.2": "geneve", "hv3@192.0.2.4": "geneve"})
        site.vsctl("--no-wait", "set", "Open_vSwitch", ".", "external_ids:ovn-is-interconn=true")
        await become(site, {"hv2@192.0.2.2": "geneve", "hv3@192.0.2.4": "geneve", "far@192.0.2.9": "geneve"})
        site.vsctl("--no-wait", "remove", "Open_vSwitch", ".", "external_ids", "ovn-is-interconn")
        await become(site, {"hv2@192.0.2.2": "geneve", "hv3@192.0.2.4": "geneve"})


def test_gateways_alone_have_tunnels_to_other_availability_zones(site: Site) -> None:
    asyncio.run(another_zone(site))


async def the_chassis_changes(site: Site) -> None:
    site.sbctl("chassis-del", "hv2", "--", "chassis-add", "hv2", "geneve,vxlan", "192.0.2.2")
    async with controlled(site) as controller:
        for kinds in ("geneve,vxlan", "vxlan", "vxlan,geneve"):
            site.vsctl("--no-wait", "set", "Open_vSwitch", ".", f'external_ids:ovn-encap-type="{kinds}"')
            await become(site, {"hv2@192.0.2.2": "geneve" if "geneve" in kinds else "vxlan"})
        assert site.sbctl("get", "Port_Binding", "here", "chassis").strip() == row(site, "hv1")
        before = interfaces(site), controller.waves, row(site, "hv1")
        await asyncio.to_thread(site.nbctl, "--wait=hv", "sync")
        assert interfaces(site) == before[0]
        assert controller.waves - before[1] < 10, "nothing flips"
        ids = ("ovn-set-local-ip=true", "ovn-encap-ip=192.0.2.7", "system-id=hv1-new")
        site.vsctl("--no-wait", "set", "Open_vSwitch", ".", *(f"external_ids:{each}" for each in ids))
        name = interfaces(site)[0][0]
        await told(lambda: "local_ip=" in site.vsctl("get", "Interface", name, "options"))
        await become(site, {"hv2@192.0.2.2": "geneve"})
        names = ("--bare", "--columns=name", "list", "Chassis")
        await told(lambda: sorted(site.sbctl(*names).split()) == ["hv1-new", "hv2"])
        assert row(site, "hv1-new") == before[2], "it is the same row, and its ports stay bound"
        columns = ("--bare", "--columns=ip", "find", "Encap", "chassis_name=hv1-new")
        await told(lambda: set(site.sbctl(*columns).split()) == {"192.0.2.7"})
        ids = ('ovn-encap-ip="192.0.2.7,192.0.2.8"', "ovn-encap-ip-default=192.0.2.8", "ct-zone-range=2000-2999")
        site.vsctl("--no-wait", "set", "Open_vSwitch", ".", *(f"external_ids:{each}" for each in ids))
        await told(lambda: set(site.sbctl(*columns, "options:is_default=true").split()) == {"192.0.2.8"})
        await told(lambda: "local_ip=" in site.vsctl("get", "Interface", name, "options"))
        zone = ("get", "Bridge", "br-int", "external_ids:ct-zone-here")
        await told(lambda: 2000 <= int(site.vsctl(*zone).strip().strip('"')) < 3000)


def test_tunnels_follow_the_chassis_itself(site: Site) -> None:
    asyncio.run(the_chassis_changes(site))


async def others_are_there(site: Site) -> None:
    same = ("type=geneve", "options:remote_ip=192.0.2.2", "options:key=flow", "options:csum=true")
    site.vsctl("add-port", "br-ex", "mine", "--", "set", "Interface", "mine", *same)
    site.vsctl("add-port", "br-ex", "ovn-hv3-0", "--", "set", "Interface", "ovn-hv3-0", "type=internal")
    site.sbctl("chassis-add", "hv3", "geneve", "192.0.2.3")
    async with controlled(site) as controller:
        await become_but(site, {"hv3@192.0.2.3": "geneve"}, failed="hv2@192.0.2.2")
        await told(lambda: "exists" in " ".join(controller.host.retries.failed.values()))
        site.vsctl("--no-wait", "del-port", "mine")
        await become(site, {"hv2@192.0.2.2": "geneve", "hv3@192.0.2.3": "geneve"})
        await told(lambda: not controller.host.retries.failed)


async def become_but(site: Site, wanted: dict[str, str], failed: str) -> None:
    """Wait until the switch has these tunnels, and could not add another."""

    def condition() -> bool:
        found = {end: (kind, int(port)) for _, end, kind, port in interfaces(site) if port != "[]"}
        return found.pop(failed, ("", 0))[1] < 0 and {end: kind for end, (kind, _) in found.items()} == wanted

    await told(condition)


def test_a_tunnel_that_fails_is_reported_and_retried_and_affects_no_other(site: Site) -> None:
    asyncio.run(others_are_there(site))
