"""The Cloud database: the resources created through the API, and nothing that can be computed from them.

A row's UUID is the resource's id in the API. The database enforces these constraints for all clients:

- an address is used once in a subnet, a MAC once in a network, a VLAN or VNI by one network: unique indexes;
- a network with ports, a subnet with addresses, a subnet pool with subnets, a router with interfaces, a security group
  with members, the default group, and a QoS policy in use, cannot be deleted: strong references point from the
  dependent row to what it needs, so that adding a port costs the same in a network of any size;
- what cannot change after creation is immutable.

Rules that are not a single constraint (subnets of a network, or of a pool, must not overlap) are enforced by changing
the `revision_number` of the row concerned in the same transaction: every change of a resource waits for the revision
that it was computed from. Status is not stored here; it is read from Northbound. The table `Finding` is written by the
compilers alone, and no other row depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ovenbird.engine.rows import Row
from ovenbird.model import load_balancing
from ovenbird.model.counted import Counted
from ovenbird.model.sb import SSL, Connection
from ovenbird.model.types import (
    boolean,
    database_schema,
    enum,
    integer,
    mapping,
    optional,
    optional_reference,
    reference,
    references,
    string,
    string_map,
    strings,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, OptionalReference, Reference, References
    from ovenbird.ovsdb.schema import DatabaseSchema


LARGEST_RATE = 2_147_483_647
"""The largest number in a QoS rule; Neutron's limit."""


class Network(Row):
    """An L2 network."""

    __slots__ = ()
    quota: ClassVar = Counted("network", 100, "networks")

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    shared: Column[bool] = boolean()
    """Set by releases without RBAC policies alone; `api.older_rows` makes a policy of it."""
    external: Column[bool] = boolean()
    mtu: Column[int] = integer(1, 65_535)
    vlan_transparent: Column[bool] = boolean(mutable=False)
    """Whether instances may send VLAN tags of their own."""
    qinq: Column[bool] = boolean(mutable=False)
    """Likewise, and the network's own tag on the wire is an S-tag (IEEE 802.1ad)."""
    qos_policy: OptionalReference[QosPolicy] = optional_reference("QoS_Policy")
    """The policy of its ports, floating IPs and routers' gateways that have none of their own."""
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policy by which the network of one project has the QoS policy of another."""
    port_security_enabled: Column[bool] = boolean()
    dns_domain: Column[str] = string()
    availability_zone_hints: Column[frozenset[str]] = strings()
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class NetworkSegment(Row, table="Network_Segment", indexes=(("network_type", "physical_network", "segmentation_id"),)):
    """The encapsulation of a network between hosts; a network of type `local` has none."""

    __slots__ = ()

    network: Reference[Network] = reference("Network", mutable=False)
    network_type: Column[str] = enum("flat", "vlan", "geneve", "vxlan", "gre", mutable=False)
    physical_network: Column[str | None] = optional(string(), mutable=False)
    segmentation_id: Column[int | None] = optional(integer(0, 16_777_215))


class DefaultExternalNetwork(Row, table="Default_External_Network", max_rows=1):
    """The external network of routers that are made for a project automatically."""

    __slots__ = ()

    network: Reference[Network] = reference("Network", mutable=False)


class AddressScope(Row, table="Address_Scope"):
    """Subnet pools of one IP version whose prefixes do not overlap."""

    __slots__ = ()

    name: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    ip_version: Column[int] = integer(4, 6, mutable=False)
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class SubnetPool(Row, table="Subnet_Pool"):
    """Prefixes of one IP version from which subnets are allocated."""

    __slots__ = ()
    quota: ClassVar = Counted("subnetpool", -1, "subnet pools")

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    shared: Column[bool] = boolean()
    """As a network's."""
    address_scope: OptionalReference[AddressScope] = optional_reference("Address_Scope")
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policy by which the pool of one project is in the address scope of another."""
    ip_version: Column[int] = integer(4, 6, mutable=False)
    prefixes: Column[frozenset[str]] = strings()
    """No prefix contains another."""
    min_prefixlen: Column[int] = integer(0, 128)
    max_prefixlen: Column[int] = integer(0, 128)
    default_prefixlen: Column[int] = integer(0, 128)
    default_quota: Column[int | None] = optional(integer(0))
    """The limit of a project: the number of addresses for IPv4, of /64 prefixes for IPv6."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class DefaultSubnetPool(Row, table="Default_Subnet_Pool", indexes=(("ip_version",),)):
    """The default pool; the index allows one for each IP version."""

    __slots__ = ()

    ip_version: Column[int] = integer(4, 6, mutable=False)
    subnet_pool: Reference[SubnetPool] = reference("Subnet_Pool", mutable=False)


