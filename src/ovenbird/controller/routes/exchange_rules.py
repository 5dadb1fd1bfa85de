"""Which routers exchange routes with this chassis's kernel, which routes are announced, and which were learned.

ovn-nb(5) of OVN 25.03, Logical_Router and Logical_Router_Port, `options:dynamic-routing…`; ovn-sb(5), Advertised_Route
and Learned_Route. A router's routes are exchanged on the chassis of a gateway router, and on those of the distributed
gateway ports of another one. The number of the table is the datapath's tunnel key, unless the router names one. A route
is announced with the metric 100 on the chassis of the port that it tracks, and with 1000 on others. It is a blackhole
route, since the kernel must not forward packets by it, unless the router names a next hop. The routes of other programs
in that table are learned (`route_exchange`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import REMOVAL, EditRelation
from ovenbird.controller.facts import ANNOUNCED_ROUTE, EXCHANGE_SETTLED, EXCHANGED_ROUTER, BoundPort
from ovenbird.controller.local.local_data import hosted_row, interface_of, is_chassis_resident, is_resident
from ovenbird.controller.local.local_store import LearnedHere, outcome, progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import settings
from ovenbird.engine.lookups import find, get, table
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model.options import flag, number
from ovenbird.model.sb import AdvertisedRoute, DatapathBinding, LearnedRoute, PortBinding
from ovenbird.model.southbound_lookup import ports_of_types
from ovenbird.model.vswitch import Interface
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_address, ip_network, is_address
from ovenbird.net.rtnetlink import NO_TABLES, UNICAST, Hop, KernelRoute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.transaction import Transaction

HERE, ELSEWHERE = 100, 1000
"""The metrics of routes by whether the port that they track is on this chassis; the latter also if they track none."""

MOST_ROUTES = 8192
"""The largest number of routes that are learned from one table: pairs of a network and a next hop."""

LONGEST_NAME = 15
"""Characters of the name of a Linux interface (IFNAMSIZ, without the final zero)."""

READ = "read"
"""The outcome of a table (`table_subject`) whose routes have been read."""


def table_subject(number: int) -> str:
    """Return the name under which the outcome of a routing table is recorded."""
    return f"routing table {number}"


def vrf_subject(name: str) -> str:
    """Return the name under which the kernel's refusal of a VRF device is recorded."""
    return f"VRF {name}"


def beyond_subject(number: int) -> str:
    """Return the name under which it is recorded that a table has too many routes."""
    return f"beyond routing table {number}"


def route_subject(route: KernelRoute) -> str:
    """Return the name under which the kernel's refusal of a route is recorded."""
    return f"route {route.table} {route.address.hex()}/{route.length} {route.priority}"


# -- which routers -----------------------------------------------------------------------------------------------------


class RouteExchanged(NamedTuple):
    """How a router's routes are exchanged here.

    Arguments:
        table: the number of the kernel's table.
        vrf: the name of the VRF device to make; empty for none.
        ports: the ports at which routes are learned.
    """

    table: int
    vrf: str
    ports: tuple[BoundPort, ...]


@view
def _exchanging_ports(datapath: UUID) -> tuple[PortBinding, ...]:
    """Return the ports by which this chassis exchanges a router's routes, by name."""
    ports = ports_of_types(table(PortBinding), datapath, "chassisredirect", "l3gateway")
    found = [port for port in ports if flag(port.options, "dynamic-routing") and is_resident(port)]
    return tuple(sorted(found, key=lambda port: port.logical_port))


@view
def exchanged(datapath: UUID) -> RouteExchanged | None:
    """Return how a router's routes are exchanged here; None if they are not."""
    row = hosted_row(datapath)
    ports = _exchanging_ports(datapath) if row is not None else ()
    if row is None or not ports:
        return None
    where = table_number(row)
    if where in NO_TABLES:
        return None
    name = ""
    if any(flag(port.options, "dynamic-routing-maintain-vrf") for port in ports):
        given = next(filter(None, (port.options.get("dynamic-routing-vrf-name", "") for port in ports)), "")
        name = given if given and _is_interface_name(given) else f"ovnvrf{where}"
    return RouteExchanged(table=where, vrf=name, ports=tuple(_bound_ports(ports)))


