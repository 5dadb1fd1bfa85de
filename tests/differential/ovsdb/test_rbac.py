"""What a role may do of every kind of operation, with real certificates, is what the original lets it do."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.rbac import ClientAccess
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.service import Service
from ovenbird.ovsdb.session import Session
from support.ovsdb import original_server
from support.ovsdb.certificates import Authority
from support.places import free_port
from support.waiting import until

MISSING = [name for name in ("ovsdb-server", "ovsdb-tool", "openssl") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
OVENBIRD = (sys.executable, "-m", "ovenbird.cli", "db")

MAP = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
SET = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
WEAK = {"type": "uuid", "refTable": "RBAC_Permission", "refType": "weak"}
OWNED = {
    "isRoot": True,
    "columns": {
        "name": STRING, "owner": STRING, "tags": SET, "ids": MAP, "n": INTEGER,
        "opt": {"type": {"key": "string", "min": 0}},
    },
}  # fmt: skip
SCHEMA = {
    "name": "T",
    "version": "1.0.0",
    "tables": {
        "Root": {
            "isRoot": True,
            "columns": {
                "connections": {"type": {"key": {"type": "uuid", "refTable": "Connection"}, "min": 0, "max": 99}},
            },
        },
        "Connection": {
            "columns": {
                "target": STRING, "read_only": BOOLEAN, "role": STRING, "is_connected": {**BOOLEAN, "ephemeral": True},
                "status": {**MAP, "ephemeral": True}, "inactivity_probe": {"type": {"key": "integer", "min": 0}},
            },
        },
        "RBAC_Role": {
            "isRoot": True,
            "columns": {
                "name": STRING,
                "permissions": {"type": {"key": "string", "value": WEAK, "min": 0, "max": "unlimited"}},
            },
        },
        "RBAC_Permission": {
            "isRoot": True,
            "columns": {"table": STRING, "authorization": SET, "insert_delete": BOOLEAN, "update": SET},
        },
        "A": OWNED,
        "B": OWNED,
    },
}  # fmt: skip
ROLES = {
    "owner": {"A": (["owner"], True, ["n", "name"]), "B": (["name"], False, [])},
    "key": {"A": (["ids:who"], True, ["ids", "tags"]), "B": (["ids:who", "owner"], True, ["ids:who"])},
    "all": {"A": ([""], False, ["n"]), "B": ([""], True, ["owner"])},
    "odd": {
        "A": (["nope", "n", "tags", "opt", "ids", "nope:x", "owner:x"], True, ["n", "nope"]),
        "B": ([":x"], True, ["n"]),
    },
    "none": {"A": ([], True, ["n"])},
}
"""For each role and table: authorization, insert_delete, update."""
CLIENTS = ("c1", "c2")
ACCESS = [*((role, False) for role in (*ROLES, "unknown", "")), ("", True), ("owner", True)]


def rows():
    """Yield the operations that fill the database, but for its connections."""
    number = 0
    for role, tables in ROLES.items():
        permissions = []
        for table, (authorization, insert_delete, update) in tables.items():
            number += 1
            row = {"table": table, "authorization": ["set", authorization], "insert_delete": insert_delete}
            row["update"] = ["set", update]
            yield {"op": "insert", "table": "RBAC_Permission", "uuid-name": f"p{number}", "row": row}
            permissions.append([table, ["named-uuid", f"p{number}"]])
        yield {"op": "insert", "table": "RBAC_Role", "row": {"name": role, "permissions": ["map", permissions]}}
    for table in ("A", "B"):
        for owner in (*CLIENTS, "", "none"):
            row = {"name": owner, "owner": owner, "tags": owner, "opt": owner, "ids": ["map", [["who", owner]]]}
            yield {"op": "insert", "table": table, "row": row}


names = st.sampled_from([*CLIENTS, "", "none"])
columns = {
    "name": names,
    "owner": names,
    "tags": names,
    "opt": names,
    "n": st.integers(0, 3),
    "ids": st.tuples(st.sampled_from(["who", "x"]), names).map(lambda pair: ["map", [list(pair)]]),
}
tables = st.sampled_from(["A", "B", "A", "B", "RBAC_Role", "Root"])
wheres = st.one_of(st.just([]), names.map(lambda n: [["owner", "==", n]]), st.just([["n", ">", 5]]))


@st.composite
def operations(draw):
    table = draw(tables)
    kind = draw(
        st.sampled_from(["insert", "insert", "update", "update", "mutate", "mutate", "delete", "select", "wait"])
    )
    if table in ("RBAC_Role", "Root"):
        return {"op": "delete", "table": table, "where": []}
    row = draw(st.fixed_dictionaries({}, optional=columns))
    if kind == "insert":
        return {"op": "insert", "table": table, "row": row}
    operation = {"op": kind, "table": table, "where": draw(wheres)}
    if kind == "update":
        operation["row"] = row
    elif kind == "mutate":
        mutations = st.sampled_from(
            [["n", "+=", 1], ["tags", "insert", "t"], ["tags", "delete", "t"],
             ["ids", "insert", ["map", [["who", "z"]]]], ["ids", "delete", ["set", ["x"]]], ["opt", "delete", "q"]]
        )  # fmt: skip
        operation["mutations"] = draw(st.lists(mutations, max_size=2))
    elif kind == "wait":
        operation |= {"timeout": 0, "columns": ["n"], "until": "!=", "rows": []}
    return operation


class Tls(original_server.Client):
    """A client that shows a certificate."""

    def __init__(self, port, authority, key, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(authority.certificate)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))
        self.buffer = ""


class Served:
    """A server, ours or the original, with one TLS listener for each way of access."""

    def __init__(self, command, folder, authority):
        self.authority = authority
        self.keys = {name: authority.issue(name) for name in CLIENTS}
        (folder / "s.ovsschema").write_text(json.dumps(SCHEMA))
        subprocess.run(["ovsdb-tool", "create", folder / "t.db", folder / "s.ovsschema"], check=True)
        self.process = subprocess.Popen(
            [*command, f"--remote=punix:{folder}/s.sock", "--remote=db:T,Root,connections", f"--unixctl={folder}/s.ctl",
             "-vconsole:off", *authority.options(folder.name), folder / "t.db"],
        )  # fmt: skip
        self.local = until(lambda: original_server.Client(folder / "s.sock"), despite=(OSError,))
        self.ports = [free_port() for _ in ACCESS]
        made = [
            {"op": "insert", "table": "Connection", "uuid-name": f"c{n}",
             "row": {"target": f"pssl:{port}:127.0.0.1", "role": role, "read_only": read_only}}
            for n, (port, (role, read_only)) in enumerate(zip(self.ports, ACCESS, strict=True))
        ]  # fmt: skip
        root = {"connections": ["set", [["named-uuid", f"c{n}"] for n in range(len(ACCESS))]]}
        done = self.local.call("transact", "T", *rows(), *made, {"op": "insert", "table": "Root", "row": root})
        assert not any("error" in result for result in done["result"]), done
        self.clients = {}

    def client(self, name, access):
        if (name, access) not in self.clients:
            port = self.ports[ACCESS.index(access)]
            self.clients[name, access] = until(lambda: Tls(port, self.authority, *self.keys[name]), despite=(OSError,))
        return self.clients[name, access]

    def close(self):
        for client in (self.local, *self.clients.values()):
            client.close()
        self.process.terminate()
        self.process.wait(10)


class Ours:
    def __init__(self):
        self.service = Service()
        self.service.add(Database(DatabaseSchema.from_json(SCHEMA)))
        self.call(("", False), "", "transact", "T", *rows(), {"op": "insert", "table": "Root", "row": {}})

    def call(self, access, client, method, *params):
        sent = []
        session = Session(self.service, sent.append, lambda: None, ClientAccess(*access), lambda: client)
        session.receive(orjson.loads(orjson.dumps({"id": 1, "method": method, "params": params})))
        session.ended()
        return orjson.loads(sent[-1])


def kinds(answer):
    """Return what kind of result each operation has."""
    error = answer.get("error")
    if error:
        return error["error"] if isinstance(error, dict) else error
    return [result and result.get("error", sorted(result)) for result in answer["result"]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def original(tmp_path_factory, authority):
    served = Served(["ovsdb-server"], tmp_path_factory.mktemp("original"), authority)
    yield served
    served.close()


@settings(
    max_examples=100, deadline=None, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    database=None,
)  # fmt: skip
@given(
    access=st.sampled_from(ACCESS), client=st.sampled_from(CLIENTS), some=st.lists(operations(), min_size=1, max_size=2)
)
def test_operations_of_roles(original, access, client, some):
    call = ("transact", "T", *some, {"op": "abort"})
    ours, theirs = OURS.call(access, client, *call), original.client(client, access).call(*call)
    assert kinds(ours) == kinds(theirs), (ours, theirs)


@pytest.mark.parametrize("access", ACCESS)
def test_requests_of_roles(original, access):
    for method, *params in (["lock", "l"], ["steal", "m"], ["get_schema", "T"], ["convert", "T", {}]):
        if method == "convert" and access == ("", True):
            continue  # the original lets a read-only client convert the database
        ours, theirs = OURS.call(access, "c1", method, *params), original.client("c1", access).call(method, *params)
        assert bool(ours["error"]) == bool(theirs.get("error")), (method, ours, theirs)
        if method == "convert":
            assert kinds(ours) == kinds(theirs)


@pytest.fixture(scope="module")
def ours(tmp_path_factory, authority):
    served = Served(OVENBIRD, tmp_path_factory.mktemp("ours"), authority)
    yield served
    served.close()


def test_our_server_knows_clients_by_their_certificates(ours):
    for access in ACCESS:
        for client in CLIENTS:
            for owner in CLIENTS:
                change = {"op": "update", "table": "A", "where": [["owner", "==", owner]], "row": {"n": 1}}
                wanted = OURS.call(access, client, "transact", "T", change, {"op": "abort"})
                got = ours.client(client, access).call("transact", "T", change, {"op": "abort"})
                assert kinds(got) == kinds(wanted), (access, client, owner)


def connections(served):
    """Return what the rows of a server's remotes say, by role."""
    select = {
        "op": "select",
        "table": "Connection",
        "where": [],
        "columns": ["role", "is_connected", "status", "target"],
    }
    answer = {}
    for row in served.local.call("transact", "T", select)["result"][0]["rows"]:
        status = dict(row["status"][1])
        for name in ("sec_since_connect", "sec_since_disconnect"):  # which the manual leaves out here, and is 0
            status.pop(name, None)
        right = status.pop("bound_port", None) == row["target"].split(":")[1]
        answer.setdefault(row["role"], []).append((row["is_connected"], status, right))
    return {role: sorted(found, key=repr) for role, found in answer.items()}


