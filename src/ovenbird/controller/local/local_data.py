"""What is local: interfaces of the integration bridge, ports bound to this chassis, local datapaths.

A datapath is local if a port of it is bound here, or if it is connected to a local datapath by a pair of patch ports (a
router and its switches). All other datapaths in Southbound do not concern this chassis and are not monitored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.controller.facts import MONITOR_CLAUSE
from ovenbird.controller.local.gateway import HIGHLY_AVAILABLE, hosts, is_candidate
from ovenbird.controller.local.local_store import ATTACHED, Attachment, progress
from ovenbird.controller.local.settings import integration_bridge, own_chassis, settings
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import find, get, rows, select, table
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.model.sb import DatapathBinding, LogicalDPGroup, PortBinding
from ovenbird.model.southbound_lookup import ports_of_types
from ovenbird.model.vswitch import Bridge, Interface, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

VIF = ""
"""The type of an ordinary port: a virtual machine's or container's interface."""

PLUGGED = (VIF, "localport")
"""The types of ports that have an interface of the integration bridge, their own or their parent's."""

GATEWAYS = ("l3gateway", "l2gateway")
"""The types of ports through which packets pass on one chassis, which an option names."""

_EVERY = "*"
_PB = PortBinding


def _unplugged(values: list[Any]) -> tuple[tuple[UUID, str | None], ...]:
    kind = values[_PB.type.index]
    if kind in PLUGGED:
        return ()
    chassis = values[_PB.options.index].get(f"{kind}-chassis") if kind in GATEWAYS else _EVERY
    return ((values[_PB.datapath.index], chassis),)


_UNPLUGGED = ComputedIndex(_PB.type, _PB.datapath, _PB.options, keys=_unplugged)
"""The ports of all other types, by datapath and the chassis that they are on."""


@view
def iface_id(interface: Interface) -> str:
    """Return the logical port that an interface names (`iface-id`), or None."""
    return interface.external_ids.get("iface-id", "")


@rule(Interface)
def attachment(interface: Interface) -> Iterator[Fact]:
    """Yield the attachment of an interface of the integration bridge with an `iface-id`."""
    name = iface_id(interface)
    bridge = integration_bridge()
    if not name or bridge is None:
        return
    for port in interface.referrers(Port.interfaces):
        if bridge in port.referrers(Bridge.ports):
            yield ATTACHED(name=name, interface=interface.uuid)


def attached_names() -> list[str]:
    """Return the logical ports that have an interface here."""
    return list(dict.fromkeys([row.name for row in rows(Attachment)]))


def interface_of(name: str) -> UUID | None:
    """Return the interface of the logical port `name`; of several, the newest that the switch has added.

    An instance that moves within a host has its new interface before the old one is removed.
    """
    found = [row.interface for row in select(Attachment.name, name)]
    if len(found) > 1:
        found = [uuid for uuid in found if _ofport(get(Interface, uuid))] or found
    return found[-1] if found else None


@view
def ofport_of(name: str) -> int:
    """Return the OpenFlow port of the logical port `name`; 0 while it has none here."""
    uuid = interface_of(name)
    return _ofport(get(Interface, uuid)) if uuid is not None else 0


@view
def ofport_named(name: str) -> int:
    """Return the OpenFlow port of the interface called `name`; 0 while it has none."""
    return _ofport(find(Interface.name, name))


def _ofport(interface: Interface | None) -> int:
    """Return an interface's OpenFlow port; 0 while it has none (the switch reports -1 for a failed one)."""
    return max(interface.ofport or 0, 0) if interface is not None else 0


def parent_port(port: PortBinding) -> PortBinding | None:
    """Return the port whose interface a port uses: itself, or the parent of a container's port."""
    parent = port.parent_port
    found: PortBinding | None = find(PortBinding.logical_port, parent) if parent else port
    return found


@view
def shares_interface(port: PortBinding) -> bool:
    """Return whether several logical ports share the port's interface: containers and their parent.

    A packet from one of them to another leaves by the interface that it came in by.
    """
    return bool(port.type == VIF and (port.parent_port or select(PortBinding.parent_port, port.logical_port)))


