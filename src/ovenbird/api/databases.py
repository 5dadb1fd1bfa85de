"""Changes: one transaction on Cloud for each request, prepared from the current rows and decided by the database.

``Databases.change`` prepares a transaction from the rows in memory, which raises precise errors, and commits it. If the
database refuses it because of a concurrent change (an index, a reference, a revision waited for), the transaction is
prepared again from the current rows: it is then accepted, or preparing it raises the precise error. No condition is
checked in memory only, so any number of API processes can work at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.quotas import DEFAULT_QUOTAS, Quotas
from ovenbird.api.errors.request import ServiceUnavailable
from ovenbird.api.older_rows import renew
from ovenbird.api.ports.ipam import Allocator
from ovenbird.ovsdb.errors import ConstraintViolation, Disconnected, ReferentialIntegrityViolation, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.engine.rows import UUID, ColumnOf, Row, Store, Table
    from ovenbird.ovsdb.transaction import Client, Transaction

    Completions = list[Callable[["Draft"], None]]

log = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound="Row")

ATTEMPTS = 50
"""How often a draft is built again before an error is returned."""

RECONNECT_TIMEOUT = 30.0
"""Seconds for which a request waits while the database cannot be reached, such as during a cluster's election;
clients and proxies give up after about sixty."""

FIRST = 5.0
"""Seconds for which a request waits for databases that have not been reached since the service started."""

THE_SERVICE = Caller(admin=True)
"""The caller of changes that no request asks for."""

CONTESTED = (ConstraintViolation, ReferentialIntegrityViolation, TimedOut)
"""Errors of the database that mean that others have changed rows since the draft was built."""


class Draft:
    """A transaction under construction, with what its later parts must know about its earlier ones.

    Arguments:
        transaction: the transaction.
        caller: the caller.
        now: seconds since 1970.
    """

    def __init__(self, transaction: Transaction, caller: Caller, now: int) -> None:
        self.transaction = transaction
        self.caller = caller
        self.now = now
        self.taken: set[tuple[Any, ...]] = set()
        """Keys of unique indexes that this transaction uses, which are not in the tables yet."""
        self.made: dict[tuple[Any, ...], Any] = {}
        """Objects that this transaction has made for its later parts, by keys that these choose."""
        self.claimed: Counter[tuple[str, str]] = Counter()
        """How many resources this transaction creates, by project and resource, for quotas."""
        self.after: Completions = []
        """Follow-up writes once this is committed, about rows that others may have written at the same time."""
        self._bumped: set[UUID] = set()

    def insert(self, row_class: type[Row], values: Mapping[str, Any], uuid: UUID | None = None) -> UUID:
        """Add a resource, with its standard attributes.

        Arguments:
            row_class: of its table.
            values: of its columns, by name.
            uuid: its id; None for a new one.
        """
        standard = {"created_at": self.now, "updated_at": self.now, "revision_number": 1}
        return self.transaction.insert(row_class, {**values, **standard}, uuid)

    def update(self, row: Row, values: Mapping[str, Any]) -> None:
        """Change a resource and increment its revision, provided that the revision is still the one that was read."""
        if row.uuid in self._bumped:
            if values:
                self.transaction.update(row, values)
            return
        self._bumped.add(row.uuid)
        revision = row["revision_number"]
        self.transaction.wait(row, {"revision_number": revision})
        standard = {"updated_at": self.now, "revision_number": revision + 1}
        self.transaction.update(row, {**values, **standard})

    def pending(self, table: Table[S], uuid: UUID) -> S:
        """Return a row that this transaction inserts, as its later parts need it; nothing refers to it yet.

        Arguments:
            table: its table.
            uuid: its id.
        """
        self._bumped.add(uuid)
        return table.row_class(table, uuid, self.transaction.staged[table.name][uuid].values)

    def expect(self, row: Row) -> None:
        """Commit only if a resource's revision is still the one that was read."""
        if ("expected", row.uuid) not in self.made:
            self.made["expected", row.uuid] = None
            self.transaction.wait(row, {"revision_number": row["revision_number"]})

    def touch(self, row: Row) -> None:
        """Increment a resource's revision because a part of it changes, so that concurrent changes conflict."""
        self.update(row, {})


