"""How many connections the zones of conntrack may have: what rules want, and what the switch is told."""

from __future__ import annotations

import asyncio

import pytest

from ovenbird.controller.facts import LIMIT, ZONE
from ovenbird.controller.local.ct_zones import CtZones
from ovenbird.controller.local.settings import CT_ZONE_LIMIT
from ovenbird.controller.ofctrl import zone_limits
from ovenbird.controller.ofctrl.zone_limits import ZoneLimits
from ovenbird.model import sb
from support.waiting import until_async


@pytest.fixture
def net(world):
    world.facts[LIMIT] = set()
    world.net = world.switch(7)
    world.port = world.lport(world.net, "p1", 1)
    world.lport(world.net, "p2", 2)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    world.zone = next(fact[2] for fact in world.facts[ZONE] if fact[1] == "p1")
    return world


def limits(world):
    world.run()
    return {fact[1]: fact[2] for fact in world.facts[LIMIT]}


def test_a_port_has_its_own_limit_its_switchs_or_the_chassis(net):
    assert limits(net) == {net.zone: CT_ZONE_LIMIT}
    net.set(net.root, external_ids=net.root["external_ids"] | {"ovn-ct-zone-limit": "1000"})
    assert limits(net) == {net.zone: 1000}
    net.set(net.root, external_ids=net.root["external_ids"] | {"ovn-ct-zone-limit": "99999999999"})
    assert limits(net) == {net.zone: 0xFFFFFFFF}  # as large as the switch's command takes
    net.set(net.net, external_ids={"logical-switch": "7", "ct-zone-limit": "500"})
    assert limits(net) == {net.zone: 500}
    net.set(net.port, options={"ct-zone-limit": "7"})
    assert limits(net) == {net.zone: 7}
    net.set(net.port, options={"ct-zone-limit": "many"})
    assert limits(net) == {net.zone: 500}
    for unlimited in ({"options": {"ct-zone-limit": "0"}}, {"options": {"requested-chassis": "hv2"}}):
        net.set(net.port, **unlimited)
        assert limits(net) == {}


def test_a_routers_zones_are_limited_when_it_says_so(net):
    router = net.add(sb.DatapathBinding, tunnel_key=8, external_ids={"logical-router": "8"})
    net.lport(net.net, "s-r", 3, type="patch", options={"peer": "r-s"})
    net.lport(router, "r-s", 1, type="patch", options={"peer": "s-r"})
    assert set(limits(net)) == {net.zone}
    net.set(router, external_ids={"logical-router": "8", "ct-zone-limit": "99999999999"})
    zones = {fact[2] for fact in net.facts[ZONE] if fact[1].startswith(router.uuid)}
    assert limits(net) == {net.zone: CT_ZONE_LIMIT} | dict.fromkeys(zones, 0xFFFFFFFF)
    net.set(router, external_ids={"logical-router": "8", "ct-zone-limit": "9", "snat-ct-zone": "0"})
    net.run()
    zones = {fact[2] for fact in net.facts[ZONE] if fact[1].startswith(router.uuid)}
    assert 0 in zones
    assert limits(net) == {net.zone: CT_ZONE_LIMIT} | dict.fromkeys(zones - {0}, 9)  # the host's own is not limited


def test_the_hosts_own_zone_is_not_flushed():
    book = CtZones()
    assert book.absorb(added=[ZONE("r_dnat", 3), ZONE("r_snat", 0)], removed=[]) == [3]
    assert book.changes() == (("ct-zone-r_dnat", "3"), ("ct-zone-r_snat", "0"))


class Switch:
    """The limits of a switch, by command."""

    def __init__(self) -> None:
        self.limits = {99: 5}
        self.refuses = 0

    async def command(self, _directory, name, datapath, *arguments):
        assert datapath == "dp"
        if self.refuses:
            self.refuses -= 1
            raise zone_limits.SwitchCommandError("no")
        if name == "dpctl/ct-get-limits":
            return "default limit=0\n" + "".join(f"zone={z},limit={n},count=0\n" for z, n in self.limits.items())
        for argument in arguments:
            zones, _, limit = argument.removeprefix("zone=").partition(",limit=")
            if name == "dpctl/ct-set-limits":
                self.limits[int(zones)] = int(limit)
            else:
                for zone in zones.split(","):
                    del self.limits[int(zone)]
        return ""


async def test_the_switch_is_given_the_difference(monkeypatch, tmp_path):
    switch = Switch()
    monkeypatch.setattr(zone_limits, "command", switch.command)
    monkeypatch.setattr(zone_limits, "_PAUSE", (0.0, 0.0))
    book = ZoneLimits(tmp_path, lambda: "dp")
    running = asyncio.create_task(book.run())

    async def become(wanted):
        def has():
            assert switch.limits == wanted
            return True

        await until_async(has)

    try:
        many = dict.fromkeys(range(1, 91), 10)
        book.absorb(added=[LIMIT(zone, limit) for zone, limit in many.items()], removed=[])
        await become({99: 5} | many)
        switch.refuses = 2
        book.absorb(added=[LIMIT(1, 20)], removed=[LIMIT(zone, 10) for zone in range(1, 90)])
        await become({99: 5, 90: 10, 1: 20})
        switch.limits = {}  # another switch, which knows nothing
        book.compare()
        await become({90: 10, 1: 20})
        switch.limits |= {0: 7, 91: 10, 92: 10}  # 91 is left of a controller before this one, the others are others'
        book.recall([0, 1, 90, 91])
        book.settle()
        await become({0: 7, 90: 10, 1: 20, 92: 10})
        switch.limits[91] = 3
        book.absorb(added=[LIMIT(93, 1)], removed=[])
        await become({0: 7, 90: 10, 1: 20, 91: 3, 92: 10, 93: 1})
    finally:
        running.cancel()
