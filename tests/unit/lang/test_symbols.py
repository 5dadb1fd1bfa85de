"""The symbol table agrees with itself and with Open vSwitch's field table."""

import pytest

from ovenbird.lang.ast import Compare, Expr, FieldRef, Not, Test
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import compile_match
from ovenbird.lang.parser import parse
from ovenbird.lang.symbols import OVERLAYS, SYMBOLS, Level
from ovenbird.openflow.fields import FIELDS


def refs(expr: Expr) -> list[FieldRef]:
    if isinstance(expr, (Compare, Test)):
        return [expr.ref]
    if isinstance(expr, Not):
        return refs(expr.term)
    return [ref for term in getattr(expr, "terms", ()) for ref in refs(term)]


@pytest.mark.parametrize("symbol", SYMBOLS.values(), ids=str)
def test_expansions_and_prerequisites_parse_and_compile(symbol: object) -> None:
    name = symbol.name  # type: ignore[attr-defined]
    row = SYMBOLS[name]
    for text in filter(None, (row.expansion, row.prerequisite)):
        assert compile_match(text, Bindings()).flows
    if row.is_predicate:
        nominal = any(ref.symbol.level is Level.NOMINAL for ref in refs(parse(row.expansion)))
        assert row.level is (Level.NOMINAL if nominal else Level.BOOLEAN)


def test_fields_that_overlap_share_a_root() -> None:
    assert OVERLAYS["reg0"] == ("xxreg0", 96)
    assert OVERLAYS["reg3"] == ("xxreg0", 0)
    assert OVERLAYS["xreg1"] == ("xxreg0", 0)
    assert OVERLAYS["reg4"] == ("xxreg1", 96)
    assert OVERLAYS["reg8"] == ("xreg4", 32)
    assert OVERLAYS["reg9"] == ("xreg4", 0)
    assert {SYMBOLS[f"reg{n}"].field for n in range(4)} == {FIELDS["xxreg0"]}


def test_levels_follow_maskability() -> None:
    for symbol in SYMBOLS.values():
        if symbol.field is not None and not symbol.is_string:
            assert (symbol.level is Level.ORDINAL) == symbol.field.maskable
            assert symbol.ofs + symbol.width <= symbol.field.bits
