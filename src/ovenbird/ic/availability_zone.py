"""Availability zones: this deployment's row in Interconnection Southbound, and which rows there are its own.

A zone is named by NB_Global.name (ovn-nb(5)). Gateways, port bindings and routes refer to the zone that wrote them; the
rows of other zones are read and never written. When the name changes, the zone's rows move to the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.rows import Row, Store
from ovenbird.engine.rules import singleton
from ovenbird.engine.serial_uuids import serial_uuid
from ovenbird.engine.views import view
from ovenbird.model import ic_nb, ic_sb, nb
from ovenbird.model.types import string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID, Column


class ZoneName(Row, table="Zone_Name"):
    """A name that this zone has, or has had while this process runs; a table of this process alone."""

    __slots__ = ()

    name: Column[str] = string()


class RegisteredZone(NamedTuple):
    """The row of this zone; the columns are those of ovn-ic-sb(5)."""

    relation: Relation
    name: str
    nb_ic_cfg: int


ZONES = NamedRows(ic_sb.AvailabilityZone, RegisteredZone, key=ic_sb.AvailabilityZone.name)

ZoneRow = ic_sb.Gateway | ic_sb.PortBinding | ic_sb.Route
"""A row that belongs to the zone that it refers to."""


@view
def zone_name() -> str:
    """Return the name of this availability zone; empty while it has none, and takes no part."""
    for row in rows(nb.NBGlobal):
        return row.name
    return ""


@view
def zone() -> UUID | None:
    """Return the UUID that this zone's row has or will have; None without a name."""
    name = zone_name()
    return ZONES.uuid(name) if name else None


def is_own_name(name: str) -> bool:
    """Return whether a name is this zone's present one or a former one."""
    return find(ZoneName.name, name) is not None


def is_ours(row: ZoneRow) -> bool:
    """Return whether a row is this zone's."""
    return is_own_name(row.availability_zone.name)


def is_others(row: ZoneRow) -> bool:
    """Return whether a row is another zone's, and this one takes part."""
    return zone() is not None and not is_ours(row)


@view
def asked() -> int:
    """Return the number of the last changes in Interconnection Northbound that a client waits for."""
    return next((row.nb_ic_cfg for row in rows(ic_nb.ICNBGlobal)), 0)


@singleton
def availability_zone() -> Iterator[Fact]:
    """Register this zone, with the number of the changes in Interconnection Northbound that it has applied by then."""
    if name := zone_name():
        yield ZONES(name, asked())


class ZoneRows:
    """Which rows of Interconnection Southbound are this process's to write: those of the names that its zone has had.

    Arguments:
        store: Interconnection Southbound.
        names: the names so far.
    """

    def __init__(self, store: Store, *names: str) -> None:
        self.own = Store("own", [ZoneName])
        """The names, for rules to read."""
        self._names = self.own.table(ZoneName)
        self._zones = store.table(ic_sb.AvailabilityZone)
        self._gateways = store.table(ic_sb.Gateway)
        for name in names:
            self.add(name)

    @property
    def named(self) -> bool:
        """Whether the zone has ever had a name."""
        return bool(self._names.rows)

    def add(self, name: str) -> bool:
        """Note a name of the zone; return whether it is a new one, after which outputs must `review` their rows."""
        if self._has(name):
            return False
        self._names.insert(serial_uuid(), [name])
        return True

    def holds(self, row: Row) -> bool:
        """Return whether a row of a zone, the zone itself or the encap of a gateway is ours; untracked."""
        match row:
            case ic_sb.AvailabilityZone():
                return self._has(row.name)
            case ic_sb.Encap():
                gateway = self._gateways.find(ic_sb.Gateway.name, row.gateway_name)
                return gateway is not None and self.holds(gateway)
            case ic_sb.Gateway() | ic_sb.PortBinding() | ic_sb.Route():
                found = self._zones.rows.get(type(row).availability_zone.raw(row))
                return found is not None and self._has(found.name)
        return True

    def _has(self, name: str) -> bool:
        return self._names.find(ZoneName.name, name) is not None
