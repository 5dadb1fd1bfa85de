"""The Northbound database, ovn-nb(5): logical networks as a cloud describes them. Schema 7.11.0, that of OVN 25.03.

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
    mapping,
    optional,
    optional_reference,
    references,
    string,
    string_map,
    strings,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, OptionalReference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class NBGlobal(Row, table="NB_Global", max_rows=1):
    """The row of settings and sequence numbers: clients increment `nb_cfg`; `sb_cfg` and `hv_cfg` acknowledge it."""

    __slots__ = ()

    name: Column[str] = string()
    nb_cfg: Column[int] = integer()
    nb_cfg_timestamp: Column[int] = integer()
    sb_cfg: Column[int] = integer()
    sb_cfg_timestamp: Column[int] = integer()
    hv_cfg: Column[int] = integer()
    hv_cfg_timestamp: Column[int] = integer()
    external_ids: Column[dict[str, str]] = string_map()
    connections: References[Connection] = references("Connection")
    ssl: OptionalReference[SSL] = optional_reference("SSL")
    options: Column[dict[str, str]] = string_map()
    ipsec: Column[bool] = boolean()


class SampleCollector(Row, table="Sample_Collector", indexes=(("id",),)):
    """A set of IPFIX collectors and the share of packets that it receives."""

    __slots__ = ()

    id: Column[int] = integer(1, 255)
    name: Column[str] = string()
    probability: Column[int] = integer(0, 65_535)
    set_id: Column[int] = integer(1, 4_294_967_295)
    external_ids: Column[dict[str, str]] = string_map()


class Sample(Row, table="Sample", indexes=(("metadata",),), root=False):
    """Where the packets of an ACL are sampled to, and the number that they are reported with."""

    __slots__ = ()

    collectors: References[SampleCollector] = references("Sample_Collector")
    metadata: Column[int] = integer(1, 4_294_967_295)


class Copp(Row, table="Copp", indexes=(("name",),)):
    """Control plane protection: for each protocol that reaches a controller, the meter that limits it."""

    __slots__ = ()

    name: Column[str] = string()
    meters: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class LogicalSwitch(Row, table="Logical_Switch"):
    """An L2 network: ports, ACLs, QoS rules, load balancers, DNS records."""

    __slots__ = ()

    name: Column[str] = string()
    ports: References[LogicalSwitchPort] = references("Logical_Switch_Port")
    acls: References[ACL] = references("ACL")
    qos_rules: References[QoS] = references("QoS")
    load_balancer: References[LoadBalancer] = references("Load_Balancer", weak=True)
    load_balancer_group: References[LoadBalancerGroup] = references("Load_Balancer_Group")
    dns_records: References[DNS] = references("DNS", weak=True)
    copp: OptionalReference[Copp] = optional_reference("Copp", weak=True)
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    forwarding_groups: References[ForwardingGroup] = references("Forwarding_Group")


class LogicalSwitchPort(Row, table="Logical_Switch_Port", indexes=(("name",),), root=False):
    """A port of a logical switch: an instance's interface, a router's peer, a localnet, a localport."""

    __slots__ = ()

    name: Column[str] = string()
    type: Column[str] = string()
    options: Column[dict[str, str]] = string_map()
    parent_name: Column[str | None] = optional(string())
    tag_request: Column[int | None] = optional(integer(0, 4095))
    tag: Column[int | None] = optional(integer(1, 4095))
    addresses: Column[frozenset[str]] = strings()
    dynamic_addresses: Column[str | None] = optional(string())
    port_security: Column[frozenset[str]] = strings()
    peer: Column[str | None] = optional(string())
    up: Column[bool | None] = optional(boolean())
    enabled: Column[bool | None] = optional(boolean())
    dhcpv4_options: OptionalReference[DHCPOptions] = optional_reference("DHCP_Options", weak=True)
    dhcpv6_options: OptionalReference[DHCPOptions] = optional_reference("DHCP_Options", weak=True)
    mirror_rules: References[Mirror] = references("Mirror", weak=True)
    ha_chassis_group: OptionalReference[HAChassisGroup] = optional_reference("HA_Chassis_Group")
    external_ids: Column[dict[str, str]] = string_map()


class ForwardingGroup(Row, table="Forwarding_Group", root=False):
    """Switch ports behind one virtual address, chosen by hash."""

    __slots__ = ()

    name: Column[str] = string()
    vip: Column[str] = string()
    vmac: Column[str] = string()
    liveness: Column[bool] = boolean()
    external_ids: Column[dict[str, str]] = string_map()
    child_port: Column[frozenset[str]] = strings(minimum=1)


class AddressSet(Row, table="Address_Set", indexes=(("name",),)):
    """Addresses that a match refers to as `$name`."""

    __slots__ = ()

    name: Column[str] = string()
    addresses: Column[frozenset[str]] = strings()
    external_ids: Column[dict[str, str]] = string_map()


class PortGroup(Row, table="Port_Group", indexes=(("name",),)):
    """Switch ports that a match refers to as `@name`; its ACLs apply to each of them."""

    __slots__ = ()

    name: Column[str] = string()
    ports: References[LogicalSwitchPort] = references("Logical_Switch_Port", weak=True)
    acls: References[ACL] = references("ACL")
    external_ids: Column[dict[str, str]] = string_map()


class LoadBalancer(Row, table="Load_Balancer"):
    """Virtual addresses and the backends behind each."""

    __slots__ = ()

    name: Column[str] = string()
    vips: Column[dict[str, str]] = string_map()
    protocol: Column[str | None] = optional(enum("tcp", "udp", "sctp"))
    health_check: References[LoadBalancerHealthCheck] = references("Load_Balancer_Health_Check")
    ip_port_mappings: Column[dict[str, str]] = string_map()
    selection_fields: Column[frozenset[str]] = many(
        enum("eth_src", "eth_dst", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst")
    )
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class LoadBalancerGroup(Row, table="Load_Balancer_Group", indexes=(("name",),)):
    """Load balancers that switches and routers refer to as a group."""

    __slots__ = ()

    name: Column[str] = string()
    load_balancer: References[LoadBalancer] = references("Load_Balancer", weak=True)


class LoadBalancerHealthCheck(Row, table="Load_Balancer_Health_Check", root=False):
    """How the backends of one virtual address are probed."""

    __slots__ = ()

    vip: Column[str] = string()
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class ACL(Row, table="ACL", root=False):
    """One rule of a switch's or a port group's access control list."""

    __slots__ = ()

    name: Column[str | None] = optional(string(max_length=63))
    priority: Column[int] = integer(0, 32_767)
    direction: Column[str] = enum("from-lport", "to-lport")
    match: Column[str] = string()
    action: Column[str] = enum("allow", "allow-related", "allow-stateless", "drop", "reject", "pass")
    log: Column[bool] = boolean()
    severity: Column[str | None] = optional(enum("alert", "warning", "notice", "info", "debug"))
    meter: Column[str | None] = optional(string())
    label: Column[int] = integer(0, 4_294_967_295)
    tier: Column[int] = integer(0, 3)
    sample_new: OptionalReference[Sample] = optional_reference("Sample")
    sample_est: OptionalReference[Sample] = optional_reference("Sample")
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class QoS(Row, table="QoS", root=False):
    """A DSCP mark or a rate for the traffic that matches."""

    __slots__ = ()

    priority: Column[int] = integer(0, 32_767)
    direction: Column[str] = enum("from-lport", "to-lport")
    match: Column[str] = string()
    action: Column[dict[str, int]] = mapping(enum("dscp", "mark"), integer(0, 4_294_967_295))
    bandwidth: Column[dict[str, int]] = mapping(enum("rate", "burst"), integer(1, 4_294_967_295))
    external_ids: Column[dict[str, str]] = string_map()


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
    """A rate limit that ACL logs, control plane protection and QoS refer to by name."""

    __slots__ = ()

    name: Column[str] = string()
    unit: Column[str] = enum("kbps", "pktps")
    bands: References[MeterBand] = references("Meter_Band", minimum=1)
    fair: Column[bool | None] = optional(boolean())
    external_ids: Column[dict[str, str]] = string_map()


class MeterBand(Row, table="Meter_Band", root=False):
    """The action of a meter above one rate."""

    __slots__ = ()

    action: Column[str] = enum("drop")
    rate: Column[int] = integer(1, 4_294_967_295)
    burst_size: Column[int] = integer(0, 4_294_967_295)
    external_ids: Column[dict[str, str]] = string_map()


class LogicalRouter(Row, table="Logical_Router"):
    """An L3 router: ports, routes, policies, NAT, load balancers."""

    __slots__ = ()

    name: Column[str] = string()
    ports: References[LogicalRouterPort] = references("Logical_Router_Port")
    static_routes: References[LogicalRouterStaticRoute] = references("Logical_Router_Static_Route")
    policies: References[LogicalRouterPolicy] = references("Logical_Router_Policy")
    enabled: Column[bool | None] = optional(boolean())
    nat: References[NAT] = references("NAT")
    load_balancer: References[LoadBalancer] = references("Load_Balancer", weak=True)
    load_balancer_group: References[LoadBalancerGroup] = references("Load_Balancer_Group")
    copp: OptionalReference[Copp] = optional_reference("Copp", weak=True)
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class LogicalRouterPort(Row, table="Logical_Router_Port", indexes=(("name",),), root=False):
    """A port of a logical router."""

    __slots__ = ()

    name: Column[str] = string()
    gateway_chassis: References[GatewayChassis] = references("Gateway_Chassis")
    ha_chassis_group: OptionalReference[HAChassisGroup] = optional_reference("HA_Chassis_Group")
    options: Column[dict[str, str]] = string_map()
    networks: Column[frozenset[str]] = strings()
    mac: Column[str] = string()
    peer: Column[str | None] = optional(string())
    enabled: Column[bool | None] = optional(boolean())
    ipv6_ra_configs: Column[dict[str, str]] = string_map()
    ipv6_prefix: Column[frozenset[str]] = strings()
    dhcp_relay: OptionalReference[DHCPRelay] = optional_reference("DHCP_Relay")
    external_ids: Column[dict[str, str]] = string_map()
    status: Column[dict[str, str]] = string_map()


class LogicalRouterStaticRoute(Row, table="Logical_Router_Static_Route", root=False):
    """A static route."""

    __slots__ = ()

    route_table: Column[str] = string()
    ip_prefix: Column[str] = string()
    policy: Column[str | None] = optional(enum("src-ip", "dst-ip"))
    nexthop: Column[str] = string()
    output_port: Column[str | None] = optional(string())
    bfd: OptionalReference[BFD] = optional_reference("BFD", weak=True)
    selection_fields: Column[frozenset[str]] = many(
        enum("eth_src", "eth_dst", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst")
    )
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class LogicalRouterPolicy(Row, table="Logical_Router_Policy", root=False):
    """A routing decision by match, which takes precedence over routes."""

    __slots__ = ()

    priority: Column[int] = integer(0, 32_767)
    chain: Column[str | None] = optional(string())
    match: Column[str] = string()
    action: Column[str] = enum("allow", "drop", "reroute", "jump")
    jump_chain: Column[str | None] = optional(string())
    nexthop: Column[str | None] = optional(string())
    nexthops: Column[frozenset[str]] = strings()
    bfd_sessions: References[BFD] = references("BFD", weak=True)
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class NAT(Row, table="NAT", root=False):
    """One translation of a router: source, destination, or both (a floating address)."""

    __slots__ = ()

    external_ip: Column[str] = string()
    external_mac: Column[str | None] = optional(string())
    external_port_range: Column[str] = string()
    logical_ip: Column[str] = string()
    logical_port: Column[str | None] = optional(string())
    type: Column[str] = enum("dnat", "snat", "dnat_and_snat")
    allowed_ext_ips: OptionalReference[AddressSet] = optional_reference("Address_Set")
    exempted_ext_ips: OptionalReference[AddressSet] = optional_reference("Address_Set")
    gateway_port: OptionalReference[LogicalRouterPort] = optional_reference("Logical_Router_Port", weak=True)
    priority: Column[int] = integer(0, 32_767)
    match: Column[str] = string()
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class DHCPOptions(Row, table="DHCP_Options"):
    """The options that native DHCP sends to the ports that refer to the row."""

    __slots__ = ()

    cidr: Column[str] = string()
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class DHCPRelay(Row, table="DHCP_Relay"):
    """The DHCP server that a router's port relays the requests of its network to."""

    __slots__ = ()

    name: Column[str] = string()
    servers: Column[str | None] = optional(string())
    options: Column[dict[str, str]] = string_map()
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


