"""Check the values that Python callers give for columns, and bring them into canonical form.

Each column has one small function, chosen by its type, since typed writers insert tens of thousands of rows at once: a
value that is canonical already costs one type test; any other goes to the complete check, which raises what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.ovsdb.shared_set import SharedSet
from ovenbird.ovsdb.types import Atomic, BaseType, ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable


def normalizer(type_: ColumnType) -> Callable[[Any], Any]:
    """Return a function that converts a value to canonical form.

    It accepts what `ColumnType.check_python` does, and string enumerations for strings, and any set, list or tuple for
    a set; it raises `BadSyntax` or `ConstraintViolation` for the rest.
    """

    def complete(value: Any) -> Any:
        if type_.is_set and type(value) in (set, list, tuple, SharedSet):
            value = frozenset(value)
        elif isinstance(value, str) and type(value) is not str:
            value = str.__str__(value)
        type_.check_python(value)
        return value

    if type_.is_map:
        return _map_normalizer(type_, complete)
    right = _atom_test(type_.key)
    if type_.high > 1:
        low, high = type_.low, type_.high

        def normalize(value: Any) -> Any:
            return (
                value
                if type(value) is frozenset and low <= len(value) <= high and all(map(right, value))
                else complete(value)
            )

        return normalize
    if type_.low:
        return lambda value: value if right(value) else complete(value)
    return lambda value: value if value is None or right(value) else complete(value)


def _map_normalizer(type_: ColumnType, complete: Callable[[Any], Any]) -> Callable[[Any], Any]:
    strings = BaseType(Atomic.STRING)
    if type_.key != strings or type_.value != strings or type_.low:
        return complete
    high = type_.high

    def normalize(value: Any) -> Any:
        if type(value) is dict and len(value) <= high:
            for key, atom in value.items():
                if type(key) is not str or type(atom) is not str:
                    break
            else:
                return value
        return complete(value)

    return normalize


def _atom_test(base: BaseType) -> Callable[[Any], bool]:
    """Return a quick test that is true for valid atoms only, and for nearly all of them."""
    enum, low, high = base.enum, base.low, base.high
    if base.ref_table is not None:  # that the row exists is checked at commit
        return lambda atom: type(atom) is str and len(atom) == 36
    if base.atomic is Atomic.UUID or (base.atomic is not Atomic.INTEGER and enum is None and base.constrained):
        return lambda _atom: False
    wanted = type(base.default)
    if enum is not None:
        return lambda atom: type(atom) is wanted and atom in enum
    if base.atomic is Atomic.INTEGER:
        least = -(2**63) if low is None else low
        most = 2**63 - 1 if high is None else high
        return lambda atom: type(atom) is int and least <= atom <= most
    return lambda atom: type(atom) is wanted
