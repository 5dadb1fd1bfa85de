"""Transit switches: a logical switch in each zone's Northbound, with one tunnel key for all of them.

The zone that first sees a transit switch in Interconnection Northbound allocates its key in Interconnection Southbound,
from a range that no zone uses for its own datapaths; the unique index there decides between zones that do so at the
same time (ovn-architecture(7)). Of several rows for one switch the one with the lowest key stays: all zones choose the
same. Any client may write to that table: rows with a key outside of the range are ignored, and rows without a transit
switch are removed, as by the original; neither takes a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows, Rows
from ovenbird.engine.findings import finding
from ovenbird.engine.first import first_of
from ovenbird.engine.ids import Pool
from ovenbird.engine.least import least_of
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.rules import rule, singleton
from ovenbird.ic.availability_zone import zone
from ovenbird.ic.bounds import LONGEST_TEXT
from ovenbird.model import ic_nb, ic_sb, nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

TRANSIT_KEYS = Pool("tunnel key of a transit switch", 16_711_681, 16_777_215)
"""The numbers above those that northd gives to datapaths by itself (`northd.shared.binding`)."""

MOST_KEYS = 8
"""Keys of one transit switch, of which zones that allocate at the same time may leave several."""

MOST_REPORTED = 16
"""Keys that no transit switch can have."""

_ALL = "keys"
INTERCONNECTION = "interconn-ts"
REQUESTED_KEY = "requested-tnl-key"


class TransitSwitchRow(NamedTuple):
    """A logical switch that stands for a transit switch; the columns are those of ovn-nb(5)."""

    relation: Relation
    transit_switch: str
    name: str
    other_config: Pairs


def transit_name(switch: nb.LogicalSwitch) -> str | None:
    """Return the name of the transit switch that a logical switch stands for; None for other switches."""
    return switch.other_config.get(INTERCONNECTION)


SWITCHES = NamedRows(nb.LogicalSwitch, TransitSwitchRow, key_of=transit_name, parts=(nb.LogicalSwitch.other_config,))


def is_transit_key(row: ic_sb.DatapathBinding) -> bool:
    """Return whether a row has a key that transit switches may have; rows with another key are left alone."""
    return TRANSIT_KEYS.low <= row.tunnel_key <= TRANSIT_KEYS.high


def is_used(row: ic_sb.DatapathBinding) -> bool:
    """Return whether a row may give its key to a transit switch."""
    return is_transit_key(row) and find(ic_nb.TransitSwitch.name, row.transit_switch) is not None


DATAPATHS: Rows[tuple[str, int]] = Rows(
    ic_sb.DatapathBinding,
    (ic_sb.DatapathBinding.transit_switch, ic_sb.DatapathBinding.tunnel_key),
    key_of=lambda row: (row.transit_switch, row.tunnel_key) if is_transit_key(row) else None,
)


@least_of(ic_sb.DatapathBinding)
def stored_keys(row: ic_sb.DatapathBinding) -> Iterator[tuple[str, int]]:
    """Yield the keys that a transit switch has in Interconnection Southbound."""
    if is_used(row):
        yield row.transit_switch, row.tunnel_key


@first_of(ic_sb.DatapathBinding, MOST_KEYS)
def kept_keys(row: ic_sb.DatapathBinding) -> Iterator[tuple[str, int]]:
    """Yield the same: the lowest ones are not allocated again while they are there."""
    if is_used(row):
        yield row.transit_switch, row.tunnel_key


@first_of(ic_sb.DatapathBinding, MOST_REPORTED)
def unused(row: ic_sb.DatapathBinding) -> Iterator[tuple[str, int]]:
    """Yield the keys that no transit switch can have."""
    if not is_used(row):
        yield _ALL, row.tunnel_key


@rule(ic_sb.DatapathBinding)
def datapath_key(row: ic_sb.DatapathBinding) -> Iterator[Fact]:
    """Keep a key that is in use, or was a moment ago, from being allocated again; report one that is not used."""
    name, key = row.transit_switch, row.tunnel_key
    if kept_keys.has(name, key):
        TRANSIT_KEYS.get(name if key == stored_keys.least(name) else (name, key), want=key)
    elif unused.has(_ALL, key):
        known = "Interconnection Northbound has no such switch"
        why = known if is_transit_key(row) else f"it is not between {TRANSIT_KEYS.low} and {TRANSIT_KEYS.high}"
        yield finding(row, f"tunnel key {key} of transit switch {name[:LONGEST_TEXT]} is not used: {why}")


@singleton
def too_many_keys() -> Iterator[Fact]:
    """Report more unused keys than are reported one by one."""
    if unused.exceeds(_ALL):
        for head in rows(nb.NBGlobal):
            yield finding(head, f"there are more than {unused.limit} tunnel keys that no transit switch can have")


@rule(ic_nb.TransitSwitch)
def transit_switch(row: ic_nb.TransitSwitch) -> Iterator[Fact]:
    """Give each transit switch its tunnel key, which is no zone's own, and its logical switch here."""
    name = row.name
    key = stored_keys.least(name)
    if kept_keys.exceeds(name):
        yield finding(row, f"transit switch {name} has more than {kept_keys.limit} tunnel keys: the lowest one is used")
    yield DATAPATHS(name, TRANSIT_KEYS.get(name) if key is None else key)
    if zone() is None:
        return
    config = {INTERCONNECTION: name}
    if key is not None:
        config[REQUESTED_KEY] = str(key)
    yield SWITCHES(name, name, tuple(sorted(config.items())))
