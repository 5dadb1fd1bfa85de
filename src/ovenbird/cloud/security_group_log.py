"""Logs of security groups: which ACLs log, by the name of which log, and the meters of log lines.

As with Neutron, an ACL has the name of the first log that asks for it, logs replies too, and is limited by a fair
meter: each ACL has the whole rate. A security group whose drops are logged has ACLs that drop what no group allows its
ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from ovenbird.cloud.names import RowsById
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Store

METERS_OF_LOGS = {"acl_log_meter": (100, 25), "acl_log_meter_stateless": (50, 12)}
"""Rate in log lines per second and burst in lines of each meter: Neutron's defaults."""

ACCEPTED, DROPPED = frozenset(("ACCEPT", "ALL")), frozenset(("DROP", "ALL"))
"""The events of the logs that are about accepted packets, and about dropped ones."""

METER_KEY = "neutron:meter"


class LogMeterRow(NamedTuple):
    """A meter, without its bands."""

    relation: Relation
    name: str
    unit: str
    fair: bool
    external_ids: Pairs


class LogMeterBandRow(NamedTuple):
    """The band of a meter."""

    relation: Relation
    external_ids: Pairs
    action: str
    rate: int
    burst_size: int


class Logger(NamedTuple):
    """A log that is enabled; the first one is the smallest.

    Arguments:
        created_at: when it was made, in seconds since 1970.
        uuid: its id.
        event: which packets it is about.
    """

    created_at: int
    uuid: UUID
    event: str


LOG_METERS = NamedRows(
    nb.Meter, LogMeterRow, key=nb.Meter.name, key_of=lambda row: row.name if row.name in METERS_OF_LOGS else None
)
METER_BANDS = RowsById(nb.MeterBand, LogMeterBandRow, lambda ids: ids.get(METER_KEY))
BANDS_OF_METER = Members(LOG_METERS, nb.Meter.bands)


@view
def _logger(log: cloud.SecurityGroupLog) -> Logger:
    return Logger(log.created_at, log.uuid, log.event)


@view
def _logs_of_all(store: Store) -> tuple[Logger, ...]:
    """Return the logs about every security group."""
    named = (cloud.SecurityGroupLog.security_group, cloud.SecurityGroupLog.port)
    logs = [log for log in store.table(cloud.SecurityGroupLog) if all(column.raw(log) is None for column in named)]
    return tuple(sorted(_logger(log) for log in logs if log.enabled))


@view
def _logs_of_ports(store: Store) -> dict[UUID, tuple[Logger, ...]]:
    """Return the logs about single ports, by each security group of the port; few ports are logged."""
    found: dict[UUID, list[Logger]] = {}
    for log in store.table(cloud.SecurityGroupLog):
        port = log.port
        if port is None or cloud.SecurityGroupLog.security_group.raw(log) is not None or not log.enabled:
            continue
        for group in cloud.Port.security_groups.raw(port):
            found.setdefault(group, []).append(_logger(log))
    return {group: tuple(sorted(logs)) for group, logs in found.items()}


@view
def _logs_of_group(group: cloud.SecurityGroup) -> tuple[Logger, ...]:
    """Return the logs about a security group, or about a port in it."""
    own = [_logger(log) for log in group.referrers(cloud.SecurityGroupLog.security_group) if log.enabled]
    return tuple(sorted((*own, *_logs_of_ports(group.home.store).get(group.uuid, ()))))


@view
def accept_log(group: cloud.SecurityGroup) -> UUID | None:
    """Return the log of the packets that a security group accepts, if there is one."""
    return _first((*_logs_of_group(group), *_logs_of_all(group.home.store)), ACCEPTED)


@view
def drop_log(group: cloud.SecurityGroup) -> UUID | None:
    """Return the log of the dropped packets of a security group's ports, if there is one for this group."""
    return _first(_logs_of_group(group), DROPPED)


def drops_everywhere(log: cloud.SecurityGroupLog) -> bool:
    """Return whether a log is the one of the dropped packets of all ports."""
    return _first(_logs_of_all(log.home.store), DROPPED) == log.uuid


def _first(logs: tuple[Logger, ...], events: frozenset[str]) -> UUID | None:
    chosen = [log for log in logs if log.event in events]
    return min(chosen).uuid if chosen else None


def log_columns(log: UUID | None, acl: str, *, stateful: bool = True) -> dict[str, Any]:
    """Return the columns of an ACL that are about logging; none without a log.

    Arguments:
        log: the log.
        acl: what the ACL's label is computed from.
        stateful: whether its security group is; others have a meter of their own.
    """
    if log is None:
        return {}
    return {
        "log": True,
        "name": f"neutron-{log}",
        "severity": "info",
        "meter": "acl_log_meter" if stateful else "acl_log_meter_stateless",
        "label": crc32(f"{log} {acl}".encode()) or 1,
        "options": (("log-related", "true"),),
    }


@rule(cloud.SecurityGroupLog)
def log_meters(_log: cloud.SecurityGroupLog) -> Iterator[Fact]:
    """Yield the meters of log lines, which are there as long as there is a log."""
    for name, (rate, burst) in METERS_OF_LOGS.items():
        yield LOG_METERS(name, unit="pktps", fair=True, external_ids=(("neutron:device_owner", "logging-plugin"),))
        yield METER_BANDS(external_ids=((METER_KEY, name),), action="drop", rate=rate, burst_size=burst)
        yield BANDS_OF_METER(name, METER_BANDS.uuid(name))
