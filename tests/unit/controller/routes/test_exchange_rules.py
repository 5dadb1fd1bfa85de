"""Which routers exchange routes on a chassis, with which metrics, and what becomes of what the kernel has."""

import pytest

from ovenbird.controller.edits import REMOVAL
from ovenbird.controller.facts import ANNOUNCED_ROUTE, EXCHANGED_ROUTER, MONITOR_CLAUSE, NOTICE, BoundPort
from ovenbird.controller.local.local_store import LearnedHere, record
from ovenbird.controller.routes.exchange_rules import (
    ADD_LEARNED,
    READ,
    beyond_subject,
    route_subject,
    table_subject,
    vrf_subject,
)
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.model import sb
from ovenbird.net.addresses import ip_text
from ovenbird.net.rtnetlink import UNICAST
from support.controller.world import World

DYNAMIC = {"dynamic-routing": "true"}
KINDS = (ANNOUNCED_ROUTE, EXCHANGED_ROUTER, NOTICE, ADD_LEARNED, REMOVAL)


class Gateway(World):
    """A router with a distributed gateway port that hv1 hosts, a switch behind it, and an instance that may be here."""

    def __init__(self, **ids):
        super().__init__(**ids)
        self.facts |= {kind: set() for kind in KINDS}
        self.router = self.add(sb.DatapathBinding, tunnel_key=7, external_ids={"logical-router": "r", "name": "r"})
        self.net = self.switch(8)
        self.candidate = self.add(sb.HAChassis, chassis=self.me.uuid, priority=1)
        self.group = self.add(sb.HAChassisGroup, name="g", ha_chassis=frozenset([self.candidate.uuid]))
        redirect = {"chassis-redirect-port": "cr-out"}
        self.out = self.lport(self.router, "out", 1, type="patch", options=redirect)
        options = DYNAMIC | {"distributed-port": "out"}
        self.redirect = self.lport(
            self.router, "cr-out", 2, type="chassisredirect", ha_chassis_group=self.group.uuid, options=options
        )
        self.lport(self.router, "in", 3, type="patch", options={"peer": "net-r"})
        self.lport(self.net, "net-r", 1, type="patch", options={"peer": "in"})
        self.vm = self.lport(self.net, "vm", 2)

    def move_to(self, chassis):
        self.set(self.candidate, chassis=chassis.uuid)

    def advertise(self, prefix, tracked=None, port=None):
        ports = {"logical_port": (port or self.out).uuid, "tracked_port": tracked.uuid if tracked is not None else None}
        return self.add(sb.AdvertisedRoute, datapath=self.router.uuid, ip_prefix=prefix, **ports)

    def routes(self):
        self.run()
        found = {fact.route for fact in self.facts[ANNOUNCED_ROUTE]}
        return {(r.table, f"{ip_text(r.address)}/{r.length}", r.priority) for r in found}

    def notices(self):
        self.run()
        return {fact.text for fact in self.facts[NOTICE]}

    def exchanged(self):
        self.run()
        return {(fact.table, fact.vrf, fact.ports) for fact in self.facts[EXCHANGED_ROUTER]}


@pytest.fixture
def gateway():
    return Gateway()


def test_routes_are_announced_where_the_gateway_port_is(gateway):
    gateway.advertise("10.0.0.0/8")
    gateway.advertise("fd00::1", tracked=gateway.out)
    assert gateway.routes() == {(7, "10.0.0.0/8", 1000), (7, "fd00::1/128", 100)}
    gateway.move_to(gateway.other)
    assert not gateway.routes()
    assert not gateway.exchanged()
    gateway.move_to(gateway.me)
    gateway.set(gateway.redirect, options={"distributed-port": "out"})
    assert not gateway.routes()


