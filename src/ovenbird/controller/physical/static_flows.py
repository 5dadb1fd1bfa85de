"""The fixed flows of the tables between the physical and the logical network.

Numbers are OVN 23.03's (ovn-architecture(7), "Architectural Physical Life Cycle of a Packet").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import flow
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.rules import singleton
from ovenbird.model.sb import LogicalFlow
from ovenbird.net.ethernet import IPV4, IPV6
from ovenbird.openflow.actions import CopyField, Resubmit, SetField
from ovenbird.openflow.fields import Subfield
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact


ALLOW_LOOPBACK, FROM_VTEP = FlagBit.LOOPBACK.mask, FlagBit.FROM_VTEP.mask
LOCAL_ONLY, FROM_LOCALPORT = FlagBit.LOCAL_ONLY.mask, FlagBit.FROM_LOCALPORT.mask

ONES = 0xFFFFFFFF
METADATA_ONES = (1 << 64) - 1
REGISTERS = tuple(f"reg{n}" for n in range(10))
CLEAR_REGISTERS = tuple(SetField.of(name, 0) for name in REGISTERS)
_ESTABLISHED = (0x22, 0x22)  # +est+trk
_ORIGINAL_DESTINATIONS: tuple[tuple[OFTable, dict[str, tuple[int, int]], str, Subfield], ...] = (
    (OFTable.ORIGINAL_IP4_DST, {"eth_type": (IPV4, 0xFFFF)}, "ct_nw_dst", Subfield.of("reg1")),
    (OFTable.ORIGINAL_IP6_DST, {"eth_type": (IPV6, 0xFFFF)}, "ct_ipv6_dst", Subfield.of("xxreg1")),
    (OFTable.ORIGINAL_PORT_DST, {}, "ct_tp_dst", Subfield.of("reg2", ofs=0, n_bits=16)),
)
_ASKING = ComputedIndex(
    LogicalFlow.actions, keys=lambda values: (True,) if "_dst()" in values[LogicalFlow.actions.index] else ()
)
"""The logical flows that read where a connection's first packet was sent: none, with most releases of northd."""


def to_port(datapath: int, *, key: int) -> dict[str, tuple[int, int]]:
    """Return the match of packets to a port or multicast group of a datapath."""
    return {"reg15": (key, ONES), "metadata": (datapath, METADATA_ONES)}


@singleton
def static_flows() -> Iterator[Fact]:
    """Yield the flows that exist regardless of Southbound: mostly the defaults of tables."""
    yield flow(OFTable.PHY_TO_LOG, 0, {}, ())
    yield flow(OFTable.OUTPUT_LARGE_PKT_DETECT, 0, {}, (Resubmit(OFTable.REMOTE_OUTPUT),))
    yield flow(
        OFTable.OUTPUT_LARGE_PKT_PROCESS,
        10,
        {"reg10": (ALLOW_LOOPBACK, ALLOW_LOOPBACK)},
        (Resubmit(OFTable.LOCAL_OUTPUT),),
    )
    yield flow(OFTable.OUTPUT_LARGE_PKT_PROCESS, 0, {}, (Resubmit(OFTable.REMOTE_OUTPUT),))
    yield flow(OFTable.REMOTE_OUTPUT, 150, {"reg10": (LOCAL_ONLY, LOCAL_ONLY)}, (Resubmit(OFTable.LOCAL_OUTPUT),))
    yield flow(
        OFTable.REMOTE_OUTPUT,
        150,
        {"reg10": (FROM_VTEP, FROM_VTEP | ALLOW_LOOPBACK)},
        (Resubmit(OFTable.LOCAL_OUTPUT),),
    )
    yield flow(OFTable.REMOTE_OUTPUT, 0, {}, (Resubmit(OFTable.LOCAL_OUTPUT),))
    yield flow(OFTable.LOCAL_OUTPUT, 0, {}, ())
    yield flow(OFTable.CHECK_LOOPBACK, 0, {}, (*CLEAR_REGISTERS, Resubmit(OFTable.LOG_EGRESS_PIPELINE)))
    yield flow(OFTable.SAVE_INPORT, 0, {}, (Resubmit(OFTable.LOG_TO_PHY),))
    yield flow(OFTable.LOG_TO_PHY, 0, {}, ())
    for table, kind, field, register in _ORIGINAL_DESTINATIONS if _ASKING.rows(True) else ():
        move = CopyField(src=Subfield.of(field), dst=register)
        yield flow(table, 100, {"ct_state": _ESTABLISHED, **kind}, (move,))
