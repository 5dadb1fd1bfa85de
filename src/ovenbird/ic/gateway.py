"""Gateways: the chassis that tunnels between availability zones lead to.

A chassis whose `other_config` has `is-interconn` (from `external_ids:ovn-is-interconn` of its Open_vSwitch) is
published with its encaps to the other zones. Their gateways are chassis in this zone's Southbound, with `is-remote`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.lookups import find, table
from ovenbird.engine.rules import rule
from ovenbird.ic.availability_zone import zone
from ovenbird.ic.bounds import excess, is_taken, left_out
from ovenbird.model import ic_sb, sb
from ovenbird.model.options import flag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

IS_GATEWAY = "is-interconn"
IS_REMOTE = "is-remote"


class GatewayRow(NamedTuple):
    """A gateway of this zone; the columns are those of ovn-ic-sb(5)."""

    relation: Relation
    name: str
    availability_zone: UUID
    hostname: str


class GatewayEncapRow(NamedTuple):
    """A tunnel endpoint of a gateway of this zone."""

    relation: Relation
    type: str
    ip: str
    options: Pairs
    gateway_name: str


class RemoteChassisRow(NamedTuple):
    """A gateway of another zone; the columns are those of ovn-sb(5)."""

    relation: Relation
    name: str
    hostname: str
    other_config: Pairs


class RemoteEncapRow(NamedTuple):
    """A tunnel endpoint of a gateway of another zone."""

    relation: Relation
    type: str
    ip: str
    options: Pairs
    chassis_name: str


def is_remote(chassis: sb.Chassis) -> bool:
    """Return whether a chassis is another zone's gateway."""
    config = chassis.other_config
    return flag(config, IS_REMOTE) and not flag(config, IS_GATEWAY)


def _remote_name(chassis: sb.Chassis) -> str | None:
    return chassis.name if is_remote(chassis) else None


def _remote_encap(encap: sb.Encap) -> tuple[str, str] | None:
    chassis = encap.home.store.find(sb.Chassis.name, encap.chassis_name)
    return (encap.type, encap.ip) if chassis is not None and is_remote(chassis) else None


GATEWAYS = NamedRows(ic_sb.Gateway, GatewayRow, key=ic_sb.Gateway.name)
ENCAPS = NamedRows(ic_sb.Encap, GatewayEncapRow, key=(ic_sb.Encap.type, ic_sb.Encap.ip), collected=True)
ENCAPS_OF_GATEWAY = Members(GATEWAYS, ic_sb.Gateway.encaps)

REMOTE_CHASSIS = NamedRows(
    sb.Chassis, RemoteChassisRow, key=sb.Chassis.name, key_of=_remote_name, parts=(sb.Chassis.other_config,)
)
REMOTE_ENCAPS = NamedRows(
    sb.Encap, RemoteEncapRow, key=(sb.Encap.type, sb.Encap.ip), key_of=_remote_encap, collected=True
)
ENCAPS_OF_CHASSIS = Members(REMOTE_CHASSIS, sb.Chassis.encaps)


@rule(sb.Chassis)
def gateway(chassis: sb.Chassis) -> Iterator[Fact]:
    """Publish a gateway of this zone to the others."""
    mine = zone()
    if mine is None or not flag(chassis.other_config, IS_GATEWAY):
        return
    name = chassis.name
    yield GATEWAYS(name, mine, chassis.hostname)
    for encap in chassis.encaps:
        options = tuple(sorted(encap.options.items()))
        yield ENCAPS(encap.type, encap.ip, options=options, gateway_name=name)
        yield ENCAPS_OF_GATEWAY(name, ENCAPS.uuid((encap.type, encap.ip)))


def _of_this_zone(name: str) -> str:
    """Return why no gateway of another zone can have a name; empty if one can."""
    chassis = find(sb.Chassis.name, name)
    return "a chassis of this zone has its name" if chassis is not None and not is_remote(chassis) else ""


def _is_local(encap: ic_sb.Encap) -> bool:
    """Return whether an endpoint of another zone is that of a chassis of this one."""
    for row in table(sb.Encap).index(sb.Encap.type, sb.Encap.ip).rows((encap.type, encap.ip)):
        chassis = find(sb.Chassis.name, row.chassis_name)
        if chassis is None or not is_remote(chassis):
            return True
    return False


@rule(ic_sb.Gateway)
def remote_gateway(row: ic_sb.Gateway) -> Iterator[Fact]:
    """Make a gateway of another zone a chassis of this one."""
    if not is_taken(row):
        return
    name = row.name
    if why := excess(row) or _of_this_zone(name):
        yield left_out(row, f"gateway {name}", why=why)
        return
    usable = [encap for encap in row.encaps if not _is_local(encap)]
    if len(usable) < len(ic_sb.Gateway.encaps.raw(row)):
        why = "chassis of this zone have an endpoint of the same type and address"
        yield left_out(row, f"an endpoint of gateway {name}", why=why)
    if not usable:  # a chassis has one at least
        return
    yield REMOTE_CHASSIS(name, row.hostname, ((IS_REMOTE, "true"),))
    for encap in usable:
        options = tuple(sorted(encap.options.items()))
        yield REMOTE_ENCAPS(encap.type, encap.ip, options=options, chassis_name=name)
        yield ENCAPS_OF_CHASSIS(name, REMOTE_ENCAPS.uuid((encap.type, encap.ip)))
