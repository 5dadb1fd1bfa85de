"""Text that becomes a number.

`int` takes digits of every script, blanks, signs and underscores, and raises for what is thousands of digits long; a
column that others fill may hold any of that.
"""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"[0-9]{1,19}")


def is_decimal(text: str) -> bool:
    """Return whether a text is decimal digits alone, and so few that a number of 64 bits may come of them."""
    return _DECIMAL.fullmatch(text) is not None
