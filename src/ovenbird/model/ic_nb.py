"""The Interconnection Northbound database, ovn-ic-nb(5): transit switches that connect availability zones.

Schema 1.2.0, that of OVN 25.03: tables, columns, types and constraints are exactly the original's, so that all its
programs can connect; a differential test compares them. Class names are the tables' without underscores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rows import Row
from ovenbird.model.types import (
    boolean,
    database_schema,
    integer,
    optional,
    optional_reference,
    references,
    string,
    string_map,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, OptionalReference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class ICNBGlobal(Row, table="IC_NB_Global", max_rows=1):
    """The one row of settings, and of where the database is served."""

    __slots__ = ()

    nb_ic_cfg: Column[int] = integer()
    sb_ic_cfg: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()
    connections: References[Connection] = references("Connection")
    ssl: OptionalReference[SSL] = optional_reference("SSL")
    options: Column[dict[str, str]] = string_map()


class TransitSwitch(Row, table="Transit_Switch", indexes=(("name",),)):
    """A logical switch that routers of several availability zones are connected to."""

    __slots__ = ()

    name: Column[str] = string()
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class Connection(Row, table="Connection", indexes=(("target",),), root=False):
    """A remote or a listener of the database server."""

    __slots__ = ()

    target: Column[str] = string()
    max_backoff: Column[int | None] = optional(integer(1000))
    inactivity_probe: Column[int | None] = optional(integer())
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    is_connected: Column[bool] = boolean(ephemeral=True)
    status: Column[dict[str, str]] = string_map(ephemeral=True)


class SSL(Row, table="SSL", root=False, max_rows=1):
    """Keys and certificates of the database server."""

    __slots__ = ()

    private_key: Column[str] = string()
    certificate: Column[str] = string()
    ca_cert: Column[str] = string()
    bootstrap_ca_cert: Column[bool] = boolean()
    ssl_protocols: Column[str] = string()
    ssl_ciphers: Column[str] = string()
    ssl_ciphersuites: Column[str] = string()
    external_ids: Column[dict[str, str]] = string_map()


ROWS: tuple[type[Row], ...] = (ICNBGlobal, TransitSwitch, Connection, SSL)
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("OVN_IC_Northbound", version="1.2.0", checksum="4176728051 3557", rows=ROWS)
