"""The framer gives the same messages however the stream is cut, and refuses what is no message."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird.ovsdb import jsonrpc
from ovenbird.ovsdb.errors import BadSyntax, ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer

text = st.text(alphabet='{}[]"\\ aé', max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
messages = st.lists(st.dictionaries(text, values, max_size=3), max_size=5)


@given(messages, st.lists(st.integers(1, 9), min_size=1), st.sampled_from([b"", b"\n", b"  "]))
def test_any_cut_of_any_concatenation(wanted, cuts, between):
    stream = between.join(orjson.dumps(message) for message in wanted)
    framer, got, at, turn = Framer(), [], 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        got += framer.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert got == wanted
    assert framer.pending == 0


@pytest.mark.parametrize("garbage", [b"[1]", b"5", b"hello", b'{"a":1,}', b'{"a" 1}', b"{}}", b"\x00"])
def test_garbage_is_refused(garbage):
    with pytest.raises(ProtocolError):
        Framer().feed(garbage + b"{}")


def test_many_messages_in_one_chunk():
    stream = b'{"id":0,"method":"echo","params":["}{"]}' * 1000
    assert len(Framer().feed(stream)) == 1000


def test_a_long_message_comes_in_pieces_that_are_not_looked_at():
    rows = {f"{n:036}": {"initial": {"actions": "clone { next; }; output;", "match": '"}" {'}} for n in range(5000)}
    stream = orjson.dumps({"id": 1, "result": rows, "error": None})
    for size in (1 << 16, 65535, 10007):
        framer, got = Framer(), []
        for at in range(0, len(stream), size):
            got += framer.feed(stream[at : at + size])
        assert got == [orjson.loads(stream)]
        assert framer.pending == 0
        assert framer.feed(b'{"id":2}') == [{"id": 2}]


def test_chunks_that_are_not_examined_count_towards_the_limit():
    framer = Framer(100)
    framer.feed(b'{"a":"' + b"x" * 90)
    with pytest.raises(ProtocolError):
        framer.feed(b"x" * 10)


@pytest.mark.parametrize("cut", [0, 9, 14])
def test_u_0000_is_refused_however_the_stream_is_cut(cut):
    stream = rb'{"a":"b\\u0000"}{"a":"\\\u0000"}'
    framer = Framer()
    assert framer.feed(stream[:16]) == [{"a": r"b\u0000"}]  # a backslash before the characters u0000
    with pytest.raises(ProtocolError, match="U\\+0000"):
        framer.feed(stream[16 : 16 + cut])
        framer.feed(stream[16 + cut :])


def test_values_that_a_peer_sent_can_be_encoded():
    deep = orjson.loads("[" * 400 + "]" * 400)
    assert orjson.loads(jsonrpc.reply(deep, id_=1))["result"] == deep
    assert orjson.loads(jsonrpc.error_reply(BadSyntax("", 2**80).to_json(), id_=1))["error"]["syntax"] == str(2**80)
    with pytest.raises(ProtocolError):
        jsonrpc.reply(orjson.loads("[" * 1020 + "]" * 1020), id_=1)
