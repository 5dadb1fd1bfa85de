"""A dump of some tables of a database, read from any OVSDB server over one short connection (RFC 7047, 4.1.1 to 4.1.3).

A trace needs the rows as they are now and no updates: one blocking connection, one transaction of `select` operations
for each batch of tables, and the rows in the engine's typed tables. Columns that the server lacks have their defaults,
so that older and newer schemas can be read.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Self

from ovenbird.model import sb
from ovenbird.ovsdb import jsonrpc
from ovenbird.ovsdb.errors import OvsdbError, ProtocolError
from ovenbird.ovsdb.row_updates import RowUpdater
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.table import mistyped
from ovenbird.ovsdb.transport import Remote, parse_remotes
from ovenbird.ovsdb.types import NIL
from ovenbird.verify.errors import UnreachableDatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.rows import Row, Store
    from ovenbird.ovsdb.tls_keys import TlsKeys

TIMEOUT = 30.0
"""Seconds of silence after which the server is given up."""
_CHUNK = 1 << 20

SOUTHBOUND: tuple[type[Row], ...] = (
    sb.DatapathBinding,
    sb.PortBinding,
    sb.LogicalDPGroup,
    sb.MulticastGroup,
    sb.AddressSet,
    sb.PortGroup,
    sb.MACBinding,
    sb.FDB,
    sb.Chassis,
    sb.ChassisTemplateVar,
    sb.LearnedRoute,
)
"""The tables of Southbound for a trace, besides flows, which are fetched for each datapath that a packet enters."""


class DatabaseDump:
    """A copy of parts of a database, each as of when it was read.

    Arguments:
        remotes: where it is served, as `ovn-sbctl --db` takes it: `unix:FILE`, `tcp:HOST:PORT` or `ssl:HOST:PORT`,
            several with commas between.
        database: the database's name.
        row_classes: the tables that may be read.
        keys: for `ssl:` remotes.

    Raises:
        UnreachableDatabaseError: no server answers, or it lacks that database.
    """

    def __init__(
        self, remotes: str, *, database: str, row_classes: Iterable[type[Row]], keys: TlsKeys | None = None
    ) -> None:
        self.database = database
        self._remotes = remotes
        self._keys = keys
        self._framer = jsonrpc.Framer()
        self._socket = self._connect()
        try:
            schema = self._schema(row_classes)
        except UnreachableDatabaseError:
            self._socket.close()
            raise
        self._updater = RowUpdater(schema, row_classes, None)

    @property
    def store(self) -> Store:
        """The rows read so far."""
        return self._updater.store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self, *row_classes: type[Row]) -> None:
        """Read whole tables."""
        self._select([(c.TABLE, []) for c in row_classes])

    def read_flows(self, datapath: sb.DatapathBinding) -> None:
        """Read the logical flows of one datapath: its own, and those of the groups that it is in."""
        groups = datapath.referrers(sb.LogicalDPGroup.datapaths)
        wheres = [["logical_datapath", "==", ["uuid", datapath.uuid]]]
        wheres += [["logical_dp_group", "==", ["uuid", group.uuid]] for group in groups]
        name = sb.LogicalFlow.TABLE
        self._select([(name, [where]) for where in self._updater.condition(name, wheres)])

    def _schema(self, row_classes: Iterable[type[Row]]) -> DatabaseSchema:
        """Return the server's schema.

        Raises:
            UnreachableDatabaseError: it has no such database, or one whose columns are of other types.
        """
        schema = DatabaseSchema.from_json(self._call("get_schema", [self.database]))
        if wrong := mistyped(schema, row_classes):
            raise UnreachableDatabaseError(f"{self._remotes}: {self.database} cannot be read: {wrong}")
        return schema

    def _select(self, parts: list[tuple[str, list[Any]]]) -> None:
        asked = self._updater.request({}, conditional=False)
        parts = [part for part in parts if part[0] in asked]
        operations = [
            {"op": "select", "table": name, "where": where, "columns": ["_uuid", *asked[name][0]["columns"]]}
            for name, where in parts
        ]
        updates: dict[str, dict[str, Any]] = {}
        for (name, _), answer in zip(parts, self._call("transact", [self.database, *operations]), strict=True):
            if answer.get("error"):
                raise UnreachableDatabaseError(f"{self._remotes}: {answer['error']}: {answer.get('details', '')}")
            rows = updates.setdefault(name, {})
            for row in answer["rows"]:
                rows[row.pop("_uuid")[1]] = {"initial": row}
        self._updater.apply(updates, NIL)

    def _connect(self) -> socket.socket:
        """Connect to the first remote that answers."""
        try:
            remotes = parse_remotes(self._remotes)
        except ValueError as error:
            raise UnreachableDatabaseError(str(error)) from None
        reason = "no remote is given"
        for remote in remotes:
            try:
                return _open(remote, self._keys)
            except OSError as error:
                reason = f"{remote}: {error.strerror or error}"
        raise UnreachableDatabaseError(f"{self.database} cannot be read: {reason}")

    def _call(self, method: str, params: list[Any]) -> Any:
        try:
            self._socket.sendall(jsonrpc.request(method, params, id_=0))
            while True:
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise UnreachableDatabaseError(f"{self._remotes}: the server closed the connection")
                for message in self._framer.feed(data):
                    if message.get("method") == "echo":
                        self._socket.sendall(jsonrpc.reply(message.get("params"), id_=message.get("id")))
                    elif message.get("id") == 0 and "method" not in message:
                        return self._result(method, message)
        except (OSError, ProtocolError, OvsdbError) as error:
            raise UnreachableDatabaseError(f"{self._remotes}: {error}") from error

    def _result(self, method: str, message: dict[str, Any]) -> Any:
        if message.get("error"):
            raise UnreachableDatabaseError(f"{self._remotes}: {method} {self.database}: {message['error']}")
        return message["result"]


def _open(remote: Remote, keys: TlsKeys | None) -> socket.socket:
    """Connect.

    Raises:
        OSError: it does not succeed.
    """
    if remote.passive:
        raise UnreachableDatabaseError(f"{remote}: databases are read at unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT")
    if remote.kind == "ssl" and keys is None:
        raise UnreachableDatabaseError(f"{remote}: needs --private-key, --certificate and --ca-cert")
    if remote.kind == "unix":
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(TIMEOUT)
            made.connect(remote.path)
        except OSError:
            made.close()
            raise
        return made
    made = socket.create_connection((remote.address, remote.port), TIMEOUT)
    if remote.kind != "ssl" or keys is None:
        return made
    try:
        return keys.client().wrap_socket(made)
    except OSError:
        made.close()
        raise
