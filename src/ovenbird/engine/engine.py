"""The engine: propagates changes in waves through views and rules to facts.

``run`` executes a wave. Views that read something changed are computed again in the order of their height, and their
readers are only affected if the value differs; then the affected rules run again, and the facts that they yield are
compared with those of their previous runs. Other views and rules are not visited, so the cost depends on the change
only.

The engine counts the owners of each fact, the runs that yield it: ``owners`` is both the reference count and the
provenance. The result of a wave is a ``FactDelta`` for each relation; a relation bound to a table by ``bind`` has an
``Output`` that turns it into row edits. A relation bound by ``derive`` fills a table of this process at the end of the
wave, which other rules read in the next wave.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter, defaultdict, deque
from heapq import heappop
from typing import TYPE_CHECKING, Any, Generic

from ovenbird.engine.alarms import Alarms, now
from ovenbird.engine.facts import F, Fact, Members, NamedRelation, Relation, Rows
from ovenbird.engine.outputs import Output
from ovenbird.engine.rules import Gate, Rule
from ovenbird.engine.store_editor import StoreEditor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ovenbird.engine.alarms import Alarm
    from ovenbird.engine.ids import Allocation, Pool, PoolScope
    from ovenbird.engine.outputs import Handle
    from ovenbird.engine.rows import Column, Row, SetDeltas, Store, Table
    from ovenbird.engine.rules import Run
    from ovenbird.engine.views import ViewInstance

log = logging.getLogger(__name__)


class FactDelta(Generic[F]):
    """What a wave changed in one relation: facts added and facts removed."""

    __slots__ = ("added", "removed")

    def __init__(self) -> None:
        self.added: list[F] = []
        self.removed: list[F] = []


class Deltas(dict[Relation, FactDelta[Any]]):
    """What a wave changed, by relation; relations without a change are not there."""

    __slots__ = ()

    def of(self, relation: NamedRelation[..., F]) -> FactDelta[F] | None:
        """Return the change of a relation whose facts have names; None if there is none."""
        return self.get(relation)


class Engine:
    """Rules over the rows of some stores.

    Arguments:
        stores: what the rules may read; no row class may be in two of them.
        rules: the rules.
        clock: returns the time in milliseconds since the epoch, for alarms.
    """

    def __init__(self, stores: Sequence[Store], rules: Iterable[Rule], clock: Callable[[], int] = now) -> None:
        self.tables: dict[type[Row], Table[Any]] = {
            table.row_class: table for store in stores for table in store.tables.values()
        }
        self.memo: dict[tuple[Any, ...], ViewInstance] = {}
        self.scopes: dict[tuple[Pool, Any], PoolScope] = {}
        self.outputs: dict[Rows[Any], Output] = {}
        self.grouped_values: dict[Rule, Any] = {}
        self.owners: dict[Fact, Run | dict[Run, None]] = {}
        self.failures: dict[Run, Exception] = {}
        self.ran: Counter[str] = Counter()
        """How often each rule and view ran for the last wave."""
        self.failed: Counter[str] = Counter()
        """How many of the rules' runs failed."""
        self.rule_names: list[str] = []
        self.alarms = Alarms(clock)
        self.observers: list[Callable[[Deltas], None]] = []
        """Called after each wave with what it changed."""
        self.dirty_views: list[tuple[int, int, ViewInstance]] = []
        self.dirty_runs: deque[Run] = deque()
        self.unread: list[ViewInstance | Allocation | Handle | Alarm] = []
        self.sequence = 0
        self._ahead = False  # whether `advance` has begun the next wave
        self.closed = False
        """Whether `close` was called."""
        self._derived: list[tuple[Output, StoreEditor]] = []
        self._dead: list[Run] = []
        self._runs: dict[Row, list[Run]] = {}
        self._singletons: list[Run] = []
        self._watching: list[tuple[Table[Any], Subjects]] = []
        self._came: list[Fact] = []
        self._went: list[Fact] = []
        by_subject: dict[type[Row], list[Rule]] = {}
        for rule in rules:
            self.rule_names.append(rule.name)
            if rule.subject is None:
                run = rule.run(self, rule, None)
                self._singletons.append(run)
                run.invalidate()
            else:
                by_subject.setdefault(rule.subject, []).append(rule)
        for subject, its_rules in by_subject.items():
            table = self.tables[subject]
            subjects = Subjects(self, its_rules)
            subjects.inserted(table.rows.values())
            table.watchers.append(subjects)
            self._watching.append((table, subjects))

    def close(self) -> Deltas:
        """Stop watching the tables and drop all dependencies. The engine cannot be used afterwards.

        Returns:
            All present facts, as removed, for consumers that keep something for each fact.
        """
        self.closed = True
        for table, watcher in self._watching:
            table.watchers.remove(watcher)
        for output in self.outputs.values():
            output.table.watchers.remove(output)
        for output, editor in self._derived:
            for row in (*output.actual.values(), *output.surplus):
                editor.delete(row)
        self._watching.clear()
        for run in (*self._singletons, *(run for runs in self._runs.values() for run in _with_held(runs))):
            run.forget()
        self._bury()
        deltas = Deltas()
        for fact in self.owners:
            _delta(deltas, fact[0]).removed.append(fact)
        for left in (
            *(self.owners, self.failures, self.tables, self.outputs, self._derived),
            *(self._runs, self._singletons, self.dirty_runs, self.dirty_views),
        ):
            left.clear()  # a cycle that the collector was told to pass over would keep rows, and what rules own
        return deltas

    def bind(
        self,
        relation: Rows[Any],
        store: Store,
        *members: Members[Any, Any],
        lacking: Collection[Column[Any]] = (),
        mine: Callable[[Any], bool] | None = None,
    ) -> Output:
        """Keep the rows of a table, and their sets, equal to the facts.

        Arguments:
            relation: the facts that become rows.
            store: the store of the table.
            members: the facts that become elements of their sets.
            lacking: columns that the server does not have: they are not written.
            mine: whether a row that is found is for this engine to write, where several have rows in one table.
        """
        output = Output(self, relation, store.table(relation.row_class), members, lacking, mine)
        self.outputs[relation] = output
        return output

    def derive(self, relation: Rows[Any], store: Store, *members: Members[Any, Any]) -> None:
        """Keep a table of this process equal to the facts, for other rules to read from the next wave on.

        Arguments:
            relation: the facts that become rows.
            store: one of the engine's, whose table has no other writer.
            members: the facts that become elements of their sets.
        """
        self._derived.append((self.bind(relation, store, *members), StoreEditor(store)))

    def outputs_of(self, store: Store) -> list[Output]:
        """Return the outputs whose tables are in a store, in the order in which they were bound."""
        return [output for output in self.outputs.values() if output.table.store is store]

    @property
    def idle(self) -> bool:
        """Whether there is nothing to run, and nothing that `advance` has run."""
        return not (self.dirty_runs or self.dirty_views or self._dead or self._came or self._went)

    def run(self) -> Deltas:
        """Run one wave.

        Returns:
            What changed, by relation. Bound outputs have processed it already; if that has changed derived tables,
            there is another wave to run (`idle`).
        """
        if not self._ahead:
            self.ran.clear()
            self.failed.clear()
        self._ahead = False
        self.alarms.ring()
        self._wave()
        self._bury()
        deltas = self._settle()
        for relation, delta in deltas.items():
            if isinstance(relation, Rows) and relation in self.outputs:
                self.outputs[relation].absorb(added=delta.added, removed=delta.removed)
            elif isinstance(relation, Members) and relation.rows in self.outputs:
                self.outputs[relation.rows].absorb_members(relation, added=delta.added, removed=delta.removed)
        for output, editor in self._derived:
            output.plan(editor)
        for observer in self.observers:
            observer(deltas)
        return deltas

    def advance(self, runs: int) -> bool:
        """Do some of the next wave's work in advance; `run` does the rest and returns the changes of both.

        Arguments:
            runs: how many rules may run; views that have to be computed first are.

        Returns:
            Whether there is more work to do in advance.
        """
        if not self._ahead:
            self.ran.clear()
            self.failed.clear()
            self._ahead = True
        self._wave(runs)
        return bool(self.dirty_runs)

    def release_unclaimed(self) -> None:
        """Release ids that were reserved at the start and that nothing has claimed; call after the first wave."""
        for scope in list(self.scopes.values()):
            scope.release_unclaimed()

    # -- one wave -------------------------------------------------------------------------------------------------

    def _wave(self, limit: int = sys.maxsize) -> None:
        self.end(self._dead)
        self._dead.clear()
        runs = self.dirty_runs
        while self.dirty_views or (runs and limit > 0):
            while self.dirty_views:
                instance = heappop(self.dirty_views)[2]
                if instance.dirty and self.memo.get(instance.key) is instance:
                    instance.compute()
            while runs and limit > 0:
                run = runs.popleft()
                limit -= 1
                if not run.dead:
                    self._execute(run)
                if self.dirty_views:  # an id moved: settle views before the rules that read them
                    break

    def _bury(self) -> None:
        """Drop sources that have no reader at the end of the wave."""
        while self.unread:
            orphan = self.unread.pop()
            if not orphan.readers:
                orphan.dispose()

    def _execute(self, run: Run) -> None:
        self.ran[run.rule.name] += 1
        facts = run.compute()
        if run.error is not None:
            self.failures[run] = run.error
            self.failed[run.rule.name] += 1
            log.error("%r failed: %s: %s", run, type(run.error).__name__, run.error, exc_info=run.error)
        elif self.failures:
            self.failures.pop(run, None)
        if facts != run.facts:
            self._replace(run, facts)

    def _replace(self, run: Run, facts: tuple[Fact, ...]) -> None:
        """Replace the facts of ``run`` by ``facts``, counting the owners of each."""
        old = run.facts
        run.facts = facts
        owners, came = self.owners, self._came
        fresh: Iterable[Fact] = facts
        if old:
            before, after = dict.fromkeys(old), dict.fromkeys(facts)
            fresh = [fact for fact in after if fact not in before]
            for fact in before:
                if fact not in after:
                    self._disown(fact, run)
        known = len(owners)
        for fact in fresh:
            holder = owners.setdefault(fact, run)
            if holder is run:
                if len(owners) > known:  # else it yields the fact twice
                    known += 1
                    came.append(fact)
            elif isinstance(holder, dict):
                holder[run] = None
            else:
                owners[fact] = {holder: None, run: None}

    def _disown(self, fact: Fact, run: Run) -> None:
        """Remove ``run`` from the owners of a fact that it no longer yields."""
        holders = self.owners[fact]
        if holders is run:
            del self.owners[fact]
            self._went.append(fact)
        elif isinstance(holders, dict):
            del holders[run]
            if len(holders) == 1:
                (self.owners[fact],) = holders

    def _settle(self) -> Deltas:
        """Return the net change: a fact that was added as often as it was removed has not changed."""
        came, went = self._came, self._went
        self._came, self._went = [], []
        deltas = Deltas()
        if went:
            balance = dict.fromkeys(came, 0)
            balance.update(dict.fromkeys(went, 0))
            for fact in came:
                balance[fact] += 1
            for fact in went:
                balance[fact] -= 1
            came = [fact for fact, n in balance.items() if n > 0]
            for fact, n in balance.items():
                if n < 0:
                    _delta(deltas, fact[0]).removed.append(fact)
        added: defaultdict[Relation, list[Fact]] = defaultdict(list)
        for fact in came:
            added[fact[0]].append(fact)
        for relation, facts in added.items():
            _delta(deltas, relation).added = facts
        return deltas

    # -- subjects -------------------------------------------------------------------------------------------------

    def add_subject(self, row: Row, rules: list[Rule], gates: list[tuple[Rule, list[Rule]]]) -> None:
        """Schedule rules and gates for a new row.

        Arguments:
            row: the row.
            rules: the rules without a condition.
            gates: conditions, and the rules behind each.
        """
        runs = self._runs.setdefault(row, [])
        for rule in rules:
            runs.append(rule.run(self, rule, row))
        for condition, behind in gates:
            runs.append(Gate(self, condition, behind, row))
        for run in runs:
            run.invalidate()

    def drop_subject(self, row: Row) -> None:
        """Retract the facts about a row that was deleted."""
        runs = self._runs.pop(row, [])
        for run in _with_held(runs):
            run.dead = True
        self._dead += runs

    def end(self, runs: Iterable[Run]) -> None:
        """Retract the facts of runs, and run them no more."""
        for run in runs:
            run.end()
            if held := run.held():
                self.end(held)
            self._replace(run, ())
            self.failures.pop(run, None)

    def run_count(self) -> int:
        """Return how many runs of rules with a subject there are; for leak tests."""
        return sum(1 for runs in self._runs.values() for _ in _with_held(runs))


