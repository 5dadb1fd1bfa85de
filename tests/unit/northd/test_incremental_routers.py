"""After every random edit of routed networks: what the compiler made step by step is what it makes from scratch.

An edit changes one column of one row: more would hide a dependency that is missing.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ovenbird.model import nb, sb
from support.northd.edits import NorthboundEdits
from support.northd.networks import Networks

NUMBERS = st.integers(0, 5)
HOPS = ["10.0.0.1", "10.0.0.9", "172.16.0.9", "10.200.0.2", "fd00::9", "discard", "nonsense"]
ROUTE = {
    "ip_prefix": ["1.0.0.0/8", "10.1.0.0/24", "0.0.0.0/0", "2001:db8::/32", "nonsense"],
    "nexthop": HOPS,
    "policy": [None, "src-ip", "dst-ip"],
    "output_port": [None, "r0-out", "nowhere"],
    "route_table": ["", "other"],
    "options": [{}, {"ecmp_symmetric_reply": "true"}],
    "selection_fields": [frozenset(), frozenset(["ip_src", "tp_dst"]), frozenset(["ip_src"]), frozenset(["eth_dst"])],
    "bfd": ["BFD", None],
}
POLICY = {
    "priority": [1, 2],
    "match": ["ip4", "ip6"],
    "action": ["allow", "drop", "reroute", "jump"],
    "chain": [None, "a", "b", ""],
    "jump_chain": [None, "a", "b", "c"],
    "bfd_sessions": [frozenset(), ("BFD",)],
    "nexthop": [None, "10.0.0.9"],
    "nexthops": [frozenset(), frozenset(["10.0.0.9"]), frozenset(["10.0.0.9", "172.16.0.9"])],
    "options": [{}, {"pkt_mark": "7"}],
}
NAT = {
    "type": ["snat", "dnat", "dnat_and_snat"],
    "external_ip": ["172.16.0.1", "172.16.0.9", "10.0.0.254", "fd01::9", "nonsense"],
    "logical_ip": ["10.0.0.1", "10.0.0.0/24", "fd00::1"],
    "external_mac": [None, "00:00:00:00:aa:01"],
    "logical_port": [None, "p0", "nowhere"],
    "external_port_range": ["", "5000-6000"],
    "options": [{}, {"stateless": "true"}],
    "allowed_ext_ips": ["AddressSet", None],
    "exempted_ext_ips": ["AddressSet", None],
    "match": ["", "", "tcp", "ip4.dst == 1.2.3.4"],
    "priority": [0, 7],
    "gateway_port": ["LogicalRouterPort", None],
}
ROUTER = {
    "name": ["r0", "rx"],
    "enabled": [None, False],
    "options": [
        {}, {"dynamic-routing": "true", "dynamic-routing-redistribute": "connected,static,nat,lb,nonsense"},
        {"dynamic-routing": "true", "chassis": "hv1", "dynamic-routing-redistribute": "connected-as-host, nat, lb",
         "dynamic-routing-vrf-id": "7", "dynamic-routing-redistribute-local-only": "true"},
        {"chassis": "hv1"}, {"always_learn_from_arp_request": "false"}, {"dynamic_neigh_routers": "true"},
        {"chassis": "hv1", "dnat_force_snat_ip": "172.16.0.1"}, {"chassis": "hv1", "lb_force_snat_ip": "router_ip"},
        {"chassis": "hv1", "lb_force_snat_ip": "172.16.0.7"},
    ],
}  # fmt: skip
ROUTER_PORT = {
    "networks": [
        frozenset(["10.0.0.254/24"]), frozenset(["10.0.0.254/24", "fd00::254/64"]), frozenset(["172.16.0.1/24"]),
        frozenset(["nonsense"]), frozenset(),
    ],
    "mac": ["00:00:00:00:ff:01", "00:00:00:00:ff:02"],
    "enabled": [None, False],
    "options": [
        {}, {"route_table": "other"}, {"dynamic-routing-redistribute": "connected-as-host,nat,lb"},
        {"dynamic-routing-redistribute": "static", "dynamic-routing-port-name": "p0"},
        {"gateway_mtu": "1300"}, {"redirect-type": "bridged"},
        {"reside-on-redirect-chassis": "true"}, {"prefix_delegation": "true", "prefix": "true"},
    ],
    "ha_chassis_group": ["HAChassisGroup", None],
    "peer": [None, "r0-out", "r1-link", "r0-link"],
    "ipv6_ra_configs": [{}, {"address_mode": "slaac"}, {"address_mode": "dhcpv6_stateful", "send_periodic": "true"}],
    "name": ["r0-in", "r0-new"],
}  # fmt: skip
SWITCH_PORT = {
    "type": ["", "router", "localnet", "external", "localport"],
    "options": [
        {}, {"router-port": "r0-in"}, {"router-port": "r0-out", "nat-addresses": "router"}, {"network_name": "phys"},
        {"router-port": "r0-in", "arp_proxy": "10.0.0.0/30"},
    ],
    "addresses": [
        frozenset(["router"]), frozenset(["unknown"]), frozenset(["00:00:00:00:00:01 10.0.0.1 fd00::1"]),
        frozenset(["00:00:00:00:00:02 10.0.0.9"]), frozenset(),
    ],
    "enabled": [None, False],
    "up": [None, True, False],
    "ha_chassis_group": ["HAChassisGroup", None],
    "dhcpv4_options": ["DHCPOptions", None],
    "dhcpv6_options": ["DHCPOptions", None],
}  # fmt: skip
SESSION = {
    "logical_port": ["r0-in", "r0-out"],
    "dst_ip": ["10.0.0.9", "172.16.0.9"],
    "min_tx": [None, 100],
    "status": [None, "up", "down", "admin_down"],
    "options": [{}, {"a": "b"}],
}
NEIGHBOUR = {
    "logical_port": ["r0-in", "r0-out", "nowhere"],
    "ip": ["10.0.0.77", "10.0.0.9"],
    "mac": ["00:00:00:00:77:77", "00:00:00:00:77:78"],
    "override_dynamic_mac": [True, False],
}
CANDIDATE = {"chassis_name": ["hv1", "hv2", "hv3"], "priority": [1, 2]}
NAMES = {"records": [{"a.b": "10.0.0.1"}, {"A.b": "10.0.0.2 fd00::2"}]}
DHCP = {
    "cidr": ["10.0.0.0/24", "fd00::/64", "nonsense"],
    "options": [
        {"server_id": "10.0.0.250", "server_mac": "00:00:00:00:ee:01", "lease_time": "60"},
        {"server_id": "00:00:00:00:ee:01"}, {},
    ],
}  # fmt: skip
BALANCER = {
    "vips": [
        {"172.16.0.80:80": "10.0.0.1:80,10.0.0.2:80", "30.0.0.1": "10.0.0.1"}, {"172.16.0.1:80": "10.0.0.1:80"},
        {"172.16.0.80:80": "", "[fd01::80]:80": "[fd00::1]:80"}, {"172.16.0.9:80": "10.0.0.1:80,nonsense"}, {},
        {"10.0.0.254:80": "10.0.0.1:80"}, {"nonsense": "10.0.0.1"},
    ],
    "protocol": [None, "udp"],
    "selection_fields": [frozenset(), frozenset(["ip_src", "tp_dst"])],
    "options": [
        {}, {"reject": "true"}, {"event": "true"}, {"skip_snat": "true"}, {"affinity_timeout": "10"},
        {"neighbor_responder": "all"}, {"neighbor_responder": "none", "add_route": "true"}, {"template": "true"},
    ],
    "name": ["lb0", "lbx"],
}  # fmt: skip
USERS = (nb.LogicalSwitch, nb.LogicalRouter, nb.LoadBalancerGroup)

OWNED = {
    nb.LogicalRouterStaticRoute: (nb.LogicalRouter, "static_routes", ROUTE),
    nb.LogicalRouterPolicy: (nb.LogicalRouter, "policies", POLICY),
    nb.NAT: (nb.LogicalRouter, "nat", NAT),
    nb.HAChassis: (nb.HAChassisGroup, "ha_chassis", CANDIDATE),
}
"""Rows that live by being referred to: by whom, in which column, and what may be in them."""

OTHER = {
    nb.LogicalRouter: ROUTER,
    nb.LogicalRouterPort: ROUTER_PORT,
    nb.LogicalSwitchPort: SWITCH_PORT,
    nb.BFD: SESSION,
    nb.StaticMACBinding: NEIGHBOUR,
    nb.DNS: NAMES,
    nb.DHCPOptions: DHCP,
    nb.GatewayChassis: CANDIDATE,
    nb.LoadBalancer: BALANCER,
}
UNIQUE = {nb.BFD: ("logical_port", "dst_ip"), nb.StaticMACBinding: ("logical_port", "ip")}


def start(world):
    """Two routers, one of which has a network inside and one outside, a gateway, and one of everything else."""
    world.insert(nb.NBGlobal, options={"ecmp_nexthop_monitor_enable": "true"})
    inside, outside = (world.switch(name) for name in ("inside", "outside"))
    for n in range(2):
        world.port(inside, f"p{n}", f"00:00:00:00:00:{n + 1:02x} 10.0.0.{n + 1} fd00::{n + 1}")
    world.port(outside, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    for n, others in ((0, (("in", inside, "10.0.0.254/24"), ("out", outside, "172.16.0.1/24"))), (1, ())):
        router = world.insert(nb.LogicalRouter, name=f"r{n}")
        for name, switch, network in (*others, ("link", None, f"10.200.0.{n + 1}/30")):
            mac = f"00:00:00:{n:02x}:ff:{len(name):02x}"
            peer = None if switch is not None else f"r{1 - n}-link"
            world.insert(nb.LogicalRouterPort, (router, "ports"), name=f"r{n}-{name}", mac=mac, peer=peer,
                         networks=frozenset([network, f"fd0{n}::{len(name)}/64"]))  # fmt: skip
            if switch is not None:
                world.port(switch, f"to-{name}", "router", type="router", options={"router-port": f"r{n}-{name}"})
    world.insert(nb.AddressSet, name="peers", addresses=frozenset(["9.9.9.0/24"]))
    world.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=DHCP["options"][0])
    world.insert(nb.HAChassisGroup, name="ha")
    world.insert(nb.DNS, records={"a.b": "10.0.0.1"})
    for name in ("hv1", "hv2"):
        txn = world.sb.transaction()
        encap = txn.insert(sb.Encap, {"type": "geneve", "ip": name, "chassis_name": name})
        txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
        txn.commit()
    r0, out = world.nb.store.find(nb.LogicalRouter.name, "r0"), world.nb.store.find(nb.LogicalRouterPort.name, "r0-out")
    world.insert(nb.GatewayChassis, (out, "gateway_chassis"), name="gw", chassis_name="hv1", priority=1)
    world.insert(nb.GatewayChassis, (out, "gateway_chassis"), name="gx", chassis_name="hv2", priority=2)
    world.insert(
        nb.HAChassis, (world.nb.store.find(nb.HAChassisGroup.name, "ha"), "ha_chassis"), chassis_name="hv2", priority=3
    )
    session = world.insert(nb.BFD, logical_port="r0-out", dst_ip="172.16.0.9")
    for hop, watched in (("172.16.0.9", session.uuid), ("172.16.0.8", None)):
        values = {"ip_prefix": "1.0.0.0/8", "nexthop": hop, "bfd": watched}
        world.insert(nb.LogicalRouterStaticRoute, (r0, "static_routes"), **values)
    world.insert(
        nb.LogicalRouterPolicy,
        (r0, "policies"),
        priority=5,
        match="ip4",
        action="reroute",
        nexthops=frozenset(["10.0.0.9"]),
    )
    for kind, outer, inner in (("dnat_and_snat", "172.16.0.9", "10.0.0.1"), ("snat", "172.16.0.1", "10.0.0.0/24")):
        world.insert(nb.NAT, (r0, "nat"), type=kind, external_ip=outer, logical_ip=inner)
    world.insert(nb.StaticMACBinding, logical_port="r0-in", ip="10.0.0.77", mac="00:00:00:00:77:77")
    alone, grouped = (world.insert(nb.LoadBalancer, name=f"lb{n}", vips=BALANCER["vips"][n]) for n in range(2))
    group = world.insert(nb.LoadBalancerGroup, name="group", load_balancer=frozenset([grouped.uuid]))
    for user in (inside, r0):
        world.update(user, load_balancer=frozenset([alone.uuid]), load_balancer_group=frozenset([group.uuid]))


def columns_of(kind):
    return OWNED[kind][2] if kind in OWNED else OTHER[kind]


def named(choice):
    """Return the class that a choice names: by itself for a reference, in a tuple for a set of references."""
    name = choice[0] if isinstance(choice, tuple) else choice
    return getattr(nb, name, None) if isinstance(name, str) else None


COLUMNS = [(kind, column) for kind in (*OWNED, *OTHER) for column in columns_of(kind)]


def test_changes_of_a_bfd_sessions_status_are_as_from_scratch():
    world = Networks()
    start(world)
    world.settle()
    (told,) = world.rows(sb.BFD)
    before = world.image()
    for status in ("up", "init", "down"):
        world.update(told, status=status)
        world.settle()
        assert world.image() == world.from_scratch(), status
        assert (world.image()["flows"] == before["flows"]) is (status == "down")


@pytest.mark.parametrize(("kind", "column"), COLUMNS, ids=lambda each: getattr(each, "__name__", each))
def test_a_change_of_one_column_and_back_is_as_from_scratch(kind, column):
    """Changed to all it may be, and back: in the first row of its kind, where the others are as they were."""
    world = Networks()
    start(world)
    world.settle()
    before = world.image()
    row = next(iter(world.nb.store.table(kind).rows.values()))
    old = row.values[type(row).BY_NAME[column].index]
    for choice in columns_of(kind)[column]:
        target = named(choice)
        value = choice if target is None else next(iter(world.nb.store.table(target).rows))
        world.update(row, **{column: value if target is None or isinstance(choice, str) else frozenset([value])})
        world.settle()
        assert world.image() == world.from_scratch(), value
    world.update(row, **{column: old})
    world.settle()
    assert world.image() == before


class RoutedEdits(NorthboundEdits):
    def value(self, data, choices, number):
        """Draw what a column may hold; the name of a class stands for a row of it."""
        chosen = data.draw(st.sampled_from(choices))
        row_class = named(chosen)
        if row_class is None:
            return chosen
        row = self.pick(row_class, number)
        if isinstance(chosen, tuple):
            return frozenset() if row is None else frozenset([row.uuid])
        return None if row is None else row.uuid

    @initialize()
    def start(self):
        start(self.world)

    @rule(kind=st.sampled_from(list(OWNED)), number=NUMBERS, data=st.data())
    def add(self, kind, number, data):
        owner_class, column, columns = OWNED[kind]
        owner = self.pick(owner_class, 0 if data.draw(st.booleans()) else number)
        values = {name: self.value(data, choices, number) for name, choices in columns.items()}
        if owner is not None and len(owner[column]) < 5:
            self.world.insert(kind, (owner, column), **values)

    @rule(kind=st.sampled_from(list(OWNED)), number=NUMBERS)
    def remove(self, kind, number):
        owner_class, column, _ = OWNED[kind]
        if row := self.pick(kind, number):
            for owner in self.table(owner_class):
                if row.uuid in owner[column]:
                    self.world.mutate(owner, column, delete=[row])
                    return

    @rule(kind=st.sampled_from([*OWNED, *OTHER, nb.LogicalRouterPort, nb.NAT]), number=NUMBERS, data=st.data())
    def change(self, kind, number, data):
        row = self.pick(kind, number)
        if row is None:
            return
        columns = columns_of(kind)
        name = data.draw(st.sampled_from(sorted(columns)))
        value = self.value(data, columns[name], number)
        if name == "name" and any(r["name"] == value for r in self.table(kind)):
            return
        if key := UNIQUE.get(kind):
            wanted = [value if column == name else row[column] for column in key]
            if any(r is not row and [r[column] for column in key] == wanted for r in self.table(kind)):
                return
        self.world.update(row, **{name: value})

    @rule(kind=st.sampled_from(USERS), number=NUMBERS, which=NUMBERS, joins=st.booleans())
    def balance(self, kind, number, which, joins):
        user, balancer = self.pick(kind, number), self.pick(nb.LoadBalancer, which)
        self.world.mutate(user, "load_balancer", **{"insert" if joins else "delete": [balancer]})

    @rule(kind=st.sampled_from(USERS[:2]), number=NUMBERS, joins=st.booleans())
    def balance_by_group(self, kind, number, joins):
        user, group = self.pick(kind, number), self.pick(nb.LoadBalancerGroup, 0)
        self.world.mutate(user, "load_balancer_group", **{"insert" if joins else "delete": [group]})

    @rule(kind=st.sampled_from(list(UNIQUE)), number=NUMBERS, data=st.data())
    def add_unique(self, kind, number, data):
        values = {name: self.value(data, choices, number) for name, choices in OTHER[kind].items()}
        key = UNIQUE[kind]
        if not any(all(row[column] == values[column] for column in key) for row in self.table(kind)):
            self.world.insert(kind, **values)

    @rule(kind=st.sampled_from(list(UNIQUE)), number=NUMBERS)
    def remove_unique(self, kind, number):
        if row := self.pick(kind, number):
            self.world.delete(row)

    @rule(number=NUMBERS, chassis=st.sampled_from(CANDIDATE["chassis_name"]), priority=NUMBERS)
    def add_candidate(self, number, chassis, priority):
        port = self.pick(nb.LogicalRouterPort, number)
        name = f"{port.name}-{chassis}" if port else ""
        if port and not any(row.name == name for row in self.table(nb.GatewayChassis)):
            values = {"name": name, "chassis_name": chassis, "priority": priority}
            self.world.insert(nb.GatewayChassis, (port, "gateway_chassis"), **values)

    @rule(number=NUMBERS)
    def remove_candidates(self, number):
        if port := self.pick(nb.LogicalRouterPort, number):
            self.world.update(port, gateway_chassis=frozenset())

    @rule(number=NUMBERS, joined=st.booleans())
    def add_router_port(self, number, joined):
        router = self.pick(nb.LogicalRouter, number)
        if not any(port.name == "new" for port in self.table(nb.LogicalRouterPort)):
            self.world.insert(nb.LogicalRouterPort, (router, "ports"), name="new", mac="00:00:00:00:ff:09",
                              networks=frozenset(["10.9.0.1/24"]))  # fmt: skip
        if joined and not any(port.name == "to-new" for port in self.table(nb.LogicalSwitchPort)):
            switch = self.pick(nb.LogicalSwitch, number)
            self.world.port(switch, "to-new", "router", type="router", options={"router-port": "new"})

    @rule(kind=st.sampled_from([nb.LogicalRouter, nb.LogicalSwitch]), number=NUMBERS)
    def remove_port(self, kind, number):
        owner = self.pick(kind, number)
        if owner is not None and owner.ports:
            self.world.mutate(owner, "ports", delete=[owner.ports[number % len(owner.ports)]])

    @rule(number=NUMBERS, records=st.booleans())
    def name(self, number, records):
        switch = self.pick(nb.LogicalSwitch, number)
        uuids = frozenset(row.uuid for row in self.table(nb.DNS)) if records else frozenset()
        self.world.update(switch, dns_records=uuids)

    @rule(members=st.sets(st.sampled_from(["9.9.9.9", "8.8.8.8"])))
    def change_peers(self, members):
        self.world.update(self.table(nb.AddressSet)[0], addresses=frozenset(members))

    @rule(number=NUMBERS, chassis=st.sampled_from([0, 1, None]))
    def bind(self, number, chassis):
        bindings, homes = self.world.rows(sb.PortBinding), self.world.rows(sb.Chassis)
        if bindings:
            home = homes[chassis % len(homes)].uuid if chassis is not None and homes else None
            self.world.update(bindings[number % len(bindings)], chassis=home)

    @rule(number=NUMBERS, status=st.sampled_from(["up", "down", "init"]))
    def tell(self, number, status):
        """A chassis says how a session is."""
        sessions = [row for row in self.world.rows(sb.BFD) if row.status != "admin_down"]
        if sessions:
            self.world.update(sessions[number % len(sessions)], status=status)

    @rule(number=NUMBERS)
    def meddle(self, number):
        """Somebody else changes what is the compiler's."""
        bindings = self.world.rows(sb.PortBinding)
        if bindings:
            self.world.update(bindings[number % len(bindings)], options={"some": "thing"})


