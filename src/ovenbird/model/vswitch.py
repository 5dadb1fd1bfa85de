"""The switch's own database, ovs-vswitchd.conf.db(5), schema 8.3.1: bridges, ports and interfaces of one host.

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
    many,
    mapping,
    optional,
    optional_reference,
    reference,
    reference_map,
    references,
    string,
    string_map,
    strings,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Column, OptionalReference, Reference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


class OpenVSwitch(Row, table="Open_vSwitch", max_rows=1):
    """The row of the switch's configuration and state; the switch acknowledges `next_cfg` in `cur_cfg`."""

    __slots__ = ()

    datapaths: Column[dict[str, UUID]] = reference_map(string(), "Datapath")
    bridges: References[Bridge] = references("Bridge")
    manager_options: References[Manager] = references("Manager")
    ssl: OptionalReference[SSL] = optional_reference("SSL")
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    next_cfg: Column[int] = integer()
    cur_cfg: Column[int] = integer()
    statistics: Column[dict[str, str]] = string_map(ephemeral=True)
    ovs_version: Column[str | None] = optional(string())
    db_version: Column[str | None] = optional(string())
    system_type: Column[str | None] = optional(string())
    system_version: Column[str | None] = optional(string())
    datapath_types: Column[frozenset[str]] = strings()
    iface_types: Column[frozenset[str]] = strings()
    dpdk_initialized: Column[bool] = boolean()
    dpdk_version: Column[str | None] = optional(string())


class Bridge(Row, table="Bridge", indexes=(("name",),), root=False):
    """An OpenFlow switch."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    datapath_type: Column[str] = string()
    datapath_version: Column[str] = string()
    datapath_id: Column[str | None] = optional(string(), ephemeral=True)
    stp_enable: Column[bool] = boolean()
    rstp_enable: Column[bool] = boolean()
    mcast_snooping_enable: Column[bool] = boolean()
    ports: References[Port] = references("Port")
    mirrors: References[Mirror] = references("Mirror")
    netflow: OptionalReference[NetFlow] = optional_reference("NetFlow")
    sflow: OptionalReference[SFlow] = optional_reference("sFlow")
    ipfix: OptionalReference[IPFIX] = optional_reference("IPFIX")
    controller: References[Controller] = references("Controller")
    protocols: Column[frozenset[str]] = many(
        enum("OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15")
    )
    fail_mode: Column[str | None] = optional(enum("standalone", "secure"))
    status: Column[dict[str, str]] = string_map(ephemeral=True)
    rstp_status: Column[dict[str, str]] = string_map(ephemeral=True)
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    flood_vlans: Column[frozenset[int]] = many(integer(0, 4095), maximum=4096)
    flow_tables: Column[dict[int, UUID]] = reference_map(integer(0, 254), "Flow_Table")
    auto_attach: OptionalReference[AutoAttach] = optional_reference("AutoAttach")


class Port(Row, table="Port", indexes=(("name",),), root=False):
    """One interface of a bridge, or a bond of several."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    interfaces: References[Interface] = references("Interface", minimum=1)
    trunks: Column[frozenset[int]] = many(integer(0, 4095), maximum=4096)
    cvlans: Column[frozenset[int]] = many(integer(0, 4095), maximum=4096)
    tag: Column[int | None] = optional(integer(0, 4095))
    vlan_mode: Column[str | None] = optional(
        enum("trunk", "access", "native-tagged", "native-untagged", "dot1q-tunnel")
    )
    qos: OptionalReference[QoS] = optional_reference("QoS")
    mac: Column[str | None] = optional(string())
    bond_mode: Column[str | None] = optional(enum("balance-tcp", "balance-slb", "active-backup"))
    lacp: Column[str | None] = optional(enum("active", "passive", "off"))
    bond_updelay: Column[int] = integer()
    bond_downdelay: Column[int] = integer()
    bond_active_slave: Column[str | None] = optional(string())
    bond_fake_iface: Column[bool] = boolean()
    fake_bridge: Column[bool] = boolean()
    status: Column[dict[str, str]] = string_map(ephemeral=True)
    rstp_status: Column[dict[str, str]] = string_map(ephemeral=True)
    rstp_statistics: Column[dict[str, int]] = mapping(string(), integer(), ephemeral=True)
    statistics: Column[dict[str, int]] = mapping(string(), integer(), ephemeral=True)
    protected: Column[bool] = boolean()
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class Interface(Row, table="Interface", indexes=(("name",),), root=False):
    """A network device or tunnel within a port."""

    __slots__ = ()

    name: Column[str] = string(mutable=False)
    type: Column[str] = string()
    options: Column[dict[str, str]] = string_map()
    ingress_policing_rate: Column[int] = integer(0)
    ingress_policing_burst: Column[int] = integer(0)
    ingress_policing_kpkts_rate: Column[int] = integer(0)
    ingress_policing_kpkts_burst: Column[int] = integer(0)
    mac_in_use: Column[str | None] = optional(string(), ephemeral=True)
    mac: Column[str | None] = optional(string())
    ifindex: Column[int | None] = optional(integer(0, 4_294_967_295), ephemeral=True)
    external_ids: Column[dict[str, str]] = string_map()
    ofport: Column[int | None] = optional(integer())
    ofport_request: Column[int | None] = optional(integer(1, 65_279))
    bfd: Column[dict[str, str]] = string_map()
    bfd_status: Column[dict[str, str]] = string_map(ephemeral=True)
    cfm_mpid: Column[int | None] = optional(integer())
    cfm_remote_mpids: Column[frozenset[int]] = many(integer(), ephemeral=True)
    cfm_flap_count: Column[int | None] = optional(integer())
    cfm_fault: Column[bool | None] = optional(boolean(), ephemeral=True)
    cfm_fault_status: Column[frozenset[str]] = strings(ephemeral=True)
    cfm_remote_opstate: Column[str | None] = optional(enum("up", "down"), ephemeral=True)
    cfm_health: Column[int | None] = optional(integer(0, 100), ephemeral=True)
    lacp_current: Column[bool | None] = optional(boolean(), ephemeral=True)
    lldp: Column[dict[str, str]] = string_map()
    other_config: Column[dict[str, str]] = string_map()
    statistics: Column[dict[str, int]] = mapping(string(), integer(), ephemeral=True)
    status: Column[dict[str, str]] = string_map(ephemeral=True)
    admin_state: Column[str | None] = optional(enum("up", "down"), ephemeral=True)
    link_state: Column[str | None] = optional(enum("up", "down"), ephemeral=True)
    link_resets: Column[int | None] = optional(integer(), ephemeral=True)
    link_speed: Column[int | None] = optional(integer(), ephemeral=True)
    duplex: Column[str | None] = optional(enum("half", "full"), ephemeral=True)
    mtu: Column[int | None] = optional(integer(), ephemeral=True)
    mtu_request: Column[int | None] = optional(integer(1))
    error: Column[str | None] = optional(string())


