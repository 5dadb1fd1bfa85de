"""Find the changes that a database refuses among many, by committing parts of them.

A refused change must not take with it others that were in the same transaction. The transaction is halved until what is
refused is a single change; every half that is accepted is thereby committed. A change that was refused because it needs
another one is tried again after more have been accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ovenbird.ovsdb.errors import (
    BadSyntax,
    ConstraintViolation,
    DomainError,
    DuplicateUuid,
    DuplicateUuidName,
    OvsdbError,
    PermissionDenied,
    RangeError,
    ReferentialIntegrityViolation,
    UnknownColumn,
    UnknownTable,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

ATTEMPTS = 1000
"""How many transactions one bisection may try."""

_OF_ROWS = (
    BadSyntax, ConstraintViolation, DomainError, DuplicateUuid, DuplicateUuidName, PermissionDenied, RangeError,
    ReferentialIntegrityViolation, UnknownColumn, UnknownTable,
)  # fmt: skip


def is_about_rows(refusal: OvsdbError) -> bool:
    """Say whether what a database refused depends on the rows, and not on its state or the client's."""
    return isinstance(refusal, _OF_ROWS) or type(refusal) is OvsdbError


class Bisection(Generic[T]):
    """The outcome of changes that a database refused together.

    Arguments:
        attempt: commits some of the changes; returns what was refused of them, None if they were accepted.
    """

    def __init__(self, attempt: Callable[[Sequence[T]], Awaitable[OvsdbError | None]]) -> None:
        self.attempt = attempt
        self.left = ATTEMPTS
        self.refused: dict[T, OvsdbError] = {}
        """The changes that were refused by themselves, and why."""
        self.failure: OvsdbError | None = None
        """What ended the bisection before all changes were tried: a refusal that is not about rows."""

    @property
    def complete(self) -> bool:
        """Whether every change was either accepted or refused by itself."""
        return self.left > 0 and self.failure is None

    async def run(self, changes: Sequence[T]) -> None:
        """Commit those changes that the database accepts, out of changes that were refused together.

        Raises:
            Disconnected: the outcome of the last attempt is unknown.
        """
        while changes:
            self.refused = {}
            accepted = await self._pass(changes)
            if not self.complete or not accepted or not self.refused:
                return
            changes = list(self.refused)

    async def _pass(self, changes: Sequence[T]) -> bool:
        """Try every change once, by itself or with others; return whether any was accepted."""
        accepted = False
        parts = list(reversed(_halves(changes)))
        while parts and self.complete:
            part = parts.pop()
            self.left -= 1
            refusal = await self.attempt(part)
            if refusal is None:
                accepted = True
            elif not is_about_rows(refusal):
                self.failure = refusal
            elif len(part) == 1:
                self.refused[part[0]] = refusal
            else:
                parts += reversed(_halves(part))
        return accepted


def _halves(changes: Sequence[T]) -> list[Sequence[T]]:
    middle = len(changes) // 2
    return [part for part in (changes[:middle], changes[middle:]) if part]
