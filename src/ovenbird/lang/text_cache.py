"""Caches of what is computed from texts, bounded by the total length of the texts.

Matches and actions are written by others, in any length and number, and what is computed from one takes some ten times
its length. A bound on the number of entries would not bound the memory; a number of characters does. When the texts
added since the last time reach the limit, the entries before them are dropped, except those that were used in the
meantime.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_MISSING: Any = object()

LIMIT = 1 << 18
"""Characters of the texts in one half of a cache, unless it is said otherwise."""


def cached_by_text(function: F) -> F:
    """Make a pure function of one text remember its answers.

    Arguments:
        function: takes one `str` or `bytes`, positional. An exception is not remembered.

    Returns:
        The function; two times `LIMIT` characters of arguments and what was made of them stay in memory at most, and
        a text that is longer than `LIMIT` not at all.
    """
    newer: dict[Any, Any] = {}
    older: dict[Any, Any] = {}
    length = 0

    @wraps(function)
    def remembering(text: Any) -> Any:
        nonlocal newer, older, length
        found = newer.get(text, _MISSING)
        if found is not _MISSING:
            return found
        found = older.pop(text, _MISSING)
        if found is _MISSING:
            found = function(text)
        if len(text) > LIMIT:
            return found
        length += len(text)
        if length > LIMIT:
            newer, older, length = {}, newer, len(text)
        newer[text] = found
        return found

    return cast("F", remembering)
