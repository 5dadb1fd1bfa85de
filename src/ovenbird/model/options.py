"""Values of string maps, as Open vSwitch's programs read them: truths in any case, decimal numbers, nothing behind.

A value that is not what is asked for counts as not set, as in the original. Zero, an empty string and an empty set are
values like any other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = re.compile(r"\s*([+-]?)0*([0-9]{1,19})", re.ASCII)
"""As strtol(3) reads a number of base 10."""

INT = 0x7FFF_FFFF


def flag(options: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return whether an option is true; anything but the opposite, in any case, means the default.

    Arguments:
        options: a row's `options`, `other_config` or `external_ids`.
        name: the key.
        default: what a missing key, and a value that is neither true nor false, means.
    """
    text = options.get(name)
    if text is None:
        return default
    return text.lower() != "false" if default else text.lower() == "true"


@overload
def number(options: Mapping[str, str], name: str, default: int, low: int = ..., high: int = ...) -> int: ...
@overload
def number(
    options: Mapping[str, str], name: str, default: None = ..., low: int = ..., high: int = ...
) -> int | None: ...
def number(
    options: Mapping[str, str], name: str, default: int | None = None, low: int = 0, high: int = INT
) -> int | None:
    """Return the number that an option holds.

    Arguments:
        options: the map.
        name: the option's name.
        default: what to return if it is not there, no number, or out of range.
        low: the least number.
        high: the greatest.
    """
    text = options.get(name)
    value = integer(text) if text is not None else None
    return value if value is not None and low <= value <= high else default


def integer(text: str) -> int | None:
    """Return the number that a text holds, or None; of no more than 19 digits."""
    found = _NUMBER.fullmatch(text)
    return int(found[1] + found[2]) if found is not None else None
