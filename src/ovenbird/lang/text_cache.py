"""Caches of what is computed from texts, bounded by the total length of the texts.

Matches and actions come from databases, in any length and number, and the value computed from a text takes about ten
times its length. A limit on the number of entries would not limit the memory; a limit on characters does. When the
texts added since the last clean-up reach the limit, older entries are dropped, except those used since then.
"""

from __future__ import annotations

from collections import Counter
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_MISSING: Any = object()

LIMIT = 1 << 18
"""Characters of the texts in one half of a cache."""


class _Cache(NamedTuple):
    """What can be asked of one cache: its results, the characters of their texts, and to forget them."""

    entries: Callable[[], int]
    characters: Callable[[], int]
    forget: Callable[[], None]


_caches: WeakKeyDictionary[Callable[..., Any], _Cache] = WeakKeyDictionary()


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

    def forget() -> None:
        nonlocal newer, older, length
        newer, older, length = {}, {}, 0

    _caches[remembering] = _Cache(
        entries=lambda: len(newer) + len(older),
        characters=lambda: sum(map(len, newer)) + sum(map(len, older)),
        forget=forget,
    )
    return cast("F", remembering)


def show_caches() -> str:
    """Return how many results each cache has, and how long their texts are, in the form of `lflow-cache/show-stats`."""
    present = list(_caches.items())
    by_name: Counter[str] = Counter()
    for function, cache in present:
        by_name[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] += cache.entries()
    figures = {"total": by_name.total(), **dict(sorted(by_name.items()))}
    size = sum(cache.characters() for _, cache in present) // 1024
    lines = [f"{name:<16}: {count}\n" for name, count in (*figures.items(), ("Texts (KB)", size))]
    return "".join(["Enabled: true\n", *lines])


def forget_all() -> None:
    """Empty all caches; what is asked for next is computed anew."""
    for cache in list(_caches.values()):
        cache.forget()
