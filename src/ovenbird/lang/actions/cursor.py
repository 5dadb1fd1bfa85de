"""The grammar of lists, blocks and assignments; each action class parses the rest.

    list        = "drop" ";" | { statement ";" }
    statement   = keyword ... | field "=" value | field "<->" field | "ip.ttl" "--"
    value       = constant | field | function "(" ... ")"
    block       = "{" list "}"

A cursor holds the registry of keywords and functions, so that actions with blocks need not import the other actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.errors import ParseError
from ovenbird.lang.lexer import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.lang.actions.action import Action
    from ovenbird.lang.ast import FieldRef

_MAX_DEPTH = 32  # blocks deeper than this are a mistake or an attack


class Registry(NamedTuple):
    """The parsers of all kinds of statements.

    `statements` maps a keyword to the parser of the text after it; `functions` maps the name of a function, on the
    right of an assignment, to the parser of the text after it; `assignment` parses a statement that starts with a
    field.
    """

    statements: Mapping[str, Callable[[Cursor], Action]]
    functions: Mapping[str, Callable[[Cursor, FieldRef], Action]]
    assignment: Callable[[Cursor], Action]


class Cursor(Tokens):
    """A cursor over the tokens of a list of actions."""

    __slots__ = ("depth", "registry")

    def __init__(self, text: str, registry: Registry) -> None:
        super().__init__(text)
        self.registry = registry
        self.depth = 0

    def actions(self, end: str) -> tuple[Action, ...]:
        """Parse a list of actions up to a token of a kind, and advance past that token.

        Raises:
            LangError: an action is malformed, or this token does not follow the list.
        """
        actions: list[Action] = []
        if self.token.kind == "id" and self.token.name == "drop":
            self.advance()
            self.expect(";")
            if self.token.kind != end:
                raise self.syntax_error("expecting end of input" if end == "end" else f"expecting `{end}'")
        while not self.take(end) and self.token.kind != "end":
            actions.append(self.statement())
            self.expect(";")
        if self.token.kind == "end" and end != "end":
            raise self.syntax_error(f"expecting `{end}'")
        return tuple(actions)

    def statement(self) -> Action:
        """Parse one action, up to its semicolon.

        Raises:
            LangError: there is no valid action.
        """
        token = self.token
        if token.kind != "id":
            raise self.syntax_error("expecting action")
        if self.peek().kind in ("=", "<->", "[", "--"):
            return self.registry.assignment(self)
        parse = self.registry.statements.get(token.name)
        if parse is None:
            raise self.syntax_error("expecting action")
        self.advance()
        return parse(self)

    def block(self) -> tuple[Action, ...]:
        """Parse `{ list }`.

        Raises:
            LangError: there is no valid block, or it is nested too deeply.
        """
        opening = self.expect("{")
        if self.depth >= _MAX_DEPTH:
            raise ParseError("Actions nested too deeply.", text=self.text, span=(opening.start, opening.end))
        self.depth += 1
        actions = self.actions("}")
        self.depth -= 1
        return actions

    def no_arguments(self, name: str) -> None:
        """Advance past `()`.

        Raises:
            ParseError: there are no parentheses, or they are not empty.
        """
        self.expect("(")
        if not self.take(")"):
            message = f"{name} doesn't take any parameters"
            raise ParseError(message, text=self.text, span=(self.token.start, self.token.end))
