"""Monitor conditions on Southbound, from the clauses that rules yield."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.controller.local.local_data import CONDITIONAL
from ovenbird.engine.rows import UUID

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ovenbird.controller.facts import MonitorClause

_REFERENCES = frozenset((
    "_uuid", "datapath", "datapaths", "datapath_group", "ls_datapath_group", "lr_datapath_group", "logical_datapath",
    "logical_dp_group", "chassis", "additional_chassis",
))  # fmt: skip
_BY_NAME = ("Chassis_Template_Var",)
"""Tables whose column `chassis` has a name."""
_DATAPATHS, _FLOWS = "Datapath_Binding", "Logical_Flow"
_PART = 25
"""How many new datapaths a step has at least."""
_PARTS = 4
"""The maximum number of steps: for each, the server examines every row again."""
_NOTHING = [False]
"""The condition that is false for every row (ovsdb-server(7), section 4.1.12; not in RFC 7047)."""


class MonitorConditions:
    """The present monitor clauses."""

    def __init__(self) -> None:
        self._clauses: dict[MonitorClause, None] = {}
        self._asked: set[MonitorClause] | None = set()  # None: everything

    def absorb(self, *, added: Iterable[MonitorClause], removed: Iterable[MonitorClause]) -> None:
        """Take in a wave's facts."""
        for fact in removed:
            self._clauses.pop(fact, None)
        for fact in added:
            self._clauses[fact] = None

    def steps(self, *, everywhere: bool = False) -> list[dict[str, list[Any]]]:
        """Return the present conditions, as several steps from those returned last.

        So rows can be processed while the server searches for the next ones: if there are many new datapaths, some
        follow after others. Logical flows, which are most of the rows and depend on the others, come last.

        Arguments:
            everywhere: whether all rows are monitored, regardless of the clauses.
        """
        if everywhere:
            self._asked = None
            return [everything()]
        others = self._by_table()
        flows = {_FLOWS: others.pop(_FLOWS)}
        known = self._clauses if self._asked is None else self._asked
        parts = min(_PARTS, len([clause for clause in others[_DATAPATHS] if clause not in known]) // _PART) or 1
        steps = [step for tables in (others, flows) for step in _parts(tables, known, parts)]
        self._asked = set(self._clauses)
        return steps

    def _by_table(self) -> dict[str, list[MonitorClause]]:
        found: dict[str, list[MonitorClause]] = {name: [] for name in CONDITIONAL}
        for clause in sorted(self._clauses, key=_order):
            found[clause.table].append(clause)
        return found

    def datapaths(self) -> frozenset[UUID]:
        """Return the datapaths of which all rows are monitored."""
        return frozenset([UUID(clause.value) for clause in self._clauses if clause.table == _DATAPATHS])


def _parts(
    tables: dict[str, list[MonitorClause]], known: Collection[MonitorClause], parts: int
) -> Iterator[dict[str, list[Any]]]:
    """Yield conditions that contain all former clauses, and more and more of the new ones."""
    for part in range(1, parts):
        step = {}
        for name, clauses in tables.items():
            new = [clause for clause in clauses if clause not in known]
            left_out = set(new[len(new) * part // parts :])
            step[name] = _condition([clause for clause in clauses if clause not in left_out])
        yield step
    yield {name: _condition(clauses) for name, clauses in tables.items()}


def _condition(clauses: list[MonitorClause]) -> list[Any]:
    """Return a condition as the database writes it."""
    return [[each.column, each.function, _operand(each)] for each in clauses] or _NOTHING


def _operand(clause: MonitorClause) -> Any:
    """Return a clause's value as the database writes it; a pair is a map's element."""
    value = clause.value
    if clause.column in _REFERENCES and clause.table not in _BY_NAME:
        return ["uuid", value]
    return ["map", [list(value)]] if isinstance(value, tuple) else value


def everything() -> dict[str, list[Any]]:
    """Return the conditions that are true for every row."""
    return {name: [True] for name in CONDITIONAL}


def first(chassis: str) -> dict[str, list[Any]]:
    """Return the initial conditions: this chassis's own rows, from which the rules derive further clauses."""
    return dict.fromkeys(CONDITIONAL, _NOTHING) | {"Chassis_Private": [["name", "==", chassis]]}


def _order(fact: MonitorClause) -> tuple[Any, ...]:
    """Order clauses: of logical flows, first those of datapath groups, which are few rows and most of the work."""
    return fact.table, fact.column != "logical_dp_group", fact.column, str(fact.value)
