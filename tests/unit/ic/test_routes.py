"""Routes between zones: what is told, what is taken, and what of either is left out."""

from __future__ import annotations

import pytest

from ovenbird.model import ic_sb, nb
from support.ic.zones import Shared, change, delete


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
def zones(shared):
    """Two zones with a router each on one transit switch."""
    east, west = shared.zone("east"), shared.zone("west")
    shared.switch("ts1")
    east.router("r1", "ts1", 1, networks=["10.0.1.1/24"])
    west.router("r2", "ts1", 2, networks=["10.0.2.1/24"])
    return east, west


def add_route(zone, router, prefix, nexthop, **values):
    transaction = zone.nb.transaction()
    route = transaction.insert(nb.LogicalRouterStaticRoute, {"ip_prefix": prefix, "nexthop": nexthop} | values)
    transaction.mutate(zone.one(nb.LogicalRouter, name=router), "static_routes", insert=[route])
    transaction.commit()
    zone.shared.settle()
    return zone.nb.store.table(nb.LogicalRouterStaticRoute).get(route)


def learned(zone):
    """Return the routes that a zone has from others, by prefix, with their next hop, table and origin."""
    return {
        route.ip_prefix: (route.nexthop, route.route_table, route.options["origin"])
        for router in zone.all(nb.LogicalRouter)
        for route in router.static_routes
        if "ic-learned-route" in route.external_ids
    }


def test_networks_and_static_routes_reach_the_other_zone(shared, zones):
    east, west = zones
    route = add_route(east, "r1", "192.0.2.0/24", "10.0.1.9")
    assert learned(west) == {
        "10.0.1.1/24": ("169.254.100.1", "", "connected"),
        "192.0.2.0/24": ("169.254.100.1", "", "static"),
    }
    told = shared.one(ic_sb.Route, ip_prefix="192.0.2.0/24")
    assert told.external_ids == {"nb-id": route.uuid}
    assert west.one(nb.LogicalRouterStaticRoute, ip_prefix="192.0.2.0/24").external_ids["ic-learned-route"] == told.uuid
    change(east.nb, east.one(nb.LogicalRouter), static_routes=frozenset())
    shared.settle()
    assert list(learned(west)) == ["10.0.1.1/24"]


def test_a_routers_own_routes_are_not_touched(shared, zones):
    east, west = zones
    own = add_route(west, "r2", "203.0.113.0/24", "10.0.2.9", options={"origin": "mine"}, external_ids={"who": "me"})
    add_route(east, "r1", "203.0.113.0/24", "10.0.1.9")
    assert "203.0.113.0/24" not in learned(west)
    change(east.nb, east.head, options={})
    shared.settle()
    assert learned(west) == {}
    assert own.exists()
    assert own.external_ids == {"who": "me"}


@pytest.mark.parametrize(
    ("prefix", "nexthop", "values"),
    [
        ("0.0.0.0/0", "10.0.1.9", {}),
        ("169.254.7.0/24", "10.0.1.9", {}),
        ("fe80::/64", "fd00::9", {}),
        ("198.51.100.0/24", "discard", {}),
        ("198.51.100.0/24", "", {}),
        ("198.51.100.0/24", "fe80::9", {}),
        ("nonsense", "10.0.1.9", {}),
        ("198.51.100.0/33", "10.0.1.9", {}),
        ("198.51.100.0/24", "10.0.1.9", {"policy": "src-ip"}),
        ("198.51.100.0/24", "10.0.1.9", {"route_table": "blue"}),
        ("2001:db8::/32", "fd00::9", {}),  # the transit port has no IPv6 address that others could reach
    ],
)
def test_routes_that_are_not_advertised(shared, zones, prefix, nexthop, values):
    before = [row.ip_prefix for row in shared.all(ic_sb.Route)]
    add_route(zones[0], "r1", prefix, nexthop, **values)
    assert [row.ip_prefix for row in shared.all(ic_sb.Route)] == before


def test_default_routes_want_an_option_at_each_end(shared, zones):
    east, west = zones
    add_route(east, "r1", "0.0.0.0/0", "10.0.1.9")
    east.change(east.head, options=east.head.options | {"ic-route-adv-default": "true"})
    assert shared.one(ic_sb.Route, ip_prefix="0.0.0.0/0").origin == "static"
    assert "0.0.0.0/0" not in learned(west)
    west.change(west.head, options=west.head.options | {"ic-route-learn-default": "true"})
    assert learned(west)["0.0.0.0/0"] == ("169.254.100.1", "", "static")


