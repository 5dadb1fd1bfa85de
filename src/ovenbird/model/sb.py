"""The Southbound database, ovn-sb(5): logical flows, bindings and chassis. Schema 20.41.0, that of OVN 25.03.

Tables, columns, types and constraints are exactly the original's, so that all its programs can connect; a differential
test compares them. Class names are the tables' without underscores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rows import Row
from ovenbird.model.types import (
    boolean,
    database_schema,
    enum,
    integer,
    many,
    optional,
    optional_reference,
    reference,
    reference_map,
    references,
    string,
    string_map,
    strings,
    uuid,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Column, OptionalReference, Reference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class SBGlobal(Row, table="SB_Global", max_rows=1):
    """The row of settings and of `nb_cfg`, the sequence number that controllers acknowledge."""

    __slots__ = ()

    nb_cfg: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()
    connections: References[Connection] = references("Connection")
    ssl: OptionalReference[SSL] = optional_reference("SSL")
    options: Column[dict[str, str]] = string_map()
    ipsec: Column[bool] = boolean()


class Chassis(Row, table="Chassis", indexes=(("name",),)):
    """A hypervisor or gateway, as its controller registered it."""

    __slots__ = ()

    name: Column[str] = string()
    hostname: Column[str] = string()
    encaps: References[Encap] = references("Encap", minimum=1)
    vtep_logical_switches: Column[frozenset[str]] = strings()
    nb_cfg: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()
    other_config: Column[dict[str, str]] = string_map()
    transport_zones: Column[frozenset[str]] = strings()


class ChassisPrivate(Row, table="Chassis_Private", indexes=(("name",),)):
    """Columns that a chassis writes often, in a table of their own that other chassis do not monitor."""

    __slots__ = ()

    name: Column[str] = string()
    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    nb_cfg: Column[int] = integer()
    nb_cfg_timestamp: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()


class Encap(Row, table="Encap", indexes=(("type", "ip"),), root=False):
    """A tunnel endpoint of a chassis."""

    __slots__ = ()

    type: Column[str] = enum("geneve", "stt", "vxlan")
    options: Column[dict[str, str]] = string_map()
    ip: Column[str] = string()
    chassis_name: Column[str] = string()


class AddressSet(Row, table="Address_Set", indexes=(("name",),)):
    """Addresses that a match refers to as `$name`."""

    __slots__ = ()

    name: Column[str] = string()
    addresses: Column[frozenset[str]] = strings()


class PortGroup(Row, table="Port_Group", indexes=(("name",),)):
    """Names of the ports that a match refers to as `@name`."""

    __slots__ = ()

    name: Column[str] = string()
    ports: Column[frozenset[str]] = strings()


class LogicalFlow(Row, table="Logical_Flow"):
    """One match and its actions in one stage of one or several datapaths' pipelines."""

    __slots__ = ()

    logical_datapath: OptionalReference[DatapathBinding] = optional_reference("Datapath_Binding")
    logical_dp_group: OptionalReference[LogicalDPGroup] = optional_reference("Logical_DP_Group")
    pipeline: Column[str] = enum("ingress", "egress")
    table_id: Column[int] = integer(0, 32)
    priority: Column[int] = integer(0, 65_535)
    match: Column[str] = string()
    actions: Column[str] = string()
    tags: Column[dict[str, str]] = string_map()
    controller_meter: Column[str | None] = optional(string())
    external_ids: Column[dict[str, str]] = string_map()
    flow_desc: Column[str | None] = optional(string())


class LogicalDPGroup(Row, table="Logical_DP_Group", root=False):
    """Datapaths that share logical flows."""

    __slots__ = ()

    datapaths: References[DatapathBinding] = references("Datapath_Binding", weak=True)


class MulticastGroup(
    Row,
    table="Multicast_Group",
    indexes=(
        ("datapath", "tunnel_key"),
        ("datapath", "name"),
    ),
):
    """Ports to which one output sends copies of a packet."""

    __slots__ = ()

    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")
    name: Column[str] = string()
    tunnel_key: Column[int] = integer(32_768, 65_535)
    ports: References[PortBinding] = references("Port_Binding", weak=True)


class Mirror(Row, table="Mirror", indexes=(("name",),)):
    """A destination for copies of a port's traffic."""

    __slots__ = ()

    name: Column[str] = string()
    filter: Column[str] = enum("from-lport", "to-lport", "both")
    sink: Column[str] = string()
    type: Column[str] = enum("gre", "erspan", "local")
    index: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()