class DNS(Row, table="DNS"):
    """Names and addresses that native DNS answers."""

    __slots__ = ()

    records: Column[dict[str, str]] = string_map()
    options: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


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


class GatewayChassis(Row, table="Gateway_Chassis", indexes=(("name",),), root=False):
    """A chassis that may host a distributed gateway port, with its priority."""

    __slots__ = ()

    name: Column[str] = string()
    chassis_name: Column[str] = string()
    priority: Column[int] = integer(0, 32_767)
    external_ids: Column[dict[str, str]] = string_map()
    options: Column[dict[str, str]] = string_map()


class HAChassis(Row, table="HA_Chassis", root=False):
    """A chassis of a high availability group, with its priority."""

    __slots__ = ()

    chassis_name: Column[str] = string()
    priority: Column[int] = integer(0, 32_767)
    external_ids: Column[dict[str, str]] = string_map()


class HAChassisGroup(Row, table="HA_Chassis_Group", indexes=(("name",),)):
    """Chassis that take over from each other, by priority."""

    __slots__ = ()

    name: Column[str] = string()
    ha_chassis: References[HAChassis] = references("HA_Chassis")
    external_ids: Column[dict[str, str]] = string_map()


class BFD(Row, table="BFD", indexes=(("logical_port", "dst_ip"),)):
    """A BFD session from a router port to a next hop."""

    __slots__ = ()

    logical_port: Column[str] = string()
    dst_ip: Column[str] = string()
    min_tx: Column[int | None] = optional(integer(1))
    min_rx: Column[int | None] = optional(integer())
    detect_mult: Column[int | None] = optional(integer(1))
    status: Column[str | None] = optional(enum("down", "init", "up", "admin_down"))
    external_ids: Column[dict[str, str]] = string_map()
    options: Column[dict[str, str]] = string_map()


