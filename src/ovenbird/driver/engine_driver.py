"""The driver of an engine: it runs waves, and passes their changes to the sinks and the databases.

A change in any database that the engine reads schedules a wave; the wave processes everything that has arrived by then.
Each relation's facts go to its *sinks*: flows of a switch, edits of databases, protocols. The rows of outputs result in
one transaction on each database; while it is in progress changes accumulate, and the next wave processes them together.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from ovenbird.counters.coverage import counter
from ovenbird.counters.stopwatch import stopwatch
from ovenbird.driver.output_rows import OutputRows
from ovenbird.driver.row_writer import RowWriter
from ovenbird.driver.rule_counters import RuleCounters
from ovenbird.engine.gc_pause import GcPause
from ovenbird.namedtuple import NamedTuple
from ovenbird.ovsdb.errors import Disconnected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from ovenbird.driver.dependencies import Unit
    from ovenbird.engine.engine import Deltas, Engine
    from ovenbird.engine.facts import Relation
    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

INSTANT = 0.1
"""Minimum seconds to wait for the next alarm, so that alarms close together ring in one wave."""
HOUR = 3600.0
"""Maximum seconds to wait for an alarm, since the system clock may be set in the meantime."""
_MOST_NAMED = 5
"""How many rules and views the log names of a long computation."""

_WAVES, _RUNS, _FAILURES = counter("engine_wave"), counter("engine_run"), counter("engine_run_failed")
_FACTS_ADDED, _FACTS_REMOVED = counter("engine_fact_added"), counter("engine_fact_removed")


class Sink(Protocol):
    """Receives the facts of a relation, such as the flows of a switch."""

    def __call__(self, *, added: Sequence[Any], removed: Sequence[Any]) -> None:
        """Process the changes of a wave.

        Arguments:
            added: the new facts.
            removed: the facts that no rule yields any more.
        """


def tell(sinks: Iterable[tuple[Relation, Sink]], deltas: Deltas) -> None:
    """Pass the changes of a wave to the sinks, in their order."""
    for relation, sink in sinks:
        delta = deltas.get(relation)
        if delta is not None:
            sink(added=delta.added, removed=delta.removed)


class Portions(NamedTuple):
    """How the first computation, which is long, yields to other work.

    Arguments:
        runs: the number of rules that run before other tasks of the event loop run.
        hold: a context in which the databases' rows do not change; updates are received and applied afterwards.
    """

    runs: int
    hold: Callable[[], AbstractContextManager[object]]


class WatchNames(NamedTuple):
    """The names of a driver's stopwatches.

    Arguments:
        loop: for waves and the transactions that result.
        compute: for the rules of all waves that follow each other.
        write: for the transactions.
    """

    loop: str
    compute: str
    write: str


class EngineDriver:
    """Runs one engine.

    Arguments:
        name: its name in the log.
        build: makes the engine, its outputs bound to the stores of `clients`; called once their rows are present.
        clients: every database that the engine reads or writes; outputs are written in this order.
        sinks: the sinks of relations that are not rows of outputs, in the order of the calls; a relation may have
            several.
        watches: the names of its stopwatches; by default made of the driver's own.
    """

    portions: Portions | None = None
    """How the first computation yields; None if each of its waves runs at once."""

    def __init__(
        self,
        name: str,
        build: Callable[[], Engine],
        clients: Sequence[Client],
        sinks: Iterable[tuple[Relation, Sink]] = (),
        watches: WatchNames | None = None,
    ) -> None:
        self.name = name
        names = watches or WatchNames(loop=f"{name}-loop", compute=f"{name}-compute", write=f"{name}-write")
        self._loop_watch, self._compute_watch, self._write_watch = map(stopwatch, names)
        self.build = build
        self.clients = tuple(clients)
        self.sinks = tuple(sinks)
        self.engine: Engine | None = None
        self.paused = False
        self.waves = 0
        self.rule_counters = RuleCounters()
        """The runs of all engines that this driver has made."""
        self.starting = True
        """Whether the first full computation is still incomplete."""
        self.gc_pause = GcPause()
        """Pauses garbage collection during the first computation, except while this waits."""
        self.rows = {client: OutputRows(name) for client in clients}
        """The outputs of each database."""
        self.writers: dict[Client, RowWriter[Unit]] = {
            client: RowWriter(
                name, client=client, pending=rows, wanted=self.schedule, amend=functools.partial(self.amend, client)
            )
            for client, rows in self.rows.items()
        }
        self._waving = False
        self._wake = asyncio.Event()
        self._waved = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._returns: dict[Client, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        """Whether a wave is running or scheduled."""
        return self._waving or self._wake.is_set()

    def schedule(self, *_: object) -> None:
        """Run a wave soon."""
        self._wake.set()

    async def next_wave(self) -> None:
        """Wait until a wave has processed everything that is present now."""
        self._wake.set()
        self._waved.clear()
        await self._waved.wait()

    def pause(self) -> None:
        """Stop running waves until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Run waves again; all tables are compared, since other clients may have written to them."""
        self.paused = False
        if self.starting and self.engine is not None:
            self.gc_pause.begin()
        self.recompute()

    def recompute(self) -> None:
        """Compare all derived rows with the databases, not only those that have changed."""
        for output in self.engine.outputs.values() if self.engine is not None else ():
            output.suspect_all()
        self.schedule()

    def complete_start(self) -> None:
        """Record that the first full computation is complete: keep its objects from the GC, release unclaimed ids."""
        self.starting = False
        self.gc_pause.keep()
        if self.engine is not None:
            self.engine.release_unclaimed()

    async def run(self) -> None:
        """Make the engine and run waves until cancelled."""
        with contextlib.ExitStack() as stack:
            for client in self.clients:
                stack.callback(client.on_change(self.schedule))
            self.starting = True
            self.gc_pause = stack.enter_context(GcPause())
            self.engine = engine = self.build()
            self.rule_counters.know(engine.rule_names)
            stack.callback(self._end)
            writers = self._writers_of(engine)
            self.schedule()
            while True:
                await self._wake.wait()
                self._wake.clear()
                if not self.is_ready():
                    self.gc_pause.end()
                    continue
                self._waving = True
                began = time.perf_counter()
                await self._run_waves(engine)
                await self._write(engine, writers)
                self._loop_watch.since(began)
                self._waving = False
                self.follow_up()
                self._waved.set()
                self._set_timer(engine)
                await asyncio.sleep(0)  # other tasks run between waves

    # -- what subclasses add ------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Return whether waves may run now."""
        return not self.paused

    def follow_up(self) -> None:
        """Do work after waves have run and their rows are written; the first call ends the start."""
        if self.starting:
            self.complete_start()

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Add operations to a transaction of rows before its commit.

        Arguments:
            client: the database.
            transaction: the transaction.
        """

    def end(self, engine: Engine) -> None:
        """Release the engine, since no more waves run."""
        engine.close()

    # -- parts of a run -----------------------------------------------------------------------------------------------

    async def _run_waves(self, engine: Engine) -> None:
        """Run waves until there is nothing to compute."""
        portions = self.portions
        spent, ran = 0.0, Counter[str]()
        with contextlib.ExitStack() as held:
            if portions is not None and self.starting:
                held.enter_context(portions.hold())
            while True:
                if portions is not None:
                    spent += await self._run_ahead(engine, portions.runs)
                spent += self._run_wave(engine)
                ran.update(engine.ran)
                if engine.idle:
                    break
        self._compute_watch.add(spent * 1000)
        if spent * 1000 >= self.rule_counters.log_from:
            self._report_long(spent, ran)

    async def _run_ahead(self, engine: Engine, runs: int) -> float:
        """Do the work of the next wave in portions, while the first computation is not complete.

        Returns:
            The seconds that the rules took.
        """
        spent = 0.0
        while self.starting:
            began = time.perf_counter()
            more = engine.advance(runs)
            spent += time.perf_counter() - began
            if not more:
                break
            await asyncio.sleep(0)
        return spent

    def _run_wave(self, engine: Engine) -> float:
        """Run one wave; return the seconds that it took, without its consumers."""
        began = time.perf_counter()
        deltas = engine.run()
        spent = time.perf_counter() - began
        self.waves += 1
        self._count(engine, deltas)
        tell(self.sinks, deltas)
        return spent

    def _count(self, engine: Engine, deltas: Deltas) -> None:
        """Count what a wave has done."""
        self.rule_counters.absorb(engine.ran, failed=engine.failed, first=self.starting)
        _WAVES.count += 1
        _RUNS.count += engine.ran.total()
        _FAILURES.count += engine.failed.total()
        for delta in deltas.values():
            _FACTS_ADDED.count += len(delta.added)
            _FACTS_REMOVED.count += len(delta.removed)

    def _report_long(self, spent: float, ran: Counter[str]) -> None:
        """Log a computation that took long, with the rules that ran most often."""
        most = ", ".join(f"{name} {runs}" for name, runs in ran.most_common(_MOST_NAMED))
        log.info("%s: a computation took %.0f ms; of %d runs most were %s", self.name, spent * 1000, ran.total(), most)

    async def _write(self, engine: Engine, writers: Sequence[RowWriter[Unit]]) -> None:
        """Write the rows that outputs want."""
        spent = 0.0
        for position, writer in enumerate(writers):
            if position and not engine.idle:  # what one database shows now goes into the next one with the rest
                await self._run_waves(engine)
            began = time.perf_counter()
            if not await writer.write():
                self._await_return(writer.client)
            spent += time.perf_counter() - began
        self._write_watch.add(spent * 1000)

    def _writers_of(self, engine: Engine) -> list[RowWriter[Unit]]:
        """Start the writers of outputs with pending edits; return those that have any."""
        found = []
        for client, rows in self.rows.items():
            rows.outputs = engine.outputs_of(client.store)
            if rows.outputs:
                found.append(self.writers[client])
        return found

    def _await_return(self, client: Client) -> None:
        """Schedule a wave for when a database is connected again, even if its rows have not changed."""

        async def returned() -> None:
            with contextlib.suppress(Disconnected):  # the client is closed
                await client.synchronized()
                self.schedule()

        task = self._returns.get(client)
        if task is None or task.done():
            self._returns[client] = asyncio.create_task(returned())

    def _set_timer(self, engine: Engine) -> None:
        """Schedule a wave for the next alarm."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (pause := engine.alarms.pause) is not None:
            self._timer = asyncio.get_running_loop().call_later(min(max(pause, INSTANT), HOUR), self.schedule)

    def _end(self) -> None:
        for task in self._returns.values():
            task.cancel()
        self._returns.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        engine, self.engine = self.engine, None
        if engine is not None:
            self.end(engine)