RoutedEdits.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestRoutedEdits = RoutedEdits.TestCase


def test_a_switch_of_nothing_but_routers_gets_a_port_and_loses_it():
    world = Networks()
    start(world)
    join = world.switch("join")
    world.port(join, "to-link", "router", type="router", options={"router-port": "r1-link"})
    world.settle()
    before = world.image()

    def floods():
        flows = world.flows("ls_in_l2_lkup", datapath="join")
        return any('outport = "_MC_flood_l2"' in act for _, priority, _, act in flows if priority > 70)

    assert not floods()
    ports = [world.port(join, name, f"00:00:00:00:09:0{n} 10.9.0.{n}") for n, name in enumerate(("a", "b"))]
    for port in ports:  # the first is what the router's rules asked for, or the second
        world.settle()
        assert floods()
        assert world.image() == world.from_scratch()
        world.delete(port, (join, "ports"))
    world.settle()
    assert world.image() == before


def test_a_single_symmetric_route_of_a_gateway_router_is_a_group_of_one(networks):
    """Or connections that it has when another one is added would be unknown, and go the other way."""
    router = networks.insert(nb.LogicalRouter, name="r", options={"chassis": "hv1"})
    values = {"name": "out", "mac": "00:00:00:00:ff:01", "networks": frozenset(["172.16.0.1/24"])}
    networks.insert(nb.LogicalRouterPort, (router, "ports"), **values)
    hop = {"ip_prefix": "0.0.0.0/0", "options": {"ecmp_symmetric_reply": "true"}}
    networks.insert(nb.LogicalRouterStaticRoute, (router, "static_routes"), nexthop="172.16.0.2", **hop)
    networks.settle()
    (act,) = [act for _, priority, _, act in networks.flows("lr_in_ip_routing", datapath="r") if priority == 1]
    assert act == "ip.ttl--; flags.loopback = 1; reg8[0..15] = 1; reg8[16..31] = 1; next;"
    remembered = networks.flows("lr_in_ecmp_stateful", datapath="r")
    assert len(remembered) > 1
    networks.update(router, options={})  # others know no symmetric replies
    networks.settle()
    assert "reg8[0..15] = 0;" in "".join(act for *_, act in networks.flows("lr_in_ip_routing", datapath="r"))
    assert not [flow for flow in networks.flows("lr_in_ecmp_stateful", datapath="r") if flow[1]]
