"""The driver of an engine: it turns waves into transactions.

A change in any database that the engine reads schedules a wave; the wave processes everything that has arrived by then,
and results in one transaction on each database. While a transaction is in progress changes accumulate, and the next
wave processes them together.

If a database refuses a transaction, the rows at fault are left out: those that the error names, and otherwise those
that bisection finds (`ovsdb.bisection`). Each is reported once and left out until rules yield other values for it; it
is also tried again after a minute, and then at growing intervals, since another client's row may have been the cause.
If a database refuses everything (it is read-only, or its disk is full), the pauses between attempts grow. After a lost
connection everything is compared again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
from typing import TYPE_CHECKING

from ovenbird.driver.dependencies import Dependencies, Unit
from ovenbird.engine.gc_pause import GcPause
from ovenbird.ovsdb.bisection import Bisection, is_about_rows
from ovenbird.ovsdb.errors import Disconnected, OvsdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.outputs import Output
    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

NAMED = 8
"""How many times a transaction is tried again without the rows that its refusal names, before it is halved."""
PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, before trying again what a database refused for no row's sake."""
RECONSIDER = (60.0, 3600.0)
"""Shortest and longest time, in seconds, after which rows that were left out are tried again."""
LINES = 10
"""How many refused rows of one transaction are reported one by one."""
INSTANT = 0.1
"""Seconds to wait at least for the next moment that rules wait for: those close together are one wave."""
HOUR = 3600.0
"""Seconds to wait at most: by then the clock may have been put right."""
_REMEMBERED = 1000  # reports that are not repeated
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class EngineDriver:
    """Runs one engine against its databases.

    Arguments:
        name: what logs call it.
        build: makes the engine, its outputs bound to the stores of `clients`; called once their rows are there.
        clients: every database that the engine reads or writes; written in this order.
    """

    def __init__(self, name: str, build: Callable[[], Engine], clients: Sequence[Client]) -> None:
        self.name = name
        self.build = build
        self.clients = tuple(clients)
        self.engine: Engine | None = None
        self.paused = False
        self.waves = 0
        self._waving = False
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._outputs: dict[Client, list[Output]] = {}
        self._reached = dict.fromkeys(clients, True)
        self._refusals = {client: Refusals(name) for client in clients}

    @property
    def busy(self) -> bool:
        """Whether a wave is under way or wanted."""
        return self._waving or self._wake.is_set()

    def schedule(self, *_: object) -> None:
        """Run a wave soon."""
        self._wake.set()

    def pause(self) -> None:
        """Run no more waves until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Run waves again; what others did meanwhile is looked at as a whole."""
        self.paused = False
        self.recompute()

    def recompute(self) -> None:
        """Compare everything derived with what is there, not just what changed."""
        for output in self.engine.outputs.values() if self.engine is not None else ():
            output.suspect_all()
        self.schedule()

    async def run(self) -> None:
        """Make the engine and run waves until cancelled."""
        with contextlib.ExitStack() as stack:
            for client in self.clients:
                stack.callback(client.on_change(self.schedule))
            with GcPause() as pause:
                self.engine = engine = self.build()
                pause.keep()
            stack.callback(self._end)
            self._outputs = {client: engine.outputs_of(client.store) for client in self.clients}
            while self.paused:
                await self._wake.wait()
                self._wake.clear()
            with GcPause() as pause:
                await self._wave(engine)
                pause.keep()
            engine.release_unclaimed()
            while True:
                await self._wake.wait()
                self._wake.clear()
                if not self.paused:
                    await self._wave(engine)
                    await asyncio.sleep(0)  # others have a turn between waves

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.engine is not None:
            self.engine.close()
            self.engine = None

    async def _wave(self, engine: Engine) -> None:
        """Run one wave and write what it changed."""
        self._waving = True
        engine.run()
        self.waves += 1
        for client in self.clients:
            await self._write(client)
        self._waving = False
        if not engine.idle:
            self._wake.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (pause := engine.alarms.pause) is not None:
            self._timer = asyncio.get_running_loop().call_later(min(max(pause, INSTANT), HOUR), self.schedule)

    async def _write(self, client: Client) -> None:
        outputs = self._outputs[client]
        if not outputs:
            return
        if not client.connected:
            self._reached[client] = False
            return
        if not self._reached[client]:
            self._reached[client] = True
            for output in outputs:
                output.suspect_all()
        refusals, loop = self._refusals[client], asyncio.get_running_loop()
        if refusals.wait_until > loop.time():
            return
        if refusals.reconsider_at <= loop.time():
            refusals.reconsider_at = math.inf
            refusals.again = max([output.reconsider() for output in outputs])
        try:
            complete = await self._deliver(client, outputs, refusals)
        except Disconnected as e:
            log.warning("%s: %s: %s", self.name, client.store.name, e)
            self._reached[client] = False
            return
        if complete:
            refusals.calm()
            if max([output.mended() for output in outputs]):  # what needs those rows can go in now
                for output in outputs:
                    output.reconsider()
                self.schedule()
        else:
            loop.call_later(refusals.postpone(loop.time()), self.schedule)
        if any(output.rejected or output.barred for output in outputs) and refusals.reconsider_at == math.inf:
            loop.call_later(refusals.put_off(loop.time()), self.schedule)

    async def _deliver(self, client: Client, outputs: Sequence[Output], refusals: Refusals) -> bool:
        """Write what differs; return whether all is written, but for rows that the database refuses."""
        for _ in range(NAMED):
            refusal = await self._attempt(client, outputs)
            if refusal is None:
                return True
            if not is_about_rows(refusal):
                refusals.failed(refusal)
                return False
            known = {output: set(output.rejected) for output in outputs}
            culprits = {*_UUID.findall(str(refusal)), *([refusal.row] if refusal.row else [])}
            if not max([output.undo(culprits) for output in outputs]):
                break
            for output in outputs:
                for key in output.rejected.keys() - known[output]:
                    refusals.report(output, key, refusal)
        return await self._bisect(client, outputs, refusals)

    async def _attempt(
        self, client: Client, outputs: Sequence[Output], only: Mapping[Output, Collection[Hashable]] | None = None
    ) -> OvsdbError | None:
        """Commit what is to be written, or some of it; return the refusal, if it is refused."""
        if all(output.idle for output in outputs):
            return None
        transaction = client.transaction()
        try:
            for output in outputs:
                if only is None or output in only:
                    output.plan(transaction, None if only is None else only[output])
            if not transaction.empty:
                self.amend(client, transaction)
                await client.commit(transaction)
        except OvsdbError as refusal:
            if not is_about_rows(refusal):
                for output in outputs:
                    output.undo(())
            return refusal
        return None

    async def _bisect(self, client: Client, outputs: Sequence[Output], refusals: Refusals) -> bool:
        """Write what the database does not refuse, and leave out what it does; return whether that is all."""
        for output in outputs:
            output.undo(())
        dependencies = Dependencies(outputs)

        async def attempt(part: Sequence[Unit]) -> OvsdbError | None:
            only: dict[Output, set[Hashable]] = {}
            for output, key in dependencies.closure(part):
                only.setdefault(output, set()).add(key)
            refusal = await self._attempt(client, outputs, only)
            if refusal is not None:
                for output in only:
                    output.undo(())
            return refusal

        bisection: Bisection[Unit] = Bisection(attempt)
        await bisection.run(dependencies.units)
        for number, ((output, key), refusal) in enumerate(bisection.refused.items()):
            output.reject(key)
            if number < LINES:
                refusals.report(output, key, refusal)
        if len(bisection.refused) > LINES:
            log.error("%s: %d more rows are left out", self.name, len(bisection.refused) - LINES)
        if bisection.failure is not None:
            refusals.failed(bisection.failure)
        return bisection.complete

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Add to a transaction that is about to be committed; for subclasses that hold a lock."""


class Refusals:
    """What one database has refused of late: when to try again, and what has been said of it.

    Arguments:
        name: what logs call the driver.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.wait_until = 0.0
        """When the database may be written to again, by the loop's clock."""
        self.reconsider_at = math.inf
        """When the rows that are left out are to be tried again."""
        self.again = False
        """Whether rows that were left out are being tried again."""
        self._pause = PAUSE[0]
        self._longer = RECONSIDER[0]
        self._failure = ""
        self._reported: set[str] = set()

    def report(self, output: Output, key: Hashable, refusal: OvsdbError) -> None:
        """Log that a row is left out, unless that has been logged before.

        Arguments:
            output: which wanted the row.
            key: the row's.
            refusal: what the database said.
        """
        row = f"row {key!r} of {output.relation.name}"
        reported = f"{row} {refusal.error}"
        if reported not in self._reported:
            log.error("%s: %s refuses %s, which is left out: %s", self.name, output.table.store.name, row, refusal)
            if len(self._reported) >= _REMEMBERED:
                self._reported.clear()
            self._reported.add(reported)

    def failed(self, refusal: OvsdbError) -> None:
        """Log that the database refuses everything, unless it did so before for the same reason."""
        if str(refusal) != self._failure:
            self._failure = str(refusal)
            log.error("%s: the database refused a transaction: %s", self.name, refusal)

    def calm(self) -> None:
        """Note that the database took everything but rows that are left out."""
        if self._failure:
            log.info("%s: the database takes transactions again", self.name)
        self._pause, self.wait_until, self._failure = PAUSE[0], 0.0, ""

    def postpone(self, now: float) -> float:
        """Note that it took not even that; return how many seconds to wait."""
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE[1])
        self.wait_until = now + pause
        return pause

    def put_off(self, now: float) -> float:
        """Note that rows are left out; return after how many seconds they are to be tried again."""
        self._longer = min(2 * self._longer, RECONSIDER[1]) if self.again else RECONSIDER[0]
        self.again = False
        self.reconsider_at = now + self._longer
        return self._longer


