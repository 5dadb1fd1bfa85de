"""Other zones decide how many rows they tell and how long these are: what is beyond the bounds is left out."""

from __future__ import annotations

import pytest

from ovenbird.engine.ids import used
from ovenbird.ic import bounds
from ovenbird.ic.port_binding import TRANSIT_PORT_KEYS
from ovenbird.ic.transit_switch import TRANSIT_KEYS
from ovenbird.model import ic_nb, ic_sb, nb, sb
from support.ic.zones import Shared, change, delete, insert


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
def east(shared):
    """A zone with a router on a transit switch."""
    zone = shared.zone("east")
    shared.switch("ts1")
    zone.router("r1", "ts1", 1)
    return zone


def gateway(shared, zone, number, *, encaps=1, ip="192.0.2.{}", options=None, **values):
    transaction = shared.sb.transaction()
    name = f"gw{number}"
    row = {"type": "geneve", "options": options or {}, "gateway_name": name}
    made = [transaction.insert(ic_sb.Encap, row | {"ip": ip.format(number * 20 + at)}) for at in range(encaps)]
    told = {"name": name, "availability_zone": zone, "encaps": frozenset(made)} | values
    transaction.insert(ic_sb.Gateway, told)
    transaction.commit()


def port(shared, zone, number, **values):
    told = {"logical_port": f"p{number}", "transit_switch": "ts1", "tunnel_key": number, "availability_zone": zone}
    return insert(shared.sb, ic_sb.PortBinding, **told | values)


def route(shared, zone, prefix, nexthop="169.254.100.9", **values):
    told = {"transit_switch": "ts1", "ip_prefix": prefix, "nexthop": nexthop, "origin": "static"}
    return insert(shared.sb, ic_sb.Route, **told | {"availability_zone": zone} | values)


def taken(zone):
    """Return the chassis, ports and routes that a zone has from others."""
    return (
        {row.name for row in zone.all(sb.Chassis)},
        {row.name for row in zone.all(nb.LogicalSwitchPort) if row.type == "remote"},
        {row.ip_prefix for row in zone.all(nb.LogicalRouterStaticRoute)},
    )


def test_of_a_zone_that_has_too_many_rows_the_first_are_taken(shared, east, monkeypatch):
    for places in (bounds.gateways, bounds.ports, bounds.routes):
        monkeypatch.setattr(places, "limit", 2)
    east.engine.close()
    east.start()
    many, few = [insert(shared.sb, ic_sb.AvailabilityZone, name=name).uuid for name in ("many", "few")]
    for number in range(2, 6):
        gateway(shared, many, number)
        port(shared, many, number)
        route(shared, many, f"10.{number}.0.0/16")
    gateway(shared, few, 7)
    port(shared, few, 7)
    route(shared, few, "10.7.0.0/16")
    shared.settle()

    def expected():
        kinds = {ic_sb.Gateway: "name", ic_sb.PortBinding: "logical_port", ic_sb.Route: "ip_prefix"}
        for kind, name in kinds.items():
            rows = sorted((r.uuid, getattr(r, name)) for r in shared.all(kind) if r.availability_zone.name == "many")
            yield {text for _, text in rows[:2]} | {
                getattr(r, name) for r in shared.all(kind) if r.availability_zone.name == "few"
            }

    assert taken(east) == tuple(expected())
    texts = [f"zone many has more than 2 {what}: the others are left out" for what in ("gateways", "ports", "routes")]
    assert list(east.findings) == texts
    for kind in (ic_sb.Gateway, ic_sb.PortBinding, ic_sb.Route):
        gone = min((row for row in shared.all(kind) if row.availability_zone.name == "many"), key=lambda row: row.uuid)
        delete(shared.sb, gone)
    shared.settle()
    assert taken(east) == tuple(expected())
    before = taken(east)
    east.engine.close()
    east.start()
    assert not east.settle()
    assert taken(east) == before


def test_of_too_many_zones_the_first_are_taken(shared, east, monkeypatch):
    monkeypatch.setattr(bounds.zones, "limit", 2)
    east.engine.close()
    east.start()
    for number in range(2, 6):
        zone = insert(shared.sb, ic_sb.AvailabilityZone, name=f"zone{number}").uuid
        route(shared, zone, f"10.{number}.0.0/16")
    shared.settle()
    first = sorted((row.uuid, row.name) for row in shared.all(ic_sb.AvailabilityZone) if row.name != "east")[:2]
    assert taken(east)[2] == {f"10.{name.removeprefix('zone')}.0.0/16" for _, name in first}
    assert list(east.findings) == ["there are more than 2 other zones: the others are left out"]


LONG = "x" * 256


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda *at: gateway(*at, 2, name=LONG), "it has a text of more than 255 characters"),
        (lambda *at: gateway(*at, 2, hostname=LONG), "it has a text of more than 255 characters"),
        (lambda *at: gateway(*at, 2, ip=LONG), "it has a text of more than 255 characters"),
        (lambda *at: gateway(*at, 2, options={"csum": LONG}), "it has a text of more than 255 characters"),
        (
            lambda *at: gateway(*at, 2, options={str(n): "" for n in range(17)}),
            "an encap of it has more than 16 options",
        ),
        (lambda *at: gateway(*at, 2, encaps=17), "it has more than 16 encaps"),
        (lambda *at: port(*at, 2, logical_port=LONG), "it has a text of more than 255 characters"),
        (lambda *at: port(*at, 2, gateway=LONG), "it has a text of more than 255 characters"),
        (lambda *at: port(*at, 2, address="x" * 4097), "its addresses have more than 4096 characters"),
        (lambda *at: route(*at, "10.2.0.0/16", LONG), "it has a text of more than 255 characters"),
        (lambda *at: route(*at, LONG), "it has a text of more than 255 characters"),
        (lambda *at: route(*at, "10.2.0.0/16", route_table=LONG), "it has a text of more than 255 characters"),
    ],
)
def test_a_row_with_too_long_values_affects_only_itself(shared, east, make, why):
    far = insert(shared.sb, ic_sb.AvailabilityZone, name="far").uuid
    make(shared, far)
    gateway(shared, far, 3)
    port(shared, far, 3)
    route(shared, far, "10.3.0.0/16")
    shared.settle()
    assert taken(east) == ({"gw3"}, {"p3"}, {"10.3.0.0/16"})
    (text,) = east.findings
    assert text.endswith(f"of another zone is left out: {why}")
    assert len(text) < 400


