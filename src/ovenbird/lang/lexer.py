"""Tokens of OVN's match and action language (ovn-sb(5), table Logical_Flow; comments and constants as described there).

Invariants: tokens cover the text in order, with only white space and comments between them; a constant has at most 128
bits and keeps the format in which it was written; a masked constant has no 1-bit outside its mask; the list of tokens
always ends with one token of kind `end`.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from ovenbird.lang.errors import LexError, ParseError
from ovenbird.net.addresses import prefix_mask


class Format(StrEnum):
    """How a constant was written."""

    DECIMAL = "decimal"
    HEXADECIMAL = "hexadecimal"
    ETHERNET = "ethernet"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Token(NamedTuple):
    """One token: a named tuple, because a match makes dozens of them.

    `kind` is `id`, `string`, `integer`, `masked`, `macro` ($name), `group` (@name), `template` (^name) or `end`, and
    for punctuation the text itself. `name` is the text of an id, a string's value, or the name behind `$`, `@` and `^`.
    """

    kind: str
    start: int
    end: int
    name: str = ""
    value: int = 0
    mask: int | None = None
    format: Format = Format.DECIMAL


_INTEGER = r"[0-9A-Za-z:]*(?:\.(?!\.)[0-9A-Za-z]*)*"  # a colon never follows a dot: 1.2.3.4:80 is three tokens
_TOKEN = re.compile(
    rf"""
      (?P<skip>[ \t\n\r\v\f]+ | //[^\n]* | /\*[^\n]*?\*/)
    | (?P<integer>(?=[0-9]|::|[0-9a-fA-F]+:){_INTEGER}(?P<mask>/{_INTEGER})?)
    | (?P<punctuation>\.\. | == | != | <-> | <= | >= | && | \|\| | -- | [][(){{}}=!<>,;:-])
    | (?P<id>[A-Za-z_.][A-Za-z0-9_.]*)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<named>[$@^][A-Za-z_.][A-Za-z0-9_.]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ETHERNET = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
_NAMED = {"$": "macro", "@": "group", "^": "template"}

# The error message where no token begins, by the character found there.
_WRONG = {
    "&": "`&' is only valid as part of `&&'.",
    "|": "`|' is only valid as part of `||'.",
    "/": "`/' is only valid as part of `//' or `/*'.",
    "$": "`$' must be followed by a valid identifier.",
    "@": "`@' must be followed by a valid identifier.",
    "^": "`^' must be followed by a valid identifier.",
    '"': "Input ends inside quoted string.",
}


def tokenize(text: str) -> list[Token]:
    """Split a text into tokens, the last of kind `end`.

    Raises:
        LexError: a part of the text is not a valid token.
    """
    tokens: list[Token] = []
    append = tokens.append
    match_at = _TOKEN.match
    position, length = 0, len(text)
    while position < length:
        found = match_at(text, position)
        if found is None:
            raise _error_at(text, position)
        group = found.lastgroup
        start, position = position, found.end()
        if group == "skip":
            continue
        lexeme = found[0]
        if group == "punctuation":
            append(Token(lexeme, start, position))
        elif group == "id":
            append(Token("id", start, position, lexeme))
        elif group == "string":
            append(Token("string", start, position, _unescape(text, start, position)))
        elif group == "named":
            append(Token(_NAMED[lexeme[0]], start, position, lexeme[1:]))
        else:
            append(_number(text, start, position))
    append(Token("end", length, length))
    return tokens


def _error_at(text: str, position: int) -> LexError:
    letter = text[position]
    if text.startswith("/*", position):
        return LexError("`/*' without matching `*/'.", text=text, span=(position, position + 2))
    message = _WRONG.get(letter)
    if message is None:
        shown = f"character `{letter}'" if letter.isprintable() else f"byte {ord(letter):#x}"
        message = f"Invalid {shown} in input."
    return LexError(message, text=text, span=(position, len(text) if letter == '"' else position + 1))


def _unescape(text: str, start: int, end: int) -> str:
    raw = text[start + 1 : end - 1]
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(text[start:end], strict=False))
    except json.JSONDecodeError as error:
        raise LexError(f"Invalid escape in string: {error.msg}.", text=text, span=(start, end)) from None


def _number(text: str, start: int, end: int) -> Token:
    try:
        value, mask, form = parse_constant(text[start:end])
    except LexError as error:
        raise LexError(error.message, text=text, span=(start, end)) from None
    return Token("integer" if mask is None else "masked", start, end, "", value, mask, form)


@lru_cache(maxsize=8192)
def parse_constant(text: str) -> tuple[int, int | None, Format]:
    """Read an integer, Ethernet, IPv4 or IPv6 constant, perhaps masked; return its value, mask (or None) and format.

    A mask has the same format as the value, or is a CIDR prefix length after an IPv4 or IPv6 address, or is hexadecimal
    after the value 0.

    Raises:
        LexError: the text is not such a constant.
    """
    plain, slash, mask_text = text.partition("/")
    value, form = _integer(plain)
    if not slash:
        return value, None, form
    mask, mask_form = _integer(mask_text)
    if form is not mask_form:
        if form is Format.IPV4 and mask_form is Format.DECIMAL and mask <= 32:
            mask = prefix_mask(mask, bits=32)
        elif form is Format.IPV6 and mask_form is Format.DECIMAL and mask <= 128:
            mask = prefix_mask(mask, bits=128)
        elif form is Format.DECIMAL and mask_form is Format.HEXADECIMAL and value == 0:
            form = Format.HEXADECIMAL
        else:
            raise LexError("Value and mask have incompatible formats.", text=text, span=(0, len(text)))
    return value & mask, mask, form


