"""Physical switches as chassis in Southbound, each with its VXLAN endpoint and the logical switches of its VLANs.

A chassis row belongs to this process as long as a physical switch has its name: an existing row is taken over, kept up
to date, and removed with the switch. Physical switches that would affect others are left out: those with the name of a
hypervisor, or with the address of another chassis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import sb
from ovenbird.model.vtep import LogicalSwitch, PhysicalPort, PhysicalSwitch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Row, SetDeltas, Store
    from ovenbird.engine.rules import Rule

IS_VTEP = "is-vtep"
"""The key of Chassis.other_config by which a gateway differs from a hypervisor."""

ENCAPSULATION = "vxlan"
_ANY_COLUMN = -1


class EncapRow(NamedTuple):
    """The endpoint of a gateway; the columns are those of ovn-sb(5)."""

    relation: Relation
    chassis_name: str
    type: str
    ip: str
    options: Pairs


class ChassisRow(NamedTuple):
    """A gateway; the columns are those of ovn-sb(5)."""

    relation: Relation
    name: str
    encaps: frozenset[UUID]
    vtep_logical_switches: frozenset[str]
    other_config: Pairs


def _bound(values: list[Any]) -> Iterable[UUID]:
    return set(values[PhysicalPort.vlan_bindings.index].values())


_BINDING_PORTS = ComputedIndex(PhysicalPort.vlan_bindings, keys=_bound)
"""Ports of physical switches by the logical switches of their VLANs."""


@view
def binding_switches(logical_switch: LogicalSwitch) -> frozenset[str]:
    """Return the names of the physical switches that have a VLAN in a logical switch."""
    ports = _BINDING_PORTS.rows(logical_switch.uuid)
    return frozenset(switch.name for port in ports for switch in port.referrers(PhysicalSwitch.ports))


@view
def logical_switches(switch: PhysicalSwitch) -> frozenset[str]:
    """Return the names of the logical switches that VLANs of a physical switch are in."""
    uuids = {uuid for port in switch.ports for uuid in port.vlan_bindings.values()}
    return frozenset(row.name for uuid in uuids if (row := get(LogicalSwitch, uuid)) is not None)


def is_hypervisor(other_config: Mapping[str, str]) -> bool:
    """Return whether a chassis with this `other_config` is not a VTEP gateway."""
    return bool(other_config) and IS_VTEP not in other_config


def _addresses(values: list[Any]) -> Iterable[str]:
    found = values[PhysicalSwitch.tunnel_ips.index]
    return (min(found),) if found else ()


_AT = ComputedIndex(PhysicalSwitch.tunnel_ips, keys=_addresses)
"""Physical switches by the address of their endpoint."""


@view
def trouble(switch: PhysicalSwitch) -> str:
    """Return why a physical switch cannot be a chassis; empty if it is one."""
    address = min(switch.tunnel_ips, default="")
    if not address:
        return "has no tunnel endpoint (tunnel_ips)"
    first = min(other.name for other in _AT.rows(address))
    if first != switch.name:
        return f"has the tunnel endpoint of {first}, {address}"
    chassis = find(sb.Chassis.name, switch.name)
    if chassis is not None and is_hypervisor(chassis.other_config):
        return "has the name of a hypervisor in Southbound"
    return ""


@view
def gateway(name: str) -> PhysicalSwitch | None:
    """Return the physical switch that a chassis stands for; None if there is none, or it cannot be a chassis."""
    switch = find(PhysicalSwitch.name, name)
    return switch if switch is not None and not trouble(switch) else None


@view
def is_gateway(chassis: UUID) -> bool:
    """Return whether a chassis is one of the physical switches here."""
    row = get(sb.Chassis, chassis)
    return row is not None and gateway(row.name) is not None


class Gateways:
    """The chassis of physical switches: the relations of their rows, and the rule that yields these.

    Arguments:
        switches: the tables of hardware_vtep.
        southbound: the tables of Southbound.
    """

    def __init__(self, switches: Store, *, southbound: Store) -> None:
        self._switches = switches.table(PhysicalSwitch)
        self._southbound = southbound
        self.encap = NamedRows(sb.Encap, EncapRow, key=sb.Encap.chassis_name, key_of=self._encap_key)
        self.chassis = NamedRows(sb.Chassis, ChassisRow, key=sb.Chassis.name, key_of=self._chassis_key)
        self.rules: tuple[Rule, ...] = (rule(PhysicalSwitch)(self.registration),)
        self._engine: Engine | None = None

    def registration(self, switch: PhysicalSwitch) -> Iterator[Fact]:
        """Yield the chassis of a physical switch."""
        name = switch.name
        if why := trouble(switch):
            yield finding(switch, f"physical switch {name} {why}, and is left out")
            return
        address, *others = sorted(switch.tunnel_ips)
        if others:
            yield finding(switch, f"physical switch {name} has several tunnel endpoints: {address} is used")
        yield self.encap(chassis_name=name, type=ENCAPSULATION, ip=address, options=(("csum", "false"),))
        yield self.chassis(
            name=name,
            encaps=frozenset((self.encap.uuid(name),)),
            vtep_logical_switches=logical_switches(switch),
            other_config=((IS_VTEP, "true"),),
        )

    # -- which rows of Southbound are ours --------------------------------------------------------------------------

    def _chassis_key(self, row: sb.Chassis) -> str | None:
        known = self._switches.find(PhysicalSwitch.name, row.name) is not None
        return row.name if known and not is_hypervisor(row.other_config) else None

    def _encap_key(self, row: sb.Encap) -> str | None:
        chassis = self._southbound.find(sb.Chassis.name, row.chassis_name)
        return self._chassis_key(chassis) if chassis is not None else None

    def follow(self, engine: Engine) -> None:
        """Take over the chassis of physical switches from now on, and leave those that become hypervisors.

        An endpoint is its chassis's: it is looked at again when that one appears or changes. The relations are bound.
        """
        self._engine = engine
        self._switches.watchers.append(self)
        self._southbound.table(sb.Chassis).watchers.append(self)

    def leave(self) -> None:
        """Stop following."""
        self._engine = None
        self._switches.watchers.remove(self)
        self._southbound.table(sb.Chassis).watchers.remove(self)

    def inserted(self, rows: Sequence[PhysicalSwitch | sb.Chassis]) -> None:
        """Take over the chassis that have the names of physical switches, where either is new."""
        for row in rows:
            self._take_over(row.name)

    def modified(self, row: PhysicalSwitch | sb.Chassis, mask: int, deltas: SetDeltas | None) -> None:
        """Look again at the chassis that has a physical switch's new name, or that says anew what it is."""
        del deltas
        decisive = PhysicalSwitch.name if isinstance(row, PhysicalSwitch) else sb.Chassis.other_config
        if mask & decisive.bit:
            self._take_over(row.name)

    def deleted(self, row: PhysicalSwitch | sb.Chassis) -> None:
        """Do nothing: the chassis is known, and goes with its fact."""

    def _take_over(self, name: str) -> None:
        chassis = self._southbound.find(sb.Chassis.name, name)
        if chassis is None or self._engine is None:
            return
        found: list[tuple[Any, Row]] = [(self.chassis, chassis)]
        found += [(self.encap, row) for row in self._southbound.select(sb.Encap.chassis_name, name)]
        for relation, row in found:
            self._engine.outputs[relation].modified(row, _ANY_COLUMN, None)
