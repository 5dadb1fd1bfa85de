"""Remotes of a server: those that are given, those that a database names, and which takes another's place."""

from __future__ import annotations

import os
import socket

import pytest

from ovenbird.daemon.database_remotes import replaces
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.process import tell_service_manager
from ovenbird.daemon.remotes import Remotes
from ovenbird.model import nb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support.waiting import until_async

SPEC = "db:OVN_Northbound,NB_Global,connections"


@pytest.fixture
async def served():
    server = Server()
    database = Database(nb.schema(), nb.ROWS)
    server.add(database)
    yield Remotes(server), database
    await server.close()


def name(database, *targets):
    """Have the database name these remotes and no others."""
    change = database.transaction()
    for row in database.store.table(nb.NBGlobal).all():
        change.delete(row)
    made = [change.insert(nb.Connection, {"target": target}) for target in targets]
    change.insert(nb.NBGlobal, {"connections": frozenset(made)})
    database.commit(change)


def ports(remotes):
    return sorted(str(remote) for remote in remotes.server.remotes)


async def free(remotes):
    """Return a port of 127.0.0.1 where nobody is."""
    await remotes.server.listen("ptcp:0:127.0.0.1")
    port = remotes.server.port("ptcp:0:127.0.0.1")
    await remotes.server.unlisten("ptcp:0:127.0.0.1")
    return port


async def test_a_given_remote_stays_when_a_row_of_the_same_target_goes(served):
    remotes, database = served
    given = f"ptcp:{await free(remotes)}:127.0.0.1"
    await remotes.listen(given)
    name(database, given)
    await remotes.follow(SPEC, otherwise=None)
    assert remotes.given[SPEC].failed == {given: "this server serves there already"}
    (row,) = database.store.table(nb.Connection).all()
    assert row.status["last_error"] == "this server serves there already"
    name(database)
    await until_async(lambda: not database.store.table(nb.Connection).rows)
    await remotes.given[SPEC].apply()
    assert ports(remotes) == [given]


async def test_a_row_takes_the_place_of_the_default_until_it_goes(served):
    remotes, database = served
    name(database)
    port = await free(remotes)
    default, everywhere = f"ptcp:{port}:127.0.0.1", f"ptcp:{port}:0.0.0.0"
    await remotes.follow(SPEC, otherwise=default)
    assert ports(remotes) == [default]
    name(database, f"ptcp:{port}")
    await until_async(lambda: ports(remotes) == [everywhere])
    name(database)
    await until_async(lambda: ports(remotes) == [default])
    await remotes.close()
    assert not ports(remotes)


async def test_a_default_listener_whose_port_is_taken_is_an_error(served):
    remotes, database = served
    name(database)
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(UsageError, match="ddress already in use"):
            await remotes.follow(SPEC, otherwise=f"ptcp:{other.getsockname()[1]}:127.0.0.1")
        await remotes.close()


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("ptcp:6641", True),
        ("pssl:6641:[::]", True),
        ("ptcp:6641:127.0.0.1", True),
        ("ptcp:6641:10.0.0.1", False),
        ("ptcp:6642", False),
        ("tcp:127.0.0.1:6641", False),
        ("punix:/x", False),
        ("nonsense", False),
    ],
)
def test_remotes_that_replace_the_default_listener(target, answer):
    assert replaces(target, remote="ptcp:6641:127.0.0.1") is answer


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told(tmp_path, monkeypatch, abstract):
    address = f"@ovenbird-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{address[1:]}" if abstract else address)
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        tell_service_manager("READY=1")
        assert manager.recv(100) == b"READY=1"
    tell_service_manager("READY=1")  # nobody listens any more
