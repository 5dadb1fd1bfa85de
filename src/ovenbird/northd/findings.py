"""northd's findings about Northbound: rows that have no effect, and logical flows that contradict each other.

Each finding is logged once when it appears, within the daemon's limit on log lines; `findings/list` lists the present
ones. Two logical flows contradict each other if they have stage, priority, match and datapath (or group of datapaths)
in common and differ in their actions: it is then undefined which of them a packet matches.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.findings import FINDING
from ovenbird.northd.ir.flow import LOGICAL_FLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator

    from ovenbird.engine.engine import Deltas, Engine
    from ovenbird.engine.facts import Fact

log = logging.getLogger(__name__)

_PLACE, _ACTIONS, _IDS = slice(1, 7), 7, 10
"""What of a flow's fact says where it is and what it matches; what it does; and what it is for."""


class Found(NamedTuple):
    """A finding.

    Arguments:
        table: that of the row which somebody has to mend; empty if there is no one row.
        row: the row's UUID.
        text: what is wrong, and what has become of it.
    """

    table: str
    row: str
    text: str


class CompilerFindings:
    """The findings of one compiler after the other: of whichever has the engine."""

    __slots__ = ("_current", "_engine", "_flows", "watchers")

    def __init__(self) -> None:
        self._current: dict[Hashable, Found] = {}
        self._flows = Contradictions()
        self._engine: Engine | None = None
        self.watchers: list[Callable[[], None]] = []
        """Told when there are others than before, and when a compiler has run for the first time."""

    def observe(self, engine: Engine) -> None:
        """Take the findings of an engine that has not run yet, and forget those of the one before."""
        self._current.clear()
        self._flows = Contradictions()
        self._engine = None

        def absorb(deltas: Deltas) -> None:
            first, self._engine = self._engine is None, engine
            self._absorb(deltas, first=first)

        engine.observers.append(absorb)

    @property
    def known(self) -> bool:
        """Whether a compiler is at work here, and has run; else nobody knows what it would find."""
        return self._engine is not None and not self._engine.closed

    def all(self) -> Collection[Found]:
        """Return the findings that there are, those that came first at the front; none of a compiler that stopped."""
        return self._current.values() if self.known else ()

    def __iter__(self) -> Iterator[str]:
        """Yield what they say, in the order of the text."""
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
    """Logical flows by place and match, to find those that say two things of one packet."""

    __slots__ = ("_one", "_several")

    def __init__(self) -> None:
        self._one: dict[int, Fact] = {}
        """A flow by the hash of its place: nearly all have one of their own, and a key for each would cost as much."""
        self._several: dict[tuple[object, ...], dict[Fact, None]] = {}

    def absorb(self, *, added: Iterable[Fact], removed: Iterable[Fact]) -> dict[tuple[object, ...], str]:
        """Take in what a wave changed; return what is now to be said of each place that several flows share or did."""
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
    """Return what is to be said of flows with one place; nothing if they do the same."""
    actions = sorted({fact[_ACTIONS] for fact in flows})
    if len(actions) < 2:
        return ""
    one = next(iter(flows))
    *_, priority, match = one[_PLACE]
    rows = sorted({hint for fact in flows if (hint := dict(fact[_IDS]).get("stage-hint"))})
    told = f" (of the rows {', '.join(rows)})" if rows else ""
    several = " and ".join(repr(text) for text in actions)
    return (
        f"{dict(one[_IDS])['stage-name']}: flows{told} of priority {priority} for {match!r} do different things, "
        f"{several}: which of them a packet meets is left to chance"
    )
