"""A bridge of a real Open vSwitch follows a table of flows."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ovenbird.controller.facts import flow
from ovenbird.controller.ofctrl import bridge_session
from ovenbird.controller.ofctrl.bridge_session import BridgeSession
from ovenbird.openflow.actions import Output
from ovenbird.openflow.errors import SwitchError
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import AggregateStatsRequest, FlowMod
from ovenbird.openflow.transport import OpenFlowSession
from support.waiting import until_async

FLOWS = [
    flow(8, 100, {"reg0": (n, 0xFFFFFFFF)} | ({} if n % 3 else {"reg1": (1, 0x3)}), (Output(1),), n)
    for n in range(1, 3001)
]
STRANGER = FlowMod(table=9, priority=1, match=Match(), instructions=b"", cookie=77)
REFUSED = flow(8, 1, {"ip_src": (5, 0xFFFFFFFF)}, (Output(1),), 5)  # lacks its prerequisite
TIMEOUT = 20


@contextlib.asynccontextmanager
async def following(target):
    follower = BridgeSession(list, lambda _: None, lambda _: None)
    task = asyncio.create_task(follower.run(target))
    try:
        await until_async(lambda: follower.connected)
        yield follower
    finally:
        task.cancel()
        await asyncio.wait({task})


async def holds(session, count):
    (sums,) = await session.request(AggregateStatsRequest())
    return sums.n_flows == count


def tell(follower, added, removed=()):
    follower.table.absorb(added=added, removed=removed)
    follower.wake()


async def sent(follower):
    await until_async(lambda: follower._bundle and not follower.table.dirty)
    await follower.session.barrier()


async def test_an_empty_bridge_is_sent_flows_ahead_and_has_them_all_at_once(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session, following(target) as follower:
        tell(follower, FLOWS[:1000])
        await sent(follower)
        tell(follower, FLOWS[1000:2000], FLOWS[:10])
        await sent(follower)
        assert await holds(session, 0)
        tell(follower, FLOWS[2000:])
        follower.computed()
        await until_async(lambda: holds(session, 2990))
        follower.compare()
        await until_async(lambda: not follower._doubted)
        assert follower.table.take() == {}


async def test_flows_are_read_again_only_after_an_open_bundle_is_committed(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session, following(target) as follower:
        tell(follower, FLOWS[:100])
        await sent(follower)
        follower.compare()
        follower.table.absorb(added=[], removed=FLOWS[:10])
        follower.computed()
        await until_async(lambda: holds(session, 90))
        await until_async(lambda: not follower._doubted)
        assert follower.table.take() == {}


async def test_a_bridge_that_holds_flows_keeps_them_until_all_is_known(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session:
        await session.bundle([STRANGER])
        async with following(target) as follower:
            tell(follower, FLOWS[:100])
            await follower.session.barrier()
            assert follower._bundle is None
            assert await holds(session, 1)
            follower.computed()
            await until_async(lambda: holds(session, 100))


async def test_a_flow_that_is_refused_is_left_out_alone(switch, caplog):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session, following(target) as follower:
        tell(follower, FLOWS[:100])
        await sent(follower)
        tell(follower, [REFUSED, *FLOWS[100:200]])
        await sent(follower)
        follower.computed()
        await until_async(lambda: holds(session, 200))
    assert "refuses flow 0x5, table 8 priority 1" in caplog.text


async def test_a_bundle_is_kept_in_use_while_nothing_is_to_be_sent(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session, following(target) as follower:
        follower.refresh = 0.01
        tell(follower, FLOWS[:100])
        await sent(follower)
        await until_async(lambda: len(follower._bundled) > 103)
        assert await holds(session, 0)
        follower.computed()
        await until_async(lambda: holds(session, 100))
        assert follower._bundle is None


async def test_a_bundle_that_the_switch_has_forgotten_is_sent_again(switch):
    target, run = switch
    run("ovs-vsctl", "set", "Open_vSwitch", ".", "other_config:bundle-idle-timeout=1")
    async with await OpenFlowSession.connect(target) as session, following(target) as follower:
        tell(follower, FLOWS[:100])
        await sent(follower)
        await until_async(lambda: follower._bundle.forgotten)
        tell(follower, FLOWS[100:200])
        follower.computed()
        await until_async(lambda: holds(session, 200))
        bundle = await session.open_bundle()
        await until_async(lambda: bundle.forgotten)
        with pytest.raises(SwitchError):
            await bundle.commit()


@pytest.mark.parametrize("count", [700, 2000, 5000])
async def test_groups_that_the_switch_cannot_describe_are_made_anew(switch, count, monkeypatch, caplog):
    monkeypatch.setattr(bridge_session, "GROUPS_WAIT", 2.0)
    target, run = switch
    bridge = target.removeprefix("unix:")
    action = "ct(commit,table=9,zone=NXM_NX_REG11[0..15],nat(dst=10.0.0.1:8080))"
    run("ovs-ofctl", "-O", "OpenFlow15", "add-group", bridge, "group_id=7,type=select")
    for start in range(0, count, 500):
        numbers = range(start, min(start + 500, count))
        buckets = ",".join(f"bucket=bucket_id:{number},weight:1,actions={action}" for number in numbers)
        run("ovs-ofctl", "-O", "OpenFlow15", "insert-buckets", bridge, f"group_id=7,command_bucket_id=last,{buckets}")
    async with following(target) as follower, await OpenFlowSession.connect(target) as session:
        tell(follower, FLOWS[:100])
        follower.computed()
        await until_async(lambda: follower.has_flows and not follower.table.dirty)
        assert await holds(session, 100)
        assert not follower._unreadable
        assert "group_id=7" not in run("ovs-ofctl", "-O", "OpenFlow15", "dump-groups", bridge)
    assert ("connecting again" in caplog.text) is (count > 700)