class Subnet(Row):
    """A block of addresses of a network."""

    __slots__ = ()
    quota: ClassVar = Counted("subnet", 100, "subnets")

    network: Reference[Network] = reference("Network", mutable=False)
    subnet_pool: OptionalReference[SubnetPool] = optional_reference("Subnet_Pool")
    """The pool from which its CIDR is allocated."""
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policy by which the subnet of one project is allocated from the pool of another."""
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    cidr: Column[str] = string(mutable=False)
    gateway_ip: Column[str | None] = optional(string())
    enable_dhcp: Column[bool] = boolean()
    allocation_pools: Column[frozenset[str]] = strings()
    """Each is `FIRST-LAST`, both included."""
    dns_nameservers: Column[dict[int, str]] = mapping(integer(0), string())
    """The name servers by order of preference."""
    host_routes: Column[frozenset[str]] = strings()
    """Each is `DESTINATION NEXTHOP`."""
    ipv6_ra_mode: Column[str | None] = optional(enum("slaac", "dhcpv6-stateful", "dhcpv6-stateless"), mutable=False)
    ipv6_address_mode: Column[str | None] = optional(
        enum("slaac", "dhcpv6-stateful", "dhcpv6-stateless"), mutable=False
    )
    service_types: Column[frozenset[str]] = strings()
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Port(Row, indexes=(("network", "mac_address"),)):
    """A connection to a network."""

    __slots__ = ()
    quota: ClassVar = Counted("port", 500, "ports")

    network: Reference[Network] = reference("Network", mutable=False)
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    mac_address: Column[str] = string(max_length=17)
    admin_state_up: Column[bool] = boolean()
    device_id: Column[str] = string()
    device_owner: Column[str] = string()
    port_security_enabled: Column[bool] = boolean()
    security_groups: References[SecurityGroup] = references("Security_Group")
    allowed_address_pairs: Column[frozenset[str]] = strings()
    """Each is `MAC ADDRESS`, the address with or without a prefix length."""
    dhcpv4_options: Column[dict[str, str]] = string_map()
    dhcpv6_options: Column[dict[str, str]] = string_map()
    host: Column[str] = string()
    vnic_type: Column[str] = enum(
        "normal",
        "direct",
        "direct-physical",
        "macvtap",
        "baremetal",
        "virtio-forwarder",
        "vdpa",
        "remote-managed",
        "accelerator-direct",
        "accelerator-direct-physical",
        "smart-nic",
    )
    binding_profile: Column[str] = string()
    """A JSON object that Nova and the port's driver exchange; empty means {}."""
    dns_name: Column[str] = string()
    dns_domain: Column[str] = string()
    """The DNS domain of this port; empty for the network's."""
    numa_affinity_policy: Column[str | None] = optional(enum("required", "preferred", "legacy", "socket"))
    """How near to each other Nova places the instance's processors and the port's device."""
    device_profile: Column[str | None] = optional(string(), mutable=False)
    """The profile by which Cyborg provides the port's device."""
    hardware_offload_type: Column[str | None] = optional(enum("switchdev"), mutable=False)
    trusted: Column[bool | None] = optional(boolean())
    """Whether the virtual function may change its MAC and be promiscuous."""
    data_plane_status: Column[str | None] = optional(enum("ACTIVE", "DOWN"))
    """What a monitor of the physical network has found."""
    hides_uplink_status: Column[bool] = boolean()
    """Whether a virtual function stays up while the physical function is down."""
    qos_policy: OptionalReference[QosPolicy] = optional_reference("QoS_Policy")
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policies by which the port is on a network, in security groups, and under a QoS policy, of other projects."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class InactiveBinding(Row, table="Inactive_Binding", indexes=(("port", "host"),)):
    """A host that a port may move to, or has come from; the active binding is in the port's own row."""

    __slots__ = ()

    port: Reference[Port] = reference("Port", mutable=False)
    host: Column[str] = string()
    vnic_type: Column[str] = string()
    profile: Column[str] = string()
    """As the port's `binding_profile`."""


