"""Transit switches: a logical switch in each zone's Northbound, with one tunnel key for all of them.

The zone that first sees a transit switch in Interconnection Northbound allocates its key in Interconnection Southbound,
from a range that no zone uses for its own datapaths; the unique index there decides between zones that do so at the
same time (ovn-architecture(7)). Of several rows for one switch the one with the lowest key stays: all zones choose the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows, Rows
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.ic.availability_zone import zone
from ovenbird.model import ic_nb, ic_sb, nb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

TRANSIT_KEYS = Pool("tunnel key of a transit switch", 16_711_681, 16_777_215)
"""The numbers above those that northd gives to datapaths by itself (`northd.shared.binding`)."""

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


DATAPATHS: Rows[tuple[str, int]] = Rows(
    ic_sb.DatapathBinding, (ic_sb.DatapathBinding.transit_switch, ic_sb.DatapathBinding.tunnel_key)
)
SWITCHES = NamedRows(nb.LogicalSwitch, TransitSwitchRow, key_of=transit_name, parts=(nb.LogicalSwitch.other_config,))


@view
def stored_key(transit_switch: str) -> int | None:
    """Return the tunnel key that a transit switch has in Interconnection Southbound; None as long as it has none."""
    found = select(ic_sb.DatapathBinding.transit_switch, transit_switch)
    return min([binding.tunnel_key for binding in found], default=None)


@rule(ic_sb.DatapathBinding)
def datapath_key(binding: ic_sb.DatapathBinding) -> Iterable[Fact]:
    """Keep a key that is in use, or was a moment ago, from being allocated again."""
    name, key = binding.transit_switch, binding.tunnel_key
    TRANSIT_KEYS.get(name if key == stored_key(name) else (name, key), want=key)
    return ()


@rule(ic_nb.TransitSwitch)
def transit_switch(row: ic_nb.TransitSwitch) -> Iterator[Fact]:
    """Give each transit switch its tunnel key, which is no zone's own, and its logical switch here."""
    name = row.name
    key = stored_key(name)
    yield DATAPATHS(name, TRANSIT_KEYS.get(name) if key is None else key)
    if zone() is None:
        return
    config = {INTERCONNECTION: name}
    if key is not None:
        config[REQUESTED_KEY] = str(key)
    yield SWITCHES(name, name, tuple(sorted(config.items())))
