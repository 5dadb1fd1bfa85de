"""Rows as the API shows them, cached until something that they depend on changes.

A rendering is a pure function of tracked rows, so the engine's tracking tells when it is out of date: a list of ten
thousand ports is ten thousand lookups of encoded JSON.

A row that cannot be rendered, because another program or release wrote something that is not understood, is reported
and shown in part, so that it can be found and deleted; it does not make a list fail.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.engine import tracking
from ovenbird.engine.tracking import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.rows import Row

log = logging.getLogger(__name__)


class Representation:
    """A row as shown to a caller who sees a part of it: as a dict, which must not be changed, and as JSON."""

    __slots__ = ("json", "value")

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.json = orjson.dumps(value)


class Rendering(Reader):
    """The representation of a row: as a dict, which must not be changed, as JSON, and without some attributes."""

    __slots__ = ("json", "known", "less", "row", "value")

    def __init__(self, known: dict[Row, Rendering], row: Row) -> None:
        super().__init__(None)
        self.known = known
        self.row = row
        self.value: dict[str, Any] = {}
        self.json = b""
        self.less: dict[tuple[frozenset[str], bool], Representation] | None = None

    def without(self, hidden: frozenset[str], *, shared: bool = False) -> Representation:
        """Return the representation without some attributes.

        Arguments:
            hidden: the attributes.
            shared: whether it is for a caller with whom the row is shared, although not with all projects.
        """
        if self.less is None:
            self.less = {}
        found = self.less.get((hidden, shared))
        if found is None:
            value = {n: v for n, v in self.value.items() if n not in hidden}
            if shared:
                value["shared"] = True
            found = self.less[hidden, shared] = Representation(value)
        return found

    def invalidate(self) -> None:
        """Drop the rendering; the next request renders the row again."""
        self.known.pop(self.row, None)
        self.forget()


class Renderings:
    """The renderings of one resource's rows.

    Arguments:
        render: returns the representation of a row; it may read any tracked row.
        remains: returns a reduced representation of a row on which ``render`` fails; it never fails itself.
    """

    def __init__(self, render: Callable[[Any], dict[str, Any]], *, remains: Callable[[Any], dict[str, Any]]) -> None:
        self.render = render
        self.remains = remains
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
            made.json = orjson.dumps(made.value)
        except Exception:
            log.exception("%r cannot be shown", row)
            made.value = self.remains(row)
            made.json = orjson.dumps(made.value)
        finally:
            tracking.reader = outer
        self.known[row] = made
        return made
