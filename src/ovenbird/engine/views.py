"""Views: memoised pure functions of rows, with early cutoff.

Inside a computation, calling a view reads its cached value and depends on that value only: when what the view read
changes, the view is computed again, and its readers only if the result differs. Outside of a computation, and for a
reader that no engine computes, a view is a plain function. A view without readers is dropped at the end of the wave.

A view that raises caches the exception and raises it in its readers, until something that it read changes.
"""

from __future__ import annotations

import functools
from heapq import heappush
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple

from ovenbird.engine import tracking
from ovenbird.engine.errors import CycleError
from ovenbird.engine.tracking import WHOLE, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class View(Generic[T, *Ts]):
    """A memoised pure function; make one with the decorator ``view``.

    Arguments:
        body: the function. Its arguments must be hashable: rows, strings, numbers, tuples.
    """

    def __init__(self, body: Callable[[*Ts], T]) -> None:
        functools.update_wrapper(self, body)
        self.body = body
        self.name = body.__qualname__

    def __call__(self, *args: *Ts) -> T:
        """Return the function's value; inside a computation it is cached, and the caller depends on it.

        Raises:
            Exception: the exception of the function, as long as nothing that it read changes.
        """
        node = tracking.reader
        if node is None or node.engine is None:
            return self.body(*args)
        memo = node.engine.memo
        key = (self, args)
        found = memo.get(key)
        if found is None:
            found = memo[key] = ViewInstance(node.engine, key)
            found.compute()
        elif found.dirty:
            found.compute()
        readers = found.readers
        if node not in readers:
            readers[node] = WHOLE
            node.deps.append(found)
            if node.height <= found.height:
                node.height = found.height + 1
        if found.error is not None:
            raise found.error
        value: T = found.value
        return value

    def __repr__(self) -> str:
        return f"<view {self.name}>"


class ViewInstance(Reader):
    """A view applied to its arguments: the remembered value, its dependencies, its readers."""

    __slots__ = ("computing", "error", "key", "value")

    def __init__(self, engine: Any, key: tuple[View[Any, *tuple[Any, ...]], tuple[Any, ...]]) -> None:
        super().__init__(engine)
        self.dirty = True  # until it is computed, so that one that reads itself computes again, and fails
        self.key = key
        self.value: Any = None
        self.error: Exception | None = None
        self.computing = False

    def compute(self) -> None:
        """Run the function; notify the readers if the result differs from the cached one.

        Raises:
            CycleError: the function reads itself.
        """
        if self.computing:
            raise CycleError(f"{self.key[0].name} reads itself")
        old, old_error = self.value, self.error
        outer = tracking.reader
        self.forget()
        self.height = 0
        self.computing = True
        tracking.reader = self
        try:
            self.value, self.error = self.key[0].body(*self.key[1]), None
        except Exception as e:  # noqa: BLE001 (what a feature's function raises is raised in its readers)
            self.value, self.error = None, e
        finally:
            tracking.reader = outer
            self.computing = False
            self.dirty = False
        self.engine.ran[self.key[0].name] += 1
        if self.readers and (self.value != old or repr(self.error) != repr(old_error)):
            self.touch()

    def invalidate(self) -> None:
        """Queue for computing again, lowest views first."""
        if not self.dirty:
            self.dirty = True
            engine = self.engine
            engine.sequence += 1
            heappush(engine.dirty_views, (self.height, engine.sequence, self))

    def unread(self) -> None:
        """Let the engine drop this view at the end of the wave, unless it has been read again."""
        self.engine.unread.append(self)

    def dispose(self) -> None:
        """Drop this view for good."""
        if self.engine.memo.get(self.key) is self:
            del self.engine.memo[self.key]
            self.forget()


def view(body: Callable[[*Ts], T]) -> View[T, *Ts]:
    """Make a pure function of rows a view."""
    return View(body)
