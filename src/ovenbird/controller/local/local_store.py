"""The controller's own tables: values that are in no database, for rules that read them as rows.

`Progress`, `ProtocolState`, `Listeners` and `LearnedHere` hold what comes from outside of the rules. `Attachment` is
derived: facts of one wave are its rows in the next, so that a reader of one row does not depend on the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.engine.facts import NamedRows, Relation
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.rows import UUID, Column, Row, Store
from ovenbird.engine.serial_uuids import serial_uuids

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress(Row, table="Progress"):
    """The state of the controller itself: one row, which rules read as any other row."""

    __slots__ = ()

    system_id: Column[str] = Column("")
    complete: Column[frozenset[UUID]] = Column(frozenset())
    everything: Column[bool] = Column(default=False)
    settled: Column[bool] = Column(default=False)
    stopping: Column[bool] = Column(default=False)
    previous: Column[str] = Column("")
    """The chassis's name before it was changed, until its rows have the new one."""
    bridge: Column[str] = Column("")
    """The integration bridge in use: that of `ovn-bridge`, except for a moment after a change."""
    former_bridge: Column[str] = Column("")
    """The one before `ovn-bridge` was changed."""
    findings: Column[str | None] = Column(None)
    """This host's findings, as they are written to Southbound; None until they are known."""


class Attachment(Row, table="Attachment"):
    """A logical port's interface on the integration bridge, as `external_ids:iface-id` says.

    It is a table of its own, so that a new interface triggers only the rules that look this name up.
    """

    __slots__ = ()

    name: Column[str] = Column("")
    interface: Column[UUID] = Column("")


class AttachmentRow(NamedTuple):
    """A logical port that has an interface on the integration bridge."""

    relation: Relation
    name: str
    interface: UUID


ATTACHED = NamedRows(Attachment, AttachmentRow, key=(Attachment.name, Attachment.interface))


class ProtocolState(Row, table="ProtocolState"):
    """The outcome of a protocol that this chassis runs, by subject: a BFD session's state, a delegated prefix."""

    __slots__ = ()

    subject: Column[str] = Column("")
    value: Column[str] = Column("")


class Listeners(Row, table="Listeners", indexes=(("datapath", "address"),)):
    """The ports of a switch that have joined a multicast group, as snooped here; none if the group has ended.

    One that ended stays until Southbound does not have it any more.
    """

    __slots__ = ()

    datapath: Column[UUID] = Column("")
    address: Column[str] = Column("")
    ports: Column[frozenset[UUID]] = Column(frozenset())
    protocol: Column[str] = Column("")


class LearnedHere(Row, table="LearnedHere", indexes=(("datapath", "port", "prefix", "nexthop"),)):
    """A route of a router, at one of its ports, that this chassis's kernel has from others."""

    __slots__ = ()

    datapath: Column[UUID] = Column("")
    port: Column[UUID] = Column("")
    prefix: Column[str] = Column("")
    nexthop: Column[str] = Column("")


def make_local_store(system_id: str = "") -> Store:
    """Make the controller's own store, with the one `Progress` row.

    Arguments:
        system_id: the chassis's name if it was given to the program, which then overrides the database's.
    """
    store = Store("controller", [Progress, Attachment, ProtocolState, Listeners, LearnedHere])
    values = list(Progress.DEFAULTS)
    values[Progress.system_id.index] = system_id
    store.table(Progress).insert(UUID("00000000-0000-4000-8000-000000000000"), values)
    return store


class ProgressRow:
    """Writes the `Progress` row.

    Arguments:
        store: the controller's own.
        wake: is called after each change.
    """

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._table = store.table(Progress)
        self._wake = wake

    @property
    def row(self) -> Progress:
        """The row."""
        return next(iter(self._table.rows.values()))

    def tell(self, **values: Any) -> None:
        """Change columns, if they differ."""
        row = self.row
        changes = {}
        for name, value in values.items():
            index = Progress.BY_NAME[name].index
            if row.values[index] != value:
                changes[index] = value
        if changes:
            self._table.modify(row, changes)
            self._wake()


def progress() -> Progress:
    """Return the controller's own row."""
    return rows(Progress)[0]


def outcome(subject: str) -> str | None:
    """Return the outcome recorded for a subject; None while there is none. The caller depends on it."""
    found = find(ProtocolState.subject, subject)
    return found.value if found is not None else None


def recorded(store: Store, subject: str) -> str | None:
    """Return the outcome recorded for a subject, or None; untracked."""
    row = store.find(ProtocolState.subject, subject)
    return row.value if row is not None else None


def record(store: Store, subject: str, *, value: str | None) -> bool:
    """Record the outcome of a subject; return whether it has changed.

    Arguments:
        store: the controller's own.
        subject: what it is about.
        value: what has come of it; None to forget it.
    """
    table = store.table(ProtocolState)
    if recorded(store, subject) == value:
        return False
    row = store.find(ProtocolState.subject, subject)
    if row is None:
        table.insert(serial_uuids(1)[0], [subject, value])
    elif value is None:
        table.delete(row)
    else:
        table.modify(row, {ProtocolState.value.index: value})
    return True
