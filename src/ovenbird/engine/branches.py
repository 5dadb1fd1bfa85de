"""Rules that branch: one subject, several computations, each with dependencies of its own.

The facts of a rule may consist of parts that change separately, such as those of a row that has another meaning in each
of a hundred datapaths. The rule then yields one `Branches`, and nothing else: the engine runs the rule's `branch` for
the subject and each argument, in the same wave. A branch runs again by itself when something that it read changes, and
ends when the rule no longer yields its argument, or fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.rules import Rule, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row

R = TypeVar("R", bound="Row")
A = TypeVar("A", bound="Hashable")


class Branches:
    """What a rule yields in place of facts: the arguments of its branches.

    Arguments:
        arguments: one for each branch; they are hashable.
    """

    __slots__ = ("arguments",)

    def __init__(self, arguments: Iterable[Hashable]) -> None:
        self.arguments = tuple(arguments)


class BranchRun(Run):
    """The branch of one subject and one argument.

    Arguments:
        engine: the engine that runs it.
        rule: the branch's function.
        subject: the row of the branching rule.
        argument: the branch's argument.
    """

    __slots__ = ("argument",)

    def __init__(self, engine: Any, rule: Rule, subject: Row | None, argument: Hashable) -> None:
        super().__init__(engine, rule, subject)
        self.argument = argument

    def compute(self) -> tuple[Fact, ...]:
        """Run the function and return the facts it yields; on an exception, note it and return none."""
        return self.observed(self._facts) or ()

    def _facts(self) -> tuple[Fact, ...]:
        try:
            return tuple(self.rule.body(self.subject, self.argument))
        except IdsExhaustedError as error:
            return self.without_id(error)

    def __repr__(self) -> str:
        return f"{self.rule.name}({self.subject!r}, {self.argument!r})"


class BranchingRun(Run):
    """A rule applied to one subject, with its present branches.

    Arguments:
        engine: the engine that runs it.
        rule: the rule.
        subject: the row, or None for a rule without one.
    """

    __slots__ = ("branches",)

    rule: BranchingRule

    def __init__(self, engine: Any, rule: BranchingRule, subject: Row | None) -> None:
        super().__init__(engine, rule, subject)
        self.branches: dict[Hashable, BranchRun] | None = None

    def compute(self) -> tuple[Fact, ...]:
        """Run the function and return the facts that it yields; start and end branches as it says instead."""
        facts: tuple[Any, ...] = super().compute()
        wanted: tuple[Hashable, ...] = ()
        if facts and type(facts[0]) is Branches:
            wanted, facts = facts[0].arguments, ()
        if wanted or self.branches is not None:
            self._branch(dict.fromkeys(wanted))
        return facts

    def _branch(self, wanted: dict[Hashable, None]) -> None:
        """Start and end branches, so that there is one for each argument."""
        before, after = self.branches or {}, {}
        self.engine.end([run for argument, run in before.items() if argument not in wanted])
        for argument in wanted:
            run = before.get(argument)
            if run is None:
                run = BranchRun(self.engine, self.rule.branch, self.subject, argument)
                run.invalidate()
            after[argument] = run
        self.branches = after or None

    def held(self) -> Collection[Run]:
        """Return the branches."""
        return self.branches.values() if self.branches is not None else ()


class BranchingRule(Rule):
    """A rule of one subject that may branch; make one with the decorator `branching`.

    Arguments:
        body: the rule.
        subject: the class whose every row is a subject.
        branch: what runs for a subject and one of the arguments that `body` yields.
    """

    __slots__ = ("branch",)

    run = BranchingRun

    def __init__(
        self,
        body: Callable[[R], Iterable[Fact | Branches]],
        subject: type[R],
        branch: Callable[[R, A], Iterable[Fact]],
    ) -> None:
        super().__init__(body, subject)  # type: ignore[arg-type]  # what it yields besides facts stays in its runs
        self.branch = Rule(branch, subject)


def branching(
    subject: type[R], branch: Callable[[R, A], Iterable[Fact]]
) -> Callable[[Callable[[R], Iterable[Fact | Branches]]], BranchingRule]:
    """Make a function a rule of every row of `subject`'s table that may yield one `Branches` in place of facts.

    Arguments:
        subject: whose rows.
        branch: a pure function of a row and one argument, which yields facts as a rule does.
    """

    def decorate(body: Callable[[R], Iterable[Fact | Branches]]) -> BranchingRule:
        return BranchingRule(body, subject, branch)

    return decorate
