"""After any edits of physical switches and of Southbound both databases are as a process would make them that starts.

Among the values are those that nobody should give: each costs at most what it is in.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ovenbird.model import sb, vtep
from ovenbird.ovsdb.database import Database
from ovenbird.vtep.driver import VtepDriver

NUMBERS = st.integers(0, 5)
HUGE = "\U0001f985" * 300
NAMES = ("ps1", "ps2", "hv1", HUGE)
ADDRESSES = st.sets(st.sampled_from(["192.0.2.1", "192.0.2.2", "", HUGE]), max_size=2).map(frozenset)
MACS = ["0a:00:00:00:00:01 10.0.0.1", "0A:00:00:00:00:01", "0a:00:00:00:00:02", "unknown", "", HUGE, "::"]
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "vtep-physical-switch": st.sampled_from(NAMES),
        "vtep-logical-switch": st.sampled_from(["ls1", "ls2", "", HUGE]),
    },
)
KINDS = st.sampled_from(["", "", "vtep", "vtep", "localnet"])


class VtepEdits(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.switches = Database(vtep.schema(), vtep.ROWS)
        self.southbound = Database(sb.schema(), sb.ROWS)
        self.driver = self.driver_of()
        self.engine = self.driver._build()

    def driver_of(self):
        return VtepDriver(self.switches, southbound=self.southbound, observe=lambda _engine: None)

    def database(self, row_class):
        return self.switches if row_class in vtep.ROWS else self.southbound

    def rows(self, row_class):
        return list(self.database(row_class).store.table(row_class).rows.values())

    def pick(self, row_class, number):
        rows = self.rows(row_class)
        return rows[number % len(rows)] if rows else None

    def insert(self, row_class, into=None, **values):
        txn = self.database(row_class).transaction()
        uuid = txn.insert(row_class, values)
        if into is not None:
            txn.mutate(into[0], into[1], insert=[uuid])
        txn.commit()

    def update(self, row, **values):
        txn = self.database(type(row)).transaction()
        txn.update(row, values)
        txn.commit()

    def delete(self, row):
        txn = self.database(type(row)).transaction()
        txn.delete(row)
        txn.commit()

    @initialize()
    def start(self):
        self.insert(vtep.Global)
        for number in (1, 2):
            self.insert(sb.DatapathBinding, tunnel_key=number, external_ids={"logical-switch": str(number)})
        for number, kind in ((1, "vxlan"), (2, "geneve")):
            txn = self.southbound.transaction()
            encap = txn.insert(sb.Encap, {"type": kind, "ip": f"198.51.100.{number}", "chassis_name": f"hv{number}"})
            config = {"other_config": {"datapath-type": ""}, "encaps": frozenset([encap])}
            txn.insert(sb.Chassis, {"name": f"hv{number}"} | config)
            txn.commit()

    @rule(name=st.sampled_from(NAMES), addresses=ADDRESSES)
    def add_switch(self, name, addresses):
        if name not in [row.name for row in self.rows(vtep.PhysicalSwitch)]:
            into = (self.rows(vtep.Global)[0], "switches")
            self.insert(vtep.PhysicalSwitch, into, name=name, tunnel_ips=addresses)

    @rule(number=NUMBERS)
    def drop_switch(self, number):
        if switch := self.pick(vtep.PhysicalSwitch, number):
            txn = self.switches.transaction()
            txn.mutate(self.rows(vtep.Global)[0], "switches", delete=[switch.uuid])
            txn.commit()

    @rule(number=NUMBERS, name=st.sampled_from(NAMES), addresses=ADDRESSES, renamed=st.booleans())
    def change_switch(self, number, name, addresses, renamed):
        if switch := self.pick(vtep.PhysicalSwitch, number):
            if not renamed:
                self.update(switch, tunnel_ips=addresses)
            elif name not in [row.name for row in self.rows(vtep.PhysicalSwitch)]:
                self.update(switch, name=name)

    @rule(name=st.sampled_from(["ls1", "ls2", HUGE]))
    def add_logical_switch(self, name):
        if name not in [row.name for row in self.rows(vtep.LogicalSwitch)]:
            self.insert(vtep.LogicalSwitch, name=name)

    @rule(number=NUMBERS, key=st.sampled_from([None, 0, 1, -1, 2**62]))
    def meddle_with_logical_switch(self, number, key):
        if switch := self.pick(vtep.LogicalSwitch, number):
            self.update(switch, tunnel_key=key)

    @rule(number=NUMBERS)
    def drop_logical_switch(self, number):
        switch = self.pick(vtep.LogicalSwitch, number)
        if switch is None:
            return
        txn = self.switches.transaction()
        for port in self.rows(vtep.PhysicalPort):
            left = {vlan: uuid for vlan, uuid in port["vlan_bindings"].items() if uuid != switch.uuid}
            if left != port["vlan_bindings"]:
                txn.update(port, {"vlan_bindings": left})
        for table in (vtep.UcastMacsRemote, vtep.McastMacsRemote):
            for row in self.rows(table):
                if table.logical_switch.raw(row) == switch.uuid:
                    txn.delete(row)
        txn.delete(switch)
        txn.commit()

    @rule(number=NUMBERS, which=NUMBERS, vlan=st.sampled_from([0, 1, 4095]))
    def bind_vlan(self, number, which, vlan):
        switch, logical = self.pick(vtep.PhysicalSwitch, number), self.pick(vtep.LogicalSwitch, which)
        if switch and logical:
            self.insert(vtep.PhysicalPort, (switch, "ports"), name=f"port{vlan}", vlan_bindings={vlan: logical.uuid})

    @rule(number=NUMBERS)
    def unbind_vlans(self, number):
        if port := self.pick(vtep.PhysicalPort, number):
            self.update(port, vlan_bindings={})

    @rule(number=NUMBERS, which=st.integers(0, 1), kind=KINDS, options=OPTIONS, mac=st.sampled_from(MACS))
    def add_port(self, number, which, kind, options, mac):
        if f"p{number}" not in [row.logical_port for row in self.rows(sb.PortBinding)]:
            values = {"logical_port": f"p{number}", "tunnel_key": number + 1, "mac": frozenset([mac])}
            datapath = self.rows(sb.DatapathBinding)[which].uuid
            self.insert(sb.PortBinding, datapath=datapath, type=kind, options=options, **values)

    @rule(number=NUMBERS, kind=KINDS, options=OPTIONS, mac=st.sampled_from(MACS), column=st.integers(0, 2))
    def change_port(self, number, kind, options, mac, column):
        if port := self.pick(sb.PortBinding, number):
            changes = ({"type": kind}, {"options": options}, {"mac": frozenset([mac])})
            self.update(port, **changes[column])

    @rule(number=NUMBERS)
    def drop_port(self, number):
        if port := self.pick(sb.PortBinding, number):
            self.delete(port)

    @rule(number=NUMBERS, which=NUMBERS, bound=st.booleans())
    def bind_port(self, number, which, bound):
        port, chassis = self.pick(sb.PortBinding, number), self.pick(sb.Chassis, which)
        if port and chassis:
            self.update(port, chassis=chassis.uuid if bound else None)

    @rule(number=NUMBERS, config=st.sampled_from([{}, {"is-vtep": "true"}, {"datapath-type": "", HUGE: HUGE}]))
    def meddle_with_chassis(self, number, config):
        if chassis := self.pick(sb.Chassis, number):
            self.update(chassis, other_config=config)

    @rule(name=st.sampled_from(NAMES[:2]), config=st.sampled_from([{}, {"is-vtep": "true"}, {"datapath-type": ""}]))
    def find_chassis(self, name, config):
        """There is a chassis of that name already, a former process's or a hypervisor's."""
        taken = [row.name for row in self.rows(sb.Chassis)], [row.ip for row in self.rows(sb.Encap)]
        if name not in taken[0] and "192.0.2.9" not in taken[1]:
            txn = self.southbound.transaction()
            encap = txn.insert(sb.Encap, {"type": "vxlan", "ip": "192.0.2.9", "chassis_name": name})
            txn.insert(sb.Chassis, {"name": name, "other_config": config, "encaps": frozenset([encap])})
            txn.commit()

    @rule(number=NUMBERS)
    def drop_remote_mac(self, number):
        if row := self.pick(vtep.UcastMacsRemote, number):
            self.delete(row)

    def settle(self, engine):
        """Run waves until both databases are as the facts say; return whether anything was written."""
        wrote = False
        for _ in range(20):
            engine.run()
            assert not engine.failures, engine.failures
            changed = False
            for database in (self.southbound, self.switches):
                txn = database.transaction()
                for output in engine.outputs_of(database.store):
                    output.plan(txn)
                if not txn.empty:
                    changed |= bool(txn.commit().changes)
            if not changed:
                return wrote
            wrote = True
        raise AssertionError("it does not come to rest")

    @invariant()
    def a_start_now_would_write_nothing(self):
        self.settle(self.engine)
        other = self.driver_of()
        engine = other._build()
        try:
            assert not self.settle(engine)
        finally:
            other._gateways.leave()
            engine.close()


VtepEdits.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestVtepEdits = VtepEdits.TestCase


def test_a_chassis_that_turns_out_to_be_a_hypervisor_keeps_its_endpoints():
    machine = VtepEdits()
    machine.start()
    machine.add_logical_switch("ls1")
    machine.add_switch("hv1", frozenset({"192.0.2.1"}))
    (chassis,) = (row for row in machine.rows(sb.Chassis) if row.name == "hv1")
    machine.settle(machine.engine)
    before = chassis["encaps"]
    for config in ({}, {"datapath-type": ""}):
        machine.update(chassis, other_config=config)
        machine.a_start_now_would_write_nothing()
    assert chassis["encaps"] == before
