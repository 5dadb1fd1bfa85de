"""The heap of this process, as the C library keeps it."""

from __future__ import annotations

import ctypes


def can_trim() -> bool:
    """Return whether the C library can give memory back when it is asked to (malloc_trim(3) of the GNU C library)."""
    return hasattr(ctypes.CDLL(None), "malloc_trim")


def trim() -> None:
    """Give unused memory of the heap back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
