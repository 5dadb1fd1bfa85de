"""Large floods in pieces: the controller returns a flooded packet to the switch once for each further piece.

See `physical.flood`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.physical.flood import MOST_PIECES, PIECE, number_of
from ovenbird.net.errors import PacketError
from ovenbird.openflow.actions import Resubmit, SetField
from ovenbird.openflow.messages import PacketOut
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.openflow.messages import PacketIn

_CARRIED = ("metadata", "reg10", "reg11", "reg12", "reg13", "reg14", "reg15")
"""The fields that the following flows match: datapath, flags, conntrack zones, ports."""


def further(packet_in: PacketIn, payload: bytes) -> Iterator[PacketOut]:
    """Yield the packet for each further piece.

    Raises:
        PacketError: the number of pieces in the userdata is invalid.
    """
    pieces = int.from_bytes(payload[1:3], "big")
    if len(payload) < 3 or not 1 < pieces <= MOST_PIECES:
        raise PacketError(f"a flood in {pieces} pieces")
    fields = packet_in.metadata
    carried = [SetField.of(name, fields[name][0]) for name in _CARRIED if name in fields]
    table = OFTable.REMOTE_OUTPUT if payload[0] == OFTable.REMOTE_OUTPUT else OFTable.LOCAL_OUTPUT
    for piece in range(1, pieces):
        number = SetField.of(PIECE, number_of(table, piece))
        yield PacketOut(packet=packet_in.packet, actions=(*carried, number, Resubmit(OFTable.FLOOD_PIECE)))
