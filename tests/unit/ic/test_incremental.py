"""After any rows of other zones and edits of this one the databases are as a process would make them that starts.

Among the values are those that nobody should give: each costs at most what it is in.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ovenbird.ic.build import Stores, build
from ovenbird.model import ic_nb, ic_sb, nb, sb
from support.ic.zones import Shared, change, delete, insert, settle

NUMBERS = st.integers(0, 5)
HUGE = "\U0001f985" * 300
SWITCHES = st.sampled_from(["ts1", "ts2", "", HUGE])
PREFIXES = st.sampled_from(
    ["10.1.0.0/16", "10.2.0.0/24", "fd00::/64", "10.1.0.0/99", "", HUGE, "0.0.0.0/0", "10.1.0.1"]
)
HOPS = st.sampled_from(["169.254.100.9", "169.254.100.1", "fe80::1", "", HUGE])
ROUTES = st.sampled_from(
    [{"ic-route-adv": "true", "ic-route-learn": "true"}, {"ic-route-learn": "true"}, {}, {"ic-route-adv": "true"},
     {"ic-route-adv": "true", "ic-route-learn": "true", "ic-route-blacklist": f"10.0.0.0/8,{HUGE}"},
     {"ic-route-adv": "true", "ic-route-learn": "true", "ic-route-adv-default": "true", "ic-route-learn-default": HUGE}]
)  # fmt: skip
PORT = {"ic-route-filter-learn": "10.1.0.0/16", "ic-route-filter-adv": HUGE}
KINDS = {ic_sb.Gateway: "name", ic_sb.PortBinding: "logical_port", ic_sb.Route: "ip_prefix"}


class ZoneEdits(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.shared = Shared()

    @initialize()
    def start(self):
        self.zone = self.shared.zone("east")
        for name in ("ts1", "ts2"):
            self.shared.switch(name)
        self.zone.chassis("gw", "192.0.2.1")
        self.zone.router("r1", "ts1", 1, networks=("10.9.0.1/24",))
        self.other = insert(self.shared.sb, ic_sb.AvailabilityZone, name="west").uuid

    def pick(self, row_class, number):
        rows = list(self.shared.sb.store.table(row_class).rows.values())
        others = [row for row in rows if row_class.availability_zone.raw(row) == self.other]
        return others[number % len(others)] if others else None

    @rule(name=st.sampled_from(["gw", "gw2", HUGE, ""]), kind=st.sampled_from(["geneve", "vxlan"]), number=NUMBERS)
    def add_gateway(self, name, kind, number):
        taken = [row.name for row in self.shared.all(ic_sb.Gateway)]
        ips = [row.ip for row in self.shared.all(ic_sb.Encap)]
        ip = ["192.0.2.1", "192.0.2.9", HUGE, "", "fd00::1", "192.0.2.10"][number]
        if name not in taken and ip not in ips:
            txn = self.shared.sb.transaction()
            encap = txn.insert(ic_sb.Encap, {"type": kind, "ip": ip, "gateway_name": name})
            txn.insert(ic_sb.Gateway, {"name": name, "availability_zone": self.other, "encaps": frozenset([encap])})
            txn.commit()

    @rule(number=NUMBERS, switch=SWITCHES, key=NUMBERS, gateway=st.sampled_from(["gw", "gw2", "", HUGE]))
    def add_port(self, number, switch, key, gateway):
        name, address = (
            f"p{number}" if number else "lsp-ts1-r1",
            ["", "0a:00:00:00:00:09 169.254.100.9/24", HUGE][key % 3],
        )
        keys = [(row.transit_switch, row.tunnel_key) for row in self.shared.all(ic_sb.PortBinding)]
        if (
            name not in [row.logical_port for row in self.shared.all(ic_sb.PortBinding)]
            and (switch, key + 1) not in keys
        ):
            place = {"transit_switch": switch, "tunnel_key": key + 1, "availability_zone": self.other}
            insert(self.shared.sb, ic_sb.PortBinding, logical_port=name, address=address, gateway=gateway, **place)

    @rule(switch=SWITCHES, prefix=PREFIXES, hop=HOPS, origin=st.sampled_from(["static", "connected"]), number=NUMBERS)
    def add_route(self, switch, prefix, hop, origin, number):
        key = (switch, self.other, ["", HUGE][number % 2], prefix, hop)
        there = [
            (r.transit_switch, ic_sb.Route.availability_zone.raw(r), r.route_table, r.ip_prefix, r.nexthop)
            for r in self.shared.all(ic_sb.Route)
        ]
        if key not in there:
            names = ("transit_switch", "availability_zone", "route_table", "ip_prefix", "nexthop")
            insert(self.shared.sb, ic_sb.Route, origin=origin, **dict(zip(names, key, strict=True)))

    @rule(kind=st.sampled_from(list(KINDS)), number=NUMBERS)
    def drop(self, kind, number):
        if row := self.pick(kind, number):
            delete(self.shared.sb, row)

    @rule(options=ROUTES)
    def change_options(self, options):
        change(self.zone.nb, self.zone.head, options=options)

    @rule(filtered=st.booleans())
    def filter_routes(self, filtered):
        port = self.zone.one(nb.LogicalRouterPort, name="lrp-r1-ts1")
        change(self.zone.nb, port, options=PORT if filtered else {})

    @rule(prefix=PREFIXES, hop=HOPS, table=st.sampled_from(["", "other"]))
    def add_static_route(self, prefix, hop, table):
        router = self.zone.one(nb.LogicalRouter, name="r1")
        txn = self.zone.nb.transaction()
        values = {"ip_prefix": prefix, "nexthop": hop, "route_table": table}
        txn.mutate(router, "static_routes", insert=[txn.insert(nb.LogicalRouterStaticRoute, values)])
        txn.commit()

    @rule(number=NUMBERS)
    def drop_static_route(self, number):
        router = self.zone.one(nb.LogicalRouter, name="r1")
        routes = sorted(router["static_routes"])
        if routes:
            txn = self.zone.nb.transaction()
            txn.mutate(router, "static_routes", delete=[routes[number % len(routes)]])
            txn.commit()

    @rule(interconnects=st.booleans())
    def change_chassis(self, interconnects):
        (chassis,) = (row for row in self.zone.all(sb.Chassis) if row.hostname == "gw.example")
        if "gw" in [row.name for row in self.shared.all(ic_sb.Gateway) if row.availability_zone.name == "west"]:
            return  # there can be but one of that name
        if "192.0.2.1" in [row.ip for row in self.shared.all(ic_sb.Encap) if row.gateway_name != "gw"]:
            return
        change(self.zone.sb, chassis, other_config={"is-interconn": "true"} if interconnects else {})

    @rule(name=st.sampled_from(["ts1", "ts2"]))
    def switch_goes_or_comes(self, name):
        found = [row for row in self.shared.nb.store.table(ic_nb.TransitSwitch).all() if row.name == name]
        if found:
            delete(self.shared.nb, found[0])
        elif name == "ts2":
            insert(self.shared.nb, ic_nb.TransitSwitch, name=name)

    @invariant()
    def a_start_now_would_write_nothing(self):
        if not self.shared.zones:
            return
        self.shared.settle()
        zone, shared = self.zone, self.shared
        stores = Stores(
            northbound=zone.nb.store,
            southbound=zone.sb.store,
            ic_northbound=shared.nb.store,
            ic_southbound=shared.sb.store,
        )
        engine = build(stores, zone.mine)
        try:
            assert not settle(engine, shared.sb, zone.nb, zone.sb, shared.nb)
        finally:
            engine.close()


ZoneEdits.TestCase.settings = settings(
    max_examples=4,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestZoneEdits = ZoneEdits.TestCase


def test_of_other_zones_gateways_none_takes_a_name_or_an_endpoint_of_this_one():
    machine = ZoneEdits()
    machine.start()
    machine.change_chassis(interconnects=False)
    machine.shared.settle()
    machine.add_gateway(name="gw", kind="geneve", number=1)
    machine.add_gateway(name="gw2", kind="geneve", number=0)
    machine.add_gateway(name="gw3", kind="geneve", number=5)
    machine.a_start_now_would_write_nothing()
    assert {row.name for row in machine.zone.all(sb.Chassis)} == {"gw", "gw3"}
    texts = [
        "gateway gw of another zone is left out: a chassis",
        "an endpoint of gateway gw2 of another zone is left out",
    ]
    for text, found in zip(texts, sorted(machine.zone.findings, reverse=True), strict=True):
        assert found.startswith(text)
