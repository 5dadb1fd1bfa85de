"""Rules: pure functions of one subject row that yield facts.

There is one ``Run`` for each rule and subject. A rule with a condition has runs only while a ``Gate`` finds the
condition true, so that ten thousand irrelevant rows cost one evaluation each, however many rules there are. A run
depends on exactly what its function read; when any of it changes the function runs again, and the facts are compared
with the previous ones. A run that raises yields nothing until something that it read changes; the failure is reported
with its subject and affects no other run. A run for which a pool has no id left yields a finding about its subject
instead, and runs again when an id is released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ovenbird.engine import tracking
from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.findings import without_id
from ovenbird.engine.tracking import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row

R = TypeVar("R", bound="Row")
T = TypeVar("T")


class Run(Reader):
    """A rule applied to one subject, with its latest facts.

    Arguments:
        engine: the engine that runs it.
        rule: the rule.
        subject: the row, or None for a rule without one.
    """

    __slots__ = ("dead", "error", "facts", "rule", "subject")

    def __init__(self, engine: Any, rule: Rule, subject: Row | None) -> None:
        self.engine = engine
        self.deps = []
        self.height = 0
        self.dirty = False
        self.rule = rule
        self.subject = subject
        self.facts: tuple[Fact, ...] = ()
        self.error: Exception | None = None
        self.dead = False

    def compute(self) -> tuple[Fact, ...]:
        """Run the function and return the facts it yields; on an exception, note it and return none."""
        if self.deps:
            self.forget()
        self.dirty = False
        self.error = None
        tracking.reader = self
        try:
            return tuple(self.rule.body(self.subject) if self.subject is not None else self.rule.body())
        except IdsExhaustedError as e:
            return self.without_id(e)
        except Exception as e:  # noqa: BLE001 (one feature's failure must not stop the wave)
            self.error = e
            return ()
        finally:
            tracking.reader = None

    def observed(self, function: Callable[[], T]) -> T | None:
        """Return what a function returns, and depend on what it reads; on an exception, note it and return None."""
        if self.deps:
            self.forget()
        self.dirty = False
        self.error = None
        tracking.reader = self
        try:
            return function()
        except Exception as e:  # noqa: BLE001 (one feature's failure must not stop the wave)
            self.error = e
            return None
        finally:
            tracking.reader = None

    def without_id(self, error: IdsExhaustedError) -> tuple[Fact, ...]:
        """Return the finding that there is no id for the subject; of a rule without one it is a failure."""
        if self.subject is None:
            self.error = error
            return ()
        return (without_id(self.subject, error),)

    def held(self) -> Collection[Run]:
        """Return the runs that live only as long as this one."""
        return ()

    def invalidate(self) -> None:
        """Queue for running again."""
        if not self.dirty:
            self.dirty = True
            self.engine.dirty_runs.append(self)

    def end(self) -> None:
        """Drop all dependencies and run no more; the engine retracts the facts."""
        self.dead = True
        self.forget()

    def __repr__(self) -> str:
        return f"{self.rule.name}({self.subject!r})" if self.subject is not None else f"{self.rule.name}()"


class Rule:
    """A pure function from one subject to facts; make one with the decorator ``rule``.

    Arguments:
        body: the function.
        subject: the class whose every row is a subject; None for a function without arguments that runs once.
        when: a condition on rows, None for all rows; a pure function of the row, like the rule itself.
    """

    __slots__ = ("body", "name", "subject", "when")

    run: ClassVar[type[Run]] = Run
    """The class of the object that an engine makes for each subject."""

    def __init__(
        self,
        body: Callable[..., Iterable[Fact]],
        subject: type[Row] | None,
        when: Callable[[Any], bool] | None = None,
    ) -> None:
        self.body = body
        self.subject = subject
        self.when = when
        self.name = body.__qualname__

    def __call__(self, *subject: Any) -> Iterable[Fact]:
        """Call the function, outside of any engine."""
        return self.body(*subject)

    def __repr__(self) -> str:
        return f"<rule {self.name}>"


class Gate(Run):
    """A condition applied to one subject, with the runs of its rules while the condition is true.

    Arguments:
        engine: the engine that runs it.
        condition: the condition.
        rules: the rules that run while it is true.
        subject: the row.
    """

    __slots__ = ("rules", "runs")

    def __init__(self, engine: Any, condition: Rule, rules: list[Rule], subject: Row) -> None:
        super().__init__(engine, condition, subject)
        self.rules = rules
        self.runs: list[Run] = []

    def compute(self) -> tuple[Fact, ...]:
        """Evaluate the condition; on an exception, record it and change nothing."""
        is_open = self.observed(lambda: bool(self.rule.body(self.subject)))
        if is_open is None:
            return ()
        if is_open and not self.runs:
            self.runs = [rule.run(self.engine, rule, self.subject) for rule in self.rules]
            for run in self.runs:
                run.invalidate()
        elif self.runs and not is_open:
            self.engine.end(self.runs)
            self.runs = []
        return ()

    def held(self) -> Collection[Run]:
        """Return the runs behind the gate."""
        return self.runs


def rule(subject: type[R], when: Callable[[R], bool] | None = None) -> Callable[[Callable[[R], Iterable[Fact]]], Rule]:
    """Make a function a rule that runs for every row of ``subject``'s table for which ``when`` is true."""

    def decorate(body: Callable[[R], Iterable[Fact]]) -> Rule:
        return Rule(body, subject, when)

    return decorate


def singleton(body: Callable[[], Iterable[Fact]]) -> Rule:
    """Make a function without arguments a rule that runs once, and again when a value that it read has changed."""
    return Rule(body, None)
