"""How often the rules and views of an engine have run, as `inc-engine/show-stats` of ovn-northd(8) prints it.

A node is a rule or a view here. *recompute* counts its runs while everything is computed for the first time, *compute*
those since then, for what changes, and *abort* the runs of rules that failed, whose facts are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COUNTERS = ("recompute", "compute", "abort")
LONG_COMPUTATION = 500
"""Milliseconds from which on a computation is logged, unless `inc-engine/compute-log-timeout` sets others."""


class RuleCounters:
    """The runs of each rule and view since the process began, or since `clear`."""

    def __init__(self) -> None:
        self.log_from = LONG_COMPUTATION
        """Milliseconds from which on a computation is logged."""
        self._nodes: dict[str, list[int]] = {}

    def know(self, names: Iterable[str]) -> None:
        """Show these nodes even if they have not run."""
        for name in names:
            self._nodes.setdefault(name, [0, 0, 0])

    def absorb(self, ran: Mapping[str, int], *, failed: Mapping[str, int], first: bool) -> None:
        """Add the runs of a wave.

        Arguments:
            ran: runs by node.
            failed: those of them that failed.
            first: whether everything is being computed for the first time.
        """
        self.know(ran)
        for name, runs in ran.items():
            self._nodes[name][0 if first else 1] += runs
        for name, runs in failed.items():
            self._nodes[name][2] += runs

    def clear(self) -> None:
        """Start all counters from 0."""
        self._nodes = {name: [0, 0, 0] for name in self._nodes}

    def show(self, node: str | None = None, *, counter: str | None = None) -> str:
        """Return what `inc-engine/show-stats` prints: of all nodes, of one, or one of its counters."""
        if node is not None:
            counts = self._nodes.get(node)
            if counts is None:
                return ""
            if counter is None:
                return _lines(node, counts)
            known = counter in COUNTERS
            return f"{counts[COUNTERS.index(counter)]}\n" if known else f"Invalid stat type : {counter}\n"
        return "".join(_lines(name, counts) for name, counts in sorted(self._nodes.items()))


def _lines(node: str, counts: list[int]) -> str:
    lines = [f"- {name + ':':<12} {count:>10}\n" for name, count in zip(COUNTERS, counts, strict=True)]
    return "".join([f"Node: {node}\n", *lines])
