"""Errors in a match or an action, with their position.

Every error has the text and a span of it; printed, it shows the line with a caret under the error.
"""

from __future__ import annotations

from typing import Self

_WIDTH = 1000
"""Characters that are shown of a line, those around the culprit, and of a message, which may name it."""


class LangError(ValueError):
    """Any error in a match or an action: `message`, and the faulty part, `text[start:end]`.

    Arguments:
        message: what is wrong.
        text: the match or action, if it is known.
        span: the positions of the faulty part's first character, and of the one after its last.
    """

    def __init__(self, message: str, *, text: str = "", span: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.start = span[0]
        self.end = max(span[1], span[0] + 1)

    def within(self, text: str) -> Self:
        """Return the error with `text` to show, unless it already has one."""
        return self if self.text else type(self)(self.message, text=text, span=(self.start, self.end))

    def __str__(self) -> str:
        message = self.message if len(self.message) <= _WIDTH else f"{self.message[:_WIDTH]} ..."
        if not self.text:
            return message
        line_start = self.text.rfind("\n", 0, self.start) + 1
        line_end = self.text.find("\n", line_start)
        line = self.text[line_start : len(self.text) if line_end < 0 else line_end]
        column = self.start - line_start
        if len(line) > _WIDTH:
            left = max(min(column - _WIDTH // 2, len(line) - _WIDTH), 0)
            line, column = line[left : left + _WIDTH], column - left
        width = max(1, min(self.end - self.start, len(line) - column))
        pad = "".join("\t" if letter == "\t" else " " for letter in line[:column])
        return f"{message}\n  {line}\n  {pad}{'^' * width}"


class LexError(LangError):
    """The text has no such token: a bad number, an unfinished string, a stray character."""


class ParseError(LangError):
    """The tokens do not form a match or an action."""


class FieldError(LangError):
    """A field is used as its type, width, level of measurement or access does not allow."""


class UnknownNameError(LangError):
    """A symbol, address set or port group does not exist."""


class CompileError(LangError):
    """A match is meaningful but OpenFlow cannot express it, such as single bits of a field without masks."""


class MicroflowError(LangError):
    """An expression does not describe exactly one packet: it is contradictory or ambiguous."""
