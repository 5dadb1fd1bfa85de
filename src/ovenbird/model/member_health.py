"""Where a member of a pool is probed, and what the probes say: for the API's status, and for the compiler's choice.

A probe is a row of Southbound's Service_Monitor, by the switch port behind which the address is (ovn-sb(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import sb
from ovenbird.model.cloud import FixedAddress
from ovenbird.model.load_balancing import HealthMonitor, Member, Pool
from ovenbird.net.addresses import ip_text
from ovenbird.net.ip import ip_address, is_address

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Store, Table

_SM = sb.ServiceMonitor

NO_MONITOR, ONLINE, OFFLINE, ERROR, DEGRADED = "NO_MONITOR", "ONLINE", "OFFLINE", "ERROR", "DEGRADED"
"""Octavia's operating statuses."""

PROBED = {"TCP": "tcp", "UDP-CONNECT": "udp"}
"""The protocol of the probes of each type of health monitor."""


def monitor_of(pool: Pool) -> HealthMonitor | None:
    """Return a pool's health monitor, if it has one that is not switched off."""
    found: HealthMonitor | None = pool.referrer(HealthMonitor.pool)
    return found if found is not None and found.admin_state_up else None


def probed_address(member: Member) -> str:
    """Return the address at which a member is probed."""
    other = member.monitor_address
    return ip_text(ip_address(other).packed) if other and is_address(other) else member.address


def probed_port(member: Member) -> int:
    """Return the transport port at which a member is probed."""
    return member.monitor_port or member.protocol_port


def apart(pool: Pool) -> bool:
    """Return whether the members of a pool are probed by other means than the connections that they get.

    Northbound's health checks probe where connections go, by their protocol, and know no backup members.
    """
    monitor = monitor_of(pool)
    if monitor is None:
        return False
    return PROBED[monitor.type] != pool.protocol.lower() or any(
        one.backup or one.monitor_address or one.monitor_port for one in pool.referrers(Member.pool)
    )


def place(member: Member) -> UUID | None:
    """Return the port of Cloud behind which a member is probed; None if its address is no port's."""
    subnet = Member.subnet.raw(member)
    if subnet is None:
        return None
    index = member.home.store.table(FixedAddress).index(FixedAddress.subnet, FixedAddress.address)
    found = index.rows((subnet, probed_address(member)))
    return FixedAddress.port.raw(found[0]) if found else None


def reported(member: Member, monitor: HealthMonitor, monitors: Table[sb.ServiceMonitor]) -> str | None:
    """Return what the chassis say of a member: `online`, `offline`, `error`, or None for nothing yet.

    Arguments:
        member: the member.
        monitor: its pool's health monitor.
        monitors: where it stands.
    """
    port = place(member)
    if port is None:
        return None
    rows = monitors.index(_SM.logical_port, _SM.ip, _SM.port, _SM.protocol).rows(
        (port, probed_address(member), probed_port(member), PROBED[monitor.type])
    )
    return rows[0].status if rows else None


def member_status(member: Member, southbound: Store | None) -> str:
    """Return the operating status of a member.

    Arguments:
        member: the member.
        southbound: where probes report; None if it is not available.
    """
    if not member.admin_state_up:
        return OFFLINE
    monitor = monitor_of(member.pool)
    if monitor is None or southbound is None:
        return NO_MONITOR
    if Member.subnet.raw(member) is not None and place(member) is None:
        return ERROR  # nothing is there that could be probed
    said = reported(member, monitor, southbound.table(_SM))
    return NO_MONITOR if said is None else ONLINE if said == "online" else ERROR
