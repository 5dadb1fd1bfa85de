"""Stable small numbers: tunnel keys, conntrack zones, conjunction ids.

A pool assigns a number to each key of a scope. The number stays the same as long as it is read, whatever other keys
come and go. Numbers found in a database at start are seeded, so that a restart renumbers nothing. A reader may request
a certain number: it receives it unless another key has requested it too, and a key that had it without a request moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine import tracking
from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.tracking import Source

if TYPE_CHECKING:
    from collections.abc import Hashable


class Pool:
    """A range of ids, allocated separately in each scope.

    Arguments:
        name: what findings call one of the ids, in the singular.
        low, high: the range, both ends included.
        limit: the highest number that may be requested, `high` by default.
    """

    __slots__ = ("high", "limit", "low", "name")

    def __init__(self, name: str, low: int, high: int, *, limit: int | None = None) -> None:
        self.name = name
        self.low = low
        self.high = high
        self.limit = high if limit is None else limit

    def get(self, key: Hashable, *, scope: Hashable = None, want: int | None = None, yields: bool = False) -> int:
        """Return the id of ``key`` in ``scope``; the caller depends on it, and it stays allocated while it has readers.

        Arguments:
            key: whose number.
            scope: the ids of one scope are distinct.
            want: the preferred id, within the range. A caller that gets another one runs again when any is
                released.
            yields: whether a key that requests the same id without `yields` takes it away from this one.

        Raises:
            IdsExhaustedError: the scope has no free id; the caller runs again when one is released.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self.name}: asked for an id outside of a computation")
        return _scope(node.engine, self, scope).get(key, want, strength=0 if want is None else 1 if yields else 2)

    def narrow(self, low: int, *, high: int, scope: Hashable = None) -> None:
        """Allocate the ids of a scope from a part of the range; ids outside of it that no key has requested move.

        Arguments:
            low: the lowest id; the pool's, if that is higher.
            high: the highest; the pool's, if that is lower.
            scope: the ids' scope.

        Raises:
            LookupError: nothing is being computed, so there is no engine to ask.
        """
        node = tracking.reader
        if node is None:
            raise LookupError(f"{self.name}: narrowed outside of a computation")
        _scope(node.engine, self, scope).narrow(low, high=high)


def _scope(engine: Any, pool: Pool, scope: Hashable) -> PoolScope:
    found: PoolScope | None = engine.scopes.get((pool, scope))
    if found is None:
        found = engine.scopes[pool, scope] = PoolScope(engine, pool, scope)
    return found


def seed(engine: Any, pool: Pool, key: Hashable, value: int, scope: Hashable = None) -> None:
    """Reserve for a key the id that it had before this process started.

    Arguments:
        engine: whose numbers.
        pool: of the numbers.
        key: what has the number.
        value: the number.
        scope: within which numbers differ.
    """
    if pool.low <= value <= pool.limit:
        _scope(engine, pool, scope).seed(key, value)


def used(engine: Any, pool: Pool, scope: Hashable = None) -> dict[Hashable, int]:
    """Return the allocated ids of one scope of a pool, by key; for inspection.

    Arguments:
        engine: whose numbers.
        pool: of the numbers.
        scope: within which numbers differ.
    """
    found = engine.scopes.get((pool, scope))
    return {key: each.value for key, each in found.by_key.items()} if found is not None else {}


class Allocation(Source):
    """The id of one key; it exists while it has readers.

    Arguments:
        scope: the numbers that it is one of.
        key: the key.
        value: the number.
        strength: how strongly the number was requested; a larger one takes it from a smaller one.
    """

    __slots__ = ("key", "scope", "strength", "value")

    def __init__(self, scope: PoolScope, key: Hashable, *, value: int, strength: int) -> None:
        self.readers = {}
        self.scope = scope
        self.key = key
        self.value = value
        self.strength = strength

    def unread(self) -> None:
        """Let the engine release the id at the end of the wave, unless it has been read again."""
        self.scope.engine.unread.append(self)

    def dispose(self) -> None:
        """Release the number."""
        self.scope.release(self)


class Refused(Source):
    """An id that a key preferred and did not get, because another key has it."""

    __slots__ = ("scope", "value")

    def __init__(self, scope: PoolScope, value: int) -> None:
        self.readers = {}
        self.scope = scope
        self.value = value

    def unread(self) -> None:
        """Drop this object, unless another request for the id is refused."""
        if self.scope.refused.get(self.value) is self:
            del self.scope.refused[self.value]


