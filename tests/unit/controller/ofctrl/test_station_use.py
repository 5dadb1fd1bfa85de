"""Which learned MAC addresses get a new time: those that have sent since, and not more often than needed."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import suppress

import pytest

from ovenbird.controller.facts import AGED, cookie_of
from ovenbird.controller.ofctrl import station_use
from ovenbird.controller.ofctrl.station_use import StationUse
from ovenbird.model import sb
from ovenbird.openflow.errors import ConnectionLostError
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import FlowStats, FlowStatsReply
from ovenbird.ovsdb.database import Database
from ovenbird.pipeline.openflow_tables import OFTable
from support.waiting import until_async

KEY, THRESHOLD = 7, 16_000
NOW = 1_000_000


def test_local_switches_with_a_threshold_are_watched(world):
    net = world.switch(7)
    world.facts[AGED] = set()
    world.lport(net, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    assert not world.facts[AGED]
    world.set(net, external_ids={"logical-switch": "7", "fdb_age_threshold": "16"})
    world.run()
    assert world.facts[AGED] == {AGED(key=7, threshold=THRESHOLD)}
    world.set(net, external_ids={"logical-switch": "7", "fdb_age_threshold": "soon"})
    world.run()
    assert not world.facts[AGED]


class Southbound:
    """A database in process, as a replica."""

    connected = True

    def __init__(self):
        self.database = Database(sb.schema(), sb.ROWS)
        self.store = self.database.store
        self.commits = 0

    def transaction(self):
        return self.database.transaction()

    async def commit(self, transaction):
        self.commits += 1
        transaction.commit()


class Switch:
    """Counts packets by the last octet of their MAC address."""

    def __init__(self):
        self.packets = {}
        self.asked = []
        self.lost = False

    async def request(self, message):
        self.asked.append((message.table, message.match))
        if self.lost:
            raise ConnectionLostError("gone")
        return [FlowStatsReply(tuple(self.flow(n, count) for n, count in self.packets.items()))]

    def flow(self, n, count):
        match = Match({"metadata": (KEY, (1 << 64) - 1), "reg14": (1, 0xFFFFFFFF), "eth_src": (n, (1 << 48) - 1)})
        return FlowStats(
            table=OFTable.LOOKUP_FDB, priority=100, match=match, instructions=b"", cookie=0, flags=0, idle_timeout=0,
            hard_timeout=0, duration=1.0, n_packets=count, n_bytes=0,
        )  # fmt: skip


@pytest.fixture
def chassis(monkeypatch):
    made = type("Chassis", (), {})()
    made.southbound, made.switch, made.now = Southbound(), Switch(), NOW
    made.use = StationUse(made.southbound, lambda: made.switch)
    made.use.absorb(added=[AGED(key=KEY, threshold=THRESHOLD)], removed=[])
    monkeypatch.setattr(station_use, "now", lambda: made.now)
    for n in (1, 2):
        txn = made.southbound.transaction()
        txn.insert(sb.FDB, {"mac": f"00:00:00:00:00:{n:02x}", "dp_key": KEY, "port_key": 1, "timestamp": NOW - 5000})
        txn.commit()
    made.switch.packets = {1: 0, 2: 0}
    return made


def times(chassis):
    """Read the counts once, and return the time of each MAC address."""
    asyncio.run(chassis.use._refresh())
    return {int(row.mac[-2:], 16): row.timestamp for row in chassis.southbound.store.table(sb.FDB).rows.values()}


def test_a_host_that_has_sent_gets_a_new_timestamp(chassis):
    assert times(chassis) == {1: NOW - 5000, 2: NOW - 5000}
    chassis.switch.packets = {1: 9, 2: 0, 3: 4}  # 3: of a row that has just gone
    assert times(chassis) == {1: NOW, 2: NOW - 5000}
    assert chassis.switch.asked[-1] == (OFTable.LOOKUP_FDB, Match({"metadata": (KEY, (1 << 64) - 1)}))


def test_a_recent_time_is_not_replaced_and_what_is_silent_gets_none(chassis):
    chassis.switch.packets = {1: 9, 2: 0}
    assert times(chassis)[1] == NOW
    chassis.now += 2999
    chassis.switch.packets = {1: 20, 2: 0}
    assert times(chassis)[1] == NOW
    chassis.now += 1
    assert times(chassis)[1] == NOW, "it has not sent since the last reading"
    chassis.switch.packets = {1: 21, 2: 0}
    assert times(chassis) == {1: NOW + 3000, 2: NOW - 5000}
    assert chassis.southbound.commits == 2


def test_no_counters_are_requested_without_a_switch_or_a_threshold(chassis):
    assert chassis.use.period == 3.0
    chassis.use.absorb(added=[], removed=[AGED(key=KEY, threshold=THRESHOLD)])
    assert chassis.use.period is None
    times(chassis)
    chassis.use.absorb(added=[AGED(key=KEY, threshold=1000)], removed=[])
    assert chassis.use.period == 0.25
    chassis.switch = None
    times(chassis)
    chassis.use.forget()
    assert chassis.use.period is None


def test_a_connection_that_is_lost_ends_nothing(chassis):
    chassis.switch.lost = True

    async def scene():
        running = asyncio.create_task(chassis.use.run())
        await until_async(lambda: chassis.switch.asked)
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(scene())


def test_routers_whose_neighbours_expire_are_watched(world):
    router = world.switch(8)  # what it is does not matter here
    world.add(sb.MACBinding, logical_port="p1", ip="10.0.0.9", mac="00:00:00:00:00:09", datapath=router.uuid)
    world.facts[AGED] = set()
    world.lport(router, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    endless = "soon;" + "9" * 5_000
    for text, seconds in (("60", 60), ("10.0.0.0/8:30;60", 30), ("fd00::/8:20; 0", 20), ("0", 0), (endless, 0)):
        world.set(router, external_ids={"logical-router": "8", "mac_binding_age_threshold": text})
        world.run()
        wanted = {AGED(key=8, threshold=seconds * 1000, neighbours=True)} if seconds else set()
        assert world.facts[AGED] == wanted, text
        assert len(world.flows(OFTable.MAC_CACHE_USE)) == (2 if seconds else 0)


def test_a_neighbour_that_has_sent_gets_a_new_time(chassis):
    """Its packets are counted by two flows: one for what it sends, one for what it says of its own address."""
    txn = chassis.southbound.transaction()
    router = txn.insert(sb.DatapathBinding, {"tunnel_key": 8, "external_ids": {}})
    for ip in ("10.0.0.1", "10.0.0.2"):
        values = {"logical_port": "r-p", "ip": ip, "mac": "00:00:00:00:00:01", "datapath": router, "timestamp": 1}
        txn.insert(sb.MACBinding, values)
    txn.commit()
    rows = {row.ip: row for row in chassis.southbound.store.table(sb.MACBinding).rows.values()}
    counted = dict.fromkeys(rows, 0)

    async def request(message):
        if message.table != OFTable.MAC_CACHE_USE:
            return []
        assert message.match == Match({"metadata": (8, (1 << 64) - 1)})
        flows = [chassis.switch.flow(1, n) for n in counted.values()]
        flows = [dataclasses.replace(f, cookie=cookie_of(rows[ip])) for ip, f in zip(counted, flows, strict=True)]
        return [FlowStatsReply(tuple(flows + flows))]

    chassis.switch.request = request
    chassis.use.absorb(added=[AGED(key=8, threshold=THRESHOLD, neighbours=True)], removed=[])
    asyncio.run(chassis.use._refresh())
    assert {row.timestamp for row in rows.values()} == {1}
    counted["10.0.0.2"] = 3
    asyncio.run(chassis.use._refresh())
    assert {ip: row.timestamp for ip, row in rows.items()} == {"10.0.0.1": 1, "10.0.0.2": NOW}
