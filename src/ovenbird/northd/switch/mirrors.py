"""Mirrors: the destinations of copies of the packets that ports send or receive.

ovn-nb(5), Mirror and Logical_Switch_Port. northd writes the mirrors to Southbound; the chassis of a port configures the
switch to copy the packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.southbound_rows import PORT_BINDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.northd.ir.switch_port import SwitchPort


class MirrorRow(NamedTuple):
    """A mirror."""

    relation: Relation
    name: str
    filter: str
    sink: str
    type: str
    index: int  # type: ignore[assignment]  # the column's name, which is also that of a method of tuples
    external_ids: tuple[tuple[str, str], ...]


MIRROR = NamedRows(sb.Mirror, MirrorRow, key=sb.Mirror.name)
MIRRORED = Members(PORT_BINDING, sb.PortBinding.mirror_rules)


@rule(nb.Mirror)
def mirror(mirror: nb.Mirror) -> Iterator[Fact]:
    """Yield a mirror's row in Southbound."""
    yield MIRROR(
        mirror.name,
        filter=mirror.filter,
        sink=mirror.sink,
        type=mirror.type,
        index=mirror.index,
        external_ids=tuple(sorted(mirror.external_ids.items())),
    )


def port(port: SwitchPort) -> Iterator[Fact]:
    """Yield the references from a port to its mirrors."""
    for each in port.lsp.mirror_rules:
        yield MIRRORED((port.name, port.datapath), MIRROR.uuid(each.name))


FEATURE = Feature("mirrors", rules=(mirror,), port=port, needs=("mirrored",), outputs=(MIRROR, MIRRORED))