@pytest.mark.parametrize(
    ("barred", "left"),
    [
        ("192.0.2.0/24", {"10.0.1.1/24", "2001:db8:1::/48"}),
        (" 192.0.0.0/16 , bad,2001:db8::/32", {"10.0.1.1/24"}),
        ("192.0.2.0/25", {"10.0.1.1/24", "192.0.2.0/24", "2001:db8:1::/48"}),
        ("2001:db9::/32", {"10.0.1.1/24", "192.0.2.0/24", "2001:db8:1::/48"}),
        ("0.0.0.0/0,::/0", set()),
        ("", {"10.0.1.1/24", "192.0.2.0/24", "2001:db8:1::/48"}),
    ],
)
@pytest.mark.parametrize("end", [0, 1])
def test_barred_prefixes_are_neither_advertised_nor_learned(shared, zones, end, barred, left):
    east, west = zones
    port = east.one(nb.LogicalRouterPort, name="lrp-r1-ts1")
    change(east.nb, port, networks=frozenset({"169.254.100.1/24", "fd00::1/64"}))
    add_route(east, "r1", "192.0.2.0/24", "10.0.1.9")
    add_route(east, "r1", "2001:db8:1::/48", "fd00::9")
    zone = zones[end]
    zone.change(zone.head, options=zone.head.options | {"ic-route-blacklist": barred})
    assert set(learned(west)) == left
    findings = [fact for fact in zone.engine.owners if fact[0].name == "finding" and "bad" in fact[-1]]
    assert bool(findings) == ("bad" in barred)


def test_routes_of_a_table_are_for_ports_of_that_table(shared, zones):
    east, west = zones
    add_route(east, "r1", "198.51.100.0/24", "10.0.1.9", route_table="blue")
    east.change(east.one(nb.LogicalRouterPort, name="lrp-r1-ts1"), options={"route_table": "blue"})
    assert shared.one(ic_sb.Route, ip_prefix="198.51.100.0/24").route_table == "blue"
    assert set(learned(west)) == {"10.0.1.1/24"}
    west.change(west.one(nb.LogicalRouterPort, name="lrp-r2-ts1"), options={"route_table": "blue"})
    assert learned(west)["198.51.100.0/24"] == ("169.254.100.1", "blue", "static")


def test_two_rows_that_give_the_same_route_are_advertised_once(shared, zones):
    """Next hops that differ here are one beyond the transit switch, and a connected network comes first."""
    east, _ = zones
    first = add_route(east, "r1", "192.0.2.0/24", "10.0.1.9")
    second = add_route(east, "r1", "192.0.2.0/24", "10.0.1.8")
    told = shared.one(ic_sb.Route, ip_prefix="192.0.2.0/24")
    assert told.external_ids["nb-id"] == min(first.uuid, second.uuid)
    add_route(east, "r1", "10.0.1.1/24", "10.0.1.7")
    assert shared.one(ic_sb.Route, ip_prefix="10.0.1.1/24").origin == "connected"


def test_two_routers_of_a_zone_tell_routes_side_by_side(shared, zones):
    """The original deletes those of one for the other, again and again."""
    east, west = zones
    east.router("r3", "ts1", 3, networks=["10.0.3.1/24"])
    assert {prefix: hop for prefix, (hop, *_) in learned(west).items()} == {
        "10.0.1.1/24": "169.254.100.1",
        "10.0.3.1/24": "169.254.100.3",
    }


def test_the_same_route_on_two_switches_is_learned_once(shared, zones):
    """Also when the row that it was learned from goes."""
    _, west = zones
    transaction = shared.sb.transaction()
    far = transaction.insert(ic_sb.AvailabilityZone, {"name": "far"})
    values = {"transit_switch": "ts1", "ip_prefix": "192.0.2.0/24", "nexthop": "169.254.100.9", "origin": "static"}
    more = transaction.insert(ic_sb.AvailabilityZone, {"name": "farther"})
    rows = [transaction.insert(ic_sb.Route, values | {"availability_zone": zone}) for zone in (far, more)]
    transaction.commit()
    shared.settle()
    route = west.one(nb.LogicalRouterStaticRoute, ip_prefix="192.0.2.0/24")
    assert route.external_ids["ic-learned-route"] == min(rows)
    delete(shared.sb, shared.sb.store.table(ic_sb.Route).get(min(rows)))
    shared.settle()
    assert route.exists()
    assert route.external_ids["ic-learned-route"] == max(rows)


def test_a_router_that_leaves_a_switch_keeps_no_learned_route(shared, zones):
    _, west = zones
    assert learned(west)
    change(west.nb, west.transit("ts1"), ports=frozenset())
    shared.settle()
    assert learned(west) == {}


def test_a_change_of_one_route_runs_the_rules_of_that_route(shared, zones):
    east, west = zones
    for number in range(50):
        add_route(east, "r1", f"10.9.{number}.0/24", "10.0.1.9")
    route = east.one(nb.LogicalRouterStaticRoute, ip_prefix="10.9.7.0/24")
    change(east.nb, route, ip_prefix="10.8.7.0/24")
    east.engine.run()
    assert sum(east.engine.ran.values()) <= 6
    told = shared.one(ic_sb.Route, ip_prefix="10.9.8.0/24")
    east.settle()
    west.settle()
    delete(shared.sb, told)
    west.engine.run()
    assert sum(west.engine.ran.values()) <= 4