class FixedAddress(Row, table="Fixed_Address", indexes=(("subnet", "address"),)):
    """An address of a subnet that is allocated to a port; the row is the allocation."""

    __slots__ = ()

    port: Reference[Port] = reference("Port", mutable=False)
    subnet: Reference[Subnet] = reference("Subnet", mutable=False)
    address: Column[str] = string(mutable=False)


class ServiceProfile(Row, table="Service_Profile"):
    """How flavors are provided."""

    __slots__ = ()

    description: Column[str] = string()
    driver: Column[str] = string()
    metainfo: Column[str] = string()
    enabled: Column[bool] = boolean()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Flavor(Row):
    """A choice that an administrator offers for routers."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    service_type: Column[str] = string(mutable=False)
    service_profiles: References[ServiceProfile] = references("Service_Profile")
    enabled: Column[bool] = boolean()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Router(Row):
    """Connects subnets, and them with an external network."""

    __slots__ = ()
    quota: ClassVar = Counted("router", 10, "routers")

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    routes: Column[frozenset[str]] = strings()
    """Each is `DESTINATION NEXTHOP`."""
    availability_zone_hints: Column[frozenset[str]] = strings()
    flavor: OptionalReference[Flavor] = optional_reference("Flavor", mutable=False)
    has_own_schedule: Column[bool] = boolean()
    """Whether `gateway_chassis` says which chassis host the gateways, rather than the compiler."""
    gateway_chassis: Column[dict[str, int]] = mapping(string(), integer(0, 32_767))
    """The priority of each chassis, by name."""
    enable_default_route_ecmp: Column[bool] = boolean()
    """Whether default routes lead through every gateway, or through the first alone."""
    enable_default_route_bfd: Column[bool] = boolean()
    """Whether BFD watches the next hops of default routes."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class AutoAllocatedTopology(Row, table="Auto_Allocated_Topology", indexes=(("project_id",),)):
    """The network that was made for a project when it first asked for one, and its router."""

    __slots__ = ()

    project_id: Column[str] = string(mutable=False)
    network: Reference[Network] = reference("Network", mutable=False)
    router: OptionalReference[Router] = optional_reference("Router")


class RouterInterface(Row, table="Router_Interface", indexes=(("port",),)):
    """A router's port on an internal network; its addresses are the router's addresses there."""

    __slots__ = ()

    router: Reference[Router] = reference("Router", mutable=False)
    network: Reference[Network] = reference("Network", mutable=False)
    """The port's."""
    port: Reference[Port] = reference("Port", mutable=False)


class RouterGateway(Row, table="Router_Gateway", indexes=(("port",),)):
    """A router's port on an external network.

    Which gateways a router has, and in what order, changes with the router's revision.
    """

    __slots__ = ()

    router: Reference[Router] = reference("Router", mutable=False)
    place: Column[int] = integer(0)
    """The first of a router's gateways is the one that floating IPs and clients prefer."""
    port: Reference[Port] = reference("Port", mutable=False)
    enable_snat: Column[bool] = boolean()
    """Whether the source of outgoing packets is translated to the gateway's address."""
    qos_policy: OptionalReference[QosPolicy] = optional_reference("QoS_Policy")
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policies by which the router of one project is on the external network, and has the QoS policy, of another.
    """


def gateways_of(router: Router) -> list[RouterGateway]:
    """Return a router's gateways, in their order."""
    found: list[RouterGateway] = router.referrers(RouterGateway.router)
    return sorted(found, key=lambda outside: (outside.place, outside.uuid)) if len(found) > 1 else found