def test_a_route_is_better_where_the_port_is_that_it_tracks(gateway):
    gateway.advertise("10.0.0.9", tracked=gateway.vm)
    assert gateway.routes() == {(7, "10.0.0.9/32", 1000)}
    interface = gateway.port_on_bridge("tap", 5, iface_id="vm")
    assert gateway.routes() == {(7, "10.0.0.9/32", 100)}
    gateway.set(gateway.out, options=gateway.out.options | {"dynamic-routing-redistribute-local-only": "true"})
    assert gateway.routes() == {(7, "10.0.0.9/32", 100)}
    gateway.unplug(interface)
    assert not gateway.routes()


def test_the_table_number_and_next_hops_can_be_configured(gateway):
    ids = gateway.router.external_ids | {"dynamic-routing-vrf-id": "4000"}
    gateway.set(gateway.router, external_ids=ids | {"dynamic-routing-v4-prefix-nexthop": "fd00::1"})
    gateway.advertise("10.0.0.0/8")
    gateway.advertise("fd00::/64")
    assert gateway.routes() == {(4000, "10.0.0.0/8", 1000), (4000, "fd00::/64", 1000)}
    found = {fact.route.kind for fact in gateway.facts[ANNOUNCED_ROUTE] if len(fact.route.address) == 4}
    assert found == {UNICAST}


def test_the_kernels_own_tables_are_not_used(gateway):
    gateway.advertise("10.0.0.0/8")
    gateway.set(gateway.router, tunnel_key=254)
    assert not gateway.routes()
    assert any("the kernel reserves table 254" in text for text in gateway.notices())


def test_an_invalid_route_is_left_out_alone(gateway):
    gateway.advertise("10.0.0.0/8")
    gateway.advertise("10.0.0.1/8")
    gateway.advertise("nonsense")
    assert gateway.routes() == {(7, "10.0.0.0/8", 1000)}
    assert sum("is not announced" in text for text in gateway.notices()) == 2


def test_the_kernel_s_refusals_are_notices(gateway):
    gateway.advertise("10.0.0.0/8")
    gateway.set(gateway.redirect, options=gateway.redirect.options | {"dynamic-routing-maintain-vrf": "true"})
    gateway.run()
    (fact,) = gateway.facts[ANNOUNCED_ROUTE]
    for subject, value in (
        (route_subject(fact.route), "File exists"), (vrf_subject("ovnvrf7"), "Operation not supported"),
        (beyond_subject(7), "beyond"), (table_subject(7), "Operation not permitted"),
    ):  # fmt: skip
        record(gateway.own, subject, value=value)
    texts = " ".join(gateway.notices())
    for part in ("10.0.0.0/8 is not announced: the kernel says File exists", "no VRF device ovnvrf7", "more than 8192"):
        assert part in texts
    assert "cannot be read: the kernel says Operation not permitted" in texts


@pytest.mark.parametrize(
    ("options", "vrf"),
    [
        ({}, ""),
        ({"dynamic-routing-vrf-name": "mine"}, ""),
        ({"dynamic-routing-maintain-vrf": "true"}, "ovnvrf7"),
        ({"dynamic-routing-maintain-vrf": "true", "dynamic-routing-vrf-name": "fifteen-letters"}, "fifteen-letters"),
        ({"dynamic-routing-maintain-vrf": "true", "dynamic-routing-vrf-name": "sixteen-letters-"}, "ovnvrf7"),
        ({"dynamic-routing-maintain-vrf": "true", "dynamic-routing-vrf-name": "a/b"}, "ovnvrf7"),
    ],
)
def test_the_vrf_device(gateway, options, vrf):
    gateway.set(gateway.redirect, options=gateway.redirect.options | options)
    assert gateway.exchanged() == {(7, vrf, (BoundPort(binding=gateway.out.uuid, interface=""),))}