def table_number(row: DatapathBinding) -> int:
    """Return the number of a router's routing table."""
    return number(row.external_ids, "dynamic-routing-vrf-id", row.tunnel_key, low=1, high=0xFFFF_FFFF)


def _is_interface_name(name: str) -> bool:
    """Return whether Linux takes a name for an interface: not too long, without slashes, colons and blanks."""
    return (
        len(name.encode()) <= LONGEST_NAME and name not in (".", "..") and not any(c in "/:" or c <= " " for c in name)
    )


def _bound_ports(ports: tuple[PortBinding, ...]) -> Iterator[BoundPort]:
    """Yield the router ports at which routes are learned."""
    for port in ports:
        own = port.options.get("distributed-port") if port.type == "chassisredirect" else port.logical_port
        lrp = find(PortBinding.logical_port, own) if own else None
        if lrp is None or flag(port.options, "dynamic-routing-no-learning"):
            continue
        given = port.options.get("dynamic-routing-port-name")
        interface = interface_to(given) if given is not None else ""
        if interface or given is None:
            yield BoundPort(binding=lrp.uuid, interface=interface)


@view
def interface_to(name: str) -> str:
    """Return the interface that `dynamic-routing-port-name` stands for; empty for none here.

    Arguments:
        name: a key of `dynamic-routing-port-mapping`, or a logical port that has an interface on this chassis.
    """
    mapped = settings().routing_interfaces.get(name)
    if mapped is not None:
        return mapped
    uuid = interface_of(name) if is_chassis_resident(name) else None
    interface = get(Interface, uuid) if uuid is not None else None
    return interface.name if interface is not None else ""


@rule(DatapathBinding)
def exchanged_router(row: DatapathBinding) -> Iterator[Fact]:
    """Yield a router whose routes are exchanged here, and what has come of it."""
    found = exchanged(row.uuid)
    what = f"router {row.external_ids.get('name', row.uuid)}"
    if found is None:
        if table_number(row) in NO_TABLES and _exchanging_ports(row.uuid):
            yield warning(
                f"{what}: its routes are not exchanged, since the kernel reserves table {table_number(row)}: "
                "set dynamic-routing-vrf-id, or requested-tnl-key"
            )
        return
    yield EXCHANGED_ROUTER(datapath=row.uuid, table=found.table, vrf=found.vrf, ports=found.ports)
    given = {port.options.get("dynamic-routing-vrf-name", "") for port in _exchanging_ports(row.uuid)} - {""}
    if found.vrf and given and found.vrf not in given:
        yield warning(f"{what}: {min(given)!r} is not a valid name of a VRF device: {found.vrf} is used")
    if found.vrf and (refusal := outcome(vrf_subject(found.vrf))):
        yield warning(f"{what}: no VRF device {found.vrf}, only table {found.table}: the kernel says {refusal}")
    if outcome(beyond_subject(found.table)):
        yield warning(f"{what}: table {found.table} has more than {MOST_ROUTES} routes: the others are not learned")
    state = outcome(table_subject(found.table))
    if state not in (None, READ):
        yield warning(f"{what}: table {found.table} cannot be read: the kernel says {state}")


@singleton
def exchange_settled() -> Iterator[Fact]:
    """Yield that all routes to announce are known."""
    if progress().settled:
        yield EXCHANGE_SETTLED()


# -- announced ---------------------------------------------------------------------------------------------------------


@rule(AdvertisedRoute)
def announced_route(row: AdvertisedRoute) -> Iterator[Fact]:
    """Yield the kernel's route for a route that is announced here."""
    uuid = AdvertisedRoute.datapath.raw(row)
    found, datapath = exchanged(uuid), hosted_row(uuid)
    if found is None or datapath is None:
        return
    what = f"router {datapath.external_ids.get('name', uuid)}: route {row.ip_prefix}"
    try:
        network = ip_network(row.ip_prefix)
    except PacketError:
        yield warning(f"{what} is not announced: it is not an IP network")
        return
    metric = ELSEWHERE
    if AdvertisedRoute.tracked_port.raw(row) is not None:
        if _is_here(AdvertisedRoute.tracked_port.raw(row)):
            metric = HERE
        elif _only_here(AdvertisedRoute.logical_port.raw(row)):
            return
    route = KernelRoute(
        table=found.table, address=network.network_address.packed, length=network.prefixlen, priority=metric
    )
    if through := _next_hop(datapath, network.version):
        route = route._replace(kind=UNICAST, hops=(Hop(through, 0),))
    yield ANNOUNCED_ROUTE(route)
    if refusal := outcome(route_subject(route)):
        yield warning(f"{what} is not announced: the kernel says {refusal}")


