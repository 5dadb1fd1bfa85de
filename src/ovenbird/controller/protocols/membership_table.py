"""The multicast memberships and multicast router ports of one switch, as one chassis learns them.

A membership lasts for the idle timeout after its last report, a router port for the "other querier present interval".
The table is bounded: when it is full, the port with the most memberships loses its oldest one, so that an instance that
joins thousands of groups does not displace those of others. The module does no I/O and reads no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ovenbird.pipeline.multicast_groups import MROUTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.rows import UUID

K = TypeVar("K")

ROUTER_TIMEOUT = 255.0
"""Seconds after its last query for which a router counts ("other querier present interval", RFC 3376, section 8.5)."""


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
        self.protocols: dict[str, str] = {}
        """The oldest protocol that a group was reported by, by its address."""
        self.changed: dict[str, None] = {}
        """The groups whose ports have changed since the last time that the caller recorded them."""
        self.routers: dict[UUID, float] = {}
        """When each router port expires, in this order."""
        self.routers_changed = False
        self._by_port: dict[UUID, dict[str, float]] = {}  # when each membership of a port expires, in this order
        self._by_count: dict[int, dict[UUID, None]] = {}  # the ports with so many memberships

    def join(self, address: str, port: UUID, *, now: float, protocol: str = "") -> None:
        """Add or refresh a membership, for the idle timeout from now.

        Arguments:
            address: the group's.
            port: UUID of the port's binding.
            now: in seconds.
            protocol: that of the report, such as `IGMPv3`; empty for an existing row's.
        """
        known = self._by_port.get(port, {}).pop(address, None)
        if known is None:
            if address not in self.groups:
                while len(self.groups) >= self.size:
                    self._evict()
            self.groups.setdefault(address, {})[port] = None
            self.changed[address] = None
        if protocol:
            self.protocols[address] = min(self.protocols.get(address, protocol), protocol)
        mine = self._by_port.setdefault(port, {})
        mine[address] = now + self.timeout
        if known is None:
            self._count(port, before=len(mine) - 1, after=len(mine))

    def leave(self, address: str, port: UUID) -> None:
        """Remove a membership.

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
                self.protocols.pop(address, None)

    def hear_router(self, port: UUID, *, now: float) -> None:
        """Add or refresh a router port.

        Arguments:
            port: UUID of the port's binding.
            now: in seconds.
        """
        self.routers_changed |= self.routers.pop(port, None) is None
        self.routers[port] = now + ROUTER_TIMEOUT

    def resume(self, address: str, ports: Iterable[UUID], *, now: float) -> None:
        """Resume the members of a group from an existing row; a group without a place counts as changed.

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
        """Change the limits; existing memberships keep their time of expiry.

        Arguments:
            size: the greatest number of groups, from 1.
            timeout: seconds for which a membership lasts without a report.
        """
        self.size, self.timeout = size, timeout
        while len(self.groups) > size:
            self._evict()

    def expire(self, now: float) -> None:
        """Remove expired memberships and router ports."""
        for port in list(self._by_port):
            for address in _ended(self._by_port[port], now):
                self.leave(address, port)
        for port in list(_ended(self.routers, now)):
            del self.routers[port]
            self.routers_changed = True

    @property
    def next_end(self) -> float | None:
        """When the next membership or router port expires; None if there are none."""
        ends = [next(iter(mine.values())) for mine in self._by_port.values()]
        return min([*ends, *list(self.routers.values())[:1]], default=None)

    def clear(self) -> None:
        """Remove all memberships and router ports."""
        for port in list(self._by_port):
            for address in list(self._by_port[port]):
                self.leave(address, port)
        self.routers_changed |= bool(self.routers)
        self.routers.clear()

    def _evict(self) -> None:
        """Remove the oldest membership of the port with the most."""
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
    """Return the expired keys of a mapping that is ordered by time of expiry."""
    found = []
    for key, end in ends.items():
        if end > now:
            break
        found.append(key)
    return found