class ActiveStandbyDriver(EngineDriver):
    """A driver that runs only while it holds a lock of a database: one of several is active, the others stand by.

    Each time it becomes active, it makes a new engine from the rows that the previously active driver has written.

    Arguments:
        name: its name in the log.
        build: makes the engine, its outputs bound to the stores of `clients`.
        clients: every database that the engine reads or writes; outputs are written in this order.
        lock: the lock's name.
        holder: the database whose lock it is.
        watches: the names of its stopwatches.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Engine],
        clients: Sequence[Client],
        lock: str,
        holder: Client,
        watches: WatchNames | None = None,
    ) -> None:
        super().__init__(name, build, clients, watches=watches)
        self.lock = lock
        self.holder = holder
        self.active = False
        self._lost = asyncio.Event()
        self._back, self._forth = asyncio.Event(), asyncio.Event()
        self._forth.set()
        self._leaves = False  # whether the lock is to be released

    def step_back(self) -> None:
        """Run no waves, and leave the lock to others, until `step_forth` (ovn-northd(8), `pause`)."""
        self.pause()
        self._leaves = True
        self._forth.clear()
        self._back.set()
        self._lost.set()

    def step_forth(self) -> None:
        """Run waves again, once the lock is held."""
        self._back.clear()
        self._forth.set()
        self.resume()

    async def run(self) -> None:
        """Wait for the lock, run waves while it is held, and start over when it is lost."""
        while True:
            await self._forth.wait()
            self._lost.clear()
            if not await self._locked():
                continue
            self.active = True
            title = self.lock.replace("_", "-")  # OVN's log messages contain the program's name
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
                await asyncio.wait([pumping])  # awaiting it directly would hide a cancellation of this task
            if self._leaves:
                await self._release()
                log.info("%s is paused, and another instance may take the lock.", title)
            else:
                log.warning("%s lock lost. This %s instance is now on standby.", title, title)

    async def _locked(self) -> bool:
        """Wait for the lock; return false, and wait for it no more, if this instance is told to step back."""
        locking = asyncio.ensure_future(self.holder.lock(self.lock, self._lost.set))
        stepping = asyncio.ensure_future(self._back.wait())
        try:
            await asyncio.wait((locking, stepping), return_when=asyncio.FIRST_COMPLETED)
            if stepping.done():
                await self._release()
                return False
            locking.result()
            return True
        finally:
            for task in (locking, stepping):
                task.cancel()
            await asyncio.wait((locking, stepping))

    async def _release(self) -> None:
        self._leaves = False
        with contextlib.suppress(Disconnected):  # with the connection the lock is gone
            await self.holder.unlock(self.lock)

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Add an assertion that the lock is held, so that the database refuses the transaction otherwise."""
        if client is self.holder:
            transaction.assert_lock(self.lock)

    @property
    def status(self) -> str:
        """`paused`, `active` or `standby`, as in ovn-northd(8)'s `status` command."""
        return "paused" if self.paused else "active" if self.active else "standby"
