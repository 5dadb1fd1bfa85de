"""Tokens: every format of constant, comments, strings, and errors that point at the culprit."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.lang.errors import LexError, ParseError
from ovenbird.lang.lexer import Format, Tokens, format_constant, parse_constant, tokenize


def kinds(text: str) -> list[str]:
    return [token.kind for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "value", "mask", "form"),
    [
        ("0", 0, None, Format.DECIMAL),
        ("18446744073709551615", 2**64 - 1, None, Format.DECIMAL),
        ("0xffffffffffffffffffffffffffffffff", 2**128 - 1, None, Format.HEXADECIMAL),
        ("0x0000000000000000000000000000000000001", 1, None, Format.HEXADECIMAL),
        ("0A:00:00:00:00:ff", 0x0A00000000FF, None, Format.ETHERNET),
        ("192.168.128.0", 0xC0A88000, None, Format.IPV4),
        ("::", 0, None, Format.IPV6),
        ("::ffff:192.0.2.128", 0xFFFFC0000280, None, Format.IPV6),
        ("fe80::1", 0xFE80 << 112 | 1, None, Format.IPV6),
        ("192.168.5.5/16", 0xC0A80000, 0xFFFF0000, Format.IPV4),
        ("192.168.0.5/255.0.0.255", 0xC0000005, 0xFF0000FF, Format.IPV4),
        ("0.0.0.0/0", 0, 0, Format.IPV4),
        ("fe80::/10", 0xFE80 << 112, 0xFFC0 << 112, Format.IPV6),
        ("ff02::1:ff00:0/ffff::", 0xFF02 << 112, 0xFFFF << 112, Format.IPV6),
        ("33:33:00:00:00:01/ff:ff:00:00:00:00", 0x333300000000, 0xFFFF00000000, Format.ETHERNET),
        ("5/3", 1, 3, Format.DECIMAL),
        ("0x10/0xf0", 0x10, 0xF0, Format.HEXADECIMAL),
        ("0/0x20", 0, 0x20, Format.HEXADECIMAL),
    ],
)
def test_constants(text: str, value: int, mask: int | None, form: Format) -> None:
    assert parse_constant(text) == (value, mask, form)
    assert parse_constant(format_constant(value, mask=mask, form=form)) == (value, mask, form)
    assert kinds(text) == ["integer" if mask is None else "masked", "end"]


@pytest.mark.parametrize(
    ("text", "culprit", "message"),
    [
        ("ip4 & ip6", "&", "`&' is only valid as part of `&&'"),
        ("a | b", "|", "as part of `||'"),
        ("a / b", "/", "as part of `//'"),
        ("reg0 == 01", "01", "must not have leading zeros"),
        ("reg0 == 18446744073709551616", "18446744073709551616", "less than 2**64"),
        ("reg0 == 0x", "0x", "Hex digits expected"),
        ("reg0 == 0x1g", "0x1g", "Invalid syntax in hexadecimal"),
        ("reg0 == 0x1" + "0" * 32, "0x1" + "0" * 32, "more than 128 bits"),
        ("x == 1.2.3", "1.2.3", "Invalid numeric constant"),
        ("x == 1.2.3.4/33", "1.2.3.4/33", "incompatible formats"),
        ("x == 5/0xf", "5/0xf", "incompatible formats"),
        ("x == 1.2.3.4/", "1.2.3.4/", "Integer constant expected"),
        ('inport == "abc', '"abc', "ends inside quoted string"),
        ("x /* y", "/*", "without matching"),
        ("x /* y \n */", "/*", "without matching"),
        ("$ x", "$", "followed by a valid identifier"),
        ("@5", "@", "followed by a valid identifier"),
        ("a # b", "#", "Invalid character `#'"),
        ('"\\q"', '"\\q"', "Invalid escape"),
    ],
)
def test_errors_point_at_the_culprit(text: str, culprit: str, message: str) -> None:
    with pytest.raises(LexError) as caught:
        tokenize(text)
    assert message in caught.value.message
    assert text[caught.value.start : caught.value.end] == culprit


def test_the_caret_stands_below_the_culprit_in_its_line() -> None:
    with pytest.raises(LexError) as caught:
        tokenize("ip4 &&\n\ttcp.dst == 08 && x")
    lines = str(caught.value).split("\n")
    assert lines[1:] == ["  \ttcp.dst == 08 && x", "  \t           ^^"]


def test_comments_and_space_are_skipped() -> None:
    assert kinds('a // b && c\n /* d " */ && e\t') == ["id", "&&", "id", "end"]


def test_punctuation() -> None:
    text = "( ) [ ] { } == != < <= > >= ! && || .. , ; = <-> -- - :"
    assert kinds(text) == [*text.split(), "end"]
    assert kinds("reg0<->reg1;ip.ttl--;") == ["id", "<->", "id", ";", "id", "--", ";", "end"]


def test_similar_tokens_are_distinguished() -> None:
    assert kinds("eth.dst[0..15]") == ["id", "[", "integer", "..", "integer", "]", "end"]
    assert kinds("1.2.3.4:80") == ["integer", ":", "integer", "end"]
    assert kinds("abcd") == ["id", "end"]
    assert kinds("abcd::") == ["integer", "end"]
    assert [token.name for token in tokenize('$a.b_1 @pg ^t "x\\u00e9\\"y"')][:4] == ["a.b_1", "pg", "t", 'xé"y']


@given(st.text(max_size=40))
def test_any_text_gives_tokens_or_a_lex_error(text: str) -> None:
    failure = None
    tokens = []
    try:
        tokens = tokenize(text)
    except LexError as error:
        failure = error
    if failure is not None:
        assert 0 <= failure.start < len(text)
        assert "^" in str(failure)
    else:
        assert tokens[-1].kind == "end"
        assert all(one.end <= other.start for one, other in pairwise(tokens))


def test_the_cursor_says_what_it_expected() -> None:
    tokens = Tokens("reg0 = 5;")
    assert tokens.take_name("reg0")
    assert not tokens.take_name("reg1")
    assert tokens.peek().kind == "integer"
    assert tokens.take("==") is None
    tokens.expect("=")
    assert tokens.expect_int() == 5
    with pytest.raises(ParseError, match="Syntax error at `;' expecting `}'"):
        tokens.expect("}")
    tokens.expect(";")
    with pytest.raises(ParseError, match="at end of input expecting identifier"):
        tokens.expect("id")