class FlowTable(Row, table="Flow_Table", root=False):
    """Limits and settings of one OpenFlow table."""

    __slots__ = ()

    name: Column[str | None] = optional(string())
    flow_limit: Column[int | None] = optional(integer(0))
    overflow_policy: Column[str | None] = optional(enum("refuse", "evict"))
    groups: Column[frozenset[str]] = strings()
    prefixes: Column[frozenset[str]] = strings(maximum=3)
    external_ids: Column[dict[str, str]] = string_map()


class QoS(Row, table="QoS"):
    """Quality of service of a port: a discipline and its queues."""

    __slots__ = ()

    type: Column[str] = string()
    queues: Column[dict[int, UUID]] = reference_map(integer(0, 4_294_967_295), "Queue")
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class Queue(Row, table="Queue"):
    """One queue of a discipline."""

    __slots__ = ()

    dscp: Column[int | None] = optional(integer(0, 63))
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class Mirror(Row, table="Mirror", root=False):
    """A destination for copies of selected ports' traffic."""

    __slots__ = ()

    name: Column[str] = string()
    select_all: Column[bool] = boolean()
    select_src_port: References[Port] = references("Port", weak=True)
    select_dst_port: References[Port] = references("Port", weak=True)
    select_vlan: Column[frozenset[int]] = many(integer(0, 4095), maximum=4096)
    output_port: OptionalReference[Port] = optional_reference("Port", weak=True)
    output_vlan: Column[int | None] = optional(integer(1, 4095))
    snaplen: Column[int | None] = optional(integer(14, 65_535))
    statistics: Column[dict[str, int]] = mapping(string(), integer(), ephemeral=True)
    external_ids: Column[dict[str, str]] = string_map()


class NetFlow(Row, table="NetFlow", root=False):
    """A NetFlow exporter."""

    __slots__ = ()

    targets: Column[frozenset[str]] = strings(minimum=1)
    engine_type: Column[int | None] = optional(integer(0, 255))
    engine_id: Column[int | None] = optional(integer(0, 255))
    add_id_to_interface: Column[bool] = boolean()
    active_timeout: Column[int] = integer(-1)
    external_ids: Column[dict[str, str]] = string_map()


class SFlow(Row, table="sFlow", root=False):
    """An sFlow exporter."""

    __slots__ = ()

    targets: Column[frozenset[str]] = strings(minimum=1)
    sampling: Column[int | None] = optional(integer())
    polling: Column[int | None] = optional(integer())
    header: Column[int | None] = optional(integer())
    agent: Column[str | None] = optional(string())
    external_ids: Column[dict[str, str]] = string_map()


