"""Interest: what the controller monitors of Southbound, from the rules' clauses to the server's conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.controller.local import CONDITIONAL
from ovenbird.engine.rows import UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.facts import Fact

_REFERENCES = frozenset(
    ("_uuid", "datapath", "datapaths", "datapath_group", "logical_datapath", "logical_dp_group", "chassis")
)
_NOTHING = [False]
"""The condition that no row meets (RFC 7047 has none; ovsdb-server(7), section 4.1.12)."""


class Interest:
    """The clauses in force, as the rules yield them."""

    def __init__(self) -> None:
        self._clauses: dict[Fact, None] = {}

    def absorb(self, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's facts."""
        for fact in removed:
            self._clauses.pop(fact, None)
        for fact in added:
            self._clauses[fact] = None

    def conditions(self) -> dict[str, list[Any]]:
        """Return the conditions by table: rows that any clause asks for, and of no clause no row."""
        conditions: dict[str, list[Any]] = {name: [] for name in CONDITIONAL}
        for _, table, column, function, value in sorted(self._clauses, key=_order):
            conditions[table].append([column, function, _operand(column, value)])
        return {name: clauses or _NOTHING for name, clauses in conditions.items()}

    def datapaths(self) -> frozenset[UUID]:
        """Return the datapaths about which everything is asked for."""
        return frozenset([UUID(fact[4]) for fact in self._clauses if fact[1] == "Datapath_Binding"])


def _operand(column: str, value: Any) -> Any:
    """Return a clause's value as the database writes it; a pair is a map's element."""
    if column in _REFERENCES:
        return ["uuid", value]
    return ["map", [list(value)]] if isinstance(value, tuple) else value


def everything() -> dict[str, list[Any]]:
    """Return the conditions that every row meets."""
    return {name: [True] for name in CONDITIONAL}


def first(chassis: str) -> dict[str, list[Any]]:
    """Return the conditions to begin with: this chassis's own rows, from which the rules find out what else."""
    return dict.fromkeys(CONDITIONAL, _NOTHING) | {"Chassis_Private": [["name", "==", chassis]]}


def in_steps(conditions: dict[str, list[Any]]) -> list[dict[str, list[Any]]]:
    """Return conditions as several changes that lead to them: rows can be worked on while the server finds the next.

    Logical flows come last, which are most of all rows and in need of the others.
    """
    others = {name: clauses for name, clauses in conditions.items() if name != "Logical_Flow"}
    return [others, {"Logical_Flow": conditions["Logical_Flow"]}]


def _order(fact: Fact) -> tuple[Any, ...]:
    return fact[1], fact[2], str(fact[4])
