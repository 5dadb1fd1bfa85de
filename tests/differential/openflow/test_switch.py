"""Sessions with a real ovs-vswitchd on the dummy datapath: bundles, statistics, packets out and in, loss and return."""

import asyncio
import re

import pytest

from ovenbird.net.ethernet import IPV4, Ethernet
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.net.udp import Udp
from ovenbird.openflow.actions import Controller, Ct, Meter, Output, Port, Resubmit, SetField, encode_actions
from ovenbird.openflow.errors import ConnectionLostError, SwitchError
from ovenbird.openflow.instructions import ApplyActions, decode_instructions, encode_apply
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import (
    AggregateStatsRequest,
    Bucket,
    CtFlush,
    CtFlushProbe,
    CtFlushZone,
    Error,
    FeaturesRequest,
    FlowMod,
    FlowStatsRequest,
    GroupDescRequest,
    GroupMod,
    GroupType,
    MeterConfigRequest,
    MeterFlag,
    MeterMod,
    ModCommand,
    PacketIn,
    PacketOut,
    PortDescRequest,
    PortStatus,
    Selection,
    SetConfig,
    SetPacketInFormat,
    TlvCommand,
    TlvMap,
    TlvTableMod,
    TlvTableRequest,
)
from ovenbird.openflow.transport import OpenFlowSession, keep_connected

PACKET = bytes.fromhex("0000000000020000000000010800") + bytes(46)


def _flows(count):
    actions = encode_apply(encode_actions((SetField.of("reg0", 1, mask=1), Resubmit(17))))
    for n in range(count):
        yield FlowMod(
            table=8,
            priority=100,
            match=Match({"eth_type": (0x800, 0xFFFF), "ip_src": (n, 0xFFFFFFFF)}),
            instructions=actions,
            cookie=n,
        )


