"""northd's findings about Northbound: rows that have no effect, and logical flows that contradict each other.

Each finding is logged once when it appears, within the daemon's limit on log lines; `findings/list` lists the present
ones. Two logical flows contradict each other if they have stage, priority, match and datapath (or group of datapaths)
in common and differ in their actions: it is then undefined which of them a packet matches.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.engine.findings import FINDING
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.flow import LOGICAL_FLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator

    from ovenbird.engine.engine import Deltas, Engine
    from ovenbird.engine.facts import Fact

log = logging.getLogger(__name__)

_PLACE, _ACTIONS, _IDS = slice(1, 7), 7, 10
"""The parts of a flow's fact: its place and match, its actions, and its external_ids."""


class Found(NamedTuple):
    """A finding.

    Arguments:
        table: that of the row that has to be corrected; empty if the finding is about several rows.
        row: the row's UUID.
        text: what is wrong, and what northd did about it.
    """

    table: str
    row: str
    text: str


class CompilerFindings:
    """The findings of the present compiler; those of the one before are forgotten when another one starts."""

    __slots__ = ("_current", "_engine", "_flows", "watchers")

    def __init__(self) -> None:
        self._current: dict[Hashable, Found] = {}
        self._flows = Contradictions()
        self._engine: Engine | None = None
        self.watchers: list[Callable[[], None]] = []
        """Called when the findings have changed, and when a compiler has run for the first time."""

    def observe(self, engine: Engine) -> None:
        """Collect the findings of an engine that has not run yet, and forget those of the engine before."""
        self._current.clear()
        self._flows = Contradictions()
        self._engine = None

        def absorb(deltas: Deltas) -> None:
            first, self._engine = self._engine is None, engine
            self._absorb(deltas, first=first)

        engine.observers.append(absorb)

    @property
    def known(self) -> bool:
        """Whether a compiler runs here and has completed its first wave; until then its findings are not known."""
        return self._engine is not None and not self._engine.closed

    def all(self) -> Collection[Found]:
        """Return the present findings, oldest first; none if the compiler has stopped."""
        return self._current.values() if self.known else ()

    def __iter__(self) -> Iterator[str]:
        """Yield the texts of the findings, sorted."""
        return iter(sorted([found.text for found in self.all()]))

    def _absorb(self, deltas: Deltas, *, first: bool) -> None:
        """Take in what a wave changed.

        Arguments:
            deltas: the facts that came and went, by relation.
            first: whether it is the engine's first wave.
        """
        changed = first
        if (facts := deltas.get(FINDING)) is not None:
            changed = True
            for fact in facts.removed:
                self._current.pop(fact, None)
            for fact in facts.added:
                self._note(fact, Found(*fact[1:]))
        if (flows := deltas.get(LOGICAL_FLOW)) is not None:
            for place, actions in self._flows.absorb(added=flows.added, removed=flows.removed).items():
                changed = True
                self._current.pop(place, None)
                if actions:
                    self._note(place, Found(table="", row="", text=actions))
        for watcher in self.watchers if changed else ():
            watcher()

    def _note(self, key: Hashable, found: Found) -> None:
        """Keep a finding, and log it."""
        self._current[key] = found
        log.warning("%s", found.text)


class Contradictions:
    """Logical flows by place and match, to find flows of equal match and priority with different actions."""

    __slots__ = ("_one", "_several")

    def __init__(self) -> None:
        self._one: dict[int, Fact] = {}
        """A flow by the hash of its place; keeping the place itself would cost as much memory as the flow."""
        self._several: dict[tuple[object, ...], dict[Fact, None]] = {}

    def absorb(self, *, added: Iterable[Fact], removed: Iterable[Fact]) -> dict[tuple[object, ...], str]:
        """Process what a wave changed; return the finding about each place that flows share or shared."""
        one, several = self._one, self._several
        touched: dict[tuple[object, ...], str] = {}
        for fact in removed:
            place = fact[_PLACE]
            flows = several.get(place)
            if flows is None:
                if one.get(hash(place)) == fact:
                    del one[hash(place)]
                continue
            touched[place] = ""
            del flows[fact]
            one[hash(place)] = next(iter(flows))  # the one that is there may be the one that went, and come again
            if len(flows) == 1:
                del several[place]
        for fact in added:
            place = fact[_PLACE]
            other = one.setdefault(hash(place), fact)
            if other is not fact and other[_PLACE] == place:
                several.setdefault(place, {other: None})[fact] = None
                touched[place] = ""
        for place in touched:
            touched[place] = _contradiction(several.get(place, ()))
        return touched


def _contradiction(flows: Collection[Fact]) -> str:
    """Return the finding about flows with the same place; empty if their actions are the same."""
    actions = sorted({fact[_ACTIONS] for fact in flows})
    if len(actions) < 2:
        return ""
    one = next(iter(flows))
    *_, priority, match = one[_PLACE]
    rows = sorted({hint for fact in flows if (hint := dict(fact[_IDS]).get("stage-hint"))})
    told = f" (of the rows {', '.join(rows)})" if rows else ""
    several = " and ".join(repr(text) for text in actions)
    return (
        f"{dict(one[_IDS])['stage-name']}: flows{told} of priority {priority} for {match!r}"
        f"have different actions, {several}: it is undefined which of them a packet matches"
    )
