"""Annotation: from a match as written to one that says all that is meant (ovn-sb(5), "Prerequisites" and "Predicates").

`annotate` pushes `!` down to the comparisons, replaces predicates by their expansions, and adds the prerequisites of
every symbol mentioned. Prerequisites are conditions of the comparison and are never negated: `!(tcp.dst == 80)` is of
TCP packets. A negated predicate is the negation of its whole expansion. The result holds no `Not` but around
`Resident`, no `Test`, and no predicate.
"""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from ovenbird.lang.ast import (
    And,
    Boolean,
    Compare,
    Expr,
    FieldRef,
    Integer,
    Not,
    Or,
    Relation,
    Resident,
    Test,
    conjunction,
    disjunction,
)
from ovenbird.lang.parser import parse

_ZERO = (Integer(0),)


def annotate(expr: Expr, *, negative: bool = False) -> Expr:
    """Return `expr` (or its negation) with predicates expanded, prerequisites added and `!` pushed to the leaves."""
    match expr:
        case Boolean(value):
            return Boolean(value != negative)
        case Not(term):
            return annotate(term, negative=not negative)
        case Resident():
            return Not(expr) if negative else expr
        case Test(ref):
            return _compare(Compare(ref, Relation.NE, _ZERO), negative)
        case Compare():
            return _compare(expr, negative)
        case And(terms) | Or(terms):
            annotated = [annotate(term, negative=negative) for term in terms]
            return conjunction(annotated) if isinstance(expr, And) != negative else disjunction(annotated)
        case _:
            assert_never(expr)


def _compare(compare: Compare, negative: bool) -> Expr:
    symbol = compare.ref.symbol
    relation = compare.relation.negated if negative else compare.relation
    if symbol.is_predicate:
        positive = relation is Relation.EQ
        bits = {c.value & 1 for c in compare.constants if isinstance(c, Integer)}
        terms = [expansion(symbol.expansion, negative=bool(bit) != positive) for bit in sorted(bits)]
        return disjunction(terms) if positive else conjunction(terms)
    result = Compare(compare.ref, relation, compare.constants, compare.braces, compare.span)
    return conjunction([result, prerequisite(compare.ref)])


def prerequisite(ref: FieldRef) -> Expr:
    """Return the annotated condition that any use of the symbol implies; `1` when there is none."""
    return expansion(ref.symbol.prerequisite or "1", negative=False)


@lru_cache(maxsize=1024)
def expansion(text: str, *, negative: bool) -> Expr:
    """Return the annotated tree of a prerequisite or of a predicate's expansion, perhaps negated."""
    return annotate(parse(text), negative=negative)