def test_one_more_route_to_a_prefix_of_many_runs_the_rules_of_that_route(shared, east):
    far = insert(shared.sb, ic_sb.AvailabilityZone, name="far").uuid
    for number in range(100):
        route(shared, far, "10.3.0.0/16", f"169.254.100.{number + 2}")
    shared.settle()
    assert len(east.one(nb.LogicalRouter).static_routes) == 100
    route(shared, far, "10.3.0.0/16", "169.254.101.1")
    east.engine.run()
    assert sum(east.engine.ran.values()) <= 12, east.engine.ran
    shared.settle()
    again = shared.one(ic_sb.Route, nexthop="169.254.101.1")
    change(shared.sb, again, nexthop="169.254.101.2")
    east.engine.run()
    assert sum(east.engine.ran.values()) <= 12, east.engine.ran


# -- tunnel keys ------------------------------------------------------------------------------------------------------


def key_of(east, switch="ts1"):
    return east.transit(switch).other_config["requested-tnl-key"]


@pytest.mark.parametrize("key", [1, 16_711_680])
def test_a_key_that_is_not_for_transit_switches_takes_over_none(shared, east, key):
    row = insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=key)
    shared.settle()
    assert key_of(east) == "16711681"
    assert sorted(row.tunnel_key for row in shared.all(ic_sb.DatapathBinding)) == [key, 16_711_681]
    why = "it is not between 16711681 and 16777215"
    assert list(east.findings) == [f"tunnel key {key} of transit switch ts1 is not used: {why}"]
    assert set(used(east.engine, TRANSIT_KEYS).values()) == {16_711_681}
    east.engine.close()
    east.start()
    assert not east.settle()
    delete(shared.sb, row)
    shared.settle()
    assert not list(east.findings)


def test_a_row_of_an_unknown_switch_takes_no_key(shared, east):
    insert(shared.sb, ic_sb.DatapathBinding, transit_switch="x" * 9_999, tunnel_key=16_711_682)
    east.engine.run()
    (text,) = east.findings
    assert text.endswith("is not used: Interconnection Northbound has no such switch")
    assert len(text) < 400
    assert set(used(east.engine, TRANSIT_KEYS).values()) == {16_711_681}
    insert(shared.nb, ic_nb.TransitSwitch, name="ts2")
    shared.settle()
    assert key_of(east, "ts2") == "16711682"
    assert not list(east.findings)


def test_of_many_rows_of_one_switch_a_few_are_kept_apart_and_the_lowest_wins(shared, east):
    before = dict(used(east.engine, TRANSIT_KEYS))
    for key in range(16_711_690, 16_711_720):
        insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=key)
    east.engine.run()
    assert list(east.findings) == ["transit switch ts1 has more than 8 tunnel keys: the lowest one is used"]
    assert len(used(east.engine, TRANSIT_KEYS)) == 8
    shared.settle()
    assert key_of(east) == "16711681"
    assert [row.tunnel_key for row in shared.all(ic_sb.DatapathBinding)] == [16_711_681]
    assert used(east.engine, TRANSIT_KEYS) == before
    assert not list(east.findings)


def test_unused_keys_are_reported_one_by_one_up_to_a_bound(shared, east):
    for key in range(1, 30):
        insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=key)
    shared.settle()
    found = list(east.findings)
    assert len(found) == 17
    assert "there are more than 16 tunnel keys that no transit switch can have" in found


def test_one_more_row_of_many_runs_the_rules_of_that_row(shared, east):
    for key in range(1, 100):
        insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=key)
    shared.settle()
    insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=200)
    east.engine.run()
    assert sum(east.engine.ran.values()) <= 6, east.engine.ran


@pytest.mark.parametrize("values", [{"address": "x" * 4097}, {}])
def test_a_port_that_is_left_out_keeps_its_key(shared, east, monkeypatch, values):
    """Its row holds the key in the database, whose index would refuse a port of this zone with the same."""
    if not values:  # beyond the bound
        monkeypatch.setattr(bounds.ports, "limit", 1)
        east.engine.close()
        east.start()
    far = insert(shared.sb, ic_sb.AvailabilityZone, name="far").uuid
    for key in (2, 3):
        port(shared, far, key, **values)
    shared.settle()
    assert len(taken(east)[1]) == (0 if values else 1)
    east.router("r2", "ts1", 2)
    assert shared.one(ic_sb.PortBinding, logical_port="lsp-ts1-r2").tunnel_key == 4


def test_ports_and_routes_of_an_unknown_switch_are_left_out(shared, east):
    far = insert(shared.sb, ic_sb.AvailabilityZone, name="far").uuid
    port(shared, far, 2, transit_switch="ts9")
    route(shared, far, "10.3.0.0/16", transit_switch="ts9")
    shared.settle()
    assert taken(east) == (set(), set(), set())
    why = "its transit switch ts9 is not in Interconnection Northbound"
    assert list(east.findings) == [f"port p2 of another zone is left out: {why}"]
    assert not used(east.engine, TRANSIT_PORT_KEYS, "ts9")