def first_gateway(router: Router) -> RouterGateway | None:
    """Return a router's first gateway; None without one."""
    return next(iter(gateways_of(router)), None)


class FloatingIP(Row, table="Floating_IP", indexes=(("port",),)):
    """An address of an external network, held by a port, that can be associated with a fixed IP."""

    __slots__ = ()
    quota: ClassVar = Counted("floatingip", 50, "floating IPs")

    network: Reference[Network] = reference("Network", mutable=False)
    port: Reference[Port] = reference("Port", mutable=False)
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    dns_name: Column[str] = string(mutable=False)
    dns_domain: Column[str] = string(mutable=False)
    qos_policy: OptionalReference[QosPolicy] = optional_reference("QoS_Policy")
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policy by which the floating IP of one project has the QoS policy of another."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class FloatingIPAssociation(Row, table="Floating_IP_Association", indexes=(("floating_ip",), ("network", "fixed"))):
    """The association of a floating IP with one address of a port through one router, which must stay connected."""

    __slots__ = ()

    floating_ip: Reference[FloatingIP] = reference("Floating_IP", mutable=False)
    network: Reference[Network] = reference("Network", mutable=False)
    """The floating IP's: an address has at most one floating IP of each external network."""
    fixed: Reference[FixedAddress] = reference("Fixed_Address", mutable=False)
    interface: Reference[RouterInterface] = reference("Router_Interface", mutable=False)
    gateway: Reference[RouterGateway] = reference("Router_Gateway", mutable=False)


class PortForwarding(
    Row,
    table="Port_Forwarding",
    indexes=(("floating_ip", "protocol", "external_port"), ("fixed", "protocol", "internal_port")),
):
    """Ports of a floating IP that are forwarded to ports of a fixed IP by a router, which must stay connected.

    The ranges of a floating IP, and those of a fixed IP, do not overlap: a new one waits for the revision of both.
    """

    __slots__ = ()

    floating_ip: Reference[FloatingIP] = reference("Floating_IP", mutable=False)
    fixed: Reference[FixedAddress] = reference("Fixed_Address")
    interface: Reference[RouterInterface] = reference("Router_Interface")
    gateway: Reference[RouterGateway] = reference("Router_Gateway", mutable=False)
    protocol: Column[str] = enum("tcp", "udp")
    external_port: Column[int] = integer(1, 65_535)
    """The first of them."""
    external_last: Column[int | None] = optional(integer(1, 65_535))
    """The last of them; empty for one port."""
    internal_port: Column[int] = integer(1, 65_535)
    internal_last: Column[int | None] = optional(integer(1, 65_535))
    """Likewise. All external ports are forwarded to one internal port, or each to its own."""
    description: Column[str] = string()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class TapMirror(Row, table="Tap_Mirror"):
    """A copy of the packets of a port that is sent to a remote address."""

    __slots__ = ()

    port: Reference[Port] = reference("Port", mutable=False)
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    remote_ip: Column[str] = string(mutable=False)
    mirror_type: Column[str] = enum("gre", "erspanv1", mutable=False)
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class TapMirrorTunnel(Row, table="Tap_Mirror_Tunnel", indexes=(("tunnel_id",), ("mirror", "direction"))):
    """The tunnel of a mirror for what the port receives (`IN`), sends (`OUT`), or both; no other has its id."""

    __slots__ = ()

    mirror: Reference[TapMirror] = reference("Tap_Mirror", mutable=False)
    direction: Column[str] = enum("IN", "OUT", "BOTH", mutable=False)
    tunnel_id: Column[int] = integer(0, 0xFFFF_FFFF, mutable=False)