async def test_a_bundle_installs_flows_that_read_back_as_they_were_sent(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session:
        await session.bundle(_flows(3000))
        parts = await session.request(FlowStatsRequest(table=8))
        (sums,) = await session.request(AggregateStatsRequest())
    flows = {(s.cookie, s.priority, s.match, s.instructions) for part in parts for s in part.flows}
    assert flows == {(f.cookie, f.priority, f.match, f.instructions) for f in _flows(3000)}
    assert len(parts) > 1
    assert sums.n_flows == 3000
    assert decode_instructions(parts[0].flows[0].instructions)[0].actions[1] == Resubmit(17)


async def test_a_bundle_with_one_bad_flow_changes_nothing_and_names_it(switch):
    target, _ = switch
    async with await OpenFlowSession.connect(target) as session:
        bad = FlowMod(table=8, priority=1, match=Match.exact(ip_src=5))  # lacks its prerequisite
        with pytest.raises(SwitchError, match=r"bad_match\.bad_prereq") as refused:
            await session.bundle([*_flows(2), bad, *_flows(2)])
        assert refused.value.index == 2
        fails_late = FlowMod(table=8, priority=1, match=Match(), instructions=(ApplyActions((Meter(77),)),))
        with pytest.raises(SwitchError) as refused:
            await session.bundle([*_flows(2), fails_late])
        assert refused.value.index == 2
        (sums,) = await session.request(AggregateStatsRequest())
        assert sums.n_flows == 0
        await session.bundle(_flows(1))
        (sums,) = await session.request(AggregateStatsRequest())
        assert sums.n_flows == 1


async def test_a_packet_out_returns_as_a_paused_packet_in_and_is_resumed(switch):
    target, _run = switch
    packets = asyncio.Queue()
    async with await OpenFlowSession.connect(target, lambda _xid, message: packets.put_nowait(message)) as session:
        session.send(SetConfig())
        session.send(SetPacketInFormat())
        pause = Controller(b"\0\0\0\5", pause=True)
        after = FlowMod(
            table=9, priority=1, match=Match.exact(reg1=7), instructions=(ApplyActions((Output(1),)),), cookie=0xAA
        )
        await session.bundle(
            [
                FlowMod(
                    table=8,
                    priority=1,
                    match=Match.exact(reg1=3),
                    instructions=(ApplyActions((Controller(b"\1"), pause, Resubmit(9))),),
                    cookie=0xC0FFEE,
                ),
                after,
            ]
        )
        session.send(PacketOut(packet=PACKET, actions=(SetField.of("reg1", 3), Resubmit(8))))
        plain = await asyncio.wait_for(packets.get(), 5)
        assert isinstance(plain, PacketIn)
        assert (plain.userdata, plain.cookie, plain.table, plain.reason) == (b"\1", 0xC0FFEE, 8, 1)
        packet_in = await asyncio.wait_for(packets.get(), 5)
        assert (packet_in.packet, packet_in.userdata, packet_in.full_len) == (PACKET, b"\0\0\0\5", len(PACKET))
        assert packet_in.metadata["reg1"] == (3, 0xFFFFFFFF)
        assert packet_in.metadata["in_port_oxm"] == (Port.CONTROLLER, 0xFFFFFFFF)
        session.send(packet_in.resume(metadata=packet_in.metadata.with_field("reg1", 7)))
        await session.barrier()
        (reply,) = await session.request(FlowStatsRequest(table=9))
    assert [flow.n_packets for flow in reply.flows] == [1]


async def test_a_switch_says_whether_it_forgets_connections_by_their_labels(switch):
    """Debian's of 12 does not know labels, and would forget everything; that of 13 does."""
    target, run = switch
    version = tuple(map(int, re.findall(r"\d+", await asyncio.to_thread(run, "ovs-vswitchd", "--version"))[:2]))
    async with await OpenFlowSession.connect(target) as session:
        assert await session.accepts(CtFlushProbe()) is (version < (3, 4))
        if version < (3, 4):
            return
        for number in (5, 6):
            ends = {"src": bytes([10, 0, 0, number]), "dst": b"\n\0\0\x09"}
            ip = IPv4(proto=UDP, payload=Udp(sport=1, dport=2, payload=b"").encode(**ends), **ends)
            packet = Ethernet(dst=bytes(6), src=bytes(6), ethertype=IPV4, payload=ip.encode()).encode()
            commit = Ct(7, commit=True, actions=(SetField.of("ct_label", number << 80, mask=0xFFFF << 80),))
            session.send(PacketOut(packet=packet, actions=(commit,)))
        await session.barrier()
        assert await asyncio.to_thread(known, run) == {"10.0.0.5", "10.0.0.6"}
        assert await session.accepts(CtFlush(labels=5 << 80, labels_mask=0xFFFF << 80))
        assert await asyncio.to_thread(known, run) == {"10.0.0.6"}
        assert await session.accepts(CtFlush(zone=8, labels=6 << 80, labels_mask=0xFFFF << 80))
        assert await asyncio.to_thread(known, run) == {"10.0.0.6"}


def known(run):
    """Return the sources of the connections that a switch knows."""
    return set(re.findall(r"orig=\(src=([\d.]+)", run("ovs-appctl", "dpctl/dump-conntrack")))


async def test_tables_ports_groups_meters_and_zones(switch):
    target, run = switch
    seen = asyncio.Queue()
    async with await OpenFlowSession.connect(target, lambda _xid, message: seen.put_nowait(message)) as session:
        session.send(SetConfig())  # without it a management connection is told of nothing
        session.send(TlvTableMod(TlvCommand.ADD, (TlvMap(option_class=0x102, option_type=0x80, length=4, index=0),)))
        await session.barrier()
        (table,) = await session.request(TlvTableRequest())
        assert table.maps == (TlvMap(option_class=0x102, option_type=0x80, length=4, index=0),)
        (features,) = await session.request(FeaturesRequest())
        assert features.n_tables == 254
        (ports,) = await session.request(PortDescRequest())
        assert {port.name: port.port_no for port in ports.ports} == {"p1": 1, "br0": Port.LOCAL}
        bucket = Bucket((Output(1),), weight=5)
        chosen = Selection.of("tcp_src", "ip_src", "dl_src")
        session.send(GroupMod(ModCommand.ADD, 5, GroupType.SELECT, (bucket,)))
        session.send(GroupMod(ModCommand.ADD, 6, GroupType.SELECT, (bucket,), chosen))
        session.send(GroupMod(ModCommand.ADD, 7, GroupType.SELECT, (bucket,), Selection.of(symmetric=True)))
        session.send(MeterMod(ModCommand.ADD, 3, bands=((100, 0),)))
        session.send(CtFlushZone(7))
        await session.barrier()
        (groups,) = await session.request(GroupDescRequest())
        assert {group.group_id: (group.buckets, group.selection) for group in groups.groups} == {
            5: ((bucket,), Selection()),
            6: ((bucket,), Selection("hash", frozenset(("eth_src", "ip_src", "tcp_src")))),
            7: ((bucket,), Selection.of(symmetric=True)),
        }
        dump = await asyncio.to_thread(run, "ovs-ofctl", "-O", "OpenFlow15", "dump-groups", target, "6")
        assert "selection_method=hash,fields(eth_src,ip_src,tcp_src),bucket=" in dump
        metered = (SetField.of("reg0", 1), Meter(3), Output(1))  # as the logical action stands anywhere
        await session.bundle([FlowMod(table=9, priority=1, match=Match(), instructions=(ApplyActions(metered),))])
        session.send(MeterMod(ModCommand.ADD, 4, MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS, ((25, 5),)))
        (meters,) = await session.request(MeterConfigRequest())
        assert {meter.meter_id: meter.bands for meter in meters.meters} == {3: ((100, 100),), 4: ((25, 5),)}
        assert (
            max(meters.meters, key=lambda meter: meter.meter_id).flags
            == MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS
        )
        await asyncio.to_thread(run, "ovs-vsctl", "add-port", "br0", "p2", "--", "set", "interface", "p2", "type=dummy")
        status = await asyncio.wait_for(seen.get(), 5)
        assert isinstance(status, PortStatus)
        assert status.port.name == "p2"
        session.send(GroupMod(ModCommand.ADD, 5, GroupType.SELECT, (bucket,)))
        await session.barrier()
        while not isinstance(error := await asyncio.wait_for(seen.get(), 5), Error):
            pass
        assert str(error) == "group_mod_failed.group_exists"


async def test_waiting_requests_fail_when_the_switch_goes_and_a_new_session_comes_when_it_returns(switch):
    target, run = switch
    sessions = asyncio.Queue()

    async def serve(session):
        sessions.put_nowait(session)
        await asyncio.Event().wait()

    keeper = asyncio.create_task(keep_connected(target, serve, max_backoff=0.2))
    try:
        first = await asyncio.wait_for(sessions.get(), 5)
        await first.barrier()
        await asyncio.to_thread(run, "ovs-vsctl", "del-br", "br0")
        with pytest.raises(ConnectionLostError):
            async with asyncio.timeout(60):
                while True:
                    await first.request(FeaturesRequest())
        await asyncio.to_thread(run, "ovs-vsctl", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
        second = await asyncio.wait_for(sessions.get(), 10)
        (reply,) = await second.request(PortDescRequest())
        assert [port.name for port in reply.ports] == ["br0"]
    finally:
        keeper.cancel()
        await asyncio.wait({keeper})
