"""northd's findings about Northbound: rows that have no effect, and logical flows that contradict each other.

Each finding is logged once when it appears, within the daemon's limit on log lines; `findings/list` lists the present
ones. Two logical flows contradict each other if they have stage, priority, match and datapath (or group of datapaths)
in common and differ in their actions: it is then undefined which of them a packet matches.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.engine.findings import FINDING
from ovenbird.northd.ir.flow import LOGICAL_FLOW

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

    from ovenbird.engine.engine import Engine, FactDelta
    from ovenbird.engine.facts import Fact, Relation

log = logging.getLogger(__name__)

_PLACE, _ACTIONS, _IDS = slice(1, 7), 7, 10
"""What of a flow's fact says where it is and what it matches; what it does; and what it is for."""


class Findings:
    """The findings of one compiler after the other: of whichever has the engine."""

    __slots__ = ("_current", "_flows")

    def __init__(self) -> None:
        self._current: dict[Hashable, str] = {}
        self._flows = Contradictions()

    def observe(self, engine: Engine) -> None:
        """Take the findings of an engine that has not run yet, and forget those of the one before."""
        self._current.clear()
        self._flows = Contradictions()
        engine.observers.append(self.absorb)

    def __iter__(self) -> Iterator[str]:
        """Yield the findings that there are, in the order of their text."""
        return iter(sorted(self._current.values()))

    def absorb(self, deltas: Mapping[Relation, FactDelta]) -> None:
        """Take in what a wave changed."""
        if (found := deltas.get(FINDING)) is not None:
            for fact in found.removed:
                self._current.pop(fact, None)
            for fact in found.added:
                self._note(fact, fact[3])
        if (flows := deltas.get(LOGICAL_FLOW)) is not None:
            for place, actions in self._flows.absorb(flows.added, flows.removed).items():
                self._current.pop(place, None)
                if actions:
                    self._note(place, actions)

    def _note(self, key: Hashable, text: str) -> None:
        """Keep a finding, and log it."""
        self._current[key] = text
        log.warning("%s", text)


class Contradictions:
    """Logical flows by place and match, to find those that say two things of one packet."""

    __slots__ = ("_one", "_several")

    def __init__(self) -> None:
        self._one: dict[int, Fact] = {}
        """A flow by the hash of its place: nearly all have one of their own, and a key for each would cost as much."""
        self._several: dict[tuple[object, ...], dict[Fact, None]] = {}

    def absorb(self, added: Iterable[Fact], removed: Iterable[Fact]) -> dict[tuple[object, ...], str]:
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
