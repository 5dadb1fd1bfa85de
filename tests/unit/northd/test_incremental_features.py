"""After every edit of what chassis probe, mirror, queue, snoop and fill in: the result is what comes from scratch.

Among the values are those that nobody should give: each costs at most what it is in.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ovenbird.model import nb, sb
from support.northd.edits import NorthboundEdits
from support.northd.networks import Networks

NUMBERS = st.integers(0, 5)
HUGE = "\U0001f985" * 300
BALANCER = {
    "vips": [
        {"30.0.0.1:80": "10.0.0.1:80,10.0.0.2:80", "[fd00::1]:80": "[fd00::11]:80"}, {"30.0.0.1": "10.0.0.1"},
        {"30.0.0.1:80": "10.0.0.1:80,10.0.0.1:080,10.0.0.1"}, {}, {"30.0.0.1:80": "", "30.0.0.1:080": "10.0.0.2:80"},
        {"^vip:^port": "^backends"}, {HUGE: HUGE}, {"30.0.0.1:\u0668\u0660": "10.0.0.1:80"},
    ],
    "protocol": [None, "udp", "sctp"],
    "ip_port_mappings": [
        {"10.0.0.1": "p0:10.0.0.99", "10.0.0.2": "p1:10.0.0.99"}, {"10.0.0.1": "p1:10.0.0.98"}, {},
        {"10.0.0.1": "", "10.0.0.2": "p1", HUGE: HUGE, "[fd00::11]": "p0:[fd00::99]"},
        {"10.0.0.1": "nowhere:10.0.0.99", "10.0.0.2": "p1:fd00::1"}, {"10.0.0.1": "to-r:10.0.0.99"},
    ],
    "options": [{}, {"template": "true"}, {"event": "true"}, {"reject": "true", "ct_flush": "true"}],
}  # fmt: skip
CHECK = {
    "vip": ["30.0.0.1:80", "30.0.0.1:080", "[fd00:0::1]:80", "30.0.0.1", "nonsense", HUGE],
    "options": [
        {}, {"interval": "-1", "timeout": "99999999999999999999"}, {"success_count": "0"}, {"interval": HUGE},
        {"failure_count": "5"},
    ],
}  # fmt: skip
MIRROR = {
    "filter": ["from-lport", "to-lport"],
    "sink": ["192.0.2.9", "", HUGE, "0.0.0.0"],
    "type": ["gre", "erspan"],
    "index": [0, 7, 2**31],
    "external_ids": [{}, {HUGE: HUGE}],
}
QOS = {
    "priority": [0, 1, 32767],
    "direction": ["from-lport", "to-lport"],
    "match": ["ip4", "", "ip4 &&", "^variable", HUGE],
    "action": [{"dscp": 0}, {"dscp": 63}, {}, {"mark": 7}, {"mark": 4294967295, "dscp": 1}],
    "bandwidth": [{"rate": 1}, {"rate": 4294967295, "burst": 4294967295}, {"burst": 1}, {}],
}
PORT = {
    "type": ["", "localnet", "external", "router", "remote"],
    "options": [
        {}, {"qos_max_rate": "1"}, {"qos_max_rate": HUGE, "qdisc_queue_id": "4294967296"}, {"qos_burst": ""},
        {"qdisc_queue_id": "61440", "qos_min_rate": "-1"}, {"mcast_flood": "true"}, {"mcast_flood_reports": "true"},
        {"router-port": "lrp"}, {"router-port": "lrp2"}, {"pkt_clone_type": "mc_unknown"}, {"force_fdb_lookup": "true"},
        {"disable_arp_nd_rsp": "true", "disable_garp_rarp": "true"},
    ],
    "enabled": [None, False],
    "mirror_rules": [frozenset(), "Mirror"],
    "up": [None, True, False],
}  # fmt: skip
SWITCH = {
    "other_config": [
        {}, {"mcast_snoop": "true"}, {"mcast_snoop": "true", "mcast_table_size": "0"},
        {"broadcast-arps-to-all-routers": "false"},
        {"mcast_snoop": "true", "mcast_table_size": "1", "mcast_flood_unregistered": "true"},
        {"mcast_snoop": "true", "mcast_idle_timeout": "-7", "mcast_query_interval": "999999999", "mcast_eth_src": HUGE},
        {"mcast_snoop": "true", "mcast_query_max_response": "4294967296", "mcast_ip4_src": "nonsense"},
        {"fdb_age_threshold": "5"},
        {"dhcp_relay_port": "to-r"}, {"dhcp_relay_port": "p0"}, {"dhcp_relay_port": ""}, {"dhcp_relay_port": HUGE},
    ],
}  # fmt: skip
ROUTER = {"options": [{}, {"mcast_relay": "true"}], "enabled": [None, False]}
ROUTER_PORT = {
    "options": [
        {}, {"mcast_flood": "true"}, {"dhcpv4_primary_ip": "10.0.1.254"}, {"dhcpv4_primary_ip": "10.0.9.9"},
        {"dhcpv4_primary_ip": HUGE},
    ],
    "mac": ["00:00:00:00:ff:02", "nonsense"],
    "dhcp_relay": [None, "DHCPRelay"],
    "networks": [frozenset(["10.0.0.254/24"]), frozenset(["10.0.0.254/24", "10.0.1.254/24"]), frozenset()],
}  # fmt: skip
RELAY = {"servers": ["172.16.0.2", None, "", "172.16.0.2:67", "172.16.0.2,172.16.0.3", "fd00::2", HUGE]}
VARIABLES = {"variables": [{}, {"vip": "^vip", "backends": HUGE}, {"vip": "30.0.0.9", "port": "80", HUGE: ""}]}
SETTINGS = {
    "options": [
        {"svc_monitor_mac": "02:00:00:00:00:01"}, {"svc_monitor_mac": "nonsense"}, {"controller_event": "true"},
    ]
}  # fmt: skip
COLUMNS = {
    nb.LoadBalancer: BALANCER,
    nb.LoadBalancerHealthCheck: CHECK,
    nb.Mirror: MIRROR,
    nb.QoS: QOS,
    nb.LogicalSwitchPort: PORT,
    nb.LogicalSwitch: SWITCH,
    nb.LogicalRouter: ROUTER,
    nb.LogicalRouterPort: ROUTER_PORT,
    nb.DHCPRelay: RELAY,
    nb.ChassisTemplateVar: VARIABLES,
    nb.NBGlobal: SETTINGS,
}
OWNED = {
    nb.LoadBalancerHealthCheck: (nb.LoadBalancer, "health_check"),
    nb.QoS: (nb.LogicalSwitch, "qos_rules"),
}
GROUPS = ["239.0.0.1", "239.0.0.2", "ff0e::1", "mrouters", "224.0.0.5", "10.0.0.1", "", HUGE]


def start(world):
    """A switch of two ports with one of everything, a router beside it, and two chassis."""
    world.insert(nb.NBGlobal, options=SETTINGS["options"][0])
    switch = world.switch("s0", other_config=SWITCH["other_config"][1])
    world.switch("s1")
    mirror = world.insert(nb.Mirror, name="m0", filter="from-lport", sink="192.0.2.9", type="gre", index=1)
    world.insert(nb.Mirror, name=HUGE, filter="to-lport", sink="", type="gre", index=1)
    for n in range(2):
        world.port(switch, f"p{n}", f"00:00:00:00:00:{n + 1:02x} 10.0.0.{n + 1} fd00::1{n + 1}",
                   mirror_rules=frozenset([mirror.uuid]), options={"qos_max_rate": "1000"})  # fmt: skip
    world.port(switch, "ln", "unknown", type="localnet", options={"network_name": "phys", "qos_max_rate": "1000"})
    router = world.insert(nb.LogicalRouter, name="r0", options={"mcast_relay": "true"})
    relay = world.insert(nb.DHCPRelay, name="relay", servers="172.16.0.2")
    world.insert(nb.LogicalRouterPort, (router, "ports"), name="lrp", mac="00:00:00:00:ff:02",
                 networks=frozenset(["10.0.0.254/24"]), dhcp_relay=relay.uuid)  # fmt: skip
    world.port(switch, "to-r", "router", type="router", options={"router-port": "lrp"})
    balancer = world.insert(
        nb.LoadBalancer, name="lb", vips=BALANCER["vips"][0], ip_port_mappings=BALANCER["ip_port_mappings"][0]
    )
    world.insert(nb.LoadBalancerHealthCheck, (balancer, "health_check"), vip="30.0.0.1:80")
    world.update(switch, load_balancer=frozenset([balancer.uuid]))
    world.insert(nb.QoS, (switch, "qos_rules"), priority=1, direction="from-lport", match="ip4", action={"dscp": 7})
    for name in ("hv1", "hv2"):
        world.insert(nb.ChassisTemplateVar, chassis=name, variables=VARIABLES["variables"][1])
        txn = world.sb.transaction()
        encap = txn.insert(sb.Encap, {"type": "geneve", "ip": name, "chassis_name": name})
        txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
        txn.commit()


def value_of(world, choice):
    """Return what a column is to hold; the name of a class stands for its first row."""
    if not isinstance(choice, str) or not isinstance(getattr(nb, choice, None), type):
        return choice
    first = list(world.nb.store.table(getattr(nb, choice)).rows)[:1]
    return first[0] if choice == "DHCPRelay" and first else frozenset(first)


@pytest.mark.parametrize("kind", COLUMNS, ids=lambda each: each.__name__)
def test_a_change_of_one_column_and_back_is_as_from_scratch(kind):
    """Changed to all it may be, and back: in the first row of its kind, where the others are as they were."""
    world = Networks()
    start(world)
    world.settle()
    for monitor in world.rows(sb.ServiceMonitor):
        world.update(monitor, status="offline")
    world.settle()
    before = world.image()
    for column, choices in COLUMNS[kind].items():
        row = next(iter(world.nb.store.table(kind).rows.values()))
        old = row.values[type(row).BY_NAME[column].index]
        for choice in choices:
            world.update(row, **{column: value_of(world, choice)})
            world.settle()
            assert world.image() == world.from_scratch(), choice
        world.update(row, **{column: old})
        world.settle()
        for monitor in world.rows(sb.ServiceMonitor):
            world.update(monitor, status="offline")
        world.settle()
        assert world.image() == before, column


class Edits(NorthboundEdits):
    @initialize()
    def start(self):
        start(self.world)

    @rule(kind=st.sampled_from(list(COLUMNS)), number=NUMBERS, data=st.data())
    def change(self, kind, number, data):
        if row := self.pick(kind, number):
            column = data.draw(st.sampled_from(sorted(COLUMNS[kind])))
            self.world.update(row, **{column: value_of(self.world, data.draw(st.sampled_from(COLUMNS[kind][column])))})

    @rule(kind=st.sampled_from(list(OWNED)), number=NUMBERS, data=st.data())
    def add(self, kind, number, data):
        owner_class, column = OWNED[kind]
        owner = self.pick(owner_class, number)
        values = {name: data.draw(st.sampled_from(choices)) for name, choices in COLUMNS[kind].items()}
        if owner is not None and len(owner[column]) < 4:
            self.world.insert(kind, (owner, column), **values)

    @rule(kind=st.sampled_from(list(OWNED)), number=NUMBERS)
    def remove(self, kind, number):
        owner_class, column = OWNED[kind]
        if row := self.pick(kind, number):
            for owner in self.table(owner_class):
                if row.uuid in owner[column]:
                    self.world.mutate(owner, column, delete=[row])
                    return

    @rule(number=NUMBERS, data=st.data())
    def add_balancer(self, number, data):
        switch = self.pick(nb.LogicalSwitch, number)
        values = {name: data.draw(st.sampled_from(choices)) for name, choices in BALANCER.items()}
        if switch is not None and len(self.table(nb.LoadBalancer)) < 4:
            row = self.world.insert(nb.LoadBalancer, name=f"lb{number}", **values)
            self.world.mutate(switch, "load_balancer", insert=[row])

    @rule(kind=st.sampled_from([nb.Mirror, nb.LoadBalancer, nb.LogicalSwitch, nb.ChassisTemplateVar]), number=NUMBERS)
    def delete(self, kind, number):
        if number > 2 and (row := self.pick(kind, number)):
            self.world.delete(row)

    @rule(number=NUMBERS)
    def drop_port(self, number):
        if port := self.pick(nb.LogicalSwitchPort, number):
            for switch in port.referrers(nb.LogicalSwitch.ports):
                self.world.mutate(switch, "ports", delete=[port])

    @rule(number=NUMBERS, which=NUMBERS, kind=st.sampled_from(PORT["type"]), options=st.sampled_from(PORT["options"]))
    def add_port(self, number, which, kind, options):
        switch = self.pick(nb.LogicalSwitch, number)
        if switch and not any(p.name == f"p{which}" for p in self.table(nb.LogicalSwitchPort)):
            mac = f"00:00:00:00:00:{which + 1:02x} 10.0.0.{which + 1}"
            self.world.port(switch, f"p{which}", mac, type=kind, options=options)

    @rule(number=NUMBERS, chassis=st.sampled_from([0, 1, None]), up=st.booleans())
    def bind(self, number, chassis, up):
        bindings, homes = self.world.rows(sb.PortBinding), self.world.rows(sb.Chassis)
        if bindings:
            home = homes[chassis % len(homes)].uuid if chassis is not None and homes else None
            self.world.update(bindings[number % len(bindings)], chassis=home, up=up)

    @rule(number=NUMBERS, status=st.sampled_from([None, "online", "offline", "error"]))
    def tell(self, number, status):
        """A chassis says what has come of a probe."""
        if rows := self.world.rows(sb.ServiceMonitor):
            self.world.update(rows[number % len(rows)], status=status)

    @rule(address=st.sampled_from(GROUPS), number=NUMBERS, which=NUMBERS, chassis=st.booleans())
    def join(self, address, number, which, chassis):
        """A chassis says what it has heard, if only nonsense."""
        bindings, datapaths = self.world.rows(sb.PortBinding), self.world.rows(sb.DatapathBinding)
        homes = self.world.rows(sb.Chassis)
        if not bindings or len(self.world.rows(sb.IGMPGroup)) > 8:
            return
        where, home = datapaths[which % len(datapaths)].uuid, homes[chassis].uuid
        ports = frozenset([bindings[number % len(bindings)].uuid])
        index = self.world.sb.store.table(sb.IGMPGroup).index(
            sb.IGMPGroup.address, sb.IGMPGroup.datapath, sb.IGMPGroup.chassis
        )
        if found := index.rows((address, where, home)):
            self.world.update(found[0], ports=ports)
        else:
            values = {"address": address, "datapath": where, "chassis": home, "ports": ports}
            self.world.insert(sb.IGMPGroup, database=self.world.sb, **values)

    @rule(number=NUMBERS)
    def leave(self, number):
        if rows := self.world.rows(sb.IGMPGroup):
            self.world.delete(rows[number % len(rows)])

    @rule(kind=st.sampled_from([sb.ServiceMonitor, sb.Mirror, sb.MulticastGroup, sb.IPMulticast]), number=NUMBERS)
    def meddle(self, kind, number):
        """Somebody else deletes what is the compiler's."""
        if rows := self.world.rows(kind):
            self.world.delete(rows[number % len(rows)])


Edits.TestCase.settings = settings(
    max_examples=4,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestEdits = Edits.TestCase
