"""The parser of numbers in texts that users and other programs write.

Python's `int` accepts digits of every script, blanks and underscores, and raises for texts of thousands of digits; a
column that other programs write may contain any of these.
"""

from __future__ import annotations

import re

_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")

INT64 = (1 << 63) - 1


def integer(text: str, low: int = 0, high: int = INT64) -> int | None:
    """Return the number in a text of decimal digits with an optional sign, and nothing else.

    Arguments:
        text: of any length.
        low: the least number.
        high: the greatest, of at most 19 digits.

    Returns:
        The number; None if the text is not a number, or the number is out of range.
    """
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    number = int(found[1] + found[2])
    return number if low <= number <= high else None
