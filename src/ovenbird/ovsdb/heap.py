"""The heap of this process, as the C library manages it."""

from __future__ import annotations

from typing import Any


def can_trim() -> bool:
    """Return whether the C library can return unused memory to the system (malloc_trim(3) of the GNU C library)."""
    return hasattr(_library(), "malloc_trim")


def trim() -> None:
    """Return unused memory of the heap to the system."""
    _library().malloc_trim(0)


def _library() -> Any:
    import ctypes  # noqa: PLC0415 - hardly any server is asked to, and all would load it

    return ctypes.CDLL(None)
