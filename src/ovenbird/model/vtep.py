"""The database of VTEP gateways, vtep(5): physical switches and what lies behind them. Schema hardware_vtep 1.7.0.

Tables, columns, types and constraints are exactly those of Open vSwitch 3.1; a differential test compares them. Class
names are the tables' without underscores.
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
    reference,
    reference_map,
    references,
    string,
    string_map,
    strings,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Column, Reference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class Global(Row, table="Global", max_rows=1):
    """The root: the physical switches, and the servers to listen for."""

    __slots__ = ()

    managers: References[Manager] = references("Manager")
    switches: References[PhysicalSwitch] = references("Physical_Switch")
    other_config: Column[dict[str, str]] = string_map()


class PhysicalSwitch(Row, table="Physical_Switch", indexes=(("name",),), root=False):
    """A physical switch, which is a gateway: its ports and tunnel endpoints."""

    __slots__ = ()

    ports: References[PhysicalPort] = references("Physical_Port")
    name: Column[str] = string()
    description: Column[str] = string()
    management_ips: Column[frozenset[str]] = strings()
    tunnel_ips: Column[frozenset[str]] = strings()
    tunnels: References[Tunnel] = references("Tunnel")
    other_config: Column[dict[str, str]] = string_map()
    switch_fault_status: Column[frozenset[str]] = strings(ephemeral=True)


class PhysicalPort(Row, table="Physical_Port", root=False):
    """A port of a physical switch, with the logical switch of each of its VLANs."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    vlan_bindings: Column[dict[int, UUID]] = reference_map(integer(0, 4095), "Logical_Switch")
    acl_bindings: Column[dict[int, UUID]] = reference_map(integer(0, 4095), "ACL")
    vlan_stats: Column[dict[int, UUID]] = reference_map(integer(0, 4095), "Logical_Binding_Stats", ephemeral=True)
    other_config: Column[dict[str, str]] = string_map()
    port_fault_status: Column[frozenset[str]] = strings(ephemeral=True)


class Tunnel(Row, table="Tunnel", root=False):
    """A tunnel between two gateways, with the BFD session in it."""

    __slots__ = ()

    local: Reference[PhysicalLocator] = reference("Physical_Locator")
    remote: Reference[PhysicalLocator] = reference("Physical_Locator")
    bfd_config_local: Column[dict[str, str]] = string_map()
    bfd_config_remote: Column[dict[str, str]] = string_map()
    bfd_params: Column[dict[str, str]] = string_map()
    bfd_status: Column[dict[str, str]] = string_map(ephemeral=True)


class LogicalBindingStats(Row, table="Logical_Binding_Stats", root=False):
    """Counters of one port's VLAN."""

    __slots__ = ()

    bytes_from_local: Column[int] = integer(ephemeral=True)
    packets_from_local: Column[int] = integer(ephemeral=True)
    bytes_to_local: Column[int] = integer(ephemeral=True)
    packets_to_local: Column[int] = integer(ephemeral=True)


class LogicalSwitch(Row, table="Logical_Switch", indexes=(("name",),)):
    """A network that reaches behind physical switches; its tunnel key is the VNI."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    tunnel_key: Column[int | None] = optional(integer())
    replication_mode: Column[str | None] = optional(enum("service_node", "source_node"))
    other_config: Column[dict[str, str]] = string_map()


class UcastMacsLocal(Row, table="Ucast_Macs_Local"):
    """A MAC that a physical switch has learned behind one of its ports."""

    __slots__ = ()

    MAC: Column[str] = string()
    logical_switch: Reference[LogicalSwitch] = reference("Logical_Switch")
    locator: Reference[PhysicalLocator] = reference("Physical_Locator")
    ipaddr: Column[str] = string()


class UcastMacsRemote(Row, table="Ucast_Macs_Remote"):
    """A MAC that is reached through a tunnel."""

    __slots__ = ()

    MAC: Column[str] = string()
    logical_switch: Reference[LogicalSwitch] = reference("Logical_Switch")
    locator: Reference[PhysicalLocator] = reference("Physical_Locator")
    ipaddr: Column[str] = string()


class McastMacsLocal(Row, table="Mcast_Macs_Local"):
    """Where a physical switch wants packets to many, or to unknown MACs."""

    __slots__ = ()

    MAC: Column[str] = string()
    logical_switch: Reference[LogicalSwitch] = reference("Logical_Switch")
    locator_set: Reference[PhysicalLocatorSet] = reference("Physical_Locator_Set")
    ipaddr: Column[str] = string()


class McastMacsRemote(Row, table="Mcast_Macs_Remote"):
    """Where packets to many, or to unknown MACs, are sent."""

    __slots__ = ()

    MAC: Column[str] = string()
    logical_switch: Reference[LogicalSwitch] = reference("Logical_Switch")
    locator_set: Reference[PhysicalLocatorSet] = reference("Physical_Locator_Set")
    ipaddr: Column[str] = string()


class LogicalRouter(Row, table="Logical_Router", indexes=(("name",),)):
    """A router between logical switches."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    switch_binding: Column[dict[str, UUID]] = reference_map(string(), "Logical_Switch")
    static_routes: Column[dict[str, str]] = string_map()
    acl_binding: Column[dict[str, UUID]] = reference_map(string(), "ACL")
    other_config: Column[dict[str, str]] = string_map()
    LR_fault_status: Column[frozenset[str]] = strings(ephemeral=True)


