"""Ports that come and go leave nothing behind, from the Cloud database down to the switch's flows."""

from __future__ import annotations

import gc
import sys

import pytest

from ovenbird.controller.local.local_store import make_local_store
from ovenbird.controller.ofctrl.address_set_flows import AddressSetFlows, _entry
from ovenbird.controller.ofctrl.flow_table import FlowTable
from ovenbird.controller.rules import SWITCH, make_engine
from ovenbird.engine.rows import Store
from ovenbird.lang import text_cache
from ovenbird.lang.lexer import parse_constant
from ovenbird.model import cloud, sb, vswitch
from support.cloud.world import World as Cloud
from support.controller import world
from support.northd.networks import Networks

WARM, MEASURED = 60, 120
"""Ports before memory is looked at, and between two looks."""
LEFT = 5
"""Blocks of memory that a port may leave on average: caches and dictionaries are now fuller, now emptier. One small
object with a string and a list of its own is more. Counting blocks costs nothing; tracing them, four times the test."""


class Chassis(world.World):
    """A chassis on a Southbound in process, whose switch takes every flow."""

    def __init__(self, southbound):
        self.sb, self.vs, self.own = southbound, Store("Open_vSwitch", SWITCH), make_local_store()
        self.table = FlowTable()
        self.sets = AddressSetFlows(self.table)
        self.sets.follow(self.sb)
        self.facts = {kind: set() for kind in world.KINDS}
        self.bridge = self.add(vswitch.Bridge, name="br-int", fail_mode="secure", ports=frozenset())
        self.root = self.add(vswitch.OpenVSwitch, external_ids=world.IDS, bridges=frozenset([self.bridge.uuid]))
        self.set(self.progress, everything=True, settled=True)
        self.engine = make_engine(southbound=self.sb, switch=self.vs, own=self.own)

    def run(self):
        ran = super().run()
        self.table.take()
        self.table.confirm()
        return ran


class Tower:
    """All levels in one process, with one port that stays."""

    def __init__(self):
        self.cloud = Cloud()
        self.northd = Networks(self.cloud.nb, self.cloud.sb)
        self.mine = self.cloud.chassis("hv1")
        self.chassis = Chassis(self.cloud.sb.store)
        self.network = self.cloud.network()
        self.subnet = self.cloud.subnet(self.network, cidr="10.0.0.0/16")
        self.group = self.cloud.group()
        self.cloud.rule(self.group)
        self.cloud.rule(self.group, remote_group=self.group.uuid)
        self.cloud.rule(self.group, protocol="tcp", port_range_min=22, port_range_max=23)
        self.plugged(self.port(0), 0)

    def settle(self):
        for _ in range(3):
            self.cloud.settle()
            self.northd.settle()
        self.chassis.run()

    def port(self, number):
        high, low = number // 200, number % 200 + 10
        more = {"mac_address": f"fa:16:3e:00:{high:02x}:{low:02x}", "name": f"p{number}", "device_id": f"vm{number}"}
        return self.cloud.port(self.network, [(self.subnet, f"10.0.{high}.{low}")], [self.group], **more)

    def plugged(self, port, number):
        name = str(port.uuid)
        self.settle()
        interface = self.chassis.port_on_bridge(f"tap{number}", 10 + number, iface_id=name)
        binding = self.cloud.sb.store.find(sb.PortBinding.logical_port, name)
        transaction = self.cloud.sb.transaction()
        transaction.update(binding, {"chassis": self.mine.uuid, "up": True})
        transaction.commit()
        self.settle()
        assert self.chassis.flows(65)
        return interface

    def come_and_go(self, number):
        port = self.port(number)
        self.chassis.unplug(self.plugged(port, number))
        self.cloud.drop(*port.referrers(cloud.FixedAddress.port), port)
        self.settle()


@pytest.fixture
def tower(monkeypatch):
    monkeypatch.setattr("ovenbird.ovsdb.database.HISTORY", 5)  # bounded, and no leak
    monkeypatch.setattr(text_cache, "LIMIT", 1000)
    for module in ("match", "action"):
        monkeypatch.setattr(f"ovenbird.lang.templates.{module}._MAX_TEXT", 1000)
    return Tower()


def test_ports_that_come_and_go_leave_nothing_behind(tower):
    for number in range(1, WARM):
        tower.come_and_go(number)
    flows = len(tower.chassis.table.installed)
    held = []
    for part in range(2):
        for number in range(MEASURED):
            tower.come_and_go(WARM + part * MEASURED + number)
        parse_constant.cache_clear()
        _entry.cache_clear()
        gc.collect()
        held.append(sys.getallocatedblocks())
    assert len(tower.chassis.table.installed) == flows
    assert held[1] - held[0] < LEFT * MEASURED
