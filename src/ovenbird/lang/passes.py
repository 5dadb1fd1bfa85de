"""Annotation: makes the implied parts of a match explicit (ovn-sb(5), "Prerequisites" and "Predicates").

`annotate` pushes `!` down to the comparisons, replaces predicates by their expansions, and adds the prerequisites of
every symbol. Prerequisites are conditions of the comparison and are never negated: `!(tcp.dst == 80)` matches TCP
packets only. A negated predicate is the negation of its whole expansion. The result has no `Not` except around
`Resident`, no `Test`, and no predicate.
"""

from __future__ import annotations

from typing import assert_never

from ovenbird.lang.ast import (
    And,
    Boolean,
    Compare,
    Expr,
    Integer,
    Not,
    Or,
    Relop,
    Resident,
    Test,
    conjunction,
    disjunction,
)
from ovenbird.lang.parser import parse
from ovenbird.lang.text_cache import cached_by_text

_ZERO = (Integer(0),)


def annotate(expr: Expr, *, negative: bool = False, whole: bool = False) -> Expr:
    """Return an expression with predicates expanded, prerequisites added and `!` pushed to the leaves.

    Arguments:
        expr: the expression.
        negative: whether the expression is inside an odd number of `!`.
        whole: whether a negation negates the prerequisites too, as it does for a predicate's expansion.
    """
    flipped = negative != whole
    match expr:
        case Boolean(value):
            return Boolean(value != flipped)
        case Not(term):
            return annotate(term, negative=not negative, whole=whole)
        case Resident():
            return Not(expr) if flipped else expr
        case Test(ref):
            return _compare(Compare(ref, Relop.NE, _ZERO, span=ref.span), flipped, whole)
        case Compare():
            return _compare(expr, flipped, whole)
        case And(terms) | Or(terms):
            parts = [annotate(term, negative=negative, whole=whole) for term in terms]
            return conjunction(parts) if isinstance(expr, And) != flipped else disjunction(parts)
        case _:
            assert_never(expr)


def _compare(compare: Compare, flipped: bool, whole: bool) -> Expr:
    symbol = compare.ref.symbol
    relation = compare.relation.negated if flipped else compare.relation
    if symbol.is_predicate:
        equal = relation is Relop.EQ
        bits = {c.value & 1 for c in compare.constants if isinstance(c, Integer)}
        terms = [annotated(symbol.expansion, negative=bool(bit) != equal) for bit in sorted(bits)]
        return disjunction(terms) if equal else conjunction(terms)
    result = Compare(compare.ref, relation, compare.constants, compare.braces, compare.span)
    if not symbol.prerequisite:
        return result
    valid = conjunction([result, annotated(symbol.prerequisite)])
    return disjunction([valid, annotated(symbol.prerequisite, negative=True)]) if whole else valid


def annotated(text: str, *, negative: bool = False) -> Expr:
    """Return the annotated tree of a match, a prerequisite or an expansion; with `negative`, of its whole negation."""
    return _negated(text) if negative else _annotated(text)


@cached_by_text
def _annotated(text: str) -> Expr:
    return annotate(parse(text))


@cached_by_text
def _negated(text: str) -> Expr:
    return annotate(parse(text), whole=True)
