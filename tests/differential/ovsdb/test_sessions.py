"""Two clients that lock, wait, cancel, monitor and commit under few names get from our server what the original sends.

Of one thing the original says nothing: that a request which waited has been cancelled (RFC 7047, section 4.1.4).
"""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.service import Service
from ovenbird.ovsdb.session import Session
from support.ovsdb import original_server

pytestmark = pytest.mark.skipif(original_server.MISSING is not None, reason=str(original_server.MISSING))

SCHEMA = {
    "name": "T",
    "version": "1.0.0",
    "tables": {"C": {"isRoot": True, "columns": {"n": {"type": "integer"}, "s": {"type": "string"}}}},
}
ids = st.sampled_from([1, 2, "x", {"a": [1]}])
monitor_ids = st.sampled_from(["m", "n", None])
locks = st.sampled_from(["l", "k"])


def wait(number):
    return {"op": "wait", "table": "C", "where": [], "columns": ["n"], "until": "==", "rows": [{"n": number}]}


def put(number):
    return {"op": "update", "table": "C", "where": [], "row": {"n": number}}


operations = st.lists(
    st.one_of(
        st.integers(0, 2).map(wait),
        st.integers(0, 2).map(put),
        st.integers(0, 2).map(lambda n: {**wait(n), "timeout": 0}),
        locks.map(lambda name: {"op": "assert", "lock": name}),
        st.just({"op": "abort"}),
    ),
    max_size=2,
)
requests = st.one_of(
    operations.map(lambda ops: ("transact", ["T", *ops])),
    operations.map(lambda ops: ("transact", ["T", *ops])),
    st.tuples(st.sampled_from(["lock", "steal", "unlock"]), locks).map(lambda m: (m[0], [m[1]])),
    monitor_ids.map(lambda i: ("monitor", ["T", i, {"C": [{"columns": ["n"]}]}])),
    monitor_ids.map(lambda i: ("monitor_cond", ["T", i, {"C": [{"columns": ["n"], "where": [["n", "<", 2]]}]}])),
    st.tuples(monitor_ids, monitor_ids, st.integers(0, 3)).map(
        lambda m: ("monitor_cond_change", [m[0], m[1], {"C": [{"where": [["n", "<", m[2]]]}]}])
    ),
    monitor_ids.map(lambda i: ("monitor_cancel", [i])),
)
cancels = ids.map(lambda i: {"id": None, "method": "cancel", "params": [i]})
messages = st.one_of(
    st.tuples(ids, requests).map(lambda m: {"id": m[0], "method": m[1][0], "params": m[1][1]}),
    st.tuples(ids, requests).map(lambda m: {"id": m[0], "method": m[1][0], "params": m[1][1]}),
    cancels,
)
scripts = st.lists(st.tuples(st.integers(0, 1), messages), min_size=1, max_size=14)


class Theirs:
    """A client of the original, which says all that came until an echo."""

    def __init__(self, path):
        self.client = original_server.Client(path)

    def send(self, message):
        self.client.socket.sendall(orjson.dumps(message))

    def heard(self):
        got = []
        for _ in range(2):  # the original answers some things in the next turn of its loop
            self.send({"id": "end", "method": "echo", "params": []})
            while (message := self.client.receive()).get("id") != "end":
                got.append(message)
        return got


class Ours:
    def __init__(self, service):
        self.sent = []
        self.session = Session(service, self.sent.append, lambda: None)

    def send(self, message):
        self.session.receive(orjson.loads(orjson.dumps(message)))

    def heard(self):
        got, self.sent[:] = [orjson.loads(text) for text in self.sent], []
        return got


def normal(messages):
    """Return messages without the wording of errors, in an order of their own; an update names a random row."""
    answer = []
    for message in messages:
        if message.get("error") == "canceled":
            continue
        told = {k: v for k, v in message.items() if v is not None}
        for result in (told.get("error"), *(told["result"] if isinstance(told.get("result"), list) else ())):
            if isinstance(result, dict):
                result.pop("details", None)
                result.pop("syntax", None)
        answer.append(told)
    return sorted(answer, key=repr)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    server = original_server.Oracle(tmp_path_factory.mktemp("sessions"), SCHEMA)
    yield server
    server.close()


ROW = "00000001-0000-4000-8000-000000000001"
RESET = [
    {"op": "delete", "table": "C", "where": []},
    {"op": "insert", "table": "C", "uuid": ROW, "row": {"n": 0}},
]


@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(script=scripts)
def test_two_clients_are_told_the_same(original, script):
    reset = original.client.call("transact", "T", RESET[0])
    reset = original.client.call("transact", "T", RESET[1])
    assert "error" not in reset["result"][0], reset
    service = Service()
    service.add(Database(DatabaseSchema.from_json(SCHEMA)))
    first = Ours(service)
    first.send({"id": 0, "method": "transact", "params": ["T", *RESET]})
    first.session.ended()
    theirs, ours = [Theirs(original.path) for _ in range(2)], [Ours(service) for _ in range(2)]
    try:
        for who, message in script:
            theirs[who].send(message)
            ours[who].send(message)
            for other in (who, 1 - who):
                wanted, got = normal(theirs[other].heard()), normal(ours[other].heard())
                assert got == wanted, (who, other, message)
    finally:
        for client in theirs:
            client.client.close()
        for client in ours:
            client.session.ended()
