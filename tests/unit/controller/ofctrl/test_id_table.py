"""Groups: flows that choose among several ways, and the order in which the switch hears of them."""

from __future__ import annotations

import pytest

from ovenbird.controller.facts import GROUP
from ovenbird.controller.ofctrl.group_table import GroupTable, select_group
from ovenbird.lang.actions.context import Bucket, GroupSpec
from ovenbird.openflow.actions import Group, SetField
from ovenbird.openflow.errors import EncodeError
from ovenbird.openflow.messages import GroupMod, GroupType, ModCommand
from ovenbird.openflow.messages.group import ANY_PORT

ONE = GroupSpec((Bucket((SetField.of("reg0", 1),), weight=10), Bucket((SetField.of("reg0", 2),), weight=20)))
TWO = GroupSpec((Bucket((SetField.of("reg0", 3),)),))


def test_a_choice_among_next_hops_is_a_group(world):
    world.facts[GROUP] = set()
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    row = world.flow(switch, "ip4", "reg8[16..31] = select(1=10, 2=20);", table_id=3)
    again = world.flow(switch, "ip6", "reg8[16..31] = select(1=10, 2=20);", table_id=3)
    world.run()
    ((_, number, spec),) = world.facts[GROUP]
    assert [bucket.weight for bucket in spec.buckets] == [10, 20]
    assert all(actions == (Group(number),) for actions in world.flows(11, 100).values())
    assert len(world.flows(11, 100)) == 2
    world.delete(row)
    world.run()
    assert len(world.facts[GROUP]) == 1
    world.delete(again)
    world.run()
    assert not world.facts[GROUP]


def test_groups_come_before_flows_and_go_after_them():
    table = GroupTable()
    table.absorb(added=[GROUP(1, ONE), GROUP(2, TWO)], removed=[])
    first = table.before()
    assert [(m.command, m.group_id, m.group_type) for m in first] == [
        (ModCommand.ADD, 1, GroupType.SELECT), (ModCommand.ADD, 2, GroupType.SELECT),
    ]  # fmt: skip
    assert table.after() == table.before() == []
    table.absorb(added=[], removed=[GROUP(2, TWO)])
    assert table.before() == []
    assert [(m.command, m.group_id) for m in table.after()] == [(ModCommand.DELETE, 2)]


def test_equal_groups_are_left_unchanged_and_others_modified_in_place():
    table = GroupTable()
    table.absorb(added=[GROUP(1, ONE), GROUP(2, TWO)], removed=[])
    table.before()
    there = table.installed
    table.recall({1: there[1], 2: there[1]})
    assert [(m.command, m.group_id) for m in table.before()] == [(ModCommand.MODIFY, 2)]


def test_a_group_of_too_many_buckets_for_a_message_has_the_first_of_them(caplog):
    """Or its message would have no encoding, and the session with the switch would end at each try."""
    many = GroupSpec(tuple(Bucket((SetField.of("xxreg0", number),), weight=1) for number in range(3000)))
    table = GroupTable()
    table.absorb(added=[GROUP(1, many), GROUP(2, TWO)], removed=[])
    first, second = table.before()
    assert 0xF000 <= len(first.encode()) + 100 <= 0xFFFF
    assert 0 < len(first.buckets) < 3000
    assert second.encode()
    assert "of the 3000 buckets of a group" in caplog.text
    whole = GroupMod(ModCommand.ADD, 1, GroupType.SELECT, first.buckets * 4, first.selection)
    with pytest.raises(EncodeError, match="buckets"):
        whole.encode()


def test_a_port_of_a_forwarding_group_is_as_alive_as_the_tunnel_to_it(world):
    world.facts[GROUP] = set()
    switch = world.switch(7)
    world.lport(switch, "near", 1, chassis=world.me.uuid)
    far = world.lport(switch, "far", 2, chassis=world.other.uuid)
    world.port_on_bridge("tap1", 5, iface_id="near")
    world.flow(switch, "ip4", 'fwd_group(liveness="true",childports="far","near","nowhere");', table_id=3)
    world.run()
    ((_, _, spec),) = world.facts[GROUP]
    assert [bucket.watch_port for bucket in select_group(spec).buckets] == [100, ANY_PORT]
    world.set(far, chassis=world.me.uuid)
    world.run()
    ((_, _, spec),) = world.facts[GROUP]
    assert [bucket.watch_port for bucket in select_group(spec).buckets] == [ANY_PORT, ANY_PORT]
