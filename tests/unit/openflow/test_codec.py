"""The OpenFlow codec on its own: matches, actions, framing; noise is one clear error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.openflow.actions import Resubmit, SetField, decode_actions, encode_actions
from ovenbird.openflow.connection import Malformed, OpenFlowConnection, Received
from ovenbird.openflow.errors import DecodeError, EncodeError, NegotiationError
from ovenbird.openflow.fields import FIELDS, PREREQUISITES, Subfield, field_named
from ovenbird.openflow.instructions import decode_instructions, encode_apply
from ovenbird.openflow.match import Match, decode_oxm
from ovenbird.openflow.messages import (
    VERSION,
    BarrierRequest,
    Command,
    EchoRequest,
    FlowMod,
    Hello,
    PacketIn,
    decode_message,
    encode_bundle_add,
    encode_flow_change,
)

FIXED = [field for field in FIELDS.values() if not field.variable]


@st.composite
def matches(draw):
    fields = {}
    for field in draw(st.lists(st.sampled_from(FIXED), unique=True, max_size=6)):
        mask = draw(st.integers(1, field.mask)) if field.maskable else field.mask
        fields[field.name] = (draw(st.integers(0, field.mask)) & mask, mask)
    return Match(fields)


@given(matches())
def test_a_match_reads_back_whatever_its_order(match):
    wire = match.encode()
    assert len(wire) % 8 == 0
    assert Match.decode(wire) == (match, len(wire))
    assert Match(dict(reversed(list(match.items())))).encode() == wire


def test_prerequisites_stand_above_the_fields_that_need_them():
    for field in FIELDS.values():
        for alternative in PREREQUISITES[field.prerequisites]:
            assert all(FIELDS[name].rank < field.rank for name in alternative), field


OUTSIDE = [{"ip_src": (1 << 32, 1 << 32)}, {"reg0": (3, 1)}, {"nope": (0, 0)}, {"reg0": (-1, 1)}]


@pytest.mark.parametrize("fields", OUTSIDE)
def test_a_value_outside_its_field_or_mask_is_an_encode_error(fields):
    with pytest.raises(EncodeError):
        Match(fields).encode()


def test_values_outside_actions_are_encode_errors():
    with pytest.raises(EncodeError):
        SetField.bits(Subfield.of("reg0", ofs=0, n_bits=2), 4).encode()
    with pytest.raises(EncodeError):
        Subfield.of("reg0", ofs=30, n_bits=3)
    with pytest.raises(EncodeError):
        field_named("nope")
    assert SetField.of("nw_src", 1).field is FIELDS["ip_src"]


@given(st.binary(max_size=200), st.sampled_from([decode_actions, decode_oxm, decode_instructions, Match.decode]))
def test_noise_is_a_decode_error_and_nothing_else(noise, decode):
    try:
        decode(noise)
    except DecodeError as error:
        assert str(error)  # noqa: PT017 - the point is that nothing else comes


STARTS = [b"", b"\0\0\x23\x20\0\0\0\x1e", b"\0\1\0\0\0\0\0\0"]


@given(st.integers(0, 34), st.sampled_from(STARTS), st.binary(max_size=120))
def test_noise_in_a_frame_is_a_decode_error_and_nothing_else(kind, start, noise):
    body = start + noise
    data = bytes([VERSION, kind]) + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body
    try:
        decode_message(data)
    except DecodeError as error:
        assert str(error)  # noqa: PT017 - the point is that nothing else comes


def test_nesting_without_end_is_a_decode_error():
    action = b""
    for _ in range(4000):
        action = b"\xff\xff" + (16 + len(action)).to_bytes(2, "big") + b"\0\0\x23\x20\0\x2a" + bytes(6) + action
    with pytest.raises(DecodeError, match="too deep"):
        decode_actions(action)


@given(st.lists(st.integers(1, 40), max_size=20))
def test_messages_are_read_from_chunks_of_any_length(cuts):
    ours, theirs = OpenFlowConnection(), OpenFlowConnection()
    theirs.send(FlowMod(table=1, priority=2, match=Match.exact(reg0=5)))
    theirs.send(BarrierRequest())
    stream, events = theirs.data_to_send(), []
    for cut in [*cuts, len(stream)]:
        events += ours.receive(stream[:cut])
        stream = stream[cut:]
    assert [type(event.message) for event in events] == [FlowMod, BarrierRequest]
    assert [event.xid for event in events] == [1, 2]


def test_echo_is_answered_and_a_malformed_message_is_an_event():
    connection = OpenFlowConnection()
    connection.data_to_send()
    bad = bytes.fromhex("060e000c00000009") + b"nope"
    events = connection.receive(Hello().encode() + EchoRequest(b"x").encode(7) + bad)
    assert connection.data_to_send() == bytes.fromhex("0603000900000007") + b"x"
    assert [(type(event), event.xid) for event in events] == [(Malformed, 9)]


def test_only_openflow_1_5_is_accepted():
    with pytest.raises(NegotiationError):
        OpenFlowConnection().receive(Hello(frozenset({1, 4})).encode())
    with pytest.raises(NegotiationError):
        OpenFlowConnection().receive(bytes.fromhex("0400000800000000"))
    connection = OpenFlowConnection()
    assert connection.receive(bytes.fromhex("0600000800000000")) == []
    assert connection.established
    with pytest.raises(DecodeError):
        connection.receive(bytes.fromhex("0600000700000000"))


def test_packet_ins_read_back():
    packet_in = PacketIn(
        b"p" * 20,
        Match.exact(reg0=1, in_port_oxm=3),
        userdata=b"u",
        continuation=b"c" * 4,
        cookie=9,
        table=8,
        reason=1,
        full_len=20,
    )
    connection = OpenFlowConnection()
    connection.receive(Hello().encode())
    assert connection.receive(packet_in.encode(5)) == [Received(5, packet_in)]
    with pytest.raises(EncodeError):
        PacketIn(b"", Match()).resume()
    assert Resubmit(5) == decode_actions(Resubmit(5).encode())[0]


@pytest.mark.parametrize("instructions", [encode_apply(encode_actions((Resubmit(9),))), b"", None])
def test_a_change_of_a_flow_is_bundled_as_its_flow_mod_is(instructions: bytes | None) -> None:
    match = Match.exact(eth_type=0x800, ip_src=5).encode()
    command = Command.DELETE_STRICT if instructions is None else Command.ADD
    content = None if instructions is None else (instructions, 0xC0FFEE)
    plain = FlowMod(
        table=8,
        priority=100,
        match=match,
        instructions=instructions or b"",
        cookie=0 if content is None else 0xC0FFEE,
        command=command,
    )
    assert encode_flow_change(7, ((8, 100, match), content), xid=99) == encode_bundle_add(7, plain.encode(99), xid=99)
    with pytest.raises(EncodeError):
        encode_flow_change(7, ((8, 70000, match), content), xid=99)
