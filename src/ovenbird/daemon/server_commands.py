"""The commands of ovsdb-server(1) about clients, logs and memory, and those that standalone databases do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.counter_commands import cells
from ovenbird.daemon.engine_commands import doing
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.ovsdb import heap

if TYPE_CHECKING:
    from ovenbird.daemon.process import Daemon
    from ovenbird.ovsdb.database import Database
    from ovenbird.ovsdb.server import Server

NO_RELAYS = "a backup (ovsdb-server/sync-status) serves readers besides the active server"
NO_CLUSTER = (
    "databases are kept in standalone files: two servers are an active and a backup (ovsdb-server/sync-status), and a "
    "Raft cluster is one of ovsdb-server's own"
)
_CLUSTER = (
    "cid", "sid", "status", "leave", "kick", "change-election-timer", "set-backlog-threshold", "failure-test",
)  # fmt: skip
_SWITCH = {"on": True, "off": False}


def register(daemon: Daemon, server: Server) -> None:
    """Register them.

    Arguments:
        daemon: whose commands.
        server: what they are about.
    """
    service, unixctl = server.service, daemon.unixctl

    def database(name: str) -> Database:
        found = service.databases.get(name)
        if found is None:
            raise UnixctlError(f"Failed to find the database {name}.")
        return found

    def storage(arguments: list[str]) -> str:
        journal = database(arguments[0]).journal
        return f"status: {journal.failure if journal is not None and journal.failure else 'ok'}\n"

    def tell(arguments: list[str]) -> str:
        name, colon, table = arguments[0].partition(":")
        if not (name and colon and table):
            raise UnixctlError("invalid DB:TABLE argument")
        told = database(name).told
        if table not in database(name).tables:
            raise UnixctlError("no such table")
        match _SWITCH.get(arguments[1]):
            case True:
                told.add(table)
            case False:
                told.discard(table)
            case None:
                raise UnixctlError("invalid command argument")
        return ""

    def trim(arguments: list[str]) -> str:
        wanted = _SWITCH.get(arguments[0])
        if wanted is None:
            raise UnixctlError("invalid argument")
        if wanted and not heap.can_trim():
            raise UnixctlError("the C library of this host gives no memory back")
        server.trims = wanted
        return ""

    unixctl.register("ovsdb-server/reconnect", doing(server.reconnect))
    unixctl.register("ovsdb-server/get-db-storage-status", storage, "DB", 1)
    unixctl.register("ovsdb-server/tlog-set", tell, "DB:TABLE on|off", 2)
    unixctl.register("ovsdb-server/tlog-list", lambda _: told_tables(server))
    unixctl.register("ovsdb-server/memory-trim-on-compaction", trim, "on|off", 1)
    unixctl.refuse((f"cluster/{name}" for name in _CLUSTER), NO_CLUSTER)
    unixctl.refuse(("ovsdb-server/set-relay-source-probe-interval",), NO_RELAYS)
    unixctl.refuse(
        ("ovsdb-server/perf-counters-show", "ovsdb-server/perf-counters-clear"),
        "the counters of the processor are not read: see coverage/show and stopwatch/show",
    )
    unixctl.refuse(("ovsdb-server/disable-monitor-cond",), "it is for tests of old clients, which may use `monitor`")
    unixctl.refuse(("ovsdb-server/reload",), "options are given on the command line, and no file has them")
    daemon.memory.append(lambda: server_memory(server))


def told_tables(server: Server) -> str:
    """Return which tables' operations are logged, as `ovsdb-server/tlog-list` prints them."""
    databases = server.service.databases
    names = [name for database in databases.values() for name in database.tables]
    width = max(map(len, names), default=0)
    lines = [f"{'database':<16}{'table':<{width}} logging", f"{'--------':<16}{'-----':<{width}} -------"]
    for name in sorted(databases):
        lines.append(f"{name:<16} ")
        told = databases[name].told
        lines += [
            f"{'':<16}{each:<{width}} {'ON' if each in told else 'OFF'}" for each in sorted(databases[name].tables)
        ]
    return "".join(f"{line}\n" for line in lines)


def server_memory(server: Server) -> dict[str, int]:
    """Return what a server keeps: values of rows, clients and what they watch, wait for, and have not read."""
    service = server.service
    return {
        "cells": sum(cells(database.store) for database in service.databases.values()),
        "sessions": len(service.sessions),
        "monitors": sum(len(session.monitors) for session in service.sessions),
        "triggers": sum(len(session.waiting) for session in service.sessions),
        "backlog": server.unsent,
        "txn-history": sum(len(database.history) for database in service.databases.values()),
    }
