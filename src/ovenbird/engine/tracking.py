"""The dependency graph: sources and readers.

A ``Source`` is anything whose value can change: a row, a bucket of an index, the membership of a table, a view, an
allocated id. A ``Reader`` is a computation: an instance of a view or of a rule. While a reader computes, ``reader``
names it, and every source that it reads records it under a bit mask (rows use one bit for each column, other sources
the bit ``WHOLE``). Both directions are stored: ``source.readers`` to find who is affected by a change, ``reader.deps``
to remove the dependencies before computing again.

Waves are synchronous, so one module variable is enough; several engines may read the same rows.
"""

from __future__ import annotations

from typing import Any

WHOLE = 1

reader: Reader | None = None


class Source:
    """A value that can change, with its readers."""

    __slots__ = ("readers",)

    def __init__(self) -> None:
        self.readers: dict[Reader, int] = {}

    def track(self) -> None:
        """Note that the current reader, if any, depends on the whole of this source."""
        node = reader
        if node is not None and node not in self.readers:
            self.readers[node] = WHOLE
            node.deps.append(self)

    def touch(self) -> None:
        """Tell every reader that this source has changed."""
        for node in list(self.readers):
            node.invalidate()

    def unread(self) -> None:
        """React to the loss of the last reader; sources that exist only while read dispose of themselves here."""


class Reader(Source):
    """A computation that depends on the sources it read; a view is also a source.

    Arguments:
        engine: the engine whose waves run it.
    """

    __slots__ = ("deps", "dirty", "engine", "height")

    def __init__(self, engine: Any) -> None:
        self.readers = {}
        self.engine = engine
        self.dirty = False
        self.deps: list[Source] = []
        self.height = 0

    def invalidate(self) -> None:
        """Schedule this computation to run again."""
        raise AssertionError(type(self))

    def forget(self) -> None:
        """Drop every dependency."""
        for source in self.deps:
            readers = source.readers
            del readers[self]
            if not readers:
                source.unread()
        self.deps = []
