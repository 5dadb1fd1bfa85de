"""Bounds on what is used of other zones: the number of zones, of rows of each zone, and of characters of a text.

Any client that may write to Interconnection Southbound can fill it with rows of any content. Rows beyond a bound are
treated as if they did not exist. Of the rows of one kind the first ones by UUID are used, so that a zone with too many
rows affects only itself, and a restart changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.first import first_of
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.ic.availability_zone import is_others, is_own_name
from ovenbird.model import ic_sb, nb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.first import First
    from ovenbird.engine.rows import UUID
    from ovenbird.ic.availability_zone import ZoneRow

MOST_ZONES = 256
"""Other zones."""

MOST_GATEWAYS = 256
"""Gateways of one zone."""

MOST_ENCAPS = 16
"""Tunnel endpoints of one gateway."""

MOST_PORTS = 10_000
"""Ports of one zone, on all transit switches."""

MOST_ROUTES = 10_000
"""Routes of one zone, on all transit switches."""

LONGEST_TEXT = 255
"""Characters of a name, an address, a prefix, or a key or value of options."""

LONGEST_ADDRESSES = 4_096
"""Characters of the addresses of a port."""

MOST_OPTIONS = 16
"""Options of a tunnel endpoint."""

_ALL = "zones"


@first_of(ic_sb.AvailabilityZone, MOST_ZONES)
def zones(row: ic_sb.AvailabilityZone) -> Iterator[tuple[str, UUID]]:
    """Yield the zones that are not this one."""
    if not is_own_name(row.name):
        yield _ALL, row.uuid


def _by_zone(row: ZoneRow) -> Iterable[tuple[UUID, UUID]]:
    return ((type(row).availability_zone.raw(row), row.uuid),) if is_others(row) else ()


@first_of(ic_sb.Gateway, MOST_GATEWAYS)
def gateways(row: ic_sb.Gateway) -> Iterable[tuple[UUID, UUID]]:
    """Return a gateway of another zone, by zone."""
    return _by_zone(row)


@first_of(ic_sb.PortBinding, MOST_PORTS)
def ports(row: ic_sb.PortBinding) -> Iterable[tuple[UUID, UUID]]:
    """Return a port of another zone, by zone."""
    return _by_zone(row)


@first_of(ic_sb.Route, MOST_ROUTES)
def routes(row: ic_sb.Route) -> Iterable[tuple[UUID, UUID]]:
    """Return a route of another zone, by zone."""
    return _by_zone(row)


KINDS: dict[type[ZoneRow], tuple[First[UUID, UUID], str]] = {
    ic_sb.Gateway: (gateways, "gateways"),
    ic_sb.PortBinding: (ports, "ports"),
    ic_sb.Route: (routes, "routes"),
}
"""By kind of row: those that are taken of each zone, and what findings call them."""


def is_taken(row: ZoneRow) -> bool:
    """Return whether a row is another zone's, and within the bounds on zones and on their rows."""
    owner = type(row).availability_zone.raw(row)
    return is_others(row) and zones.has(_ALL, owner) and KINDS[type(row)][0].has(owner, row.uuid)


@view
def excess(row: ZoneRow) -> str:
    """Return what of a row is beyond a bound on what it says; empty if nothing is, and the row can be used."""
    match row:
        case ic_sb.Gateway():
            if len(ic_sb.Gateway.encaps.raw(row)) > MOST_ENCAPS:
                return f"it has more than {MOST_ENCAPS} encaps"
            if any(len(encap.options) > MOST_OPTIONS for encap in row.encaps):
                return f"an encap of it has more than {MOST_OPTIONS} options"
            options = [text for encap in row.encaps for pair in encap.options.items() for text in pair]
            texts = [row.name, row.hostname, *(encap.ip for encap in row.encaps), *options]
        case ic_sb.PortBinding():
            if len(row.address) > LONGEST_ADDRESSES:
                return f"its addresses have more than {LONGEST_ADDRESSES} characters"
            texts = [row.logical_port, row.transit_switch, row.gateway]
        case ic_sb.Route():
            texts = [row.transit_switch, row.route_table, row.ip_prefix, row.nexthop]
    return (
        f"it has a text of more than {LONGEST_TEXT} characters"
        if any(len(text) > LONGEST_TEXT for text in texts)
        else ""
    )


def left_out(row: ZoneRow, name: str, *, why: str) -> Fact:
    """Make a finding about a row of another zone that cannot be used.

    Arguments:
        row: the row.
        name: what it is, and its name: "route 192.0.2.0/24"; its beginning is told.
        why: as `excess` returns it.
    """
    return finding(row, f"{name[:LONGEST_TEXT]} of another zone is left out: {why}")


@rule(ic_sb.AvailabilityZone)
def too_many(row: ic_sb.AvailabilityZone) -> Iterator[Fact]:
    """Report a zone that has more rows than are taken."""
    for places, what in KINDS.values():
        if places.exceeds(row.uuid):
            text = f"zone {row.name[:LONGEST_TEXT]} has more than {places.limit} {what}: the others are left out"
            yield finding(row, text)


@singleton
def too_many_zones() -> Iterator[Fact]:
    """Report more zones than are taken."""
    if zones.exceeds(_ALL):
        for row in rows(nb.NBGlobal):
            yield finding(row, f"there are more than {zones.limit} other zones: the others are left out")
