"""The exchange of routes with the kernel: writes the routes that rules call for, and records those of other programs.

One task processes the tables one after another, a few routes at a time, so that it does not delay other tasks. A route
that the kernel refuses does not affect others. While a controller starts, routes are only added: routes of a previous
run are removed when all routes to announce are known, so that a restart withdraws nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from ovenbird.controller.facts import ANNOUNCED_ROUTE, EXCHANGE_SETTLED, EXCHANGED_ROUTER
from ovenbird.controller.local.local_store import LearnedHere, record
from ovenbird.controller.routes.exchange_rules import (
    READ,
    beyond_subject,
    route_subject,
    table_subject,
    vrf_subject,
)
from ovenbird.controller.routes.kernel import Kernel
from ovenbird.controller.routes.kernel_table import KernelTable, LearnedAtPort
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.net import rtnetlink
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovenbird.controller.facts import AnnouncedRoute, ExchangedRouter, ExchangeSettled
    from ovenbird.driver.engine_driver import Sink
    from ovenbird.engine.facts import Relation
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.net.rtnetlink import KernelRoute, NetlinkMessage

log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Routes that are changed before others have their turn."""
_MOST_HEARD = 10_000
"""Notifications that are kept while a table is read; if there are more, it is read again."""
PAUSE = 1.0
"""Seconds between two readings of a table that is read again and again."""
MOST_REPORTED = 20
"""The largest number of a table's refused routes that are reported."""