class Meter(Row, table="Meter", indexes=(("name",),)):
    """A rate limit that flows refer to by name."""

    __slots__ = ()

    name: Column[str] = string()
    unit: Column[str] = enum("kbps", "pktps")
    bands: References[MeterBand] = references("Meter_Band", minimum=1)


class MeterBand(Row, table="Meter_Band", root=False):
    """The action of a meter above one rate."""

    __slots__ = ()

    action: Column[str] = enum("drop")
    rate: Column[int] = integer(1, 4_294_967_295)
    burst_size: Column[int] = integer(0, 4_294_967_295)


class DatapathBinding(Row, table="Datapath_Binding", indexes=(("tunnel_key",),)):
    """A logical switch's or router's identity in the physical network: its tunnel key."""

    __slots__ = ()

    tunnel_key: Column[int] = integer(1, 16_777_215)
    load_balancers: Column[frozenset[UUID]] = many(uuid())
    external_ids: Column[dict[str, str]] = string_map()


class PortBinding(
    Row,
    table="Port_Binding",
    indexes=(
        ("datapath", "tunnel_key"),
        ("logical_port",),
    ),
):
    """A logical port's identity and place: its tunnel key, its chassis, whether it is up."""

    __slots__ = ()

    logical_port: Column[str] = string()
    type: Column[str] = string()
    gateway_chassis: References[GatewayChassis] = references("Gateway_Chassis")
    ha_chassis_group: OptionalReference[HAChassisGroup] = optional_reference("HA_Chassis_Group")
    options: Column[dict[str, str]] = string_map()
    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")
    tunnel_key: Column[int] = integer(1, 32_767)
    parent_port: Column[str | None] = optional(string())
    tag: Column[int | None] = optional(integer(1, 4095))
    virtual_parent: Column[str | None] = optional(string())
    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    additional_chassis: References[Chassis] = references("Chassis", weak=True)
    encap: OptionalReference[Encap] = optional_reference("Encap", weak=True)
    additional_encap: References[Encap] = references("Encap", weak=True)
    mirror_rules: References[Mirror] = references("Mirror", weak=True)
    mac: Column[frozenset[str]] = strings()
    port_security: Column[frozenset[str]] = strings()
    nat_addresses: Column[frozenset[str]] = strings()
    up: Column[bool | None] = optional(boolean())
    external_ids: Column[dict[str, str]] = string_map()
    requested_chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    requested_additional_chassis: References[Chassis] = references("Chassis", weak=True)


class MACBinding(Row, table="MAC_Binding", indexes=(("logical_port", "ip"),)):
    """A neighbour that a router learned."""

    __slots__ = ()

    logical_port: Column[str] = string()
    ip: Column[str] = string()
    mac: Column[str] = string()
    timestamp: Column[int] = integer()
    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")


class DHCPOptions(Row, table="DHCP_Options"):
    """A DHCPv4 option that `put_dhcp_opts` supports."""

    __slots__ = ()

    name: Column[str] = string()
    code: Column[int] = integer(0, 254)
    type: Column[str] = enum("bool", "uint8", "uint16", "uint32", "ipv4", "static_routes", "str", "host_id", "domains")


class DHCPv6Options(Row, table="DHCPv6_Options"):
    """A DHCPv6 option that `put_dhcpv6_opts` supports."""

    __slots__ = ()

    name: Column[str] = string()
    code: Column[int] = integer(0, 254)
    type: Column[str] = enum("ipv6", "str", "mac", "domain")


class Connection(Row, table="Connection", indexes=(("target",),), root=False):
    """A remote or a listener of the database server."""

    __slots__ = ()

    target: Column[str] = string()
    max_backoff: Column[int | None] = optional(integer(1000))
    inactivity_probe: Column[int | None] = optional(integer())
    read_only: Column[bool] = boolean()
    role: Column[str] = string()
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


class DNS(Row, table="DNS"):
    """Names and addresses that native DNS answers, with the datapaths they hold for."""

    __slots__ = ()

    records: Column[dict[str, str]] = string_map()
    datapaths: References[DatapathBinding] = references("Datapath_Binding", minimum=1)
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class RBACRole(Row, table="RBAC_Role"):
    """What a role may do in each table."""

    __slots__ = ()

    name: Column[str] = string()
    permissions: Column[dict[str, UUID]] = reference_map(string(), "RBAC_Permission", weak=True)


