"""A chassis in memory: both databases' rows, the rules, and the flows that come of them; no sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.controller.edits import EDIT, EDIT_AFTER_FLOWS
from ovenbird.controller.facts import ADDRESS_SET_FLOW, FLOW, MONITOR_CLAUSE, PART, ZONE
from ovenbird.controller.local.bridge import ADD_PORT
from ovenbird.controller.local.local_store import Progress, make_local_store
from ovenbird.controller.ofctrl.address_set_flows import AddressSetFlows
from ovenbird.controller.ofctrl.flow_table import FlowTable
from ovenbird.controller.rules import SOUTHBOUND, SWITCH, make_engine
from ovenbird.engine.rows import UUID, Row, Store
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.model import sb, vswitch
from ovenbird.openflow.instructions import ApplyActions, decode_instructions
from ovenbird.openflow.match import Match

if TYPE_CHECKING:
    from ovenbird.openflow.actions import Action

IDS = {
    "system-id": "hv1", "hostname": "host1", "ovn-remote": "tcp:127.0.0.1:6642", "ovn-encap-type": "geneve",
    "ovn-encap-ip": "192.0.2.1",
}  # fmt: skip
KINDS = (EDIT, EDIT_AFTER_FLOWS, ADD_PORT, MONITOR_CLAUSE, ZONE)


class World:
    """One chassis, `hv1`, with its bridge, and another, `hv2`, to which there is a tunnel on OpenFlow port 100."""

    def __init__(self, **ids: str) -> None:
        self.sb = Store("OVN_Southbound", SOUTHBOUND)
        self.vs = Store("Open_vSwitch", SWITCH)
        self.own = make_local_store()
        self.table = FlowTable()
        self.sets = AddressSetFlows(self.table)
        self.sets.follow(self.sb)
        self.facts: dict[Any, set[Any]] = {kind: set() for kind in KINDS}
        self.bridge = self.add(vswitch.Bridge, name="br-int", fail_mode="secure", ports=frozenset())
        self.root = self.add(vswitch.OpenVSwitch, external_ids=IDS | ids, bridges=frozenset([self.bridge.uuid]))
        self.me = self.chassis("hv1", "192.0.2.1")
        self.other = self.chassis("hv2", "192.0.2.2")
        self.port_on_bridge("ovn-hv2-0", 100, kind="geneve", port_ids={"ovn-chassis-id": "hv2@192.0.2.2"})
        self.set(self.progress, everything=True, settled=True)
        self.engine = make_engine(southbound=self.sb, switch=self.vs, own=self.own)

    @property
    def progress(self) -> Progress:
        return next(iter(self.own.table(Progress).rows.values()))

    def add(self, row_class: type[Row], uuid: str = "", **values: Any) -> Any:
        store = next(s for s in (self.sb, self.vs) if s.has(row_class))
        row = list(row_class.DEFAULTS)
        for name, value in values.items():
            row[row_class.BY_NAME[name].index] = value
        return store.table(row_class).insert(UUID(uuid) if uuid else serial_uuids(1)[0], row)

    def set(self, row: Row, **values: Any) -> None:
        changes = {type(row).BY_NAME[name].index: value for name, value in values.items()}
        changes = {i: v for i, v in changes.items() if row.values[i] != v}
        if changes:
            row.home.modify(row, changes)

    def delete(self, row: Row) -> None:
        row.home.delete(row)

    def chassis(self, name: str, ip: str) -> Any:
        encap = self.add(sb.Encap, type="geneve", ip=ip, chassis_name=name, options={"csum": "true"})
        self.add(sb.ChassisPrivate, name=name)
        return self.add(sb.Chassis, name=name, encaps=frozenset([encap.uuid]))

    def port_on_bridge(
        self, name: str, ofport: int, *, iface_id: str = "", kind: str = "", port_ids: dict[str, str] | None = None
    ) -> Any:
        ids = {"iface-id": iface_id} if iface_id else {}
        options = {"csum": "true", "key": "flow", "remote_ip": "192.0.2.2"} if kind == "geneve" else {}
        interface = self.add(vswitch.Interface, name=name, ofport=ofport, type=kind, external_ids=ids, options=options)
        port = self.add(vswitch.Port, name=name, interfaces=frozenset([interface.uuid]), external_ids=port_ids or {})
        self.set(self.bridge, ports=self.bridge.values[type(self.bridge).BY_NAME["ports"].index] | {port.uuid})
        return interface

    def unplug(self, interface: Any) -> None:
        ports = [p for p in self.vs.table(vswitch.Port).rows.values() if interface.uuid in p["interfaces"]]
        self.set(self.bridge, ports=self.bridge["ports"] - {p.uuid for p in ports})
        for port in ports:
            self.delete(port)
        self.delete(interface)

    def switch(self, key: int) -> Any:
        return self.add(sb.DatapathBinding, tunnel_key=key, external_ids={"logical-switch": str(key)})

    def lport(self, datapath: Any, name: str, key: int, **values: Any) -> Any:
        return self.add(sb.PortBinding, logical_port=name, datapath=datapath.uuid, tunnel_key=key, **values)

    def flow(self, datapath: Any, match: str, actions: str, **values: Any) -> Any:
        content = {"pipeline": "ingress", "table_id": 0, "priority": 100} | values
        if isinstance(datapath, list):
            group = self.add(sb.LogicalDPGroup, datapaths=frozenset(d.uuid for d in datapath))
            content["logical_dp_group"] = group.uuid
        else:
            content["logical_datapath"] = datapath.uuid
        return self.add(sb.LogicalFlow, match=match, actions=actions, **content)

    def run(self) -> dict[str, int]:
        """Run waves until nothing changes; return which rules and views ran, and how often."""
        ran: dict[str, int] = {}
        while not self.engine.idle:
            deltas = self.engine.run()
            for name, count in self.engine.ran.items():
                ran[name] = ran.get(name, 0) + count
            for relation, delta in deltas.items():
                if relation is FLOW:
                    self.table.absorb(added=delta.added, removed=delta.removed)
                elif relation is PART:
                    self.table.absorb_parts(added=delta.added, removed=delta.removed)
                elif relation is ADDRESS_SET_FLOW:
                    self.sets.absorb(added=delta.added, removed=delta.removed)
                elif relation in self.facts:
                    self.facts[relation] -= set(delta.removed)
                    self.facts[relation] |= set(delta.added)
        assert not self.engine.failures
        return ran

    def edits(self, kind: Any = EDIT) -> dict[str, dict[str, Any]]:
        """Return the outstanding edits of ports and interfaces by row."""
        found: dict[str, dict[str, Any]] = {}
        for fact in self.facts[kind]:
            if fact[1] in (sb.PortBinding, vswitch.Interface):
                found.setdefault(fact[2], {}).update(dict(fact[3]))
        return found

    def flows(self, table: int, priority: int | None = None) -> dict[str, tuple[Action, ...]]:
        """Return a table's flows: actions by match, both decoded."""
        found = {}
        for key in {*self.table._whole, *self.table._parts}:
            if key[0] == table and priority in (None, key[1]):
                content = self.table.desired(key)
                assert content is not None
                found[str(Match.decode(key[2])[0])] = actions_of(content[0])
        return found

    def desired(self) -> dict[Any, Any]:
        """Return every flow that should be."""
        return {key: self.table.desired(key) for key in {*self.table._whole, *self.table._parts}}


def actions_of(instructions: bytes) -> tuple[Action, ...]:
    parts = [part for part in decode_instructions(instructions) if isinstance(part, ApplyActions)]
    return tuple(action for part in parts for action in part.actions)