class BGPPeer(Row, table="BGP_Peer"):
    """A router of the physical network that speakers talk to."""

    __slots__ = ()

    name: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    peer_ip: Column[str] = string(mutable=False)
    remote_as: Column[int] = integer(1, 4_294_967_294, mutable=False)
    auth_type: Column[str] = enum("none", "md5", mutable=False)
    password: Column[str] = string()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class BGPSpeaker(Row, table="BGP_Speaker"):
    """Announces routes of the routers on external networks."""

    __slots__ = ()

    name: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    local_as: Column[int] = integer(1, 4_294_967_294, mutable=False)
    ip_version: Column[int] = integer(4, 6, mutable=False)
    peers: References[BGPPeer] = references("BGP_Peer", weak=True)
    networks: References[Network] = references("Network", weak=True)
    advertise_floating_ip_host_routes: Column[bool] = boolean()
    advertise_tenant_networks: Column[bool] = boolean()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Trunk(Row, indexes=(("port",),)):
    """A port whose instance also sends and receives, with VLAN tags, for sub-ports on other networks."""

    __slots__ = ()
    quota: ClassVar = Counted("trunk", -1, "trunks")

    port: Reference[Port] = reference("Port", mutable=False)
    """The parent port; the index allows one trunk for each."""
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    released: Column[bool] = boolean()
    """Whether the parent port has left a host since sub-ports were last added or removed."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class SubPort(Row, table="Sub_Port", indexes=(("port",), ("trunk", "segmentation_id"))):
    """A port that is reached through a trunk, with a VLAN tag that no other sub-port of the trunk has."""

    __slots__ = ()

    trunk: Reference[Trunk] = reference("Trunk", mutable=False)
    port: Reference[Port] = reference("Port", mutable=False)
    segmentation_id: Column[int] = integer(1, 4094, mutable=False)


class AddressGroup(Row, table="Address_Group"):
    """A set of addresses that security group rules refer to."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    addresses: Column[frozenset[str]] = strings()
    """Prefixes, of both IP versions."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class SecurityGroup(Row, table="Security_Group"):
    """A set of rules for the ingress and egress traffic of its member ports."""

    __slots__ = ()
    quota: ClassVar = Counted("security_group", 10, "security groups")

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    stateful: Column[bool] = boolean()
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class SecurityGroupRule(
    Row,
    table="Security_Group_Rule",
    indexes=(
        (
            "security_group",
            "direction",
            "ethertype",
            "protocol",
            "port_range_min",
            "port_range_max",
            "remote_ip_prefix",
            "remote_group",
            "remote_address_group",
        ),
    ),
):
    """Traffic that a security group allows; the index makes rules unique."""

    __slots__ = ()
    quota: ClassVar = Counted("security_group_rule", 100, "security group rules")

    security_group: Reference[SecurityGroup] = reference("Security_Group", mutable=False)
    direction: Column[str] = enum("ingress", "egress", mutable=False)
    ethertype: Column[str] = enum("IPv4", "IPv6", mutable=False)
    protocol: Column[str | None] = optional(string(), mutable=False)
    port_range_min: Column[int | None] = optional(integer(0, 65_535), mutable=False)
    port_range_max: Column[int | None] = optional(integer(0, 65_535), mutable=False)
    remote_ip_prefix: Column[str | None] = optional(string(), mutable=False)
    remote_group: OptionalReference[SecurityGroup] = optional_reference("Security_Group", mutable=False)
    remote_address_group: OptionalReference[AddressGroup] = optional_reference("Address_Group", mutable=False)
    allowed_by: References[RBACPolicy] = references("RBAC_Policy")
    """The policy by which the rule of one project names the address group of another."""
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class QosPolicy(Row, table="QoS_Policy"):
    """Limits, guarantees and marks, which its rules have, for traffic of ports, floating IPs and routers' gateways."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class DefaultQosPolicy(Row, table="Default_QoS_Policy", indexes=(("project_id",),)):
    """The policy of a project's new networks; the index allows one for each project."""

    __slots__ = ()

    project_id: Column[str] = string(mutable=False)
    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)


class BandwidthLimitRule(Row, table="QoS_Bandwidth_Limit_Rule", indexes=(("policy", "direction"),)):
    """The most bandwidth."""

    __slots__ = ()

    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)
    direction: Column[str] = enum("egress", "ingress")
    max_kbps: Column[int] = integer(0, LARGEST_RATE)
    max_burst_kbps: Column[int] = integer(0, LARGEST_RATE)


class DscpMarkingRule(Row, table="QoS_DSCP_Marking_Rule", indexes=(("policy",),)):
    """The DSCP of packets that are sent."""

    __slots__ = ()

    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)
    dscp_mark: Column[int] = integer(0, 63)