class IPFIX(Row, table="IPFIX", root=False):
    """An IPFIX exporter."""

    __slots__ = ()

    targets: Column[frozenset[str]] = strings()
    sampling: Column[int | None] = optional(integer(1, 4_294_967_295))
    obs_domain_id: Column[int | None] = optional(integer(0, 4_294_967_295))
    obs_point_id: Column[int | None] = optional(integer(0, 4_294_967_295))
    cache_active_timeout: Column[int | None] = optional(integer(0, 4200))
    cache_max_flows: Column[int | None] = optional(integer(0, 4_294_967_295))
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class FlowSampleCollectorSet(Row, table="Flow_Sample_Collector_Set", indexes=(("id", "bridge"),)):
    """IPFIX collectors that a `sample` action refers to by number."""

    __slots__ = ()

    id: Column[int] = integer(0, 4_294_967_295)
    bridge: Reference[Bridge] = reference("Bridge")
    ipfix: OptionalReference[IPFIX] = optional_reference("IPFIX")
    external_ids: Column[dict[str, str]] = string_map()


class Controller(Row, table="Controller", root=False):
    """An OpenFlow controller of a bridge."""

    __slots__ = ()

    type: Column[str | None] = optional(enum("primary", "service"))
    target: Column[str] = string()
    max_backoff: Column[int | None] = optional(integer(1000))
    inactivity_probe: Column[int | None] = optional(integer())
    connection_mode: Column[str | None] = optional(enum("in-band", "out-of-band"))
    local_ip: Column[str | None] = optional(string())
    local_netmask: Column[str | None] = optional(string())
    local_gateway: Column[str | None] = optional(string())
    enable_async_messages: Column[bool | None] = optional(boolean())
    controller_queue_size: Column[int | None] = optional(integer(1, 512))
    controller_rate_limit: Column[int | None] = optional(integer(100))
    controller_burst_limit: Column[int | None] = optional(integer(25))
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    is_connected: Column[bool] = boolean(ephemeral=True)
    role: Column[str | None] = optional(enum("other", "master", "slave"), ephemeral=True)
    status: Column[dict[str, str]] = string_map(ephemeral=True)


class Manager(Row, table="Manager", indexes=(("target",),), root=False):
    """An OVSDB connection of the switch's database."""

    __slots__ = ()

    target: Column[str] = string()
    max_backoff: Column[int | None] = optional(integer(1000))
    inactivity_probe: Column[int | None] = optional(integer())
    connection_mode: Column[str | None] = optional(enum("in-band", "out-of-band"))
    other_config: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()
    is_connected: Column[bool] = boolean(ephemeral=True)
    status: Column[dict[str, str]] = string_map(ephemeral=True)


class Datapath(Row, table="Datapath", root=False):
    """A datapath's conntrack zones and capabilities."""

    __slots__ = ()

    datapath_version: Column[str] = string()
    ct_zones: Column[dict[int, UUID]] = reference_map(integer(0, 65_535), "CT_Zone")
    capabilities: Column[dict[str, str]] = string_map()
    external_ids: Column[dict[str, str]] = string_map()


class CTZone(Row, table="CT_Zone", root=False):
    """A conntrack zone's settings."""

    __slots__ = ()

    timeout_policy: OptionalReference[CTTimeoutPolicy] = optional_reference("CT_Timeout_Policy")
    external_ids: Column[dict[str, str]] = string_map()


class CTTimeoutPolicy(Row, table="CT_Timeout_Policy", root=False):
    """Conntrack timeouts by protocol state."""

    __slots__ = ()

    timeouts: Column[dict[str, int]] = mapping(
        enum(
            "tcp_syn_sent",
            "tcp_syn_recv",
            "tcp_established",
            "tcp_fin_wait",
            "tcp_close_wait",
            "tcp_last_ack",
            "tcp_time_wait",
            "tcp_close",
            "tcp_syn_sent2",
            "tcp_retransmit",
            "tcp_unack",
            "udp_first",
            "udp_single",
            "udp_multiple",
            "icmp_first",
            "icmp_reply",
        ),
        integer(0, 4_294_967_295),
    )
    external_ids: Column[dict[str, str]] = string_map()


class SSL(Row, table="SSL", root=False, max_rows=1):
    """Keys and certificates of the switch."""

    __slots__ = ()

    private_key: Column[str] = string()
    certificate: Column[str] = string()
    ca_cert: Column[str] = string()
    bootstrap_ca_cert: Column[bool] = boolean()
    external_ids: Column[dict[str, str]] = string_map()


class AutoAttach(Row, table="AutoAttach", root=False):
    """IEEE 802.1Q auto attach of a bridge."""

    __slots__ = ()

    system_name: Column[str] = string()
    system_description: Column[str] = string()
    mappings: Column[dict[int, int]] = mapping(integer(0, 16_777_215), integer(0, 4095))


ROWS: tuple[type[Row], ...] = (
    OpenVSwitch, Bridge, Port, Interface, FlowTable, QoS, Queue, Mirror, NetFlow, SFlow, IPFIX, FlowSampleCollectorSet,
    Controller, Manager, Datapath, CTZone, CTTimeoutPolicy, SSL, AutoAttach,
)  # fmt: skip
"""Every row class of the database, in the schema's order."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("Open_vSwitch", version="8.3.1", checksum="3012963480 26720", rows=ROWS)
