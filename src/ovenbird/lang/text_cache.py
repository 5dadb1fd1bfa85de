"""Caches of what is made of texts, bounded by how long the texts are.

Matches and actions come from outside, as long and as many as somebody cares to write, and what is made of one takes
some ten times its length. A number of entries is no bound of that; a number of characters is. The newer half of a
cache is kept: when the texts added since the last time are together as long as the limit, those before are forgotten,
but for what has been asked for meanwhile.
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