class ArpSourcesLocal(Row, table="Arp_Sources_Local"):
    """A source of ARP behind the physical switch, for distributed routing."""

    __slots__ = ()

    src_mac: Column[str] = string()
    locator: Reference[PhysicalLocator] = reference("Physical_Locator")


class ArpSourcesRemote(Row, table="Arp_Sources_Remote"):
    """A source of ARP behind other tunnel endpoints."""

    __slots__ = ()

    src_mac: Column[str] = string()
    locator: Reference[PhysicalLocator] = reference("Physical_Locator")


class PhysicalLocatorSet(Row, table="Physical_Locator_Set", root=False):
    """Tunnel endpoints that each get a copy; a set never changes."""

    __slots__ = ()

    locators: References[PhysicalLocator] = references("Physical_Locator", minimum=1, mutable=False)


class PhysicalLocator(
    Row, table="Physical_Locator", indexes=(("encapsulation_type", "dst_ip", "tunnel_key"),), root=False
):
    """A tunnel endpoint."""

    __slots__ = ()

    encapsulation_type: Column[str] = enum("vxlan_over_ipv4", mutable=False)
    dst_ip: Column[str] = string(mutable=False)
    tunnel_key: Column[int | None] = optional(integer())


class ACLEntry(Row, table="ACL_entry"):
    """A rule of an access control list."""

    __slots__ = ()

    sequence: Column[int] = integer()
    source_mac: Column[str | None] = optional(string())
    dest_mac: Column[str | None] = optional(string())
    ethertype: Column[str | None] = optional(string())
    source_ip: Column[str | None] = optional(string())
    source_mask: Column[str | None] = optional(string())
    dest_ip: Column[str | None] = optional(string())
    dest_mask: Column[str | None] = optional(string())
    protocol: Column[int | None] = optional(integer())
    source_port_min: Column[int | None] = optional(integer())
    source_port_max: Column[int | None] = optional(integer())
    dest_port_min: Column[int | None] = optional(integer())
    dest_port_max: Column[int | None] = optional(integer())
    tcp_flags: Column[int | None] = optional(integer())
    tcp_flags_mask: Column[int | None] = optional(integer())
    icmp_code: Column[int | None] = optional(integer())
    icmp_type: Column[int | None] = optional(integer())
    direction: Column[str] = enum("ingress", "egress")
    action: Column[str] = enum("permit", "deny")
    acle_fault_status: Column[frozenset[str]] = strings(ephemeral=True)


class ACL(Row, table="ACL", indexes=(("acl_name",),)):
    """An access control list."""

    __slots__ = ()

    acl_entries: References[ACLEntry] = references("ACL_entry", minimum=1)
    acl_name: Column[str] = string()
    acl_fault_status: Column[frozenset[str]] = strings(ephemeral=True)


class Manager(Row, table="Manager", indexes=(("target",),), root=False):
    """An OVSDB connection of the database server."""

    __slots__ = ()

    target: Column[str] = string()
    max_backoff: Column[int | None] = optional(integer(1000))
    inactivity_probe: Column[int | None] = optional(integer())
    other_config: Column[dict[str, str]] = string_map()
    is_connected: Column[bool] = boolean(ephemeral=True)
    status: Column[dict[str, str]] = string_map(ephemeral=True)


ROWS: tuple[type[Row], ...] = (
    Global, PhysicalSwitch, PhysicalPort, Tunnel, LogicalBindingStats, LogicalSwitch, UcastMacsLocal, UcastMacsRemote,
    McastMacsLocal, McastMacsRemote, LogicalRouter, ArpSourcesLocal, ArpSourcesRemote, PhysicalLocatorSet,
    PhysicalLocator, ACLEntry, ACL, Manager,
)  # fmt: skip
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("hardware_vtep", version="1.7.0", checksum="353943336 11434", rows=ROWS)
