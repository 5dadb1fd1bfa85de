"""The base of logical actions: a class that parses, formats, encodes and evaluates one (ovn-sb(5), Logical_Flow).

Invariants: actions are frozen values; `parse(format(x)) == x`; parsing needs no context, so its results can be cached
by text; `encode` resolves what depends on the flow's stage, on ports and on options.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ovenbird.lang.ast import Boolean, Expr, conjunction
from ovenbird.lang.errors import FieldError
from ovenbird.lang.parser import check_writable, parse, parse_field
from ovenbird.openflow.instructions import ApplyActions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef
    from ovenbird.lang.lexer import Tokens
    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.openflow.instructions import Instruction


class Action(ABC):
    """One logical action.

    The class's `parse` classmethod (see `registry`) starts at the token after the keyword and stops before the `;`.
    """

    __slots__ = ()

    @abstractmethod
    def format(self) -> str:
        """Write the action canonically, with its closing semicolon."""

    @abstractmethod
    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return the equivalent OpenFlow actions; raise `LangError` if the context does not allow the action."""

    def encode_before_others(self, ctx: Context) -> list[OpenFlowAction]:
        """Return the OpenFlow actions of an action that others follow in its list; see `encode`."""
        return self.encode(ctx)

    @abstractmethod
    def evaluate(self, machine: Machine) -> bool:
        """Apply the action to the machine's packet; return False if the rest of the list must not run."""

    def requires(self) -> tuple[str, ...]:
        """Return the action's prerequisites: match expressions that the packet must satisfy."""
        return ()

    def __str__(self) -> str:
        return self.format()


class Noted(Action):
    """An action that does not change the packet: the machine only records it.

    `FATE` describes what happens to the packet, if its processing ends with the action.
    """

    __slots__ = ()
    FATE: ClassVar[str] = ""

    def evaluate(self, machine: Machine) -> bool:
        """Record the action."""
        machine.note(self)
        return True


class Keyword(Action):
    """An action that consists of its keyword: no parentheses, no braces."""

    __slots__ = ()
    NAME = ""

    @classmethod
    def parse(cls, tokens: Tokens) -> Action:  # noqa: ARG003 - every action's parse takes the cursor
        """Return the action; nothing follows the keyword."""
        return cls()

    def format(self) -> str:
        """Write the keyword."""
        return f"{self.NAME};"


class Actions(NamedTuple):
    """The actions of a flow (none: drop), and their prerequisites.

    `prerequisites` are match expressions, in order and without repetition; the caller must AND the flow's match with
    all of them.
    """

    actions: tuple[Action, ...]
    prerequisites: tuple[str, ...]

    @property
    def prerequisite(self) -> Expr:
        """Return the conjunction of all prerequisites as a tree; the literal 1 if there are none."""
        terms = [parse(text) for text in self.prerequisites]
        return conjunction(terms) if terms else Boolean(value=True)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return the OpenFlow actions of the whole list.

        Raises:
            LangError: an action is not allowed in this context.
        """
        return encode_all(self.actions, ctx)

    def instructions(self, ctx: Context) -> list[Instruction]:
        """Return the OpenFlow instructions of the flow: its actions; none for a flow that drops."""
        actions = tuple(self.encode(ctx))
        return [ApplyActions(actions)] if actions else []

    def __str__(self) -> str:
        return format_all(self.actions)


def encode_all(actions: Sequence[Action], ctx: Context) -> list[OpenFlowAction]:
    """Return the OpenFlow actions of several logical ones, in order."""
    out: list[OpenFlowAction] = []
    for action in actions[:-1]:
        out += action.encode_before_others(ctx)
    for action in actions[-1:]:
        out += action.encode(ctx)
    return out


def format_all(actions: Sequence[Action]) -> str:
    """Write actions as the column of a logical flow holds them."""
    return " ".join([action.format() for action in actions]) or "drop;"


def prerequisites_of(actions: tuple[Action, ...]) -> tuple[str, ...]:
    """Return the prerequisites of actions, each once, in order of first occurrence."""
    return tuple(dict.fromkeys(text for action in actions for text in action.requires() if text))


def guarded(match: str, prerequisites: Sequence[str]) -> str:
    """Return the match of a flow whose actions have prerequisites: its own, ANDed with theirs."""
    if not prerequisites:
        return match
    end = "\n)" if "//" in match else ")"  # a comment ends with its line
    return " && ".join([f"({match}{end}", *prerequisites])


def field_requires(*refs: FieldRef) -> tuple[str, ...]:
    """Return the prerequisites of fields."""
    return tuple([ref.symbol.prerequisite for ref in refs if ref.symbol.prerequisite])


def parse_typed_field(tokens: Tokens, width: int) -> FieldRef:
    """Parse a field of `width` bits (0: a string); raise `FieldError` for any other."""
    return check_width(tokens, parse_field(tokens), width)


def check_width(tokens: Tokens, ref: FieldRef, width: int) -> FieldRef:
    """Return the field if it has the given width.

    Arguments:
        tokens: the text that holds the field, for the error.
        ref: the field.
        width: in bits; 0 for a string.

    Raises:
        FieldError: the field has another width.
    """
    symbol = ref.symbol
    if symbol.is_string != (width == 0):
        used, needed = ("string", "numeric") if symbol.is_string else ("numeric", "string")
        message = f"Cannot use {used} field {symbol.name} where {needed} field is required."
        raise FieldError(message, text=tokens.text, span=ref.span)
    if ref.n_bits != width:
        message = f"Cannot use {ref.n_bits}-bit field {ref} where {width}-bit field is required."
        raise FieldError(message, text=tokens.text, span=ref.span)
    return ref


def check_result(tokens: Tokens, dst: FieldRef, width: int = 1) -> FieldRef:
    """Return the destination of a result if the result can be written there.

    Arguments:
        tokens: the text that holds the field, for the error.
        dst: the field.
        width: of the result, in bits.

    Raises:
        FieldError: the destination is read-only or has another width.
    """
    check_width(tokens, dst, width)
    check_writable(dst, text=tokens.text)
    return dst
