"""Floods to many members here are cut into pieces, each of which Open vSwitch can follow."""

from __future__ import annotations

import pytest

from ovenbird.controller.physical.flood import PIECE
from ovenbird.controller.pinctrl.dispatch import PacketIns
from ovenbird.controller.pinctrl.flood_pieces import further
from ovenbird.lang.actions.userdata import Userdata
from ovenbird.model import sb
from ovenbird.net.errors import PacketError
from ovenbird.openflow.actions import Controller, Resubmit, SetField
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import PacketIn
from ovenbird.pipeline.openflow_tables import OFTable

GROUP = 0x8000


def plug(world, switch, group, key):
    port = world.lport(switch, f"p{key}", key)
    world.port_on_bridge(f"tap{key}", 200 + key, iface_id=f"p{key}")
    world.set(group, ports=group["ports"] | {port.uuid})


@pytest.fixture
def flooded(world):
    """A switch with a flood group, of whose ports 128 are here and 500 elsewhere."""
    switch = world.switch(7)
    elsewhere = [world.lport(switch, f"q{key}", 1000 + key, chassis=world.other.uuid).uuid for key in range(500)]
    members = frozenset(elsewhere)
    group = world.add(sb.MulticastGroup, datapath=switch.uuid, name="f", tunnel_key=GROUP, ports=members)
    for key in range(1, 129):
        plug(world, switch, group, key)
    world.run()
    return switch, group


def group_flows(world):
    return [a for match, a in world.flows(OFTable.LOCAL_OUTPUT, 100).items() if f"reg15={GROUP:#x}" in match]


def members(actions):
    return {a.value for a in actions if isinstance(a, SetField) and a.field.name == "reg15" and a.value != GROUP}


def packet_in(actions, **metadata):
    (asked,) = [a for a in actions if isinstance(a, Controller)]
    fields = {"metadata": (7, (1 << 64) - 1)} | {name: (value, 0xFFFFFFFF) for name, value in metadata.items()}
    return PacketIn(b"frame", Match(fields), userdata=asked.userdata)


def test_a_group_that_the_switch_can_follow_is_one_flow(world, flooded):
    (actions,) = group_flows(world)
    assert members(actions) == set(range(1, 129))
    assert not any(isinstance(action, Controller) for action in actions)
    assert world.flows(OFTable.FLOOD_PIECE) == {}


def test_another_port_makes_pieces_of_it(world, flooded):
    switch, group = flooded
    plug(world, switch, group, 129)
    world.run()
    (first,) = group_flows(world)
    assert isinstance(first[0], Controller)  # before the copies, while the registers say what they said
    sent = list(further(packet_in(first, reg10=1, reg14=5, reg15=GROUP), Userdata.decode(first[0].userdata).payload))
    copies = members(first)
    for out in sent:
        put = {a.field.name: a.value for a in out.actions if isinstance(a, SetField)}
        assert (put["metadata"], put["reg10"], put["reg14"], put["reg15"]) == (7, 1, 5, GROUP)
        assert out.actions[-1] == Resubmit(OFTable.FLOOD_PIECE)
        more = members(world.flows(OFTable.FLOOD_PIECE)[f"metadata=0x7,{PIECE}={put[PIECE]:#x},reg15={GROUP:#x}"])
        assert not more & copies
        copies |= more
    assert copies == set(range(1, 130))
    assert max(len(members(a)) for a in (first, *world.flows(OFTable.FLOOD_PIECE).values())) <= 128


def test_the_controller_gives_the_packet_again(world, flooded):
    switch, group = flooded
    plug(world, switch, group, 129)
    world.run()
    (first,) = group_flows(world)
    sent = []
    PacketIns(sent.append).handle(packet_in(first, reg15=GROUP))
    assert [out.packet for out in sent] == [b"frame"]


@pytest.mark.parametrize("payload", [b"", bytes([40, 0, 1]), bytes([40, 255, 255])])
def test_a_flood_in_no_number_of_pieces_is_none(payload):
    with pytest.raises(PacketError):
        list(further(PacketIn(b"", Match({})), payload))


def test_another_port_of_a_large_group_runs_its_own_rules(world, flooded):
    """Not those of the other ports: the number of pieces stays."""
    switch, group = flooded
    plug(world, switch, group, 129)
    world.run()
    plug(world, switch, group, 130)
    ran = world.run()
    assert ran["port_flows"] <= 2