class KernelExchange:
    """The exchange of one chassis.

    Arguments:
        own: the controller's own rows, where outcomes and learned routes are recorded.
        wake: is called when there is something new.
    """

    def __init__(self, own: Store, wake: Callable[[], None]) -> None:
        self._own = own
        self._wake = wake
        self._tables: dict[int, KernelTable] = {}
        self._settled = False
        self._kernel: Kernel | None = None
        self._task: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        self._empty = asyncio.Event()
        self._dirty: dict[int, None] = {}
        self._reading: KernelTable | None = None
        self._heard: list[tuple[int, int, KernelRoute]] = []
        self._last_read: dict[int, float] = {}
        self._again: dict[int, asyncio.TimerHandle] = {}
        self._published: dict[int, dict[LearnedAtPort, UUID]] = {}
        self._ports_changed: set[int] = set()
        self._reported: dict[int, set[str]] = {}

    def sinks(self) -> list[tuple[Relation, Sink]]:
        """Return what takes in facts, by relation."""
        return [
            (EXCHANGED_ROUTER, self.absorb_routers),
            (ANNOUNCED_ROUTE, self.absorb_routes),
            (EXCHANGE_SETTLED, self.absorb_settled),
        ]

    # -- facts --------------------------------------------------------------------------------------------------------

    def absorb_routers(self, *, added: Iterable[ExchangedRouter], removed: Iterable[ExchangedRouter]) -> None:
        """Process the routers of a wave that are exchanged, or are so no more."""
        for fact in removed:
            table = self._table(fact.table)
            if table.routers.get(fact.datapath) == fact:
                del table.routers[fact.datapath]
                self._ports_changed.add(fact.table)
        for fact in added:
            table = self._table(fact.table)
            table.routers[fact.datapath] = fact
            self._ports_changed.add(fact.table)

    def absorb_routes(self, *, added: Iterable[AnnouncedRoute], removed: Iterable[AnnouncedRoute]) -> None:
        """Process the routes of a wave that are announced, or are so no more."""
        for fact in removed:
            table = self._table(fact.route.table)
            table.release(fact.route)
        for fact in added:
            self._table(fact.route.table).want(fact.route)

    def absorb_settled(self, *, added: Iterable[ExchangeSettled], removed: Iterable[ExchangeSettled]) -> None:  # noqa: ARG002 (a sink's)
        """Process that all routes to announce are known."""
        for _ in added:
            self._settled = True
            for number in self._tables:
                self._table(number)

    def close(self) -> None:
        """Forget what is wanted, for an engine that has not run yet; the kernel keeps its routes and VRF devices."""
        self._settled = False
        for table in self._tables.values():
            table.release_all()
            record(self._own, table_subject(table.number), value=None)
        for row in list(self._own.table(LearnedHere).rows.values()):
            row.home.delete(row)
        self._published.clear()
        self._stop()

    async def withdraw(self) -> None:
        """Remove all routes and VRF devices that were made here."""
        self.close()
        self._settled = True
        for table in self._tables.values():
            self._table(table.number)
        if self._tables:
            self._empty.clear()
            await self._empty.wait()
        self._stop()

    # -- the task -----------------------------------------------------------------------------------------------------

    def _table(self, number: int) -> KernelTable:
        """Return a table, which is due."""
        table = self._tables.get(number)
        if table is None:
            table = self._tables[number] = KernelTable(number)
        self._dirty[number] = None
        self._due.set()
        self._start()
        return table

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def _stop(self) -> None:
        """End the task; what the kernel says meanwhile is read afterwards."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for timer in self._again.values():
            timer.cancel()
        self._again.clear()
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        self._reading = None
        for table in self._tables.values():
            table.stale = True

    async def _work(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._dirty:
                number = next(iter(self._dirty))
                del self._dirty[number]
                try:
                    await self._settle(self._tables[number])
                except (OSError, PacketError) as error:
                    self._fail(self._tables[number], error)
                except Exception as error:  # one table; the others have their turns
                    log.exception("routing table %d is left as it is for now", number)
                    self._fail(self._tables[number], error)

    def _fail(self, table: KernelTable, error: Exception) -> None:
        """Report that a table cannot be read, and try again later."""
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        self._reading = None
        self._heard.clear()
        table.stale = True
        self._record(table_subject(table.number), reason)
        self._later(table, PAUSE)

    async def _settle(self, table: KernelTable) -> None:
        """Make the kernel's table what it is to be, and publish what others have put there."""
        if self._kernel is None:
            self._kernel = Kernel(self._hear, self._lost)
        kernel = self._kernel
        if table.routers:
            self._keep_vrf(table, kernel)
        if table.stale and not await self._read(table, kernel):
            return
        await self._change(table, kernel)
        self._publish(table)
        if not table.routers and not table.wanted and self._settled:
            self._drop_vrf(table, kernel)
            self._record(table_subject(table.number), None)
            self._record(beyond_subject(table.number), None)
            self._tables.pop(table.number, None)
            self._dirty.pop(table.number, None)
            if not self._tables:
                self._empty.set()

    def _keep_vrf(self, table: KernelTable, kernel: Kernel) -> None:
        """Make the VRF device of a table, if its routers want one; leave the one that they do not want any more."""
        wanted = next(filter(None, (router.vrf for router in table.routers.values())), "")
        if wanted == table.vrf:
            return
        if wanted:
            if table.vrf:
                kernel.remove_vrf(table.vrf)
            error = kernel.make_vrf(wanted, table=table.number)
            self._record(vrf_subject(wanted), os.strerror(error) if error else None)
        table.vrf = wanted  # refused or not: it is asked for once

    def _drop_vrf(self, table: KernelTable, kernel: Kernel) -> None:
        """Remove the VRF device of a table that is not exchanged any more."""
        if table.vrf:
            kernel.remove_vrf(table.vrf)
            self._record(vrf_subject(table.vrf), None)
            table.vrf = ""

    async def _read(self, table: KernelTable, kernel: Kernel) -> bool:
        """Read a table; return False if it was read a moment ago, and has to wait."""
        now = asyncio.get_running_loop().time()
        since = now - self._last_read.get(table.number, -PAUSE)
        if table.read and since < PAUSE:
            self._later(table, PAUSE - since)
            return True  # with what is known, which is right but for others' doing
        self._last_read[table.number] = now
        table.stale, self._reading = False, table
        found: list[KernelRoute] = []
        for part in kernel.routes(table.number):
            found += part
            await asyncio.sleep(0)
        table.replace(found)
        self._reading = None
        for kind, flags, route in self._heard:
            table.hear(kind, route, flags=flags)
        self._heard.clear()
        self._record(table_subject(table.number), READ)
        return True

    async def _change(self, table: KernelTable, kernel: Kernel) -> None:
        """Delete and add routes."""
        while table.missing or (table.surplus and self._settled):
            for route in list(table.surplus)[:_AT_ONCE] if self._settled else ():
                error = kernel.delete(route)
                table.deleted(route)
                if error:
                    log.warning("the kernel does not delete %s: %s", route_subject(route), os.strerror(error))
            for route in list(table.missing)[:_AT_ONCE]:
                table.added(route, kernel.add(route))
            await asyncio.sleep(0)
        self._report(table)

    def _report(self, table: KernelTable) -> None:
        """Record the kernel's refusals."""
        some = dict(list(table.refused.items())[:MOST_REPORTED])
        now = {route_subject(route): os.strerror(error) for route, error in some.items()}
        for gone in self._reported.get(table.number, set()) - now.keys():
            self._record(gone, None)
        for subject, why in now.items():
            self._record(subject, why)
        self._reported[table.number] = set(now)

    # -- what others do -----------------------------------------------------------------------------------------------

    def _hear(self, message: NetlinkMessage) -> None:
        """Process what others have changed."""
        if message.kind in (rtnetlink.NEW_ROUTE, rtnetlink.DEL_ROUTE):
            route = rtnetlink.decode_route(message.body)
            table = self._tables.get(route.table) if route is not None else None
            if route is None or table is None:
                return
            if table is not self._reading:
                table.hear(message.kind, route, flags=message.flags)
                self._table(table.number)
            elif len(self._heard) < _MOST_HEARD:
                self._heard.append((message.kind, message.flags, route))
            else:
                table.stale = True
        elif message.kind in (rtnetlink.DEL_LINK, rtnetlink.DEL_ADDR):
            self._lost()
        elif message.kind == rtnetlink.NEW_LINK:
            flags = rtnetlink.decode_link_flags(message.body)
            if flags & (rtnetlink.UP | rtnetlink.RUNNING) != rtnetlink.UP | rtnetlink.RUNNING:
                self._lost()

    def _lost(self) -> None:
        """Have all tables read again."""
        for table in list(self._tables.values()):
            table.stale = True
            self._table(table.number)

    def _later(self, table: KernelTable, seconds: float) -> None:
        """Look at a table again after some time."""
        if table.number not in self._again:
            loop = asyncio.get_running_loop()
            self._again[table.number] = loop.call_later(seconds, self._look_again, table.number)

    def _look_again(self, number: int) -> None:
        self._again.pop(number, None)
        if number in self._tables:
            self._table(number)

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def _publish(self, table: KernelTable) -> None:
        """Record what is learned from a table, for rules."""
        self._record(beyond_subject(table.number), "beyond" if table.beyond else None)
        before = self._published.setdefault(table.number, {})
        if table.number in self._ports_changed:
            self._ports_changed.discard(table.number)
            gone, there = dict.fromkeys(before), dict.fromkeys(table.learned(table.hops))
        else:
            gone = dict.fromkeys(table.learned(table.touched))
            there = dict.fromkeys(table.learned(hop for hop in table.touched if hop in table.hops))
        table.touched.clear()
        rows = self._own.table(LearnedHere)
        for key in gone:
            uuid = before.pop(key, None) if key not in there else None
            if uuid is not None:
                rows.delete(rows.rows[uuid])
        come = [key for key in there if key not in before]
        for key, uuid in zip(come, serial_uuids(len(come)), strict=True):
            before[key] = uuid
            rows.insert(uuid, list(key))
        self._wake()

    def _record(self, subject: str, value: str | None) -> None:
        if record(self._own, subject, value=value):
            self._wake()
