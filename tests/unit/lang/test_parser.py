"""The parser: trees print as text that parses back, and mistakes are shown where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.lang.ast import (
    AddressSet,
    And,
    Boolean,
    Compare,
    Expr,
    FieldRef,
    Integer,
    Not,
    Or,
    PortGroup,
    Relop,
    Resident,
    String,
    Test,
    conjunction,
    disjunction,
)
from ovenbird.lang.errors import FieldError, LangError, ParseError, UnknownNameError
from ovenbird.lang.lexer import Format
from ovenbird.lang.parser import check_writable, parse
from ovenbird.lang.symbols import SYMBOLS, Level, Scope


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1", "1"),
        ("((ip4))", "ip4"),
        ("a_b == 1" * 0 + "ip4&&tcp.dst==80", "ip4 && tcp.dst == 80"),
        ("80 == tcp.dst", "tcp.dst == 80"),
        ("1024 <= tcp.src <= 49151", "tcp.src >= 1024 && tcp.src <= 49151"),
        ("5 > reg0 && ip4", "reg0 < 5 && ip4"),
        ("(ip4 && tcp) && udp", "ip4 && tcp && udp"),
        ("(ip4 || arp) && (tcp || (udp || sctp))", "(ip4 || arp) && (tcp || udp || sctp)"),
        ("ip4.src=={1.2.3.4,5.6.7.0/24 $x,}", "ip4.src == {1.2.3.4, 5.6.7.0/24, $x}"),
        ('inport == {"a" @pg}', 'inport == {"a", @pg}'),
        ("!(ct.est || !ct.new)", "!(ct.est || !ct.new)"),
        ("eth.dst[40..40] == 1", "eth.dst[40] == 1"),
        ("eth.dst[0..47] == 1", "eth.dst == 1"),
        ('!is_chassis_resident( "x" )', '!is_chassis_resident("x")'),
        ("!tcp.flags", "!tcp.flags"),
        ("ip4 // comment", "ip4"),
        ("ip6.dst == ff02::1:ff00:0/104", "ip6.dst == ff02::1:ff00:0/104"),
    ],
)
def test_text_prints_in_one_form(text: str, printed: str) -> None:
    assert str(parse(text)) == printed
    assert parse(printed) == parse(text)


@pytest.mark.parametrize(
    ("text", "error", "culprit", "message"),
    [
        ("", ParseError, "", "at end of input expecting constant"),
        ("ip4 ip6", ParseError, "ip6", "expecting end of input"),
        ("(ip4", ParseError, "", "expecting `)'"),
        ("ip4 && ip6 || arp", ParseError, "||", "must be parenthesized"),
        ("!tcp.dst == 80", ParseError, "!", "Missing parentheses"),
        ("!ip4", FieldError, "ip4", "Nominal predicate ip4 may only be tested positively"),
        ("ip4 == 0", FieldError, "ip4", "Nominal predicate"),
        ("!(ip4 == 1)", FieldError, "ip4", "Nominal predicate"),
        ("eth.type != 0x800", FieldError, "eth.type", "Nominal field eth.type may only be tested for equality"),
        ('inport != "a"', FieldError, "inport", "Nominal field inport"),
        ("ip.proto > 5", FieldError, "ip.proto", "with nominal field ip.proto"),
        ("eth.mcastv6 > 0", FieldError, "eth.mcastv6", "with Boolean field eth.mcastv6"),
        ("tcp.dst > {1, 2}", FieldError, "tcp.dst", "with value sets"),
        ("ip4.src < $x", FieldError, "$x", "with address sets"),
        ("ip4.src > 10.0.0.0/8", FieldError, "ip4.src", "with masked constants"),
        ("tcp.dst", FieldError, "tcp.dst", "Explicit `!= 0' is required"),
        ("inport", ParseError, "", "expecting relational operator"),
        ("ip4 = 1", ParseError, "=", "expecting relational operator"),
        ("inport == 5", FieldError, "inport", "String field inport is not compatible with integer constant"),
        ('reg0 == "x"', FieldError, "reg0", "Integer field reg0 is not compatible with string constant"),
        ("inport == $x", FieldError, "inport", "not compatible with integer"),
        ("ip.ttl == 256", FieldError, "ip.ttl", "9-bit constant is not compatible with 8-bit field ip.ttl"),
        ("ip4.src == ::1:0:0", FieldError, "ip4.src", "33-bit constant"),
        ("eth.type[0..7] == 8", FieldError, "[0..7]", "Cannot select subfield of nominal field"),
        ('inport[0] == "x"', FieldError, "[", "Cannot select subfield of string field"),
        ("reg0[5..3] == 1", FieldError, "[5..3]", "Invalid bit range 5 to 3"),
        ("reg0[32] == 1", FieldError, "[32]", "Cannot select bits 32 to 32 of 32-bit field reg0"),
        ("reg0[x]", ParseError, "x", "expecting small integer"),
        ("nosuch == 1", UnknownNameError, "nosuch", "expecting field name"),
        ("f(x)", UnknownNameError, "f", "There is no function f"),
        ("is_chassis_resident(x)", ParseError, "x", "expecting string"),
        ("1 < reg0 > 2", ParseError, ">", "Range expressions must have the form"),
        ("1 == reg0 == 1", ParseError, "==", "Range expressions must have the form"),
        ("5", ParseError, "", "expecting relational operator"),
        ("{1}", ParseError, "", "expecting relational operator"),
        ("0x1", ParseError, "", "expecting relational operator"),
        ("reg0 == {}", ParseError, "}", "expecting constant"),
        ('inport == {"a", 1}', FieldError, "1", "cannot be mixed"),
        ("^t && ip4", ParseError, "^t", "Unexpanded template"),
        ("(" * 101 + "1" + ")" * 101, ParseError, "(", "nested too deeply"),
    ],
)
def test_mistakes(text: str, error: type[LangError], culprit: str, message: str) -> None:
    with pytest.raises(error) as caught:
        parse(text)
    assert message in caught.value.message
    assert text[caught.value.start : caught.value.end] == culprit
    if text:
        assert str(caught.value).endswith("^" * max(1, len(culprit)))


def test_negation_makes_nominal_use_positive() -> None:
    assert parse('!(inport != "a")') == Not(Compare(FieldRef.whole(SYMBOLS["inport"]), Relop.NE, (String("a"),)))
    assert parse("!(ip4 == 0)") is not None
    assert parse("!(!ip4)") is not None


# Random well-typed trees.

FORMATS = {48: Format.ETHERNET, 32: Format.IPV4, 128: Format.IPV6}
FIELDS = [symbol for symbol in SYMBOLS.values() if symbol.level is Level.ORDINAL]


@st.composite
def leaves(draw: st.DrawFn, positive: bool) -> Expr:
    symbol = draw(st.sampled_from(list(SYMBOLS.values())))
    relation = Relop.EQ if positive else Relop.NE
    if symbol.is_string:
        constants = draw(
            st.lists(st.builds(String, st.text(max_size=5)) | st.just(PortGroup("g")), min_size=1, max_size=3)
        )
        return Compare(FieldRef.whole(symbol), relation, tuple(constants), len(constants) > 1)
    if symbol.is_predicate:
        nominal = symbol.level is Level.NOMINAL
        return Test(FieldRef.whole(symbol)) if positive or not nominal else Not(Boolean(True))
    if symbol.level is Level.NOMINAL:
        value = draw(st.integers(0, (1 << symbol.width) - 1))
        return Compare(FieldRef.whole(symbol), relation, (Integer(value),))
    low = draw(st.integers(0, symbol.width - 1))
    high = draw(st.integers(low, symbol.width - 1))
    ref = FieldRef(symbol, ofs=low, n_bits=high - low + 1)
    form = FORMATS.get(symbol.width, Format.HEXADECIMAL)
    number = st.integers(0, (1 << symbol.width) - 1)
    plain = st.builds(Integer, number, mask=st.none(), format=st.just(form))
    if draw(st.booleans()):
        return Compare(ref, draw(st.sampled_from(list(Relop))), (draw(plain),))
    masked = st.builds(lambda value, mask: Integer(value & mask, mask=mask, format=form), number, number)
    constants = draw(st.lists(plain | masked | st.just(AddressSet("set")), min_size=1, max_size=3))
    return Compare(ref, draw(st.sampled_from((Relop.EQ, Relop.NE))), tuple(constants), draw(st.just(True)))


@st.composite
def trees(draw: st.DrawFn, depth: int = 3, positive: bool = True) -> Expr:
    kind = draw(st.integers(0, 4)) if depth else 0
    if kind == 0:
        return draw(leaves(positive))
    if kind == 1:
        return Not(draw(trees(depth - 1, not positive)))
    if kind == 2:
        return draw(st.sampled_from((Boolean(True), Boolean(False), Resident('p"\\'))))
    terms = draw(st.lists(trees(depth - 1, positive), min_size=2, max_size=3))
    return conjunction(terms) if kind == 3 else disjunction(terms)


@given(trees())
def test_print_then_parse_gives_the_same_tree(tree: Expr) -> None:
    assert parse(str(tree)) == tree


@given(
    st.lists(
        st.sampled_from(["ip4", "tcp.dst", "==", "!=", "80", "(", ")", "!", "&&", "||", "{", "}", '"a"', "$s", "<"])
    )
)
def test_any_tokens_give_a_tree_or_an_error_with_a_caret(words: list[str]) -> None:
    text = " ".join(words)
    tree = failure = None
    try:
        tree = parse(text)
    except LangError as error:
        failure = error
    if failure is None:
        assert parse(str(tree)) == tree
    else:
        assert not text or "^" in str(failure)


def test_nested_conjunctions_and_disjunctions_are_flattened() -> None:
    tree = parse("ip4 && (tcp && (udp && 1 < reg0 < 5)) && (arp || (rarp || icmp))")
    assert isinstance(tree, And)
    assert not any(isinstance(term, And) for term in tree.terms)
    inner = tree.terms[-1]
    assert isinstance(inner, Or)
    assert len(inner.terms) == 3


def test_assignments_are_checked() -> None:
    for name in ("ip.ttl", "reg0", "outport", "eth.src", "ip4.dst", "flags.loopback", "icmp4.frag_mtu", "pkt.mark"):
        check_writable(FieldRef.whole(SYMBOLS[name]))
    for name in ("eth.type", "ip.proto", "ip.frag", "ct_state", "ct.est", "tcp.flags", "ct_mark", "ct_label.blocked"):
        with pytest.raises(FieldError, match="not modifiable"):
            check_writable(FieldRef.whole(SYMBOLS[name]))
    check_writable(FieldRef.whole(SYMBOLS["ct_mark.blocked"]), Scope.CT_COMMIT)
    with pytest.raises(FieldError, match="lvalue"):
        check_writable(FieldRef.whole(SYMBOLS["ip4"]))
