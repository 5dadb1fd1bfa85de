"""Constants in matches and actions, before their field is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.ast import AddressSet, Constant, Integer, PortGroup, String

if TYPE_CHECKING:
    from ovenbird.lang.lexer import Tokens


def parse_constant(tokens: Tokens) -> Constant:
    """Parse one constant: an integer, a string, `$set` or `@group`.

    Raises:
        ParseError: the current token is not a constant.
    """
    token = tokens.token
    constant: Constant
    match token.kind:
        case "integer" | "masked":
            constant = Integer(token.value, mask=token.mask, format=token.format)
        case "string":
            constant = String(token.name)
        case "macro":
            constant = AddressSet(token.name, (token.start, token.end))
        case "group":
            constant = PortGroup(token.name, (token.start, token.end))
        case _:
            raise tokens.syntax_error("expecting constant")
    tokens.advance()
    return constant