def _is_here(uuid: UUID | None) -> bool:
    """Return whether a port that a route tracks is on this chassis: the port, or the active half of a gateway port."""
    port = get(PortBinding, uuid) if uuid is not None else None
    if port is None:
        return False
    redirect = port.options.get("chassis-redirect-port", "")
    return is_chassis_resident(port.logical_port) or bool(redirect and is_chassis_resident(redirect))


def _only_here(uuid: UUID | None) -> bool:
    """Return whether a port redistributes only what is on the same chassis as the port that it tracks."""
    port = get(PortBinding, uuid) if uuid is not None else None
    return port is not None and flag(port.options, "dynamic-routing-redistribute-local-only")


def _next_hop(datapath: DatapathBinding, version: int) -> bytes:
    """Return the next hop of a router's announced routes; empty for none, or for one of no use."""
    ids = datapath.external_ids
    if version == 4:
        text = ids.get("dynamic-routing-v4-prefix-nexthop", "")
    else:
        text = ids.get("dynamic-routing-v6-prefix-nexthop", "")
    found = ip_address(text) if is_address(text) else None
    if found is None or (found.version == 4 and version == 6):
        return b""
    return found.packed


# -- learned -----------------------------------------------------------------------------------------------------------


class NewRoute(NamedTuple):
    """A row of Learned_Route to insert."""

    relation: EditRelation[..., Any]
    datapath: UUID
    logical_port: UUID
    ip_prefix: str
    nexthop: str

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return LearnedRoute

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the learned route {self.ip_prefix} via {self.nexthop}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the row, if its router and its port exist.

        Arguments:
            store: Southbound's rows.
            transaction: on that database.
        """
        there = (
            self.datapath in store.table(DatapathBinding).rows and self.logical_port in store.table(PortBinding).rows
        )
        if there and not transaction.lacks(LearnedRoute):
            transaction.insert(
                LearnedRoute,
                {
                    "datapath": self.datapath, "logical_port": self.logical_port, "ip_prefix": self.ip_prefix,
                    "nexthop": self.nexthop,
                },
            )  # fmt: skip


ADD_LEARNED = EditRelation("learned route to add", NewRoute)


@rule(LearnedHere)
def learned_here(here: LearnedHere) -> Iterator[Fact]:
    """Yield the row of Southbound for a route that the kernel has from others."""
    key = (here.datapath, here.port, here.prefix, here.nexthop)
    columns = (LearnedRoute.datapath, LearnedRoute.logical_port, LearnedRoute.ip_prefix, LearnedRoute.nexthop)
    known = hosted_row(here.datapath) is not None and get(PortBinding, here.port) is not None
    if known and not table(LearnedRoute).index(*columns).rows(key):
        yield ADD_LEARNED(*key)


@rule(LearnedRoute)
def learned_before(row: LearnedRoute) -> Iterator[Fact]:
    """Drop a row at a port of this chassis whose route the kernel does not have."""
    datapath, port = LearnedRoute.datapath.raw(row), LearnedRoute.logical_port.raw(row)
    found = exchanged(datapath)
    if found is None or port not in [bound.binding for bound in found.ports]:
        return  # another chassis's
    if outcome(table_subject(found.table)) != READ:
        return
    columns = (LearnedHere.datapath, LearnedHere.port, LearnedHere.prefix, LearnedHere.nexthop)
    if not table(LearnedHere).index(*columns).rows((datapath, port, row.ip_prefix, row.nexthop)):
        yield REMOVAL(LearnedRoute, row.uuid)
