"""Reads and changes the settings of a cloud through a connection to its Cloud database.

A change is one transaction that waits for the values that it was computed from, so that concurrent changes are
serialised. It is on disk when the reply arrives.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ovenbird.model.cloud import CloudGlobal
from ovenbird.ovsdb.errors import ConstraintViolation, Disconnected, OvsdbError, TimedOut
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.transport import lacks_remote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.tls_keys import TlsKeys
    from ovenbird.ovsdb.transaction import Client, Transaction

PATIENCE = 10.0
"""Seconds that a server has to answer."""
_TURNS = 16
"""The number of attempts at a change while other clients change settings at the same time."""


class UnreachableError(Exception):
    """The settings cannot be read or changed; the message is one line."""


def options(store: Store) -> dict[str, str]:
    """Return the settings in Cloud's rows, unchecked."""
    return next((dict(row.options) for row in store.table(CloudGlobal)), {})


def stage(transaction: Transaction, store: Store, given: Mapping[str, str], unset: Collection[str] = ()) -> None:
    """Write a change of settings into a transaction, which fails if the settings have changed since they were read.

    Arguments:
        transaction: on Cloud.
        store: Cloud's rows.
        given: settings as they are stored.
        unset: names that go.
    """
    row = next(iter(store.table(CloudGlobal)), None)
    if row is None:
        if given:
            transaction.insert(CloudGlobal, {"options": dict(given)})
        return
    wanted = {name: value for name, value in row.options.items() if name not in unset} | dict(given)
    if wanted != row.options:
        transaction.wait(row, {"options": row.options})
        transaction.update(row, {"options": wanted})


async def change(client: Client, given: Mapping[str, str], unset: Collection[str] = ()) -> None:
    """Change settings in one transaction.

    Arguments:
        client: of Cloud.
        given: settings as they are stored.
        unset: names that go.

    Raises:
        UnreachableError: the database refuses, or does not answer in time; a change whose answer is lost may have
            been made.
    """
    until = asyncio.get_running_loop().time() + PATIENCE
    for _ in range(_TURNS):
        transaction = client.transaction()
        if transaction.lacks(CloudGlobal, ["options"]):
            raise UnreachableError("Cloud's schema is of a release without settings")
        stage(transaction, client.store, given, unset)
        try:
            await client.commit(transaction, durable=True, until=until)
        except Disconnected as error:
            raise UnreachableError(f"whether the settings were changed is unknown: {error}") from error
        except (TimedOut, ConstraintViolation) as error:  # another client was faster, or both insert the first row
            refusal = error
        except OvsdbError as error:
            raise UnreachableError(f"the settings cannot be changed: {error}") from error
        else:
            return
    raise UnreachableError(f"other clients keep changing the settings: {refusal}")


@asynccontextmanager
async def opened(remotes: str, keys: TlsKeys | None = None) -> AsyncIterator[Client]:
    """Connect to a Cloud database for as long as the context lasts.

    Arguments:
        remotes: where it is served, as in `unix:FILE` or `ssl:a:6643,ssl:b:6643`.
        keys: for `ssl:` remotes.

    Raises:
        UnreachableError: Cloud is not served there.
    """
    if why := lacks_remote(remotes):
        raise UnreachableError(f"Cloud cannot be reached: {why}")
    replica = Replica(remotes, database="Cloud", row_classes=(CloudGlobal,), leader_only=True, keys=keys)
    try:
        await _reached(replica)
        yield replica
    finally:
        await replica.close()


async def _reached(replica: Replica) -> None:
    """Wait until the rows have been received.

    Raises:
        UnreachableError: all servers fail, or none answers in time.
    """
    loop = asyncio.get_running_loop()
    starting, deadline = asyncio.create_task(replica.start()), loop.time() + PATIENCE
    try:
        while not starting.done():
            await asyncio.wait((starting,), timeout=0.02)
            if not starting.done() and (replica.unreachable or loop.time() > deadline):
                why = "; ".join(f"{remote}: {reason}" for remote, reason in replica.failures.items())
                raise UnreachableError(
                    f"Cloud cannot be reached: {why or f'no server answers within {PATIENCE:g} seconds'}"
                )
        await starting
    finally:
        starting.cancel()