def test_the_rows_of_remotes_say_who_is_connected(ours, original):
    def equal():
        for served in (ours, original):
            for client in CLIENTS:
                served.client(client, ("owner", False))
            served.client("c1", ("key", False))
        wanted = {"owner": 2, "key": 1}
        for served in (ours, original):
            said = connections(served)
            for role, number in wanted.items():
                status = {"n_connections": str(number)} if number > 1 else {}
                assert (True, status, True) in said[role], said
            assert said["all"] == [(False, {}, True)], said

    for served in (ours, original):
        for client in served.clients.values():
            client.close()
        served.clients.clear()
    until(lambda: equal() is None)


def test_a_remote_that_gets_another_role_closes_its_connections(ours):
    client = ours.client("c1", ("all", False))
    assert client.call("echo")["result"] == []
    change = {"op": "update", "table": "Connection", "where": [["role", "==", "all"]], "row": {"role": "none"}}
    assert ours.local.call("transact", "T", change)["result"] == [{"count": 1}]
    assert client.socket.recv(1) == b""
    del ours.clients["c1", ("all", False)]
    client.close()
    change = {"op": "update", "table": "A", "where": [["owner", "==", "c1"]], "row": {"n": 1}}
    assert kinds(ours.client("c1", ("all", False)).call("transact", "T", change)) == ["permission error"]


OURS = Ours()