class RBACPermission(Row, table="RBAC_Permission"):
    """What may be done in one table, and who owns a row."""

    __slots__ = ()

    table: Column[str] = string()
    authorization: Column[frozenset[str]] = strings()
    insert_delete: Column[bool] = boolean()
    update: Column[frozenset[str]] = strings()


class GatewayChassis(Row, table="Gateway_Chassis", indexes=(("name",),), root=False):
    """A chassis that may host a distributed gateway port, with its priority."""

    __slots__ = ()

    name: Column[str] = string()
    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    priority: Column[int] = integer(0, 32_767)
    external_ids: Column[dict[str, str]] = string_map()
    options: Column[dict[str, str]] = string_map()


class HAChassis(Row, table="HA_Chassis", root=False):
    """A chassis of a high availability group, with its priority."""

    __slots__ = ()

    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    priority: Column[int] = integer(0, 32_767)
    external_ids: Column[dict[str, str]] = string_map()


class HAChassisGroup(Row, table="HA_Chassis_Group", indexes=(("name",),)):
    """Chassis that take over from each other, by priority."""

    __slots__ = ()

    name: Column[str] = string()
    ha_chassis: References[HAChassis] = references("HA_Chassis")
    ref_chassis: References[Chassis] = references("Chassis", weak=True)
    external_ids: Column[dict[str, str]] = string_map()


class ControllerEvent(Row, table="Controller_Event"):
    """An event that a controller reports to the CMS."""

    __slots__ = ()

    event_type: Column[str] = enum("empty_lb_backends")
    event_info: Column[dict[str, str]] = string_map()
    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    seq_num: Column[int] = integer()


class IPMulticast(Row, table="IP_Multicast", indexes=(("datapath",),)):
    """IGMP and MLD snooping settings of one datapath."""

    __slots__ = ()

    datapath: Reference[DatapathBinding] = reference("Datapath_Binding", weak=True)
    enabled: Column[bool | None] = optional(boolean())
    querier: Column[bool | None] = optional(boolean())
    eth_src: Column[str] = string()
    ip4_src: Column[str] = string()
    ip6_src: Column[str] = string()
    table_size: Column[int | None] = optional(integer())
    idle_timeout: Column[int | None] = optional(integer())
    query_interval: Column[int | None] = optional(integer())
    query_max_resp: Column[int | None] = optional(integer())
    seq_no: Column[int] = integer()


class IGMPGroup(Row, table="IGMP_Group", indexes=(("address", "datapath", "chassis"),)):
    """A multicast group joined on one chassis."""

    __slots__ = ()

    address: Column[str] = string()
    protocol: Column[str] = string()
    datapath: OptionalReference[DatapathBinding] = optional_reference("Datapath_Binding", weak=True)
    chassis: OptionalReference[Chassis] = optional_reference("Chassis", weak=True)
    ports: References[PortBinding] = references("Port_Binding", weak=True)
    chassis_name: Column[str] = string()


class ServiceMonitor(Row, table="Service_Monitor", indexes=(("logical_port", "ip", "port", "protocol"),)):
    """A load balancer's backend under probe, with its state."""

    __slots__ = ()

    ip: Column[str] = string()
    protocol: Column[str | None] = optional(enum("tcp", "udp"))
    port: Column[int] = integer(0, 65_535)
    logical_port: Column[str] = string()
    src_mac: Column[str] = string()
    src_ip: Column[str] = string()
    chassis_name: Column[str] = string()
    status: Column[str | None] = optional(enum("online", "offline", "error"))
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class LoadBalancer(Row, table="Load_Balancer"):
    """Virtual addresses and the backends behind each, with the datapaths they hold for."""

    __slots__ = ()

    name: Column[str] = string()
    vips: Column[dict[str, str]] = string_map()
    protocol: Column[str | None] = optional(enum("tcp", "udp", "sctp"))
    datapaths: References[DatapathBinding] = references("Datapath_Binding")
    datapath_group: OptionalReference[LogicalDPGroup] = optional_reference("Logical_DP_Group")
    ls_datapath_group: OptionalReference[LogicalDPGroup] = optional_reference("Logical_DP_Group")
    lr_datapath_group: OptionalReference[LogicalDPGroup] = optional_reference("Logical_DP_Group")
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class BFD(Row, table="BFD", indexes=(("logical_port", "dst_ip", "src_port", "disc"),)):
    """A BFD session that a controller runs."""

    __slots__ = ()

    src_port: Column[int] = integer(49_152, 65_535)
    disc: Column[int] = integer()
    logical_port: Column[str] = string()
    dst_ip: Column[str] = string()
    min_tx: Column[int] = integer()
    min_rx: Column[int] = integer()
    detect_mult: Column[int] = integer()
    status: Column[str] = enum("down", "init", "up", "admin_down")
    external_ids: Column[dict[str, str]] = string_map()
    options: Column[dict[str, str]] = string_map()
    chassis_name: Column[str] = string()


