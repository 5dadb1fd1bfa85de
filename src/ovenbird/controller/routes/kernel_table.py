"""One routing table of the kernel: its routes, the routes that it should have, and the learned ones; without I/O.

A table is read completely once, and then kept up to date by the kernel's notifications. Where these are incomplete it
is *stale* and must be read again: after a route was replaced, a route that was not known was deleted, or an interface
went down (the kernel deletes its IPv4 routes without a notification).
"""

from __future__ import annotations

from collections import Counter
from socket import if_indextoname
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.controller.routes.exchange_rules import MOST_ROUTES
from ovenbird.net import rtnetlink
from ovenbird.net.addresses import ip_text
from ovenbird.net.rtnetlink import OVN, UNICAST, KernelRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.controller.facts import BoundPort, ExchangedRouter
    from ovenbird.engine.rows import UUID

_LINK_LOCAL = bytes.fromhex("fe80")
_MULTICAST = 0xFF
_IPV4_LINK_LOCAL = bytes((169, 254))


class LearnedHop(NamedTuple):
    """A network that others lead somewhere: in Southbound's form, with the next hop and the interface to it."""

    prefix: str
    nexthop: str
    interface: int


class LearnedAtPort(NamedTuple):
    """A route of a router at one of its ports, as Learned_Route has it."""

    datapath: UUID
    port: UUID
    prefix: str
    nexthop: str


class _Slot(NamedTuple):
    """What tells routes of a table apart, but for those that were appended: a new one replaces the one before."""

    address: bytes
    length: int
    priority: int
    tos: int


class KernelTable:
    """One table.

    Arguments:
        number: the table's.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.routers: dict[UUID, ExchangedRouter] = {}
        """The routers that use it, by datapath."""
        self.wanted: dict[KernelRoute, None] = {}
        """The routes that it is to have."""
        self.missing: dict[KernelRoute, None] = {}
        """Those of them that have to be added."""
        self.surplus: dict[KernelRoute, None] = {}
        """The routes of OVN's protocol that it has, and is not to have."""
        self.refused: dict[KernelRoute, int] = {}
        """The wanted ones that the kernel refuses, with the number of the error."""
        self.hops: Counter[LearnedHop] = Counter()
        """What is learned, with the number of the kernel's routes that say so."""
        self.touched: dict[LearnedHop, None] = {}
        """What of this may have changed since it was published."""
        self.beyond = False
        """Whether there is more than may be learned."""
        self.vrf = ""
        """The VRF device that was made for it."""
        self.stale = True
        """Whether it has to be read."""
        self.read = False
        """Whether it has been read at all."""
        self._present: set[KernelRoute] = set()
        self._others: dict[_Slot, list[KernelRoute]] = {}
        self._number_of_others = 0

    # -- what rules want ----------------------------------------------------------------------------------------------

    def want(self, route: KernelRoute) -> None:
        """Have a route."""
        self.wanted[route] = None
        self.surplus.pop(route, None)
        if route not in self._present:
            self.missing[route] = None

    def release(self, route: KernelRoute) -> None:
        """Have a route no more."""
        self.wanted.pop(route, None)
        self.missing.pop(route, None)
        self.refused.pop(route, None)
        if route in self._present:
            self.surplus[route] = None

    def release_all(self) -> None:
        """Have no router, and no route."""
        self.routers.clear()
        for route in list(self.wanted):
            self.release(route)

    def added(self, route: KernelRoute, error: int) -> None:
        """Take in that a route was added, or refused with an error."""
        self.missing.pop(route, None)
        if error:
            self.refused[route] = error
            return
        self._present.add(route)
        if route not in self.wanted:  # it has gone meanwhile
            self.surplus[route] = None

    def deleted(self, route: KernelRoute) -> None:
        """Take in that a route was deleted."""
        self.surplus.pop(route, None)
        self._present.discard(route)
        if route in self.wanted:
            self.missing[route] = None

    # -- what the kernel says -----------------------------------------------------------------------------------------

    def replace(self, routes: Iterable[KernelRoute]) -> None:
        """Take what a whole reading has found in the place of everything."""
        self._present.clear()
        self._others.clear()
        self._number_of_others = 0
        self.touched.update(dict.fromkeys(self.hops))
        self.hops.clear()
        self.beyond = False
        self.refused.clear()
        self.read = True
        for route in routes:
            self._came(route)
        self.missing = {route: None for route in self.wanted if route not in self._present}
        self.surplus = {route: None for route in self._present if route not in self.wanted}

    def hear(self, kind: int, route: KernelRoute, *, flags: int) -> None:
        """Take in that another program has added, replaced or deleted a route.

        Arguments:
            kind: `NEW_ROUTE` or `DEL_ROUTE`.
            route: the route.
            flags: the message's.
        """
        slot = _slot(route)
        held = self._others.get(slot, [])
        if route.protocol == OVN or (route.kind == UNICAST and len(held) > 1):
            self.stale = True  # whoever changes ours, and several routes in one slot, are rare
        elif kind == rtnetlink.NEW_ROUTE:
            appended = flags & rtnetlink.APPEND and len(route.address) == 4
            for former in () if appended else list(held):  # IPv6 reports all next hops of a route that has one more
                self._went(former)
            self._came(route)
        elif route in held:
            self._went(route)
            self.stale |= self.beyond  # there is room for another one
        elif held or any(True for _ in _learned(route)):
            self.stale = True

    def _came(self, route: KernelRoute) -> None:
        if route.protocol == OVN:
            self._present.add(_own(route))
            return
        hops = [*_learned(route)]
        slot = _slot(route)
        if not hops or route in self._others.get(slot, ()):
            return
        if self._number_of_others >= MOST_ROUTES or len(self.hops) + len(hops) > MOST_ROUTES:
            self.beyond = True
            return
        self._number_of_others += 1
        self._others.setdefault(slot, []).append(route)
        self.hops.update(hops)
        self.touched.update(dict.fromkeys(hops))

    def _went(self, route: KernelRoute) -> None:
        slot = _slot(route)
        self._others[slot].remove(route)
        if not self._others[slot]:
            del self._others[slot]
        self._number_of_others -= 1
        for hop in _learned(route):
            self.hops[hop] -= 1
            self.touched[hop] = None
            if not self.hops[hop]:
                del self.hops[hop]

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def learned(self, hops: Iterable[LearnedHop]) -> Iterator[LearnedAtPort]:
        """Yield what each router learns from some of what the table has.

        Arguments:
            hops: networks and next hops, there or not.
        """
        named: dict[int, str] = {}
        for hop in hops:
            for router in self.routers.values():
                for port in router.ports:
                    if _matches(port, hop.interface, named):
                        yield LearnedAtPort(
                            datapath=router.datapath, port=port.binding, prefix=hop.prefix, nexthop=hop.nexthop
                        )


