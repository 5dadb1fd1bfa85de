"""Compaction: the journal's file is replaced by the schema and one record of the database's content.

The database goes on changing meanwhile. The record shows the content at the moment when compaction began: rows are
encoded a few at a time, and a row that a commit is about to change is encoded before it changes. Commits are still
appended to the old file and then copied behind the record; the new file takes the old one's name after everything is on
disk. At every moment there is one file that has every commit.
"""

from __future__ import annotations

import os
import time
from itertools import count, islice
from typing import TYPE_CHECKING

from ovenbird.engine.gc_pause import gc_paused
from ovenbird.ovsdb.errors import InputOutputError
from ovenbird.ovsdb.journal import Journal, body, piece, record, record_of, write_all
from ovenbird.ovsdb.table import encode_row

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Row
    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.database import Database

COPIES = 4
"""How often records appended meanwhile are copied while commits go on; the last ones are copied while commits wait."""

_numbers = count(1)
"""Numbers the files: a compaction that was replaced may still be writing in its thread."""


class Compaction:
    """A compaction in progress: call `step` until it returns False, then `write` (in any thread), then `take_over`.

    Arguments:
        journal: the journal. It notifies the compaction of commits; a newer compaction ends an older one.
        database: the contents of the new file.
    """

    def __init__(self, journal: Journal, database: Database) -> None:
        self._journal = journal
        self._schema = record(database.schema.to_json())
        self._plans = {name: journal.plan(table)[0] for name, table in database.tables.items()}
        self._left: dict[str, dict[UUID, Row]] = {
            name: dict(table.table.rows) for name, table in database.tables.items() if table.table.rows
        }
        self._pieces: dict[str, list[bytes]] = {name: [] for name in self._left}
        self._date = int(time.time() * 1000)
        self._copied = journal.size
        self._path = journal.path.with_name(f"{journal.path.name}.tmp{next(_numbers)}")
        self._fd = -1
        self._size = 0
        journal.compaction = self

    @property
    def current(self) -> bool:
        """Whether no other compaction has begun, nor the journal been closed."""
        return self._journal.compaction is self

    def keep(self, commit: Commit) -> None:
        """Encode rows that a commit is about to change."""
        for name, changes in commit.changes.items():
            left = self._left.get(name, {})
            for change in changes if left else ():
                row = left.pop(change.uuid, None)
                if row is not None:
                    self._pieces[name].append(piece({row.uuid: encode_row(self._plans[name], row.values)}))

    @gc_paused
    def step(self, rows: int) -> bool:
        """Encode some rows; return whether any are left."""
        if not self._left:
            return False
        name, left = next(iter(self._left.items()))
        plan = self._plans[name]
        some = list(islice(left.values(), rows))
        if some:
            self._pieces[name].append(piece({row.uuid: encode_row(plan, row.values) for row in some}))
        for row in some:
            del left[row.uuid]
        if not left:
            del self._left[name]
        return bool(self._left)

    def write(self) -> None:
        """Write and sync the new file, with nearly all of the commits made meanwhile.

        Raises:
            InputOutputError: it could not be written; the old file stays.
        """
        notes = {"_date": self._date, "_comment": "compacting database online"}
        pieces, self._pieces = self._pieces, {}
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._append(self._schema)
            self._append(*record_of(body({name: parts for name, parts in pieces.items() if parts}, notes)))
            for _ in range(COPIES):
                self._follow()
                os.fsync(self._fd)
                if self._copied == self._journal.size:
                    break
        except OSError as error:
            raise InputOutputError(f"cannot compact {self._journal.path}: {error.strerror}") from error

    def take_over(self) -> None:
        """Replace the old file by the new one; call while nothing is being appended.

        Raises:
            InputOutputError: it could not be; the old file stays.
        """
        try:
            if self._copied != self._journal.size:
                self._follow()
                os.fsync(self._fd)
            self._path.replace(self._journal.path)
        except OSError as error:
            raise InputOutputError(f"cannot compact {self._journal.path}: {error.strerror}") from error
        descriptor, self._fd = self._fd, -1
        self._journal.replaced(descriptor=descriptor, size=self._size)

    def end(self) -> None:
        """Clean up, whether the compaction is complete or not."""
        if self.current:
            self._journal.compaction = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._path.unlink(missing_ok=True)

    def _append(self, *parts: bytes) -> None:
        self._size += write_all(self._fd, parts)

    def _follow(self) -> None:
        """Copy what was appended to the old file."""
        while self._copied < (size := self._journal.size):
            data = self._journal.read(self._copied, length=min(size - self._copied, 1 << 20))
            self._append(data)
            self._copied += len(data)


def compact(journal: Journal, database: Database) -> None:
    """Compact at once.

    Raises:
        InputOutputError: the new file could not be written; the old one stays.
    """
    compaction = Compaction(journal, database)
    try:
        while compaction.step(1 << 20):
            pass
        compaction.write()
        compaction.take_over()
    finally:
        compaction.end()
