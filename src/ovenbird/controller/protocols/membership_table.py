"""Who has joined which multicast groups in one switch, as one chassis hears it; and behind which ports routers are.

A membership lasts for the idle timeout from when it was last reported, a router for as long as another querier is
believed to be there. The table is bounded: where there is no place for another group, the port with most memberships
loses its oldest, so that one instance that joins thousands takes nothing from others. No I/O and no clock here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ovenbird.pipeline.multicast_groups import MROUTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.rows import UUID

K = TypeVar("K")

ROUTER_TIMEOUT = 255.0
"""Seconds for which a router counts that asks no more ("other querier present interval", RFC 3376, section 8.5)."""


class MembershipTable:
    """The memberships of one switch.

    Arguments:
        size: the greatest number of groups, from 1.
        timeout: seconds for which a membership lasts without a report.
    """

    def __init__(self, *, size: int, timeout: float) -> None:
        self.size = size
        self.timeout = timeout
        self.groups: dict[str, dict[UUID, None]] = {}
        """The ports of each group, by its address."""
        self.changed: dict[str, None] = {}
        """The groups whose ports have changed since somebody took note of it."""
        self.routers: dict[UUID, float] = {}
        """When each port with a router behind it ceases to be one; in this order."""
        self.routers_changed = False
        self._by_port: dict[UUID, dict[str, float]] = {}  # when each membership of a port ends, in this order
        self._by_count: dict[int, dict[UUID, None]] = {}  # the ports with so many memberships

    def join(self, address: str, port: UUID, *, now: float) -> None:
        """Take note that a port wants a group, for the idle timeout from now.

        Arguments:
            address: the group's.
            port: UUID of the port's binding.
            now: in seconds.
        """
        known = self._by_port.get(port, {}).pop(address, None)
        if known is None:
            if address not in self.groups:
                while len(self.groups) >= self.size:
                    self._evict()
            self.groups.setdefault(address, {})[port] = None
            self.changed[address] = None
        mine = self._by_port.setdefault(port, {})
        mine[address] = now + self.timeout
        if known is None:
            self._count(port, before=len(mine) - 1, after=len(mine))

    def leave(self, address: str, port: UUID) -> None:
        """Take note that a port wants a group no more.

        Arguments:
            address: the group's.
            port: UUID of the port's binding.
        """
        mine = self._by_port.get(port)
        if mine is None or mine.pop(address, None) is None:
            return
        self._count(port, before=len(mine) + 1, after=len(mine))
        if not mine:
            del self._by_port[port]
        ports = self.groups.get(address, {})
        if port in ports:
            del ports[port]
            self.changed[address] = None
            if not ports:
                del self.groups[address]

    def hear_router(self, port: UUID, *, now: float) -> None:
        """Take note that there is a multicast router behind a port.

        Arguments:
            port: UUID of the port's binding.
            now: in seconds.
        """
        self.routers_changed |= self.routers.pop(port, None) is None
        self.routers[port] = now + ROUTER_TIMEOUT

    def resume(self, address: str, ports: Iterable[UUID], *, now: float) -> None:
        """Go on with what is known from before; what there is no place for counts as changed as well.

        Arguments:
            address: the group's; `mrouters` for the ports with routers.
            ports: the ports' bindings.
            now: in seconds.
        """
        if address == MROUTERS:
            for port in ports:
                self.hear_router(port, now=now)
            self.routers_changed = True
            return
        for port in ports:
            self.join(address, port, now=now)
        self.changed[address] = None

    def resize(self, *, size: int, timeout: float) -> None:
        """Change the bounds; memberships that are there last as long as was said before.

        Arguments:
            size: the greatest number of groups, from 1.
            timeout: seconds for which a membership lasts without a report.
        """
        self.size, self.timeout = size, timeout
        while len(self.groups) > size:
            self._evict()

    def expire(self, now: float) -> None:
        """Forget what has ended by now."""
        for port in list(self._by_port):
            for address in _ended(self._by_port[port], now):
                self.leave(address, port)
        for port in list(_ended(self.routers, now)):
            del self.routers[port]
            self.routers_changed = True

    @property
    def next_end(self) -> float | None:
        """When something ends next if nothing is reported; None if there is nothing to end."""
        ends = [next(iter(mine.values())) for mine in self._by_port.values()]
        return min([*ends, *list(self.routers.values())[:1]], default=None)

    def clear(self) -> None:
        """Forget everything."""
        for port in list(self._by_port):
            for address in list(self._by_port[port]):
                self.leave(address, port)
        self.routers_changed |= bool(self.routers)
        self.routers.clear()

    def _evict(self) -> None:
        """Take the oldest membership from the port that has most."""
        most = self._by_count[max(self._by_count)]  # there are few counts, and there may be thousands of ports
        port = next(iter(most))
        self.leave(next(iter(self._by_port[port])), port)

    def _count(self, port: UUID, *, before: int, after: int) -> None:
        """File a port by how many memberships it has."""
        if before:
            ports = self._by_count[before]
            del ports[port]
            if not ports:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, {})[port] = None


def _ended(ends: dict[K, float], now: float) -> list[K]:
    """Return what has ended; the rest, which comes later, is not looked at."""
    found = []
    for key, end in ends.items():
        if end > now:
            break
        found.append(key)
    return found