def _matches(port: BoundPort, interface: int, named: dict[int, str]) -> bool:
    """Return whether routes over an interface are learned at a port.

    Arguments:
        port: the port.
        interface: the interface's number.
        named: the names of interfaces that have been asked for, which are filled in.
    """
    if not port.interface:
        return True
    if interface not in named:
        try:
            named[interface] = if_indextoname(interface)
        except OSError:
            named[interface] = ""
    return named[interface] == port.interface


def _slot(route: KernelRoute) -> _Slot:
    return _Slot(address=route.address, length=route.length, priority=route.priority, tos=route.tos)


def _own(route: KernelRoute) -> KernelRoute:
    """Return a route of OVN's protocol as it would be asked for: interfaces are the kernel's choice."""
    hops = tuple(hop._replace(interface=0) for hop in route.hops if hop.address)
    return route._replace(hops=hops)


def _learned(route: KernelRoute) -> Iterator[LearnedHop]:
    """Yield what a route of another program says: a network behind next hops, but for link-local and multicast ones."""
    address = route.address
    local = address[:2] == _IPV4_LINK_LOCAL if len(address) == 4 else address[:2] == _LINK_LOCAL
    if route.kind != UNICAST or (local and route.length) or (len(address) == 16 and address[0] == _MULTICAST):
        return
    whole = route.length == 8 * len(address)
    prefix = ip_text(address) if whole else f"{ip_text(address)}/{route.length}"
    for hop in route.hops:
        if any(hop.address):
            yield LearnedHop(prefix=prefix, nexthop=ip_text(hop.address), interface=hop.interface)