def requested_chassis_rank(port: PortBinding) -> int | None:
    """Return the position of this chassis, by name or host name, in the port's `requested-chassis`.

    0 is the main chassis, as is any chassis without that option; others are additional; None if it is not listed
    (ovn-nb(5), Logical_Switch_Port). A container's port is where its parent is.
    """
    host = parent_port(port)
    wanted = host.options.get("requested-chassis", "").strip() if host is not None else ""
    if not wanted:
        return 0
    mine = settings()
    names = [name.strip() for name in wanted.split(",")]
    return next((i for i, name in enumerate(names) if name in (mine.chassis, mine.hostname)), None)


def is_additional(port: PortBinding) -> bool:
    """Return whether this chassis may only be an additional chassis of a port."""
    return port.type == VIF and bool(requested_chassis_rank(port))


def may_bind(port: PortBinding) -> bool:
    """Return whether the port's options let this chassis bind it with the interface that it has here.

    `requested-chassis` must list this chassis, if it is set; `iface-id-ver` must equal the interface's, if it is set
    (ovn-nb(5), Logical_Switch_Port).
    """
    if requested_chassis_rank(port) is None:
        return False
    version = port.options.get("iface-id-ver")
    uuid = interface_of(port.logical_port) if version is not None else None
    interface = get(Interface, uuid) if uuid is not None else None
    return interface is None or interface.external_ids.get("iface-id-ver") == version


def is_resident(port: PortBinding) -> bool:
    """Return whether packets of the port enter and leave on this chassis, by an interface of its own."""
    if port.type == VIF and not port.parent_port and interface_of(port.logical_port) is None:
        return False  # as most ports of a large network: not worth remembering
    return _resident(port)


@view
def _resident(port: PortBinding) -> bool:
    kind = port.type
    if kind == VIF:
        if port.parent_port:
            host = parent_port(port)
            return host is not None and port.tag is not None and is_resident(host)
        return ofport_of(port.logical_port) > 0 and may_bind(port)
    if kind == "localport":
        return ofport_of(port.logical_port) > 0
    if kind in GATEWAYS:
        return port.options.get(f"{kind}-chassis", "") == settings().chassis != ""
    if kind in HIGHLY_AVAILABLE:
        return hosts(port)
    if kind == "virtual":
        mine = own_chassis()
        return mine is not None and PortBinding.chassis.raw(port) == mine
    return False


def is_main_chassis(port: PortBinding) -> bool:
    """Return whether the port is resident here, and this is its main chassis."""
    return is_resident(port) and not is_additional(port)


@view
def is_chassis_resident(name: str) -> bool:
    """Return `is_chassis_resident` of the port of that name (ovn-sb(5), Logical_Flow.match).

    It is false on every chassis for ports that no chassis binds, such as a localport or a patch port.
    """
    port = find(PortBinding.logical_port, name)
    return port is not None and port.type != "localport" and is_main_chassis(port)


@view
def resident_names() -> dict[UUID, frozenset[str]]:
    """Return the names of the resident ports that have an interface here, or are containers behind one, by datapath."""
    found: dict[UUID, set[str]] = {}
    for name in attached_names():
        port = find(PortBinding.logical_port, name)
        for each in [port, *select(PortBinding.parent_port, name)] if port is not None else ():
            if is_resident(each):
                found.setdefault(PortBinding.datapath.raw(each), set()).add(each.logical_port)
    return {datapath: frozenset(names) for datapath, names in found.items()}


@view
def resident_in(datapath: UUID) -> frozenset[str]:
    """Return the names of a datapath's resident ports that have an interface here, or are containers behind one."""
    return resident_names().get(datapath, frozenset())


def is_here(port: PortBinding) -> bool:
    """Return whether packets of a hosted datapath may come in or go out by the port on this chassis.

    Packets use an ordinary port or a localport only where it has its interface, and a gateway router's or an L2
    gateway's only on its chassis: on others they go to it through a tunnel. A port of any other type leads to another
    datapath, a physical network or another chassis: it is present on every chassis.
    """
    return port.type not in (*PLUGGED, *GATEWAYS) or is_resident(port)


