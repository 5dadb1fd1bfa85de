"""Template variables: `^NAME` in matches, actions and load balancers, which each chassis replaces by its own value.

ovn-sb(5), Logical_Flow, "Templates", and ovn-nb(5), Chassis_Template_Var. Variables are expanded once, before the text
is parsed: a `^NAME` inside a value is not expanded. A variable without a value becomes its name without the `^`. In
strings and comments `^` has no special meaning, except in the strings of `commit_lb_aff`, which are an address and a
port each. OVN does not expand these, so that its template load balancers have no affinity.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ovenbird.lang.errors import LexError

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "^"
"""The character that begins a variable; a text without it has no variables."""

MOST_EXPANDED = 1 << 18
"""Characters that the values in one text have at most, all together."""

_NAME = r"\^([A-Za-z_.][A-Za-z0-9_.]*)"
_PART = re.compile(
    rf'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*[^\n]*?\*/|{_NAME}|\bcommit_lb_aff\([^()]*\)',
    re.DOTALL,
)
_VARIABLE = re.compile(_NAME)


def expand(text: str, value_of: Callable[[str], str | None]) -> str:
    """Replace the variables in a text by their values.

    Arguments:
        text: a match, actions, or an address and port of a load balancer.
        value_of: returns a variable's value; None if it has none.

    Raises:
        LexError: the values are longer than `MOST_EXPANDED`.
    """
    if PREFIX not in text:
        return text
    length = 0

    def put(found: re.Match[str]) -> str:
        nonlocal length
        name = found[1]
        if name is None:
            return _VARIABLE.sub(put, found[0]) if found[0][0] == "c" else found[0]
        value = value_of(name)
        length += len(value or "")
        if length > MOST_EXPANDED:
            raise LexError(f"The values of variables have more than {MOST_EXPANDED} characters.")
        return name if value is None else value

    return _PART.sub(put, text)
