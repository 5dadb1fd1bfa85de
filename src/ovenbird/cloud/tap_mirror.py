"""Tap mirrors: a mirror of Northbound for each tunnel, as a rule of the port's (ovn-nb(5), Mirror).

The names begin as those of Neutron's tap-as-a-service, `tm_in_`, and continue with the whole id, since two ids may
begin alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud.network import SWITCH_PORTS
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule
from ovenbird.model import cloud, nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

MIRROR_ID = "neutron:tap_mirror_id"


class TapMirrorRow(NamedTuple):
    """A mirror; the columns are those of ovn-nb(5), Mirror."""

    relation: Relation
    name: str
    filter: str
    sink: str
    type: str
    index: int  # type: ignore[assignment]  # the column's name, which is also that of a method of tuples
    external_ids: Pairs


def _own_mirror(row: nb.Mirror) -> str | None:
    return row.name if MIRROR_ID in row.external_ids else None


MIRRORS = NamedRows(nb.Mirror, TapMirrorRow, key=nb.Mirror.name, key_of=_own_mirror)
MIRRORS_OF_PORT = Members(
    SWITCH_PORTS, nb.LogicalSwitchPort.mirror_rules, among=lambda row: _own_mirror(row) is not None
)

FILTERS = {"IN": "to-lport", "OUT": "from-lport", "BOTH": "both"}
"""The filter of Northbound by Neutron's direction, which is the instance's point of view."""

TYPES = {"gre": "gre", "erspanv1": "erspan"}
"""The type of Northbound by Neutron's."""


@rule(cloud.TapMirrorTunnel)
def tap_mirror(tunnel: cloud.TapMirrorTunnel) -> Iterator[Fact]:
    """Yield the mirror of a tunnel, and that it is one of its port's."""
    mirror = tunnel.mirror
    name = f"tm_{tunnel.direction.lower()}_{mirror.uuid}"
    yield MIRRORS(
        name,
        filter=FILTERS[tunnel.direction],
        sink=mirror.remote_ip,
        type=TYPES[mirror.mirror_type],
        index=tunnel.tunnel_id,
        external_ids=((MIRROR_ID, mirror.uuid),),
    )
    yield MIRRORS_OF_PORT(cloud.TapMirror.port.raw(mirror), MIRRORS.uuid(name))