@view
def here_in(datapath: UUID) -> frozenset[str]:
    """Return the names of a datapath's ports that are here."""
    mine = settings().chassis
    unplugged = _UNPLUGGED.rows((datapath, _EVERY)) + (_UNPLUGGED.rows((datapath, mine)) if mine else [])
    return resident_in(datapath).union([port.logical_port for port in unplugged])


@view
def hosted() -> frozenset[UUID]:
    """Return the hosted datapaths."""
    frontier: list[UUID] = list(resident_names())
    mine = own_chassis()
    if mine is not None:
        bound = table(PortBinding).select(PortBinding.chassis, mine)
        frontier += [PortBinding.datapath.raw(port) for port in bound if port.type != VIF]
        frontier += candidate_datapaths()
    found: set[UUID] = set()
    while frontier:
        datapath = frontier.pop()
        if datapath not in found:
            found.add(datapath)
            frontier += joined(datapath)
    return frozenset(found)


@view
def candidate_datapaths() -> frozenset[UUID]:
    """Return the datapaths of ports that this chassis hosts, or may host at any moment."""
    found = {PortBinding.datapath.raw(p) for kind in HIGHLY_AVAILABLE for p in ports_of(kind) if is_candidate(p)}
    for kind in GATEWAYS:
        found |= {PortBinding.datapath.raw(port) for port in ports_of(kind) if is_resident(port)}
    return frozenset(found)


def ports_of(kind: str) -> list[PortBinding]:
    """Return the ports of a type."""
    return select(PortBinding.type, kind)


@view
def joined(datapath: UUID) -> tuple[UUID, ...]:
    """Return the datapaths connected to this one by patch ports that packets cross on this chassis."""
    ports = filter(is_crossed, ports_of_types(table(PortBinding), datapath, "patch", "l3gateway"))
    return tuple([PortBinding.datapath.raw(peer) for port in ports if (peer := peer_of(port)) is not None])


@view
def is_crossed(port: PortBinding) -> bool:
    """Return whether packets cross a patch port on this chassis; some are crossed on the gateway alone."""
    if port.type == "l3gateway":
        return is_resident(port)
    redirect = find(PortBinding.logical_port, port.options.get("chassis-redirect-port", ""))
    return redirect is None or redirect.options.get("always-redirect") != "true" or is_candidate(redirect)


def peer_of(port: PortBinding) -> PortBinding | None:
    """Return the patch port at the other side, if it is known."""
    name = port.options.get("peer", "")
    found: PortBinding | None = find(PortBinding.logical_port, name) if name else None
    return found


@view
def is_hosted(datapath: UUID) -> bool:
    """Return whether the datapath is hosted here."""
    return datapath in hosted()


@view
def hosted_row(datapath: UUID) -> DatapathBinding | None:
    """Return a hosted datapath's row; None for one that is not hosted or whose row has not been received yet."""
    return get(DatapathBinding, datapath) if is_hosted(datapath) else None


@view
def hosted_members(group: LogicalDPGroup) -> tuple[UUID, ...]:
    """Return the hosted datapaths of a group, in order."""
    return tuple(sorted(hosted() & LogicalDPGroup.datapaths.raw(group)))


@view
def plugged_localnets(datapath: UUID) -> tuple[PortBinding, ...]:
    """Return the datapath's localnet ports whose networks this chassis has a bridge for, by tunnel key.

    A switch may have one for each of several networks, of which a chassis is connected to some or none (routed
    provider networks); those without a bridge here are not used.
    """
    ports = ports_of_types(table(PortBinding), datapath, "localnet")
    mappings = settings().bridge_mappings if ports else {}
    plugged = [port for port in ports if port.options.get("network_name", "") in mappings]
    return tuple(sorted(plugged, key=lambda port: port.tunnel_key))


@view
def localnet_key(datapath: UUID) -> int:
    """Return the key of the localnet port through which a datapath's remote ports are reached from here; 0 if none."""
    ports = plugged_localnets(datapath)
    return ports[0].tunnel_key if ports else 0


def is_relevant(port: PortBinding) -> bool:
    """Return whether rules have to run for a port: for all except ordinary ports that are not plugged in here.

    On a chassis that hosts datapaths of ten thousand ports, most are not plugged in here.
    """
    if port.type != VIF or PortBinding.chassis.raw(port) is not None or is_resident(port):
        return True
    if PortBinding.additional_chassis.raw(port):
        return True
    return localnet_key(PortBinding.datapath.raw(port)) != 0


