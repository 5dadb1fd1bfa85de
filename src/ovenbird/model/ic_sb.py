"""The Interconnection Southbound database, ovn-ic-sb(5): what availability zones publish to each other.

Schema 1.3.0, that of OVN 25.03: tables, columns, types and constraints are exactly the original's, so that all its
programs can connect; a differential test compares them. Class names are the tables' without underscores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rows import Row
from ovenbird.model.types import (
    boolean,
    database_schema,
    enum,
    integer,
    optional,
    optional_reference,
    reference,
    references,
    string,
    string_map,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, OptionalReference, Reference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class ICSBGlobal(Row, table="IC_SB_Global", max_rows=1):
    """The one row of settings, and of where the database is served."""

    __slots__ = ()

    nb_ic_cfg: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()
    connections: References[Connection] = references("Connection")
    ssl: OptionalReference[SSL] = optional_reference("SSL")
    options: Column[dict[str, str]] = string_map()


class AvailabilityZone(Row, table="Availability_Zone", indexes=(("name",),)):
    """A deployment with Northbound and Southbound databases of its own."""

    __slots__ = ()

    name: Column[str] = string()
    nb_ic_cfg: Column[int] = integer()


class Gateway(Row, table="Gateway", indexes=(("name",),)):
    """A chassis that other availability zones have tunnels to."""

    __slots__ = ()

    name: Column[str] = string()
    availability_zone: Reference[AvailabilityZone] = reference("Availability_Zone")
    hostname: Column[str] = string()
    encaps: References[Encap] = references("Encap", minimum=1)
    external_ids: Column[dict[str, str]] = string_map()


class Encap(Row, table="Encap", indexes=(("type", "ip"),), root=False):
    """A tunnel endpoint of a gateway."""

    __slots__ = ()

    type: Column[str] = enum("geneve", "stt", "vxlan")
    options: Column[dict[str, str]] = string_map()
    ip: Column[str] = string()
    gateway_name: Column[str] = string()


class DatapathBinding(Row, table="Datapath_Binding", indexes=(("tunnel_key",),)):
    """The tunnel key of a transit switch, which is the same in all availability zones."""

    __slots__ = ()

    transit_switch: Column[str] = string()
    tunnel_key: Column[int] = integer(1, 16_777_215)
    external_ids: Column[dict[str, str]] = string_map()


class PortBinding(
    Row,
    table="Port_Binding",
    indexes=(
        ("transit_switch", "tunnel_key"),
        ("logical_port",),
    ),
):
    """A port of a transit switch: the availability zone and the gateway that it is in, its tunnel key and addresses."""

    __slots__ = ()

    logical_port: Column[str] = string()
    transit_switch: Column[str] = string()
    availability_zone: Reference[AvailabilityZone] = reference("Availability_Zone")
    tunnel_key: Column[int] = integer(1, 32_767)
    gateway: Column[str] = string()
    encap: OptionalReference[Encap] = optional_reference("Encap", weak=True)
    address: Column[str] = string()
    external_ids: Column[dict[str, str]] = string_map()


class Route(
    Row,
    table="Route",
    indexes=(("transit_switch", "availability_zone", "route_table", "ip_prefix", "nexthop"),),
):
    """A route that an availability zone advertises on a transit switch."""

    __slots__ = ()

    transit_switch: Column[str] = string()
    availability_zone: Reference[AvailabilityZone] = reference("Availability_Zone")
    route_table: Column[str] = string()
    ip_prefix: Column[str] = string()
    nexthop: Column[str] = string()
    origin: Column[str] = enum("connected", "static")
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


ROWS: tuple[type[Row], ...] = (
    ICSBGlobal, AvailabilityZone, Gateway, Encap, DatapathBinding, PortBinding, Route, Connection, SSL,
)  # fmt: skip
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("OVN_IC_Southbound", version="1.3.0", checksum="3496599919 7088", rows=ROWS)
