"""What is not among the values of an enumeration is named in the error as `ovsdb-server` names it."""

from __future__ import annotations

import pytest

from ovenbird.ovsdb.errors import ConstraintViolation
from ovenbird.ovsdb.types import Atomic, BaseType


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((bare, bare) for bare in ("a-b", "a1.b", "_a", "ab12")),
        *(
            (quoted, f'"{quoted}"')
            for quoted in ("1a", "-a", "a b", "", "true", "abcdef12-1234-1234-1234-123456789012")
        ),
    ],
)
def test_a_string_is_quoted_where_it_looks_like_something_else(value: str, shown: str) -> None:
    kind = BaseType(Atomic.STRING, enum=frozenset(("geneve", "vx-lan")))
    with pytest.raises(ConstraintViolation) as error:
        kind.check(value)
    assert f"{shown} is not one of the allowed values ([geneve, vx-lan])" in str(error.value)
