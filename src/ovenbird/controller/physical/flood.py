"""Large floods are split into pieces.

Open vSwitch drops a packet, with all its copies, if their processing needs more than 4,096 resubmits. For a group with
many members on this chassis the group's flow therefore makes only the copies of the first piece; the controller sends
the packet to the switch again for each further piece (`pinctrl.flood_pieces`), whose flow is in a table of its own. A
flow for two thousand ports would also exceed the maximum length of a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.local_data import resident_in
from ovenbird.engine.lookups import table as table_of
from ovenbird.engine.views import view
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model.sb import MulticastGroup, PortBinding
from ovenbird.model.southbound_lookup import ports_of_types
from ovenbird.openflow.actions import Controller
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID

PIECE = "reg0"
"""The register that holds the number of the piece."""

MOST_PIECES = 256

_MEMBERS = {OFTable.REMOTE_OUTPUT: 32, OFTable.LOCAL_OUTPUT: 128}
"""How many members a piece of a flood has at most, about: a copy passes 13 tables at a port, and more in a router."""


@view
def pieces(group: MulticastGroup, table: OFTable) -> int:
    """Return the number of pieces in which a table floods to a group.

    If most members are on other chassis, pieces may have few members here.

    Arguments:
        group: the multicast group.
        table: `REMOTE_OUTPUT`, which copies to routers, or `LOCAL_OUTPUT`.
    """
    uuid, most = MulticastGroup.datapath.raw(group), _MEMBERS[table]
    here = routers_in(uuid) if table == OFTable.REMOTE_OUTPUT else len(resident_in(uuid))
    if here <= most:
        return 1
    count = min(here, len(MulticastGroup.ports.raw(group)))
    return min(1 << (max(count - 1, 0) // most).bit_length(), MOST_PIECES)


@view
def routers_in(datapath: UUID) -> int:
    """Return the number of a datapath's patch ports."""
    return len(ports_of_types(table_of(PortBinding), datapath, "patch"))


def number_of(table: OFTable, piece: int) -> int:
    """Return the number that identifies a piece of a table's flood, from 1.

    Arguments:
        table: `REMOTE_OUTPUT` or `LOCAL_OUTPUT`.
        piece: the index of the piece, from 1; piece 0 is the flow in the table itself.
    """
    return 2 * piece + (table == OFTable.REMOTE_OUTPUT)


def ask(table: OFTable, pieces: int) -> Controller:
    """Return the action that makes the controller send a packet to the switch again, once for each further piece.

    Arguments:
        table: `REMOTE_OUTPUT` or `LOCAL_OUTPUT`.
        pieces: the number of pieces, including piece 0.
    """
    return Controller(Userdata(Opcode.FLOOD_PIECES, payload=bytes([table, *pieces.to_bytes(2, "big")])).encode())