class ActiveStandbyDriver(EngineDriver):
    """A driver that runs only while it holds a lock of a database: one of several is active, the others stand by.

    Each time it becomes active the engine is made anew, from the rows as whoever was active before has left them.

    Arguments:
        lock: the lock's name.
        holder: the database whose lock it is.
    """

    def __init__(
        self, name: str, build: Callable[[], Engine], clients: Sequence[Client], lock: str, holder: Client
    ) -> None:
        super().__init__(name, build, clients)
        self.lock = lock
        self.holder = holder
        self.active = False
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Wait for the lock, run waves while it is held, and start over when it is lost."""
        while True:
            self._lost.clear()
            await self.holder.lock(self.lock, self._lost.set)
            self.active = True
            title = self.lock.replace("_", "-")  # the original's words have the program's name
            log.info("%s lock acquired. This %s instance is now active.", title, title)
            pumping = asyncio.ensure_future(super().run())
            losing = asyncio.ensure_future(self._lost.wait())
            try:
                await asyncio.wait([pumping, losing], return_when=asyncio.FIRST_COMPLETED)
                if pumping.done():
                    pumping.result()
            finally:
                self.active = False
                pumping.cancel()
                losing.cancel()
                await asyncio.wait([pumping])  # awaiting it would swallow a cancellation of our own
            log.warning("%s lock lost. This %s instance is now on standby.", title, title)

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Let the database refuse the transaction if the lock has gone meanwhile."""
        if client is self.holder:
            transaction.assert_lock(self.lock)

    @property
    def status(self) -> str:
        """`paused`, `active` or `standby`, as ovn-northd(8)'s `status` command says it."""
        return "paused" if self.paused else "active" if self.active else "standby"