def test_the_interface_through_which_a_port_learns_routes():
    gateway = Gateway(**{"dynamic-routing-port-mapping": "uplink=eth7,nonsense"})
    for name, expected in (("uplink", "eth7"), ("vm", "tap"), ("elsewhere", None)):
        if name == "vm":
            gateway.port_on_bridge("tap", 5, iface_id="vm")
        gateway.set(gateway.redirect, options=gateway.redirect.options | {"dynamic-routing-port-name": name})
        bound = (BoundPort(binding=gateway.out.uuid, interface=expected),) if expected else ()
        assert gateway.exchanged() == {(7, "", bound)}, name
    gateway.set(gateway.redirect, options=DYNAMIC | {"distributed-port": "out", "dynamic-routing-no-learning": "true"})
    assert gateway.exchanged() == {(7, "", ())}


def test_a_gateway_router_exchanges_on_its_chassis(gateway):
    router = gateway.add(sb.DatapathBinding, tunnel_key=9, external_ids={"name": "g"})
    port = gateway.lport(router, "g-out", 1, type="l3gateway", options=DYNAMIC | {"l3gateway-chassis": "hv1"})
    assert (9, "", (BoundPort(binding=port.uuid, interface=""),)) in gateway.exchanged()
    gateway.set(port, options=DYNAMIC | {"l3gateway-chassis": "hv2"})
    assert len(gateway.exchanged()) == 1


def test_rows_are_monitored_where_routes_are_exchanged(gateway):
    gateway.run()
    assert ("Advertised_Route", gateway.router.uuid) in {(c.table, c.value) for c in gateway.facts[MONITOR_CLAUSE]}
    gateway.set(gateway.redirect, options={"distributed-port": "out"})
    gateway.run()
    assert not [c for c in gateway.facts[MONITOR_CLAUSE] if c.table in ("Advertised_Route", "Learned_Route")]


# -- learned -----------------------------------------------------------------------------------------------------------


def here(gateway, prefix, nexthop):
    key = [gateway.router.uuid, gateway.out.uuid, prefix, nexthop]
    return gateway.own.table(LearnedHere).insert(serial_uuids(1)[0], key)


def row_of(gateway, prefix, nexthop, port=None):
    port = port or gateway.out
    where = {"datapath": gateway.router.uuid, "logical_port": port.uuid}
    return gateway.add(sb.LearnedRoute, ip_prefix=prefix, nexthop=nexthop, **where)


def test_learned_routes_follow_the_kernels_table_once_it_has_been_read(gateway):
    kept = row_of(gateway, "50.0.0.0/8", "192.0.2.1")
    stale = row_of(gateway, "51.0.0.0/8", "192.0.2.1")
    elsewhere = gateway.lport(gateway.router, "far", 9, type="patch")
    row_of(gateway, "52.0.0.0/8", "192.0.2.1", elsewhere)
    gateway.run()
    assert not gateway.facts[REMOVAL]
    known = here(gateway, "50.0.0.0/8", "192.0.2.1")
    here(gateway, "53.0.0.0/8", "192.0.2.1")
    record(gateway.own, table_subject(7), value=READ)
    gateway.run()
    assert {fact.uuid for fact in gateway.facts[REMOVAL]} == {stale.uuid}
    assert {fact.ip_prefix for fact in gateway.facts[ADD_LEARNED]} == {"53.0.0.0/8"}
    known.home.delete(known)
    gateway.run()
    assert {fact.uuid for fact in gateway.facts[REMOVAL]} == {stale.uuid, kept.uuid}
    gateway.move_to(gateway.other)
    gateway.run()
    assert not gateway.facts[REMOVAL]  # whoever has the port now does this


def test_one_more_route_runs_its_own_rules_alone(gateway):
    for n in range(20):
        gateway.advertise(f"10.{n}.0.0/16")
        here(gateway, f"50.{n}.0.0/16", "192.0.2.1")
    gateway.run()
    gateway.advertise("11.0.0.0/8")
    ran = gateway.run()
    assert ran == {"announced_route": 1}
    here(gateway, "51.0.0.0/8", "192.0.2.1")
    assert gateway.run() == {"learned_here": 1}
