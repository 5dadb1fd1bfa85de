"""The pump: what turns an engine's waves into transactions.

A change in any database the engine reads wakes the pump; one wave takes in everything that has come meanwhile, and
what it changed goes out as one transaction a database. While a transaction is on its way changes queue up, and the
next wave takes them together. A database's refusal is answered by leaving out what it names and trying again; a lost
connection by looking at everything again once it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
from typing import TYPE_CHECKING

from ovenbird.ovsdb.errors import Disconnected, OvsdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.outputs import Output
    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

ATTEMPTS = 100
"""How many culprits of one refused transaction are left out, one after the other, before the pump waits."""
PAUSE = 1.0
"""Seconds to wait before trying again what a database refused without saying why."""
INSTANT = 0.1
"""Seconds to wait at least for the next moment that rules wait for: those close together are one wave."""
HOUR = 3600.0
"""Seconds to wait at most: by then the clock may have been put right."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@contextlib.contextmanager
def long_lived() -> Iterator[None]:
    """Keep the garbage collector off while objects are made that will live as long as the process.

    A cold start makes millions of them; the collector would walk them again and again, then, and at each full
    collection later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Pump:
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
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._outputs: dict[Client, list[Output]] = {}
        self._reached = dict.fromkeys(clients, True)

    def wake(self, *_: object) -> None:
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
        self.wake()

    async def run(self) -> None:
        """Make the engine and run waves until cancelled."""
        with contextlib.ExitStack() as stack:
            for client in self.clients:
                stack.callback(client.on_change(self.wake))
            with long_lived():
                self.engine = engine = self.build()
                stack.callback(self._end)
                self._outputs = {
                    client: [o for o in engine.outputs.values() if o.table.store is client.store]
                    for client in self.clients
                }
                while self.paused:
                    await self._wake.wait()
                    self._wake.clear()
                await self._wave(engine)
            engine.drop_seeds()
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
        engine.run()
        self.waves += 1
        for client in self.clients:
            await self._write(client)
        if not engine.idle:
            self._wake.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (pause := engine.alarms.pause) is not None:
            self._timer = asyncio.get_running_loop().call_later(min(max(pause, INSTANT), HOUR), self.wake)

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
        for _ in range(ATTEMPTS):
            if all(output.idle for output in outputs):
                return
            transaction = client.transaction()
            try:
                for output in outputs:
                    output.plan(transaction)
                if not transaction.empty:
                    self.amend(client, transaction)
                    await client.commit(transaction)
            except OvsdbError as e:
                if not self._undo(outputs, e):
                    break
            except Disconnected as e:
                log.warning("%s: %s: %s", self.name, client.store.name, e)
                self._reached[client] = False
                return
            else:
                return
        asyncio.get_running_loop().call_later(PAUSE, self.wake)

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Add to a transaction that is about to be committed; for subclasses that hold a lock."""

    def _undo(self, outputs: Sequence[Output], refusal: OvsdbError) -> bool:
        """Take the refused plan back; return whether leaving something out gives hope."""
        log.error("%s: the database refused a transaction: %s", self.name, refusal)
        culprits = set(_UUID.findall(str(refusal)))
        hope = False
        for output in outputs:
            hope |= output.undo(culprits)
        return hope


class LockedPump(Pump):
    """A pump that runs only while it holds a lock of a database: one of several is active, the others stand by.

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
            log.info("%s: acquired lock %s, now active", self.name, self.lock)
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
            log.warning("%s: lost lock %s, now standing by", self.name, self.lock)

    def amend(self, client: Client, transaction: Transaction) -> None:
        """Let the database refuse the transaction if the lock has gone meanwhile."""
        if client is self.holder:
            transaction.assert_lock(self.lock)

    @property
    def status(self) -> str:
        """`paused`, `active` or `standby`, as ovn-northd(8)'s `status` command says it."""
        return "paused" if self.paused else "active" if self.active else "standby"
