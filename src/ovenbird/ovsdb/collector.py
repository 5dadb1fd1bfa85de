"""The cyclic garbage collector, held while a batch is built.

Encoding or applying forty thousand rows makes hundreds of thousands of containers, none of them in a cycle; a collector
that wakes every 700 of them looks at the whole database again and again, and takes five times as long as the work.
"""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def uncollected(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function, run without the cyclic collector; nested uses and a collector that is off are fine."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return wrapped