class MinimumBandwidthRule(Row, table="QoS_Minimum_Bandwidth_Rule", indexes=(("policy", "direction"),)):
    """The bandwidth that is guaranteed."""

    __slots__ = ()

    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)
    direction: Column[str] = enum("egress", "ingress")
    min_kbps: Column[int] = integer(0, LARGEST_RATE)


class MinimumPacketRateRule(Row, table="QoS_Minimum_Packet_Rate_Rule", indexes=(("policy", "direction"),)):
    """The thousands of packets a second that are guaranteed."""

    __slots__ = ()

    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)
    direction: Column[str] = enum("egress", "ingress", "any")
    min_kpps: Column[int] = integer(0, LARGEST_RATE)


class PacketRateLimitRule(Row, table="QoS_Packet_Rate_Limit_Rule", indexes=(("policy", "direction"),)):
    """The most thousands of packets a second."""

    __slots__ = ()

    policy: Reference[QosPolicy] = reference("QoS_Policy", mutable=False)
    direction: Column[str] = enum("egress", "ingress")
    max_kpps: Column[int] = integer(0, LARGEST_RATE)
    max_burst_kpps: Column[int] = integer(0, LARGEST_RATE)


class SecurityGroupLog(Row, table="Security_Group_Log"):
    """Asks for log lines about packets that security groups accept or drop: of one group, of a port's, or of all."""

    __slots__ = ()

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    security_group: OptionalReference[SecurityGroup] = optional_reference("Security_Group", mutable=False)
    port: OptionalReference[Port] = optional_reference("Port", mutable=False)
    event: Column[str] = enum("ACCEPT", "DROP", "ALL", mutable=False)
    enabled: Column[bool] = boolean()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class RBACPolicy(
    Row,
    table="RBAC_Policy",
    indexes=(
        (
            "network",
            "security_group",
            "address_group",
            "subnet_pool",
            "address_scope",
            "qos_policy",
            "action",
            "target_project",
        ),
    ),
):
    """A resource of one project that another project, or all projects, may use; one of the references is set.

    Rows that could not be there without the policy refer to it in their column `allowed_by`, so that the database
    refuses to delete it while it is needed.
    """

    __slots__ = ()
    quota: ClassVar = Counted("rbac_policy", 10, "RBAC policies")

    project_id: Column[str] = string(mutable=False)
    network: OptionalReference[Network] = optional_reference("Network", mutable=False)
    security_group: OptionalReference[SecurityGroup] = optional_reference("Security_Group", mutable=False)
    address_group: OptionalReference[AddressGroup] = optional_reference("Address_Group", mutable=False)
    subnet_pool: OptionalReference[SubnetPool] = optional_reference("Subnet_Pool", mutable=False)
    address_scope: OptionalReference[AddressScope] = optional_reference("Address_Scope", mutable=False)
    qos_policy: OptionalReference[QosPolicy] = optional_reference("QoS_Policy", mutable=False)
    action: Column[str] = enum("access_as_shared", "access_as_external", mutable=False)
    target_project: Column[str] = string()
    """A project's id, or `*` for all projects."""
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class DefaultSecurityGroup(Row, table="Default_Security_Group", indexes=(("project_id",),)):
    """The security group of a project's ports without explicit groups; the index allows one for each project."""

    __slots__ = ()

    project_id: Column[str] = string(mutable=False)
    security_group: Reference[SecurityGroup] = reference("Security_Group", mutable=False)