class StaticMACBinding(Row, table="Static_MAC_Binding", indexes=(("logical_port", "ip"),)):
    """A neighbour's MAC that is configured instead of learned."""

    __slots__ = ()

    logical_port: Column[str] = string()
    ip: Column[str] = string()
    mac: Column[str] = string()
    override_dynamic_mac: Column[bool] = boolean()


class ChassisTemplateVar(Row, table="Chassis_Template_Var", indexes=(("chassis",),)):
    """The values of template variables on one chassis."""

    __slots__ = ()

    chassis: Column[str] = string()
    variables: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class SamplingApp(Row, table="Sampling_App", indexes=(("type",),)):
    """The number by which the samples of one application are recognized in the observation domain."""

    __slots__ = ()

    type: Column[str] = enum("drop", "acl-new", "acl-est")
    id: Column[int] = integer(1, 255)
    external_ids: Column[dict[str, str]] = string_map()


ROWS: tuple[type[Row], ...] = (
    NBGlobal, SampleCollector, Sample, Copp, LogicalSwitch, LogicalSwitchPort, ForwardingGroup, AddressSet, PortGroup,
    LoadBalancer, LoadBalancerGroup, LoadBalancerHealthCheck, ACL, QoS, Mirror, Meter, MeterBand, LogicalRouter,
    LogicalRouterPort, LogicalRouterStaticRoute, LogicalRouterPolicy, NAT, DHCPOptions, DHCPRelay, Connection, DNS, SSL,
    GatewayChassis, HAChassis, HAChassisGroup, BFD, StaticMACBinding, ChassisTemplateVar, SamplingApp,
)  # fmt: skip
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("OVN_Northbound", version="7.11.0", checksum="2520708261 39034", rows=ROWS)
