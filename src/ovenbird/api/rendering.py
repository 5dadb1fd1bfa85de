"""Rows as the API shows them, remembered until something that they show changes.

A rendering is a pure function of tracked rows, so the engine's own tracking says when it is out of date: a list of ten
thousand ports is ten thousand look-ups of JSON that is already encoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.rows import Row


class Shown:
    """What a caller sees who may not see all of a row: as a dict, which nobody may change, and as JSON."""

    __slots__ = ("json", "value")

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.json = orjson.dumps(value)


class Rendering(Reader):
    """What the API shows of one row: as a dict, which nobody may change, and as JSON; and with less shown."""

    __slots__ = ("json", "known", "less", "row", "value")

    def __init__(self, known: dict[Row, Rendering], row: Row) -> None:
        super().__init__(None)
        self.known = known
        self.row = row
        self.value: dict[str, Any] = {}
        self.json = b""
        self.less: dict[frozenset[str], Shown] | None = None

    def without(self, hidden: frozenset[str]) -> Shown:
        """Return what is left without some attributes."""
        if self.less is None:
            self.less = {}
        found = self.less.get(hidden)
        if found is None:
            found = self.less[hidden] = Shown({n: v for n, v in self.value.items() if n not in hidden})
        return found

    def invalidate(self) -> None:
        """Forget the rendering; whoever asks next gets a new one."""
        self.known.pop(self.row, None)
        self.forget()


class Renderings:
    """The renderings of one resource's rows.

    Arguments:
        render: what the API shows of a row; it may read any tracked row.
    """

    def __init__(self, render: Callable[[Any], dict[str, Any]]) -> None:
        self.render = render
        self.known: dict[Row, Rendering] = {}

    def of(self, row: Row) -> Rendering:
        """Return the rendering of a row."""
        found = self.known.get(row)
        return found if found is not None else self._make(row)

    def _make(self, row: Row) -> Rendering:
        made = Rendering(self.known, row)
        outer, tracking.reader = tracking.reader, made
        try:
            made.value = self.render(row)
        except BaseException:
            made.forget()
            raise
        finally:
            tracking.reader = outer
        made.json = orjson.dumps(made.value)
        self.known[row] = made
        return made
