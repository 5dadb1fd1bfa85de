"""The tables of Cloud for load balancers: what Octavia's API v2 stores.

Children refer to their parents by strong references, so that the database refuses to delete a load balancer that has
any. A virtual IP address (VIP) is an allocated address of a port, which therefore cannot be released while a load
balancer uses it. Status is not stored: provisioning is complete with the transaction, and what is healthy stands in
Southbound (Service_Monitor).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ovenbird.engine.rows import Row
from ovenbird.model import counted
from ovenbird.model.counted import Counted
from ovenbird.model.types import (
    boolean,
    enum,
    integer,
    mapping,
    optional,
    optional_reference,
    reference,
    references,
    string,
    strings,
)

if TYPE_CHECKING:
    from ovenbird.engine.rows import Column, OptionalReference, Reference, References
    from ovenbird.model.cloud import FixedAddress, Port, Subnet

VIP_OWNER, PROBE_OWNER = "ovn-lb:vip", "ovn-lb-hm:distributed"
"""The device owners of the ports that hold virtual addresses, and of those from which members are probed."""

HEAVIEST = 256
"""The largest weight of a member."""


class LoadBalancer(Row, table="Load_Balancer"):
    """Virtual addresses at which listeners accept connections."""

    __slots__ = ()
    quota: ClassVar = Counted("load_balancer", -1, "load balancers", service=counted.LOAD_BALANCER)

    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    vip: Reference[FixedAddress] = reference("Fixed_Address", mutable=False)
    additional_vips: References[FixedAddress] = references("Fixed_Address", mutable=False)
    on_users_port: Column[bool] = boolean(mutable=False)
    """Whether the port of `vip` stays when the load balancer is deleted."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Pool(Row, table="Pool"):
    """Members among which connections are distributed."""

    __slots__ = ()
    quota: ClassVar = Counted("pool", -1, "pools of load balancers", service=counted.LOAD_BALANCER)

    load_balancer: Reference[LoadBalancer] = reference("Load_Balancer", mutable=False)
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    protocol: Column[str] = enum("TCP", "UDP", "SCTP", mutable=False)
    lb_algorithm: Column[str] = enum("SOURCE_IP_PORT", "SOURCE_IP")
    session_persistence: Column[str | None] = optional(enum("SOURCE_IP"))
    persistence_timeout: Column[int | None] = optional(integer(0))
    """Seconds for which a client stays with its member."""
    persistence_granularity: Column[str | None] = optional(string())
    """Shown only."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class Listener(Row, table="Listener", indexes=(("load_balancer", "protocol", "protocol_port"),)):
    """A port of a load balancer's virtual addresses."""

    __slots__ = ()
    quota: ClassVar = Counted("listener", -1, "listeners of load balancers", service=counted.LOAD_BALANCER)

    load_balancer: Reference[LoadBalancer] = reference("Load_Balancer", mutable=False)
    default_pool: OptionalReference[Pool] = optional_reference("Pool")
    name: Column[str] = string()
    description: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    protocol: Column[str] = enum("TCP", "UDP", "SCTP", mutable=False)
    protocol_port: Column[int] = integer(1, 65_535, mutable=False)
    allowed_cidrs: Column[frozenset[str]] = strings()
    """The clients that may connect; all if empty."""
    connection_limit: Column[int] = integer(-1)
    """Shown only."""
    timeouts: Column[dict[str, int]] = mapping(string(), integer(0))
    """Shown only: milliseconds by attribute, without those that have Octavia's default."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class HealthMonitorPort(Row, table="Health_Monitor_Port", indexes=(("subnet",),)):
    """The port of a subnet from whose address chassis probe the members there; it goes with the last of them."""

    __slots__ = ()

    subnet: Reference[Subnet] = reference("Subnet", mutable=False)
    port: Reference[Port] = reference("Port", mutable=False)


class Member(Row, table="Member", indexes=(("pool", "address", "protocol_port"),)):
    """A backend of a pool."""

    __slots__ = ()
    quota: ClassVar = Counted("member", -1, "members of pools of load balancers", service=counted.LOAD_BALANCER)

    pool: Reference[Pool] = reference("Pool", mutable=False)
    name: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    address: Column[str] = string(mutable=False)
    """In its canonical form, so that the index knows it."""
    spelling: Column[str | None] = optional(string(), mutable=False)
    """The address as the request has it, if that is another text."""
    protocol_port: Column[int] = integer(1, 65_535, mutable=False)
    weight: Column[int] = integer(0, HEAVIEST)
    """The share of new connections; 0 for none."""
    backup: Column[bool] = boolean()
    """Whether it gets connections only if no other member of the pool does."""
    subnet: OptionalReference[Subnet] = optional_reference("Subnet", mutable=False)
    monitor_address: Column[str | None] = optional(string())
    monitor_port: Column[int | None] = optional(integer(1, 65_535))
    probed_from: OptionalReference[HealthMonitorPort] = optional_reference("Health_Monitor_Port")
    """Set while the pool has a health monitor."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


class HealthMonitor(Row, table="Health_Monitor", indexes=(("pool",),)):
    """How the members of a pool are probed; the index allows one for each pool."""

    __slots__ = ()
    quota: ClassVar = Counted("health_monitor", -1, "health monitors of load balancers", service=counted.LOAD_BALANCER)

    pool: Reference[Pool] = reference("Pool", mutable=False)
    name: Column[str] = string()
    project_id: Column[str] = string(mutable=False)
    admin_state_up: Column[bool] = boolean()
    type: Column[str] = enum("TCP", "UDP-CONNECT", mutable=False)
    delay: Column[int] = integer(0)
    """Seconds between probes."""
    timeout: Column[int] = integer(0)
    """Seconds for an answer."""
    max_retries: Column[int] = integer(1, 10)
    """Successes that make a member online."""
    max_retries_down: Column[int] = integer(1, 10)
    """Failures that make a member offline."""
    tags: Column[frozenset[str]] = strings()
    created_at: Column[int] = integer(0, mutable=False)
    updated_at: Column[int] = integer(0)
    revision_number: Column[int] = integer(0)


TABLES: tuple[type[Row], ...] = (LoadBalancer, Pool, Listener, HealthMonitorPort, Member, HealthMonitor)
"""The row classes."""
