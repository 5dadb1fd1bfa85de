"""After every random edit: what the compiler made step by step is what it makes from scratch."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from ovenbird.model import nb, sb
from support.northd.edits import NorthboundEdits

NUMBERS = st.integers(0, 5)
ACTIONS = st.sampled_from(["allow", "allow-related", "allow-stateless", "drop", "reject", "pass"])
TIERS = st.sampled_from([0, 0, 0, 1, 2, 3])
DIRECTIONS = st.sampled_from(["from-lport", "to-lport"])
SWITCH_CONFIG = st.sampled_from([{}, {"requested-tnl-key": "7"}, {"requested-tnl-key": "8"}, {"vlan-passthru": "true"}])
PORT_OPTIONS = st.sampled_from(
    [{}, {"requested-tnl-key": "3"}, {"hostname": "h"}, {"requested-chassis": "hv1"}, {"router-port": "lrp0"},
     {"network_name": "phys"}, {"qdisc_queue_id": "4"}]
)  # fmt: skip
TYPES = st.sampled_from(["", "", "", "localnet", "localport", "router", "external"])
SETTINGS = st.sampled_from(
    [{}, {"default_acl_drop": "true"}, {"use_ct_inv_match": "false"}, {"ignore_lsp_down": "false"}]
)


def addresses(number):
    mac = f"00:00:00:00:00:{number:02x}"
    texts = [f"{mac} 10.0.0.{number}", f"{mac} 10.0.0.{number} fd00::{number}", mac, "unknown", "router", "nonsense"]
    return st.sets(st.sampled_from(texts), max_size=3).map(frozenset)


class Edits(NorthboundEdits):
    @initialize()
    def start(self):
        world = self.world
        switches = [world.switch(f"s{i}") for i in range(2)]
        for i in range(4):
            world.port(switches[i % 2], f"p{i}", f"00:00:00:00:00:{i + 1:02x} 10.0.0.{i + 1}")
        world.insert(nb.NBGlobal)
        world.insert(nb.AddressSet, name="as0")
        four = {"server_id": "10.0.0.99", "server_mac": "00:00:00:00:ff:01", "lease_time": "60"}
        world.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=four)
        router = world.insert(nb.LogicalRouter, name="r0")
        world.insert(
            nb.LogicalRouterPort, (router, "ports"), name="lrp0", mac="00:00:00:00:ff:02",
            networks=frozenset(["10.0.0.98/24", "172.16.0.1/24"]),
        )  # fmt: skip
        txn = world.sb.transaction()
        encap = txn.insert(sb.Encap, {"type": "geneve", "ip": "127.0.0.1", "chassis_name": "hv1"})
        txn.insert(sb.Chassis, {"name": "hv1", "encaps": frozenset([encap])})
        txn.commit()

    @rule(number=NUMBERS)
    def add_switch(self, number):
        if len(self.table(nb.LogicalSwitch)) < 3:
            taken = {s.name for s in self.table(nb.LogicalSwitch)}
            self.world.switch(next(f"s{i}" for i in range(number, number + 9) if f"s{i}" not in taken))

    @rule(number=NUMBERS)
    def drop_switch(self, number):
        if (switch := self.pick(nb.LogicalSwitch, number)) and number == 3:
            self.world.delete(switch)

    @rule(number=NUMBERS, config=SWITCH_CONFIG)
    def configure_switch(self, number, config):
        if switch := self.pick(nb.LogicalSwitch, number):
            self.world.update(switch, other_config=config)

    @rule(number=NUMBERS, which=NUMBERS, kind=TYPES, options=PORT_OPTIONS, data=st.data())
    def add_port(self, number, which, kind, options, data):
        switch = self.pick(nb.LogicalSwitch, number)
        if switch and not any(p.name == f"p{which}" for p in self.table(nb.LogicalSwitchPort)):
            texts = data.draw(addresses(which + 1))
            self.world.port(switch, f"p{which}", *texts, type=kind, options=options)

    @rule(number=NUMBERS)
    def drop_port(self, number):
        if port := self.pick(nb.LogicalSwitchPort, number):
            for switch in port.referrers(nb.LogicalSwitch.ports):
                self.world.mutate(switch, "ports", delete=[port])

    @rule(number=NUMBERS, data=st.data())
    def change_port(self, number, data):
        """Change one column: more would hide a dependency that is missing."""
        if port := self.pick(nb.LogicalSwitchPort, number):
            texts = addresses(number + 1)
            given = st.sampled_from([self.table(nb.DHCPOptions)[0].uuid, None])
            columns = {
                "enabled": st.sampled_from([None, True, False]), "type": TYPES, "options": PORT_OPTIONS,
                "addresses": texts, "port_security": texts, "dhcpv4_options": given,
                "tag": st.sampled_from([None, 7]), "external_ids": st.sampled_from([{}, {"neutron:port_name": "n"}]),
            }  # fmt: skip
            column = data.draw(st.sampled_from(sorted(columns)))
            self.world.update(port, **{column: data.draw(columns[column])})

    @rule(which=NUMBERS)
    def add_group(self, which):
        if which < 2 and not any(g.name == f"pg{which}" for g in self.table(nb.PortGroup)):
            self.world.group(f"pg{which}")

    @rule(number=NUMBERS, which=NUMBERS, joins=st.booleans())
    def change_membership(self, number, which, joins):
        group, port = self.pick(nb.PortGroup, number), self.pick(nb.LogicalSwitchPort, which)
        if group and port:
            self.world.mutate(group, "ports", **{"insert" if joins else "delete": [port]})

    @rule(number=NUMBERS)
    def drop_group(self, number):
        if (group := self.pick(nb.PortGroup, number)) and number == 4:
            self.world.delete(group)

    @rule(
        number=NUMBERS, on_group=st.booleans(), direction=DIRECTIONS, action=ACTIONS, priority=NUMBERS,
        log=st.booleans(), tier=TIERS,
    )  # fmt: skip
    def add_acl(self, number, on_group, direction, action, priority, log, tier):
        owner = self.pick(nb.PortGroup if on_group else nb.LogicalSwitch, number)
        if owner:
            match, values = f"ip4 && tcp.dst == {priority}", {"log": log, "label": number, "tier": tier}
            self.world.acl(owner, direction, match, action, priority, **values)

    @rule(number=NUMBERS)
    def drop_acl(self, number):
        if acl := self.pick(nb.ACL, number):
            for owner in (*acl.referrers(nb.LogicalSwitch.acls), *acl.referrers(nb.PortGroup.acls)):
                self.world.mutate(owner, "acls", delete=[acl])

    @rule(number=NUMBERS, action=ACTIONS, tier=TIERS, late=st.booleans(), persists=st.booleans())
    def change_acl(self, number, action, tier, late, persists):
        if acl := self.pick(nb.ACL, number):
            options = {"apply-after-lb": str(late).lower(), "persist-established": str(persists).lower()}
            self.world.update(acl, action=action, tier=tier, options=options)

    @rule(number=NUMBERS, column=st.sampled_from(["sample_new", "sample_est"]), taken=st.booleans())
    def sample_acl(self, number, column, taken):
        if not (acl := self.pick(nb.ACL, number)):
            return
        self.world.update(acl, **{column: None})  # it has room for one
        if taken:
            return
        if not (collectors := self.table(nb.SampleCollector)):
            values = {"name": "c", "set_id": 7, "probability": 65_535}
            collectors = [self.world.insert(nb.SampleCollector, id=n, **values) for n in (1, 2)]
            self.world.insert(nb.SamplingApp, type="acl-new", id=9)
        metadata = max((sample.metadata for sample in self.table(nb.Sample)), default=0) + 1
        chosen = frozenset(each.uuid for each in collectors[: 1 + number % 2])
        self.world.insert(nb.Sample, (acl, column), collectors=chosen, metadata=metadata)

    @rule(members=st.sets(st.sampled_from(["1.1.1.1", "2.2.2.2", "3.3.3.3"])))
    def change_address_set(self, members):
        self.world.update(self.table(nb.AddressSet)[0], addresses=frozenset(members))

    @rule(
        kind=st.sampled_from(["snat", "dnat", "dnat_and_snat"]),
        outer=st.sampled_from(["172.16.0.1", "172.16.0.9", "fd01::9", "nonsense"]),
        inner=st.sampled_from(["10.0.0.1", "10.0.0.0/24", "fd00::1"]),
        mac=st.sampled_from([None, "00:00:00:00:aa:01"]),
        stateless=st.booleans(),
    )
    def add_nat(self, kind, outer, inner, mac, stateless):
        router = self.table(nb.LogicalRouter)[0]
        self.world.insert(
            nb.NAT, (router, "nat"), type=kind, external_ip=outer, logical_ip=inner, external_mac=mac,
            logical_port="p0" if mac else None, options={"stateless": "true"} if stateless else {},
        )  # fmt: skip

    @precondition(lambda self: self.table(nb.NAT))
    @rule(number=NUMBERS)
    def delete_nat(self, number):
        rows = self.table(nb.NAT)
        self.world.delete(rows[number % len(rows)], (self.table(nb.LogicalRouter)[0], "nat"))

    @rule(place=st.sampled_from(["hv1", "", "port"]))
    def move_router(self, place):
        """Make the router a gateway router, give it a gateway port, or neither."""
        router = self.table(nb.LogicalRouter)[0]
        self.world.update(router, options={"chassis": place} if place == "hv1" else {})
        port = self.table(nb.LogicalRouterPort)[0]
        for row in port.gateway_chassis:
            self.world.delete(row, (port, "gateway_chassis"))
        if place == "port":
            self.world.insert(nb.GatewayChassis, (port, "gateway_chassis"), name="gw", chassis_name="hv1")

    @rule(seconds=st.sampled_from(["60", "120"]))
    def change_dhcp(self, seconds):
        row = self.table(nb.DHCPOptions)[0]
        self.world.update(row, options=row.options | {"lease_time": seconds})

    @rule(options=SETTINGS)
    def change_settings(self, options):
        self.world.update(self.table(nb.NBGlobal)[0], options=options)

    @rule()
    def bump(self):
        row = self.table(nb.NBGlobal)[0]
        self.world.update(row, nb_cfg=row.nb_cfg + 1)

    @precondition(lambda self: self.world.rows(sb.PortBinding))
    @rule(number=NUMBERS, bound=st.booleans())
    def bind(self, number, bound):
        bindings = self.world.rows(sb.PortBinding)
        chassis = self.world.rows(sb.Chassis)[0].uuid if bound else None
        self.world.update(bindings[number % len(bindings)], chassis=chassis)

    @precondition(lambda self: self.world.rows(sb.LogicalFlow))
    @rule(number=st.integers(0, 200))
    def meddle(self, number):
        flows = self.world.rows(sb.LogicalFlow)
        self.world.delete(flows[number % len(flows)])

    @invariant()
    def numbers_and_bindings_are_acknowledged(self):
        if not self.table(nb.NBGlobal):
            return
        self.world.settle()
        (reached,) = (g.sb_cfg for g in self.table(nb.NBGlobal))
        assert reached == self.table(nb.NBGlobal)[0].nb_cfg
        for binding in self.world.rows(sb.PortBinding):
            port = self.world.nb.store.find(nb.LogicalSwitchPort.name, binding.logical_port)
            if port is not None:
                assert port.up == (binding.chassis is not None or port.type == "router")


Edits.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestEdits = Edits.TestCase
