"""The reference evaluator of matches, a direct implementation of the manual (ovn-sb(5), column match of Logical_Flow).

The compiler is tested against it, so it shares no code with the compiler: it walks the tree as parsed and evaluates
each comparison for the given packet. `negative` is true inside an odd number of `!`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from ovenbird.lang.ast import (
    AddressSet,
    And,
    Boolean,
    Compare,
    Constant,
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
from ovenbird.lang.errors import UnknownNameError
from ovenbird.lang.lexer import parse_constant
from ovenbird.lang.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.bindings import Bindings
    from ovenbird.lang.microflow import Microflow


def evaluate(expr: Expr, packet: Microflow, bindings: Bindings, *, negative: bool = False) -> bool:
    """Return whether a match holds for a packet.

    Arguments:
        expr: the match.
        packet: the packet.
        bindings: address sets, port groups, and the ports' keys.
        negative: whether to evaluate the negation of the match.

    Raises:
        UnknownNameError: an address set or port group does not exist.
    """
    match expr:
        case Boolean(value):
            return value != negative
        case Resident(port):
            return bindings.resident(port) != negative
        case Not(term):
            return evaluate(term, packet, bindings, negative=not negative)
        case And(terms) | Or(terms):
            results = [evaluate(term, packet, bindings, negative=negative) for term in terms]
            return all(results) if isinstance(expr, And) != negative else any(results)
        case Test(ref):
            return _compare(Compare(ref, Relop.NE, (Integer(0),)), packet, bindings, negative)
        case Compare():
            return _compare(expr, packet, bindings, negative)
        case _:
            assert_never(expr)


def _compare(compare: Compare, packet: Microflow, bindings: Bindings, negative: bool) -> bool:
    ref, relation, symbol = compare.ref, compare.relation, compare.ref.symbol
    value = int(evaluate(parse(symbol.expansion), packet, bindings)) if symbol.is_predicate else packet.get(ref)
    ones = (1 << ref.n_bits) - 1
    outcomes = [
        _holds(value, relation, constant & ones if ref.n_bits else constant, mask)
        for constant, mask in _numbers(compare.constants, bindings)
    ]
    holds = all(outcomes) if relation is Relop.NE else any(outcomes)
    if not symbol.prerequisite:
        return holds != negative
    return holds != negative and evaluate(parse(symbol.prerequisite), packet, bindings)


def _holds(value: int, relation: Relop, constant: int, mask: int | None) -> bool:
    if mask is not None:
        value &= mask
        constant &= mask
    match relation:
        case Relop.EQ:
            return value == constant
        case Relop.NE:
            return value != constant
        case Relop.LT:
            return value < constant
        case Relop.LE:
            return value <= constant
        case Relop.GT:
            return value > constant
        case Relop.GE:
            return value >= constant
        case _:
            assert_never(relation)


def _numbers(constants: tuple[Constant, ...], bindings: Bindings) -> Iterator[tuple[int, int | None]]:
    """Yield values and masks of constants: tunnel keys for ports, nothing for unknown ports, members for sets."""
    for constant in constants:
        match constant:
            case Integer(value, mask=mask):
                yield value, mask
            case String(name):
                key = bindings.ports.get(name)
                if key is not None:
                    yield key, None
            case AddressSet(name):
                members = bindings.address_sets.get(name)
                if members is None:
                    raise UnknownNameError(f"There is no address set {name}.", span=constant.span)
                for member in members:
                    value, mask, _ = parse_constant(member)
                    yield value, mask
            case PortGroup(name):
                ports = bindings.port_groups.get(name)
                if ports is None:
                    raise UnknownNameError(f"There is no port group {name}.", span=constant.span)
                for port in ports:
                    key = bindings.ports.get(port)
                    if key is not None:
                        yield key, None
            case _:
                assert_never(constant)
