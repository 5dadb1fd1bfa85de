"""The disjunctive normal form of a match: conjunctions, each of one set of values per field.

A conjunction maps Open vSwitch field names to `ternary.MaskSet`; a field that is absent may have any value. The
disjunction `[]` is false and `[{}]` is true. Invariants: no conjunction holds an empty set or the set of all values;
conjunctions that differ in one field only are merged into one; none implies another (checked for up to
`_CONTAINMENT_LIMIT` conjunctions).
The order depends on the match's text alone, never on the order of a set's members.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from ovenbird.lang import ternary
from ovenbird.lang.ast import (
    AddressSet,
    And,
    Boolean,
    Compare,
    Expr,
    Integer,
    Not,
    Or,
    PortGroup,
    Relop,
    Resident,
    String,
    Test,
)
from ovenbird.lang.errors import CompileError, LexError, UnknownNameError
from ovenbird.lang.lexer import parse_constant
from ovenbird.lang.parser import check_constant
from ovenbird.lang.ternary import ALL, EMPTY, MaskSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.bindings import Bindings

Conjunction = dict[str, MaskSet]

_log = logging.getLogger(__name__)
_CONTAINMENT_LIMIT = 32
_MAX_PRODUCT = 8192  # alternatives over different fields; beyond it one match would take a chassis seconds
_PORT_MASK = 0xFFFFFFFF


def conjunctions(expr: Expr, bindings: Bindings) -> list[Conjunction]:
    """Return the normal form of an annotated expression (see `passes.annotate`).

    Raises:
        UnknownNameError: an address set or port group does not exist.
        FieldError: a member does not fit its field.
        CompileError: a field exists in packet-ins only, the expression is not annotated, or its form is too large.
    """
    match expr:
        case Boolean(value):
            return [{}] if value else []
        case Resident(port):
            return [{}] if bindings.resident(port) else []
        case Not(Resident(port)):
            return [] if bindings.resident(port) else [{}]
        case Compare():
            return _leaf(expr, bindings)
        case And(terms):
            product: list[Conjunction] = [{}]
            for term in terms:
                if not product:
                    return product
                product = _and(product, conjunctions(term, bindings))
            return product
        case Or(terms):
            return merged([conjunction for term in terms for conjunction in conjunctions(term, bindings)])
        case Test() | Not():
            raise CompileError(f"`{expr}' is not annotated.")
        case _:
            assert_never(expr)


def _leaf(compare: Compare, bindings: Bindings) -> list[Conjunction]:
    ref = compare.ref
    field = ref.symbol.field
    if field is None:
        raise CompileError(f"Field {ref.symbol.name} cannot be matched.", span=ref.span)
    if ref.symbol.is_string:
        values = ternary.union((key, _PORT_MASK) for key in _port_keys(compare, bindings))
    else:
        values = ternary.shifted(_values(compare, bindings), ref.symbol.ofs + ref.ofs)
    if values == EMPTY:
        return []
    return [{}] if values == ALL else [{field.name: values}]


def _port_keys(compare: Compare, bindings: Bindings) -> Iterator[int]:
    for constant in compare.constants:
        names = [constant.value] if isinstance(constant, String) else ()
        if isinstance(constant, PortGroup):
            found = bindings.port_groups.get(constant.name)
            if found is None:
                raise UnknownNameError(f"There is no port group {constant.name}.", span=constant.span)
            names = list(found)
        for name in names:
            key = bindings.ports.get(name)
            if key is not None:
                yield key


def _values(compare: Compare, bindings: Bindings) -> MaskSet:
    """Return the values of the compared bits for which the comparison holds."""
    width = compare.ref.n_bits
    ones = (1 << width) - 1
    constants = list(integers(compare, bindings))
    match compare.relation:
        case Relop.EQ | Relop.NE:
            listed = ternary.union((c.value & ones, ones if c.mask is None else c.mask & ones) for c in constants)
            return listed if compare.relation is Relop.EQ else ternary.complement(listed)
        case Relop.LT:
            return ternary.between(0, (constants[0].value & ones) - 1, width=width)
        case Relop.LE:
            return ternary.between(0, constants[0].value & ones, width=width)
        case Relop.GT:
            return ternary.between((constants[0].value & ones) + 1, ones, width=width)
        case Relop.GE:
            return ternary.between(constants[0].value & ones, ones, width=width)
        case _:
            assert_never(compare.relation)


def integers(compare: Compare, bindings: Bindings) -> Iterator[Integer]:
    """Yield the comparison's integer constants, with address sets replaced by their members.

    A member that is not a constant is skipped with a warning, as OVN does; the others stay in effect.

    Raises:
        UnknownNameError: an address set does not exist.
        FieldError: a member does not fit its field.
    """
    for constant in compare.constants:
        if isinstance(constant, Integer):
            yield constant
        elif isinstance(constant, AddressSet):
            members = bindings.address_sets.get(constant.name)
            if members is None:
                raise UnknownNameError(f"There is no address set {constant.name}.", span=constant.span)
            for member in members:
                try:
                    value, mask, form = parse_constant(member)
                    integer = Integer(value, mask=mask, format=form)
                except LexError as error:
                    _log.warning("address set %s: left out %r: %s", constant.name, member, error.message)
                    continue
                check_constant(compare.ref, integer, "", constant.span)
                yield integer


def _and(left: list[Conjunction], right: list[Conjunction]) -> list[Conjunction]:
    if left == [{}]:
        return right
    if right == [{}]:
        return left
    if min(len(left), len(right)) > 1 and len(left) * len(right) > _MAX_PRODUCT:
        raise CompileError(f"The match multiplies out to more than {_MAX_PRODUCT} alternatives.")
    return merged([conjunction for a in left for b in right if (conjunction := _meet(a, b)) is not None])


def _meet(left: Conjunction, right: Conjunction) -> Conjunction | None:
    conjunction = dict(left)
    for name, values in right.items():
        mine = conjunction.get(name)
        if mine is not None:
            values = ternary.intersection(mine, values)  # noqa: PLW2901
            if not values:
                return None
        conjunction[name] = values
    return conjunction


def merged(disjunction: list[Conjunction]) -> list[Conjunction]:
    """Return an equal disjunction: those that differ in one field are merged, those that imply another are dropped."""
    while len(disjunction) > 1:
        before = len(disjunction)
        for name in dict.fromkeys(name for conjunction in disjunction for name in conjunction):
            disjunction = _merged_on(name, disjunction)
        disjunction = _uncovered(disjunction)
        if len(disjunction) == before:
            break
    return disjunction


def _merged_on(name: str, disjunction: list[Conjunction]) -> list[Conjunction]:
    groups: dict[frozenset[tuple[str, MaskSet]], list[Conjunction]] = {}
    for conjunction in disjunction:
        groups.setdefault(frozenset(item for item in conjunction.items() if item[0] != name), []).append(conjunction)
    if len(groups) == len(disjunction):
        return disjunction
    result = []
    for group in groups.values():
        conjunction = group[0]
        if len(group) > 1:
            values = ternary.union(masked for each in group for masked in each.get(name, ALL))
            conjunction = {key: value for key, value in conjunction.items() if key != name}
            if values != ALL:
                conjunction[name] = values
        result.append(conjunction)
    return result


def _uncovered(disjunction: list[Conjunction]) -> list[Conjunction]:
    if not 1 < len(disjunction) <= _CONTAINMENT_LIMIT:
        return disjunction
    kept: list[Conjunction] = []
    for index, conjunction in enumerate(disjunction):
        others = kept + disjunction[index + 1 :]
        if not any(_holds(other, conjunction) for other in others):
            kept.append(conjunction)
    return kept


def _holds(outer: Conjunction, inner: Conjunction) -> bool:
    return all(name in inner and ternary.covers(values, inner=inner[name]) for name, values in outer.items())
