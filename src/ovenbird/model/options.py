"""Values of string maps, parsed as by Open vSwitch's programs: booleans in any case, decimal numbers.

An invalid value counts as not set, as in the original. Zero, an empty string and an empty set are valid values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from ovenbird.net import numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

INT = 0x7FFF_FFFF

_BLANKS = " \t\n\v\f\r"
"""The characters that strtol(3) skips before a number."""


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
def number(options: Mapping[str, str], name: str, default: int, *, low: int = ..., high: int = ...) -> int: ...
@overload
def number(
    options: Mapping[str, str], name: str, default: None = ..., *, low: int = ..., high: int = ...
) -> int | None: ...
def number(
    options: Mapping[str, str], name: str, default: int | None = None, *, low: int = 0, high: int = INT
) -> int | None:
    """Return the number in an option.

    Arguments:
        options: the map.
        name: the option's name.
        default: the result if the option is missing, not a number, or out of range.
        low: the least number.
        high: the greatest.
    """
    text = options.get(name)
    value = None if text is None else numbers.integer(text.lstrip(_BLANKS), low, high)
    return default if value is None else value