def _with_held(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield runs, each followed by the runs that depend on its existence."""
    for run in runs:
        yield run
        if held := run.held():
            yield from _with_held(held)


def _delta(deltas: Deltas, relation: Relation) -> FactDelta[Any]:
    found = deltas.get(relation)
    if found is None:
        found = deltas[relation] = FactDelta()
    return found


class Subjects:
    """Watches one table for the rows that rules run for."""

    __slots__ = ("engine", "gates", "rules")

    def __init__(self, engine: Engine, rules: list[Rule]) -> None:
        self.engine = engine
        self.rules = [rule for rule in rules if rule.when is None]
        behind: dict[Callable[[Any], Any], list[Rule]] = {}
        for rule in rules:
            if rule.when is not None:
                behind.setdefault(rule.when, []).append(rule)
        self.gates = [(Rule(when, None), its_rules) for when, its_rules in behind.items()]

    def inserted(self, rows: Iterable[Row]) -> None:
        """Run the rules for new rows in the next wave."""
        for row in rows:
            self.engine.add_subject(row, self.rules, self.gates)

    def modified(self, row: Row, mask: int, deltas: SetDeltas | None) -> None:
        """Do nothing: each run has recorded which columns it read."""

    def deleted(self, row: Row) -> None:
        """Retract the row's facts in the next wave."""
        self.engine.drop_subject(row)