def _integer(text: str) -> tuple[int, Format]:
    if not text:
        raise LexError("Integer constant expected.")
    if _ETHERNET.fullmatch(text):
        return int(text.replace(":", ""), 16), Format.ETHERNET
    if text.isdecimal() and text.isascii():
        if text[0] == "0" and len(text) > 1:
            raise LexError("Decimal constants must not have leading zeros.", text=text, span=(0, len(text)))
        value = int(text) if len(text) <= 20 else 1 << 64
        if value >> 64:
            raise LexError("Decimal constants must be less than 2**64.", text=text, span=(0, len(text)))
        return value, Format.DECIMAL
    if text[:2] in ("0x", "0X"):
        return _hexadecimal(text), Format.HEXADECIMAL
    try:
        if ":" in text:
            return int.from_bytes(inet_pton(AF_INET6, text), "big"), Format.IPV6
        return int.from_bytes(inet_pton(AF_INET, text), "big"), Format.IPV4
    except OSError:
        raise LexError("Invalid numeric constant.", text=text, span=(0, len(text))) from None


def _hexadecimal(text: str) -> int:
    digits = text[2:]
    if not digits:
        raise LexError(f"Hex digits expected following {text}.", text=text, span=(0, len(text)))
    if not re.fullmatch("[0-9a-fA-F]+", digits):
        raise LexError("Invalid syntax in hexadecimal constant.", text=text, span=(0, len(text)))
    value = int(digits, 16)
    if value >> 128:
        raise LexError("Hexadecimal constant requires more than 128 bits.", text=text, span=(0, len(text)))
    return value


def format_constant(value: int, *, mask: int | None = None, form: Format = Format.DECIMAL) -> str:
    """Write a constant as `parse_constant` reads it; addresses with a prefix mask print in CIDR form.

    Arguments:
        value: its value.
        mask: the bits that are compared; None for all.
        form: the format to write it in.
    """
    if mask is None:
        return _format_integer(value, form)
    bits = {Format.IPV4: 32, Format.IPV6: 128}.get(form)
    if bits is not None:
        host = ~mask & ((1 << bits) - 1)
        if host & (host + 1) == 0:
            return f"{_format_integer(value, form)}/{bits - host.bit_length()}"
    return f"{_format_integer(value, form)}/{_format_integer(mask, form)}"


def _format_integer(value: int, form: Format) -> str:
    if form is Format.DECIMAL:
        return str(value)
    if form is Format.ETHERNET:
        return ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))
    if form is Format.IPV4:
        return inet_ntop(AF_INET, value.to_bytes(4, "big"))
    if form is Format.IPV6:
        return inet_ntop(AF_INET6, value.to_bytes(16, "big"))
    return f"{value:#x}"


# How error messages name the kinds of tokens that are not punctuation.
_SPOKEN = {
    "id": "identifier", "string": "string", "integer": "integer", "masked": "masked integer",
    "macro": "address set name", "group": "port group name", "template": "template", "end": "end of input",
}  # fmt: skip


class Tokens:
    """A cursor over the tokens of a text, for recursive-descent parsers of matches and of actions."""

    __slots__ = ("_index", "_tokens", "text", "token")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._index = 0
        self.token = self._tokens[0]

    def advance(self) -> Token:
        """Advance past the current token and return it; the cursor stays at `end`."""
        passed = self.token
        if passed.kind != "end":
            self._index += 1
            self.token = self._tokens[self._index]
        return passed

    def peek(self) -> Token:
        """Return the token after the current one."""
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    def take(self, kind: str) -> Token | None:
        """Advance past the current token and return it if it is of `kind`; otherwise stay and return None."""
        return self.advance() if self.token.kind == kind else None

    def take_name(self, name: str) -> bool:
        """Advance past the current token if it is the identifier `name`, and return whether it was."""
        if self.token.kind == "id" and self.token.name == name:
            self.advance()
            return True
        return False

    def expect(self, kind: str) -> Token:
        """Advance past a token of a kind and return it.

        Raises:
            ParseError: the current token is of another kind.
        """
        if self.token.kind != kind:
            raise self.syntax_error("expecting " + _SPOKEN.get(kind, f"`{kind}'"))
        return self.advance()

    def expect_int(self, limit: int = 1 << 31) -> int:
        """Advance past an unmasked decimal or hexadecimal integer below a limit and return it.

        Raises:
            ParseError: the current token is not such an integer.
        """
        token = self.token
        small = token.format in (Format.DECIMAL, Format.HEXADECIMAL) and token.value < limit
        if token.kind != "integer" or not small:
            raise self.syntax_error("expecting small integer")
        return self.advance().value

    def syntax_error(self, expectation: str) -> ParseError:
        """Return the error for the current token; `expectation` names what was expected, as in `expecting constant`."""
        token = self.token
        where = "at end of input" if token.kind == "end" else f"at `{self.text[token.start : token.end]}'"
        return ParseError(f"Syntax error {where} {expectation}.", text=self.text, span=(token.start, token.end))
