"""What is installed follows what should be, with the least to send."""

from __future__ import annotations

from ovenbird.controller.facts import FLOW, flow, part
from ovenbird.controller.ofctrl.flow_table import FlowTable, in_order
from ovenbird.openflow.actions import Output, SetField, encode_actions
from ovenbird.openflow.instructions import encode_apply
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import FlowStats
from ovenbird.openflow.messages.bundle import encode_flow_change

A = flow(8, 10, {"reg0": (1, 0xFFFFFFFF)}, (Output(1),), 5)
B = flow(8, 10, {"reg0": (2, 0xFFFFFFFF)}, (Output(2),), 6)


def stats(fact, instructions=None):
    match, _ = Match.decode(fact[3])
    content = encode_apply(fact[4]) if instructions is None else instructions
    return FlowStats(
        table=fact[1],
        priority=fact[2],
        match=match,
        instructions=content,
        cookie=fact[5],
        flags=0,
        idle_timeout=0,
        hard_timeout=0,
        duration=0.0,
        n_packets=0,
        n_bytes=0,
    )


def test_only_the_difference_is_sent():
    table = FlowTable()
    table.absorb(added=[A, B], removed=[])
    table.recall([stats(A)])
    changes = table.take()
    assert [key[2] for key in changes] == [B[3]]
    table.confirm()
    assert table.take() == {}


def test_unknown_flows_are_removed_before_others_are_added():
    table = FlowTable()
    table.absorb(added=[A], removed=[])
    table.recall([stats(B)])
    assert in_order(table.take()) == [(B[1:4], None), (A[1:4], (encode_apply(A[4]), A[5]))]


def test_learned_flows_of_the_switch_are_not_deleted():
    table = FlowTable()
    table.absorb(added=[A], removed=[])
    learned = [flow(number, 100, {"reg0": (1, 0xFFFFFFFF)}, (Output(1),), 5) for number in (69, 76, 77, 78)]
    table.recall([stats(A), *map(stats, learned)])
    assert table.take() == {}
    stranger = flow(70, 100, {"reg0": (1, 0xFFFFFFFF)}, (Output(1),), 5)
    table.recall([stats(stranger), *map(stats, learned)])
    assert set(table.take()) == {A[1:4], stranger[1:4]}


def test_changes_that_failed_are_tried_again():
    other = (FLOW, *A[1:4], encode_actions((Output(9),)), 5)
    table = FlowTable()
    table.absorb(added=[other], removed=[])
    table.recall([stats(A), stats(B)])
    changes = table.take()
    assert table.take() == {}
    table.absorb(added=[B], removed=[])
    more = table.take()
    table.put_back()
    assert table.installed == {fact[1:4]: (encode_apply(fact[4]), fact[5]) for fact in (A, B)}
    assert (list(changes), list(more)) == ([A[1:4], B[1:4]], [B[1:4]])
    assert list(table.take()) == [A[1:4]]


def test_flows_of_a_lost_bundle_do_not_count_as_installed():
    other = (FLOW, *A[1:4], encode_actions((Output(9),)), 5)
    table = FlowTable()
    table.recall([])
    table.absorb(added=[A], removed=[])
    table.take()
    table.absorb(added=[other], removed=[A])
    table.take()
    table.put_back()
    table.absorb(added=[A], removed=[other])
    assert table.take() == {A[1:4]: (encode_apply(A[4]), A[5])}


def test_a_flow_withdrawn_before_the_commit_is_deleted_in_the_same_bundle():
    table = FlowTable()
    table.recall([])
    table.absorb(added=[A, B], removed=[])
    table.take()
    table.absorb(added=[], removed=[A])
    assert table.take() == {A[1:4]: None}
    table.confirm()
    assert list(table.installed) == [B[1:4]]


def test_a_refused_flow_is_left_out_until_it_changes():
    table = FlowTable()
    table.absorb(added=[A], removed=[])
    ((key, content),) = table.take().items()
    table.put_back()
    table.refuse(key, content)
    assert table.take() == {}
    changed = (FLOW, *A[1:4], encode_actions((Output(9),)), 5)
    table.absorb(added=[changed], removed=[A])
    assert list(table.take()) == [key]


def test_a_flow_that_no_message_has_room_for_is_left_out_alone():
    table, output = FlowTable(), encode_actions((Output(1),))
    most = (0xFFFF - 72 - len(A[3]) - 8) // len(output)
    table.absorb(added=[A, B], removed=[])
    assert len(table.take()) == 2
    table.confirm()
    for outputs in (most + 1, 5000):
        long = (FLOW, *A[1:4], outputs * output, 5)
        table.absorb(added=[long], removed=[A])
        assert table.take() == {}
        assert set(table.installed) == {A[1:4], B[1:4]}  # what the switch has in its place stays
        table.absorb(added=[A], removed=[long])
        assert table.take() == {}
    table.absorb(added=[(FLOW, *A[1:4], most * output, 5)], removed=[A])
    (change,) = table.take().items()
    assert len(encode_flow_change(1, change, xid=1)) > 0xFFFF - len(output) - 8


def test_of_two_conflicting_flows_the_one_with_the_lower_cookie_is_installed():
    rival = (FLOW, *A[1:4], encode_actions((Output(9),)), 3)
    table = FlowTable()
    table.absorb(added=[A], removed=[])
    table.absorb(added=[rival], removed=[])
    assert table.desired(A[1:4])[1] == 3
    table.absorb(added=[], removed=[rival])
    assert table.desired(A[1:4])[1] == 5


def test_parts_of_a_conjunction_are_joined_in_order():
    match = {"reg15": (0x8000, 0xFFFFFFFF)}
    parts = [part(40, 100, match, 1, (n, 0), (Output(n),)) for n in (3, 1, 2)]
    table = FlowTable()
    table.absorb_parts(added=parts, removed=[])
    key = parts[0][1:4]
    assert table.desired(key)[0] == encode_apply(encode_actions((Output(1), Output(2), Output(3))))
    table.absorb_parts(added=[], removed=parts[:2])
    assert table.desired(key)[0] == encode_apply(encode_actions((Output(2),)))
    table.absorb_parts(added=[], removed=parts[2:])
    assert table.desired(key) is None
    assert len(table) == 0


def test_an_option_s_length_is_no_difference():
    word = SetField.of("tun_metadata0", 2, mask=0xFFFFFFFF)
    fact = flow(39, 100, {}, (word,), 1)
    said = SetField(word.field, 2, mask=word.field.mask)
    header = bytes.fromhex("00015004")  # NXM_NX_TUN_METADATA0, 4 bytes
    body = header + (2).to_bytes(4, "big")
    action = (25).to_bytes(2, "big") + (16).to_bytes(2, "big") + body + bytes(4)
    table = FlowTable()
    table.absorb(added=[fact], removed=[])
    table.recall([stats(fact, encode_apply(action))])
    assert said.mask != word.mask
    assert table.take() == {}
