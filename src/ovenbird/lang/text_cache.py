"""Caches of what is computed from texts, bounded by the total length of the texts.

Matches and actions come from databases, in any length and number, and the value computed from a text takes about ten
times its length. A limit on the number of entries would not limit the memory; a limit on characters does. When the
texts added since the last clean-up reach the limit, older entries are dropped, except those used since then.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_MISSING: Any = object()

LIMIT = 1 << 18
"""Characters of the texts in one half of a cache."""


def cached_by_text(function: F) -> F:
    """Make a pure function of one text cache its results.

    Arguments:
        function: takes one `str` or `bytes`, positional. Exceptions are not cached.

    Returns:
        The function with its cache, which holds at most two times `LIMIT` characters of arguments with their results;
        the result for a text longer than `LIMIT` is not cached.
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
