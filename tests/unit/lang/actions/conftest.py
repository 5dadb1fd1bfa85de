"""A machine small enough to see through: state in dictionaries, tables and outputs in a log."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from ovenbird.lang.actions import OptionType
from ovenbird.lang.microflow import Microflow
from ovenbird.pipeline.stages import Pipeline

if TYPE_CHECKING:
    from ovenbird.lang.actions import Check, GroupSpec, Translation, Zone

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


class Place:
    """A `Context`; what it is asked is in `asked`."""

    def __init__(self, pipeline: Pipeline = Pipeline.INGRESS, table: int = 3, *, is_switch: bool = True) -> None:
        self.pipeline = pipeline
        self.table = table
        self.is_switch = is_switch
        self.datapath_key = 5
        self.cookie = 0x12345678
        self.controller_meter = 0
        self.dhcp_options = {
            "router": OptionType(3, "ipv4"), "domain_name": OptionType(15, "str"), "mtu": OptionType(26, "uint16"),
            "bootfile_name": OptionType(67, "str"), "routes": OptionType(121, "static_routes"),
            "search": OptionType(119, "domains"), "odd": OptionType(9, "no such type"), "flag": OptionType(19, "bool"),
            "tftp": OptionType(66, "host_id"),
        }  # fmt: skip
        self.dhcpv6_options = {
            "server_id": OptionType(2, "mac"),
            "ia_addr": OptionType(5, "ipv6"),
            "fqdn": OptionType(39, "domain"),
        }
        self.collector_sets = frozenset((7,))
        self.zero_snat = True
        self.consolidates_registers = False
        self.ports = dict(PORTS)
        self.local = {"p1"}
        self.groups: dict[GroupSpec, int] = {}
        self.asked: list[object] = []

    def port_key(self, name: str) -> int:
        self.asked.append(name)
        return self.ports.get(name, 0)

    def is_local(self, name: str) -> bool:
        self.asked.append(name)
        return name in self.local

    def meter(self, name: str) -> int:
        return {"m": 3}.get(name, 0)

    def rate_meter(self, rate: int, burst: int) -> int:
        return rate + burst

    def group(self, spec: GroupSpec) -> int:
        return self.groups.setdefault(spec, len(self.groups) + 1)


@pytest.fixture
def place() -> type[Place]:
    return Place