class FDB(Row, table="FDB", indexes=(("mac", "dp_key"),)):
    """The port behind which a switch learned a MAC."""

    __slots__ = ()

    mac: Column[str] = string()
    dp_key: Column[int] = integer(1, 16_777_215)
    port_key: Column[int] = integer(1, 16_777_215)
    timestamp: Column[int] = integer()


class StaticMACBinding(Row, table="Static_MAC_Binding", indexes=(("logical_port", "ip"),)):
    """A neighbour's MAC that is configured instead of learned."""

    __slots__ = ()

    logical_port: Column[str] = string()
    ip: Column[str] = string()
    mac: Column[str] = string()
    override_dynamic_mac: Column[bool] = boolean()
    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")


class ECMPNexthop(Row, table="ECMP_Nexthop", indexes=(("nexthop", "port"),)):
    """A next hop of ECMP routes with symmetric replies, with the MAC that connections through it are marked with."""

    __slots__ = ()

    nexthop: Column[str] = string()
    port: Reference[PortBinding] = reference("Port_Binding")
    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")
    mac: Column[str] = string()
    external_ids: Column[dict[str, str]] = string_map()


class ChassisTemplateVar(Row, table="Chassis_Template_Var", indexes=(("chassis",),)):
    """The values of template variables on one chassis."""

    __slots__ = ()

    chassis: Column[str] = string()
    variables: Column[dict[str, str]] = string_map()


class AdvertisedRoute(
    Row, table="Advertised_Route", indexes=(("datapath", "logical_port", "ip_prefix", "tracked_port"),)
):
    """A route of a router that controllers announce outside of the virtual network."""

    __slots__ = ()

    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")
    logical_port: Reference[PortBinding] = reference("Port_Binding")
    ip_prefix: Column[str] = string()
    tracked_port: OptionalReference[PortBinding] = optional_reference("Port_Binding")
    external_ids: Column[dict[str, str]] = string_map()


class LearnedRoute(Row, table="Learned_Route", indexes=(("datapath", "logical_port", "ip_prefix", "nexthop"),)):
    """A route that a controller learned outside of the virtual network for a router."""

    __slots__ = ()

    datapath: Reference[DatapathBinding] = reference("Datapath_Binding")
    logical_port: Reference[PortBinding] = reference("Port_Binding")
    ip_prefix: Column[str] = string()
    nexthop: Column[str] = string()
    external_ids: Column[dict[str, str]] = string_map()


class ACLID(Row, table="ACL_ID"):
    """The number of an ACL whose connections outlive changes of other ACLs; its row has the ACL's UUID."""

    __slots__ = ()

    id: Column[int] = integer(0, 32_767)


ROWS: tuple[type[Row], ...] = (
    SBGlobal, Chassis, ChassisPrivate, Encap, AddressSet, PortGroup, LogicalFlow, LogicalDPGroup, MulticastGroup,
    Mirror, Meter, MeterBand, DatapathBinding, PortBinding, MACBinding, DHCPOptions, DHCPv6Options, Connection, SSL,
    DNS, RBACRole, RBACPermission, GatewayChassis, HAChassis, HAChassisGroup, ControllerEvent, IPMulticast, IGMPGroup,
    ServiceMonitor, LoadBalancer, BFD, FDB, StaticMACBinding, ECMPNexthop, ChassisTemplateVar, AdvertisedRoute,
    LearnedRoute, ACLID,
)  # fmt: skip
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("OVN_Southbound", version="20.41.0", checksum="2343742948 34719", rows=ROWS)
