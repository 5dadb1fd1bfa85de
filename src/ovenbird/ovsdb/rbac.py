"""Role-based access control: what the clients of a remote may change (ovsdb-server(7), sections 3.2 and 4.1.3).

A remote has a role, and its clients are identified by the common names of their certificates. The role's row in
`RBAC_Role` names for each table a row of `RBAC_Permission`: the columns by which a row belongs to a client
(`authorization`), whether such rows may be inserted and deleted, and which of their columns may be changed. Everything
else is refused. Reading is not restricted. A database without `RBAC_Role`, or a remote without a role, has no such
control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass
from ovenbird.ovsdb.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.engine.rows import Row
    from ovenbird.ovsdb.table import BoundTable

_ROLES, _PERMISSIONS = "RBAC_Role", "RBAC_Permission"


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """The permissions of a remote's clients.

    Arguments:
        role: the name of their role; empty for unlimited access.
        read_only: whether they may change nothing.
    """

    role: str = ""
    read_only: bool = False


FULL = ClientAccess()
"""Unlimited access."""


@dataclass(frozen=True, slots=True)
class _Permission:
    """A row of `RBAC_Permission`."""

    authorization: frozenset[str]
    insert_delete: bool
    update: frozenset[str]


class Authority:
    """The permissions of one client in one database.

    Arguments:
        tables: the database's tables.
        role: the client's role.
        client: the common name in its certificate; empty if it showed none.
    """

    def __init__(self, tables: Mapping[str, BoundTable], *, role: str, client: str) -> None:
        self._tables = tables
        self._role = role
        self._client = client
        self._unlimited = not role or _ROLES not in tables
        self._found: dict[str, _Permission | None] = {}

    def check_insert(self, table: BoundTable, values: list[Any]) -> None:
        """Check that a row may be inserted.

        Raises:
            PermissionDenied: the role forbids it.
        """
        if self._unlimited:
            return
        permission = self._permission(table)
        if permission is None or not permission.insert_delete or not self._owns(permission, table, values):
            raise self._denied(f"row insertion into table {_quoted(table.name)}")

    def check_delete(self, table: BoundTable, rows: Iterable[list[Any]]) -> None:
        """Check that rows may be deleted.

        Raises:
            PermissionDenied: the role forbids it for one.
        """
        if self._unlimited:
            return
        permission = self._permission(table)
        found = list(rows)
        if permission is None or (
            found and not (permission.insert_delete and self._owns_all(permission, table, found))
        ):
            raise self._denied(f"row deletion from table {_quoted(table.name)}")

    def check_change(self, table: BoundTable, columns: Iterable[int], rows: Iterable[list[Any]], what: str) -> None:
        """Check that columns of rows may be changed.

        Arguments:
            table: the table.
            columns: the columns' positions.
            rows: the rows' values.
            what: the operation, for the refusal.

        Raises:
            PermissionDenied: the role forbids it.
        """
        if self._unlimited:
            return
        permission = self._permission(table)
        names = {table.layout[position].name for position in columns}
        found = list(rows)
        if permission is None or (
            found and not (names <= permission.update and self._owns_all(permission, table, found))
        ):
            raise self._denied(f"{what} table {_quoted(table.name)}")

    def _denied(self, what: str) -> PermissionDenied:
        return PermissionDenied(
            f"RBAC rules for client {_quoted(self._client)} role {_quoted(self._role)} prohibit {what}."
        )

    def _permission(self, table: BoundTable) -> _Permission | None:
        """Return the role's permission for a table; None if there is none."""
        if table.name not in self._found:
            self._found[table.name] = self._look_up(table.name) if self._client else None
        return self._found[table.name]

    def _look_up(self, table: str) -> _Permission | None:
        roles: Iterable[Row] = self._tables[_ROLES].table.rows.values()
        role = next((row for row in roles if row["name"] == self._role), None)
        if role is None or _PERMISSIONS not in self._tables:
            return None
        row = self._tables[_PERMISSIONS].table.rows.get(role["permissions"].get(table))
        return None if row is None else _Permission(row["authorization"], row["insert_delete"], row["update"])

    def _owns_all(self, permission: _Permission, table: BoundTable, rows: Iterable[list[Any]]) -> bool:
        return "" in permission.authorization or all(self._owns(permission, table, values) for values in rows)

    def _owns(self, permission: _Permission, table: BoundTable, values: list[Any]) -> bool:
        """Return whether the client owns a row, by one of the authorization columns."""
        if "" in permission.authorization:
            return True
        for entry in permission.authorization:
            name, has_key, key = entry.partition(":")
            position = table.position.get(name)
            if position is None:
                continue
            value = values[position]
            if has_key:
                value = value.get(key) if isinstance(value, dict) else None
            if value == self._client:
                return True
        return False


def _quoted(name: str) -> str:
    return f'"{name}"'