class DefaultSecurityGroupRule(Row, table="Default_Security_Group_Rule"):
    """A template: new security groups receive a rule like it; changes of templates take turns (`RuleTemplates`)."""

    __slots__ = ()

    direction: Column[str] = enum("ingress", "egress", mutable=False)
    ethertype: Column[str] = enum("IPv4", "IPv6", mutable=False)
    protocol: Column[str | None] = optional(string(), mutable=False)
    port_range_min: Column[int | None] = optional(integer(0, 65_535), mutable=False)
    port_range_max: Column[int | None] = optional(integer(0, 65_535), mutable=False)
    remote_ip_prefix: Column[str | None] = optional(string(), mutable=False)
    remote_parent: Column[bool] = boolean(mutable=False)
    """Whether the remote group is the rule's own."""
    remote_group: OptionalReference[SecurityGroup] = optional_reference("Security_Group", mutable=False)
    remote_address_group: OptionalReference[AddressGroup] = optional_reference("Address_Group", mutable=False)
    used_in_default_sg: Column[bool] = boolean(mutable=False)
    """Whether the default group of a project receives it."""
    used_in_non_default_sg: Column[bool] = boolean(mutable=False)
    """Whether other groups do."""
    description: Column[str] = string()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class RuleTemplates(Row, table="Rule_Templates", max_rows=1):
    """Says that the templates are stored; a database without this row receives Neutron's.

    Changes of templates wait for the number that they have read, and increment it.
    """

    __slots__ = ()

    number: Column[int] = integer(0)


class DefaultStatefulness(Row, table="Default_Statefulness", indexes=(("project_id",),)):
    """Whether the new security groups of a project are stateful, where the request does not say so."""

    __slots__ = ()

    project_id: Column[str | None] = optional(string(), mutable=False)
    """None for the projects without a row of their own."""
    stateful: Column[bool] = boolean()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Quota(Row, indexes=(("project_id", "resource"),)):
    """The limit of a project for a resource, if it is not the default."""

    __slots__ = ()

    project_id: Column[str] = string(mutable=False)
    resource: Column[str] = string(mutable=False)
    maximum: Column[int] = integer(-1)
    """-1 for any number."""


class QuotaTurn(Row, table="Quota_Turn", indexes=(("project_id", "resource"),)):
    """Serialises creations near a quota: each waits for the number that it has read, and increments it."""

    __slots__ = ()

    project_id: Column[str] = string(mutable=False)
    resource: Column[str] = string(mutable=False)
    number: Column[int] = integer(0)


class Finding(Row):
    """Input of a compiler that has no effect, with the reason; the row exists for as long as the cause."""

    __slots__ = ()

    reporter: Column[str] = enum("cloud", "northd")
    """The compiler: from Cloud to Northbound, or from there to Southbound."""
    row_table: Column[str] = string()
    """The table of the row to correct, in the database that the compiler reads; empty if it is not a single row."""
    row_uuid: Column[str] = string()
    text: Column[str] = string()


class CloudGlobal(Row, table="Cloud_Global", max_rows=1):
    """The settings that all processes of a cloud share; `settings` declares them."""

    __slots__ = ()

    options: Column[dict[str, str]] = string_map()
    connections: References[Connection] = references("Connection")
    ssl: OptionalReference[SSL] = optional_reference("SSL")


ROWS: tuple[type[Row], ...] = (
    CloudGlobal, Connection, SSL, Network, NetworkSegment, AddressScope, SubnetPool, DefaultSubnetPool, Subnet, Port,
    InactiveBinding, FixedAddress, ServiceProfile, Flavor, BGPPeer, BGPSpeaker,
    Router, RouterInterface, RouterGateway, FloatingIP, FloatingIPAssociation, PortForwarding,
    Trunk, SubPort,
    TapMirror, TapMirrorTunnel, AddressGroup, SecurityGroup, SecurityGroupRule, QosPolicy, DefaultQosPolicy,
    BandwidthLimitRule, DscpMarkingRule, MinimumBandwidthRule, MinimumPacketRateRule, PacketRateLimitRule, RBACPolicy,
    DefaultSecurityGroup, DefaultExternalNetwork, AutoAllocatedTopology,
    SecurityGroupLog,
    DefaultSecurityGroupRule, RuleTemplates, DefaultStatefulness, Quota, QuotaTurn, Finding,
    *load_balancing.TABLES,
)  # fmt: skip
"""Every row class of the database."""

COUNTED: dict[type[Row], Counted] = {row: row.quota for row in ROWS if hasattr(row, "quota")}
"""The tables with quotas."""


def schema() -> DatabaseSchema:
    """Return the database's schema."""
    return database_schema("Cloud", version="1.20.0", checksum="", rows=ROWS)
