"""A machine small enough to see through: state in dictionaries, tables and outputs in a log."""

from __future__ import annotations

from collections import defaultdict

import pytest

from ovenbird.lang.actions import Check, Pipeline, Translation, Zone
from ovenbird.lang.microflow import Microflow

PORTS = {"p1": 1, "p2": 2}


class Recorder:
    """A `Machine`; `log` holds what happened, with the packet as it was then."""

    def __init__(self, packet: Microflow, *, is_switch: bool = True) -> None:
        self.packet = packet
        self.stack: list[int] = []
        self.is_switch = is_switch
        self.log: list[tuple[object, ...]] = []
        self.neighbors: dict[tuple[int, int, bool], int] = {}
        self.macs: dict[int, int] = {}
        self.true: set[Check] = set()
        self.answering = False
        self.choice = 0
        self.tracked: dict[str, int] = {}

    def port_key(self, name: str) -> int:
        return PORTS.get(name, 0)

    def next(self, pipeline: Pipeline | None, table: int | None) -> None:
        self.log.append(("next", pipeline, table, self.packet.copy()))

    def output(self) -> None:
        self.log.append(("output", self.packet.copy()))

    def track(self, zone: Zone, translation: Translation | None = None) -> None:
        self.log.append(("track", zone, translation))
        for name, value in self.tracked.items():
            self.packet[name] = value

    def commit(
        self, zone: Zone, translation: Translation | None, mark: tuple[int, int], label: tuple[int, int]
    ) -> None:
        self.log.append(("commit", zone, translation, mark, label))

    def clear_tracking(self) -> None:
        for name in ("ct_state", "ct_mark", "ct_label"):
            self.packet[name] = 0

    def neighbor(self, port: int, address: int, *, ipv6: bool) -> int | None:
        return self.neighbors.get((port, address, ipv6))

    def learn_neighbor(self, port: int, address: int, mac: int, *, ipv6: bool) -> None:
        self.neighbors[port, address, ipv6] = mac

    def forwarding(self, mac: int) -> int | None:
        return self.macs.get(mac)

    def learn_forwarding(self, mac: int, port: int) -> None:
        self.macs[mac] = port

    def check(self, check: Check) -> bool:
        return check in self.true

    def choose(self, weights: list[int]) -> int:
        return self.choice % len(weights)

    def answers(self, action: object) -> bool:
        self.log.append(("answers", action))
        return self.answering

    def note(self, action: object, text: str = "") -> None:
        self.log.append(("note", action, text))


@pytest.fixture
def machine() -> object:
    """A factory: fields of the packet in, a machine out."""

    def make(*, is_switch: bool = True, **values: int) -> Recorder:
        return Recorder(Microflow(defaultdict(int, values)), is_switch=is_switch)

    return make