class Databases:
    """Cloud, which the API reads and writes, and Northbound and Southbound, from which it reads status.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound; None if status is not available.
        southbound: client of Southbound; None if chassis are not available.
        durable: whether a response waits until the change is on disk.
        quotas: the default limit of each resource.
    """

    def __init__(
        self,
        cloud: Client,
        *,
        northbound: Client | None = None,
        southbound: Client | None = None,
        durable: bool = True,
        quotas: Mapping[str, int] = DEFAULT_QUOTAS,
    ) -> None:
        self.cloud = cloud
        self.northbound = northbound
        self.southbound = southbound
        self.durable = durable
        self.allocator = Allocator()
        self.quotas = Quotas(self, quotas)
        self._turn = asyncio.Lock()
        self._present = False

    @property
    def store(self) -> Store:
        """Cloud's rows."""
        return self.cloud.store

    async def change(self, caller: Caller, build: Callable[[Draft], T], until: float | None = None) -> T:
        """Build and commit a transaction, again after conflicts; it is committed once at most.

        Arguments:
            caller: the caller.
            build: writes the draft and returns the subject of the request. It must have no other effect.
            until: the event loop's time until which to wait for the database; `RECONNECT_TIMEOUT` from now if None.

        Raises:
            NeutronError: what ``build`` raised.
            OvsdbError: the database refused every attempt.
            Disconnected: the outcome is unknown.
        """
        if until is None:
            until = asyncio.get_running_loop().time() + RECONNECT_TIMEOUT
        answer, after = await self._built(caller, build, until)
        for more in after:  # after the turn: each may need one of its own
            await self._complete(caller, more, until)
        return answer

    async def _built(self, caller: Caller, build: Callable[[Draft], T], until: float) -> tuple[T, Completions]:
        """Build and commit a transaction; return its subject and its follow-up writes."""
        try:
            return await self._attempt(caller, build, until)
        except CONTESTED:
            pass  # the change that was faster is visible by now
        async with self._turn:  # losers of one process go one by one, so that they lose to other processes at most
            for _ in range(ATTEMPTS):
                try:
                    return await self._attempt(caller, build, until)
                except CONTESTED as error:
                    lost = error
        raise lost

    async def _attempt(self, caller: Caller, build: Callable[[Draft], T], until: float) -> tuple[T, Completions]:
        if not self.cloud.connected:
            await _reached(self.cloud, until)
        draft = Draft(self.cloud.transaction(), caller, int(time.time()))
        answer = build(draft)
        if not draft.transaction.empty:
            await self.cloud.commit(draft.transaction, durable=self.durable, until=until)
        return answer, draft.after

    async def present(self) -> None:
        """Wait until the rows of every database have been received, since the service may have started first.

        Raises:
            ServiceUnavailable: a database could not be reached in time.
        """
        if self._present:
            return
        until = asyncio.get_running_loop().time() + FIRST
        for client in (self.cloud, self.northbound, self.southbound):
            if client is not None and not _is_present(client):
                await _reached(client, until)
        await self.change(THE_SERVICE, lambda draft: renew(self.store, draft), until)
        self._present = True

    async def _complete(self, caller: Caller, more: Callable[[Draft], None], until: float) -> None:
        """Do the follow-up writes of a committed change, which remains even if they fail."""
        try:
            await self.change(caller, more, until)
        except (Disconnected, ServiceUnavailable) as error:
            log.warning("a change of project %s was made without its follow-up writes: %s", caller.project, error)
        except Exception:
            log.exception("the follow-up writes of a change of project %s failed", caller.project)

    def is_taken(self, draft: Draft, *key: tuple[ColumnOf[Any, Any], Any]) -> bool:
        """Return whether a unique index has a key, in the database or in the draft."""
        columns = tuple(column for column, _ in key)
        values = tuple(value for _, value in key)
        table = self.store.table(columns[0].owner)
        stored = table.index(*columns).count(values if len(values) > 1 else values[0])
        return stored > 0 or (columns[0].owner, *values) in draft.taken

    def take(self, draft: Draft, *key: tuple[ColumnOf[Any, Any], Any]) -> None:
        """Record that a draft uses a key of a unique index."""
        draft.taken.add((key[0][0].owner, *[value for _, value in key]))


def _is_present(client: Client) -> bool:
    """Return whether a database's rows have been received, even if the connection is lost now."""
    try:
        return client.store is not None
    except Disconnected:
        return False


async def _reached(client: Client, until: float) -> None:
    """Wait until a database can be reached.

    Raises:
        ServiceUnavailable: it could not be in time.
    """
    try:
        async with asyncio.timeout_at(until):
            await client.synchronized()
    except TimeoutError:
        raise ServiceUnavailable from None
