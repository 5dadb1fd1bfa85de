"""Port bindings: the ports of transit switches, which each zone publishes to the others.

A port of type `router` belongs to this zone: its binding in Interconnection Southbound has the addresses of the router
port that it is connected to, and the chassis that hosts that one; the tunnel key of the binding is requested for the
port in Northbound. A port of type `remote` belongs to another zone, and is made from that zone's binding; in Southbound
it is bound to the gateway that leads to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.ic.availability_zone import is_others, is_ours, zone
from ovenbird.ic.bounds import excess, is_taken, left_out
from ovenbird.ic.transit_switch import REQUESTED_KEY, SWITCHES, transit_name
from ovenbird.model import ic_nb, ic_sb, nb, sb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Store

TRANSIT_PORT_KEYS = Pool("tunnel key of a port of a transit switch", 1, 32_767)
"""One scope for each transit switch."""

ROUTER_ID = "router-id"


class ZonePortRow(NamedTuple):
    """A port of this zone; the columns are those of ovn-ic-sb(5)."""

    relation: Relation
    logical_port: str
    transit_switch: str
    availability_zone: UUID
    tunnel_key: int
    gateway: str
    address: str
    external_ids: Pairs


class RequestedKeyRow(NamedTuple):
    """The tunnel key that a port of this zone requests."""

    relation: Relation
    uuid: UUID
    options: Pairs


class RemotePortRow(NamedTuple):
    """A port of another zone; the columns are those of ovn-nb(5)."""

    relation: Relation
    name: str
    type: str
    addresses: frozenset[str]
    options: Pairs


class RemotePlaceRow(NamedTuple):
    """The gateway of another zone's port, as a chassis of this zone's Southbound."""

    relation: Relation
    logical_port: str
    chassis: UUID | None


def is_remote_port(port: nb.LogicalSwitchPort) -> bool:
    """Return whether a port is another zone's."""
    return port.type == "remote"


ZONE_PORTS = NamedRows(
    ic_sb.PortBinding, ZonePortRow, key=ic_sb.PortBinding.logical_port, parts=(ic_sb.PortBinding.external_ids,)
)
REQUESTED_KEYS = NamedRows(
    nb.LogicalSwitchPort, RequestedKeyRow, update_only=True, parts=(nb.LogicalSwitchPort.options,)
)
REMOTE_PORTS = NamedRows(
    nb.LogicalSwitchPort,
    RemotePortRow,
    key=nb.LogicalSwitchPort.name,
    key_of=lambda port: port.name if is_remote_port(port) else None,
    initial={nb.LogicalSwitchPort.up: True},
    parts=(nb.LogicalSwitchPort.options,),
    collected=True,
)
PORTS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.ports, among=is_remote_port)
REMOTE_PLACES = NamedRows(
    sb.PortBinding,
    RemotePlaceRow,
    key=sb.PortBinding.logical_port,
    key_of=lambda port: port.logical_port if port.type == "remote" else None,
    update_only=True,
)


@view
def binding_of(name: str) -> sb.PortBinding | None:
    """Return the port binding of that name in Southbound, or None."""
    return find(sb.PortBinding.logical_port, name)


def transit_switch_of(port: nb.LogicalSwitchPort) -> str | None:
    """Return the name of the transit switch of a port; None for ports of other switches."""
    for switch in port.referrers(nb.LogicalSwitch.ports):
        name = transit_name(switch)
        if name is not None and find(ic_nb.TransitSwitch.name, name) is not None:
            return name
    return None


@rule(nb.LogicalSwitchPort, when=lambda port: port.type == "router" and transit_switch_of(port) is not None)
def zone_port(port: nb.LogicalSwitchPort) -> Iterator[Fact]:
    """Publish a port of this zone to the others, as soon as Southbound has it."""
    mine, name, transit = zone(), port.name, transit_switch_of(port)
    binding = binding_of(name)
    if mine is None or transit is None or binding is None:
        return
    gateway = address = ""
    ids: Pairs = ()
    peer = binding_of(binding.options["peer"]) if "peer" in binding.options else None
    if peer is not None:
        address = min(peer.mac, default="")
        redirect = binding_of(f"cr-{peer.logical_port}")
        chassis = redirect.chassis if redirect is not None else None
        gateway = chassis.name if chassis is not None else ""
        router = peer.datapath.external_ids.get("logical-router")
        ids = ((ROUTER_ID, router),) if router is not None else ()
    if not ids:
        yield finding(port, f"port {name} of transit switch {transit} is connected to no router: it forwards nothing")
    yield ZONE_PORTS(
        name,
        transit_switch=transit,
        availability_zone=mine,
        tunnel_key=TRANSIT_PORT_KEYS.get(name, scope=transit),
        gateway=gateway,
        address=address,
        external_ids=ids,
    )


@rule(ic_sb.PortBinding)
def zone_port_key(binding: ic_sb.PortBinding) -> Iterator[Fact]:
    """Make a port of this zone request the tunnel key that its binding has."""
    if not is_ours(binding):
        return
    for port in select(nb.LogicalSwitchPort.name, binding.logical_port):
        if port.type == "router":
            yield REQUESTED_KEYS(port.uuid, ((REQUESTED_KEY, str(binding.tunnel_key)),))


@rule(ic_sb.PortBinding)
def remote_port(binding: ic_sb.PortBinding) -> Iterator[Fact]:
    """Make a port of another zone a remote port of this one."""
    name, key, transit = binding.logical_port, binding.tunnel_key, binding.transit_switch
    known = find(ic_nb.TransitSwitch.name, transit) is not None
    if known and is_others(binding):
        TRANSIT_PORT_KEYS.get(name, scope=transit, want=key)  # the database gives it to no port of this zone
    if not is_taken(binding):
        return
    if why := excess(binding):
        yield left_out(binding, f"port {name}", why=why)
        return
    if not known:
        text = f"its transit switch {transit} is not in Interconnection Northbound"
        yield left_out(binding, f"port {name}", why=text)
        return
    if any(port.type != "remote" for port in select(nb.LogicalSwitchPort.name, name)):
        yield finding(binding, f"port {name} of another zone is left out: a port here has the same name")
        return
    addresses = frozenset({binding.address} if binding.address else ())
    yield REMOTE_PORTS(name, "remote", addresses=addresses, options=((REQUESTED_KEY, str(key)),))
    yield PORTS_OF_SWITCH(transit, REMOTE_PORTS.uuid(name))


@rule(ic_sb.PortBinding)
def remote_place(binding: ic_sb.PortBinding) -> Iterator[Fact]:
    """Bind a port of another zone to the gateway that leads to it."""
    if not is_taken(binding) or excess(binding):
        return
    gateway = binding.gateway
    chassis = find(sb.Chassis.name, gateway) if gateway else None
    if chassis is not None or not gateway:
        yield REMOTE_PLACES(binding.logical_port, chassis.uuid if chassis is not None else None)


def keep_keys(engine: Engine, store: Store) -> None:
    """Keep the tunnel keys that ports have in Interconnection Southbound.

    Arguments:
        engine: whose numbers.
        store: Interconnection Southbound as it is.
    """
    for binding in store.table(ic_sb.PortBinding).rows.values():
        seed(engine, TRANSIT_PORT_KEYS, binding.logical_port, binding.tunnel_key, binding.transit_switch)