class PoolScope:
    """The numbers taken in one scope of a pool.

    Arguments:
        engine: the engine whose readers read the numbers.
        pool: the pool, with its range.
        key: the scope.
    """

    __slots__ = ("_next", "by_key", "engine", "exhausted", "high", "key", "low", "pool", "refused", "seeds", "taken")

    def __init__(self, engine: Any, pool: Pool, key: Hashable) -> None:
        self.engine = engine
        self.pool = pool
        self.key = key
        self.by_key: dict[Hashable, Allocation] = {}
        self.taken: dict[int, Hashable] = {}
        self.seeds: dict[Hashable, int] = {}
        self.exhausted = Source()
        self.refused: dict[int, Refused] = {}
        self.low, self.high = pool.low, pool.high
        self._next = pool.low

    def seed(self, key: Hashable, value: int) -> None:
        """Reserve ``value`` for ``key``, unless another key has it already."""
        if self.taken.setdefault(value, key) == key:
            self.seeds[key] = value

    def get(self, key: Hashable, want: int | None, *, strength: int) -> int:
        """Return the number of ``key``, allocating or moving it as needed.

        Arguments:
            key: whose number.
            want: the number to prefer.
            strength: 0 without preference; of two keys that prefer the same id the stronger gets it, else the holder.
        """
        found = self.by_key.get(key)
        if found is None:
            value = self._choose(key, want, strength)
            found = self.by_key[key] = Allocation(self, key, value=value, strength=strength if value == want else 0)
            self.taken[value] = key
        elif want is not None and (found.value != want or found.strength < strength):
            value = self._choose(key, want, strength)
            found.strength = strength if value == want else 0
            if value != found.value:
                self._move(found, value)
        found.track()
        if want is not None and found.value != want:
            self.exhausted.track()
        return found.value

    def narrow(self, low: int, *, high: int) -> None:
        """Allocate from `low` to `high` from now on, and move what is outside and was not requested."""
        low, high = max(low, self.pool.low), min(high, self.pool.high)
        if (low, high) == (self.low, self.high):
            return
        self.low, self.high, self._next = low, high, low
        for key, value in list(self.seeds.items()):
            if not low <= value <= high:
                del self.seeds[key]
                if self.taken.get(value) == key and key not in self.by_key:
                    del self.taken[value]
        for found in list(self.by_key.values()):
            if not found.strength and not low <= found.value <= high:
                self._oust(found)
        self.exhausted.touch()

    def release_unclaimed(self) -> None:
        """Release the reservations that no key has claimed."""
        for key, value in self.seeds.items():
            if self.taken.get(value) == key and key not in self.by_key:
                del self.taken[value]
        self.seeds.clear()

    def release(self, allocation: Allocation) -> None:
        """Release an id."""
        if self.by_key.get(allocation.key) is not allocation:
            return
        del self.by_key[allocation.key]
        if self.taken.get(allocation.value) == allocation.key:
            del self.taken[allocation.value]
        self._left(allocation.value)
        self.exhausted.touch()
        if not self.by_key and not self.seeds and (self.low, self.high) == (self.pool.low, self.pool.high):
            self.engine.scopes.pop((self.pool, self.key), None)

    def _choose(self, key: Hashable, want: int | None, strength: int) -> int:
        seeded = self.seeds.pop(key, None)
        own = self.by_key.get(key)
        if want is not None and self.pool.low <= want <= self.pool.limit:
            holder = self.taken.get(want)
            if holder is None or holder == key:
                if seeded is not None and seeded != want:
                    del self.taken[seeded]
                return want
            other = self.by_key.get(holder)
            if other is None:  # only reserved by a seed
                self.seeds.pop(holder, None)
                return want
            if other.strength < strength:
                self._oust(other)
                self.taken[want] = key
                return want
            self.refused.setdefault(want, Refused(self, want)).track()
        if seeded is None and own is not None:
            return own.value
        return seeded if seeded is not None else self._free()

    def _oust(self, other: Allocation) -> None:
        """Give a key another id; if none is free, release its id, so that its readers run again and fail."""
        if not self._is_full():
            other.strength = 0
            self._move(other, self._free())
        else:
            del self.by_key[other.key]
            other.touch()

    def _left(self, value: int) -> None:
        """Run the readers again that were refused an id which is free now."""
        refused = self.refused.pop(value, None)
        if refused is not None:
            refused.touch()

    def _move(self, allocation: Allocation, value: int) -> None:
        if self.taken.get(allocation.value) == allocation.key:
            del self.taken[allocation.value]
        before, allocation.value = allocation.value, value
        self.taken[value] = allocation.key
        allocation.touch()
        self._left(before)

    def _is_full(self) -> bool:
        """Return whether no number is left to allocate; those outside the range, which were requested, do not count."""
        size = self.high - self.low + 1
        if len(self.taken) < size:
            return False
        return sum(self.low <= value <= self.high for value in self.taken) >= size

    def _free(self) -> int:
        """Return a free id; the search is cyclic, so that a released id is not reused at once."""
        low, high, taken = self.low, self.high, self.taken
        if len(taken) > high - low and self._is_full():  # the call is for the rare case
            self.exhausted.track()
            raise IdsExhaustedError(f"no {self.pool.name} from {low} to {high} is free")
        value = self._next
        while value in taken or value > high:
            value = value + 1 if value < high else low
        self._next = value + 1
        return value
