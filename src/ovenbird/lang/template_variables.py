"""Template variables: `^NAME` in matches, actions and load balancers, for which each chassis puts in its own text.

ovn-sb(5), Logical_Flow, "Templates", and ovn-nb(5), Chassis_Template_Var. Variables are put in before a text is parsed,
once: what a value has of variables stays as it is. One that has no value is its name, without the `^`. In strings and
comments there are none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "^"
"""What every text with variables has in it."""

_PART = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*[^\n]*?\*/|\^([A-Za-z_.][A-Za-z0-9_.]*)', re.DOTALL)


def expand(text: str, value_of: Callable[[str], str | None]) -> str:
    """Put the values of variables into a text.

    Arguments:
        text: a match, actions, or an address and port of a load balancer.
        value_of: returns a variable's value; None if it has none.
    """
    if PREFIX not in text:
        return text

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        value = value_of(name)
        return name if value is None else value

    return _PART.sub(put, text)
