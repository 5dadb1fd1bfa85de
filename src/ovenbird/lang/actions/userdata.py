"""The userdata of packet-ins, which tells the controller what to do with a packet: one codec for both sides.

    0  opcode (32 bits) and 4 bytes of zero
    8  the result bit, for opcodes of `WITH_RESULT`: the field's OXM header (32 bits) and a bit offset (32 bits)
       the payload: the arguments of the opcode's action, or nested actions as OpenFlow 1.5 encodes them

Opcodes are those of OVN 25.03, so that the flows of both can be compared. The packet-in of a paused flow carries a
continuation, with which the controller resumes the packet after it has written the answer.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Self

from ovenbird.dataclass import dataclass
from ovenbird.openflow.actions import Controller, decode_actions
from ovenbird.openflow.errors import DecodeError
from ovenbird.openflow.fields import Subfield
from ovenbird.openflow.match import decode_header

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.openflow.actions import Action as OpenFlowAction


class Opcode(IntEnum):
    """The action that the controller performs."""

    ARP = 0
    PUT_ARP = 1
    PUT_DHCP_OPTS = 2
    ND_NA = 3
    PUT_ND = 4
    PUT_DHCPV6_OPTS = 5
    DNS_LOOKUP = 6
    LOG = 7
    PUT_ND_RA_OPTS = 8
    ND_NS = 9
    ICMP = 10
    TCP_RESET = 11
    ND_NA_ROUTER = 12
    PUT_ICMP4_FRAG_MTU = 13
    ICMP4_ERROR = 14
    EVENT = 15
    IGMP = 16
    BIND_VPORT = 17
    HANDLE_SVC_CHECK = 18
    HANDLE_DHCPV6_REPLY = 19
    ICMP6_ERROR = 20
    PUT_ICMP6_FRAG_MTU = 21
    REJECT = 22
    BFD_MSG = 23
    SCTP_ABORT = 24
    PUT_FDB = 25
    ACTIVATION_STRATEGY_RARP = 26
    DHCP_RELAY_REQ_CHK = 28
    DHCP_RELAY_RESP_CHK = 29
    FLOOD_PIECES = 0x0F00  # unknown to OVN: our controller installs the flows with it, and handles the packet-ins


WITH_RESULT = frozenset(
    (
        Opcode.PUT_DHCP_OPTS, Opcode.PUT_DHCPV6_OPTS, Opcode.DNS_LOOKUP, Opcode.PUT_ND_RA_OPTS,
        Opcode.DHCP_RELAY_REQ_CHK, Opcode.DHCP_RELAY_RESP_CHK,
    )
)  # fmt: skip

# Opcodes whose payload is nested actions, which run on the packet that the controller makes.
WITH_ACTIONS = frozenset(
    (
        Opcode.ARP, Opcode.ND_NA, Opcode.ND_NS, Opcode.ND_NA_ROUTER, Opcode.ICMP, Opcode.ICMP4_ERROR,
        Opcode.ICMP6_ERROR, Opcode.TCP_RESET, Opcode.SCTP_ABORT, Opcode.REJECT,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Userdata:
    """The userdata of one packet-in; `result` is the bit that receives the result, for opcodes with one."""

    opcode: Opcode
    result: Subfield | None = None
    payload: bytes = b""

    def encode(self) -> bytes:
        """Encode as the bytes of the controller action's userdata."""
        head = self.opcode.to_bytes(4, "big") + bytes(4)
        if self.result is not None:
            head += self.result.field.header + self.result.ofs.to_bytes(4, "big")
        return head + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode the userdata of a packet-in.

        Raises:
            DecodeError: it is not the encoding of any action.
        """
        if len(data) < 8:
            raise DecodeError(f"userdata of {len(data)} bytes")
        number = int.from_bytes(data[:4], "big")
        try:
            opcode = Opcode(number)
        except ValueError:
            raise DecodeError(f"userdata with unknown opcode {number}") from None
        if opcode not in WITH_RESULT:
            return cls(opcode, None, data[8:])
        field, _, _, end = decode_header(data, 8)
        ofs = int.from_bytes(data[end : end + 4], "big")
        if len(data) < end + 4 or ofs >= field.bits:
            raise DecodeError(f"userdata with result bit {ofs} of {field}")
        return cls(opcode, Subfield(field, ofs=ofs, n_bits=1), data[end + 4 :])

    @property
    def actions(self) -> tuple[OpenFlowAction, ...]:
        """The nested actions of an opcode in `WITH_ACTIONS`; raises `DecodeError` if the payload is malformed."""
        return decode_actions(self.payload)

    def controller(self, ctx: Context, *, pause: bool = False) -> Controller:
        """Return the OpenFlow action that sends the packet with this userdata to the controller."""
        return Controller(self.encode(), pause=pause, meter_id=ctx.controller_meter)