@view
def has_gateway_port(datapath: UUID) -> bool:
    """Return whether a datapath is that of a router that exchanges routes on the chassis of one of its ports."""
    ports = ports_of_types(table(PortBinding), datapath, "chassisredirect", "l3gateway")
    return any(flag(port.options, "dynamic-routing") for port in ports)


@singleton
def clauses() -> Iterator[Fact]:
    """Yield the monitor clauses for the rows that concern this chassis, unless everything is monitored."""
    mine = settings()
    if mine.monitor_all:
        return
    me = own_chassis()
    for name in filter(None, (mine.chassis, progress().previous)):
        yield MONITOR_CLAUSE("Chassis_Private", "name", "==", name)
    yield MONITOR_CLAUSE("Chassis_Template_Var", "chassis", "==", mine.chassis)
    for kind in ("patch", *HIGHLY_AVAILABLE):
        yield MONITOR_CLAUSE("Port_Binding", "type", "==", kind)
    for kind in GATEWAYS:
        yield MONITOR_CLAUSE("Port_Binding", "options", "includes", (f"{kind}-chassis", mine.chassis))
    if me is not None:
        yield MONITOR_CLAUSE("Port_Binding", "chassis", "==", me)
        yield MONITOR_CLAUSE("Controller_Event", "chassis", "==", me)
        yield MONITOR_CLAUSE("Port_Binding", "additional_chassis", "includes", me)
        yield MONITOR_CLAUSE("IGMP_Group", "chassis", "==", me)
    for datapath in hosted():
        yield MONITOR_CLAUSE("Datapath_Binding", "_uuid", "==", datapath)
        for table_name in (*("Port_Binding", "Multicast_Group", "MAC_Binding", "Static_MAC_Binding"), "IP_Multicast"):
            yield MONITOR_CLAUSE(table_name, "datapath", "==", datapath)
        yield MONITOR_CLAUSE("Logical_Flow", "logical_datapath", "==", datapath)
        if has_gateway_port(datapath):
            yield MONITOR_CLAUSE("Advertised_Route", "datapath", "==", datapath)
            yield MONITOR_CLAUSE("Learned_Route", "datapath", "==", datapath)
        for table_name in ("DNS", "Load_Balancer"):
            yield MONITOR_CLAUSE(table_name, "datapaths", "includes", datapath)
        row = get(DatapathBinding, datapath)
        if row is not None:
            yield MONITOR_CLAUSE("FDB", "dp_key", "==", row.tunnel_key)
        for group in table(LogicalDPGroup).select(LogicalDPGroup.datapaths, datapath):
            yield MONITOR_CLAUSE("Logical_Flow", "logical_dp_group", "==", group.uuid)
            for column in ("datapath_group", "ls_datapath_group", "lr_datapath_group"):
                yield MONITOR_CLAUSE("Load_Balancer", column, "==", group.uuid)


@rule(Attachment)
def port_clause(row: Attachment) -> Iterator[Fact]:
    """Yield the monitor clauses for an interface's port, the containers behind it, and its service monitors.

    The switches of containers may be others than their parent's.
    """
    if not settings().monitor_all:
        yield MONITOR_CLAUSE("Port_Binding", "logical_port", "==", row.name)
        yield MONITOR_CLAUSE("Port_Binding", "parent_port", "==", row.name)
        for name in (row.name, *[port.logical_port for port in select(PortBinding.parent_port, row.name)]):
            yield MONITOR_CLAUSE("Service_Monitor", "logical_port", "==", name)


CONDITIONAL = (
    "Chassis_Private", "Port_Binding", "Datapath_Binding", "Multicast_Group", "MAC_Binding", "Static_MAC_Binding",
    "Logical_Flow", "DNS", "FDB", "Load_Balancer", "Service_Monitor", "Controller_Event",
    "IP_Multicast", "IGMP_Group", "Chassis_Template_Var", "Advertised_Route", "Learned_Route",
)  # fmt: skip
"""The Southbound tables of which only the rows that a clause asks for are monitored."""
