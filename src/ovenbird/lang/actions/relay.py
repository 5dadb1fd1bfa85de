"""Actions by which the controller relays DHCPv4 messages between clients and a server in another network.

`R = dhcp_relay_req_chk(RELAY, SERVER);` and `R = dhcp_relay_resp_chk(RELAY, SERVER);` of OVN 24.09 and later
(ovn-sb(5)); RFC 2131, section 4.1, and RFC 1542, section 4. The flow punts the packet and pauses it. The controller
writes what a relay agent writes and 1 into the result bit, or leaves the packet unchanged and writes 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import Action, check_result, field_requires
from ovenbird.lang.actions.layout import bits_of
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.lang.lexer import Format
from ovenbird.net.addresses import ipv4_text

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef
    from ovenbird.openflow.actions import Action as OpenFlowAction


@dataclass(frozen=True, slots=True)
class _RelayCheck(Action):
    """`R = check(RELAY, SERVER);`, with both addresses as numbers."""

    NAME: ClassVar[str]
    OPCODE: ClassVar[Opcode]

    dst: FieldRef
    _: KW_ONLY
    relay: int
    server: int

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> Self:
        """Parse the two addresses, between which the comma is optional as in OVN.

        Raises:
            LangError: there are no two IPv4 addresses, or the result cannot be written to the field.
        """
        cursor.expect("(")
        check_result(cursor, dst)
        relay = _address(cursor, "relay and server ips")
        cursor.take(",")
        server = _address(cursor, "dhcp server ip")
        cursor.expect(")")
        return cls(dst, relay=relay, server=server)

    def format(self) -> str:
        """Write the action."""
        relay, server = (ipv4_text(number) for number in (self.relay, self.server))
        return f"{self.dst} = {self.NAME}({relay}, {server});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one controller action that pauses the packet."""
        payload = self.relay.to_bytes(4, "big") + self.server.to_bytes(4, "big")
        return [Userdata(self.OPCODE, bits_of(self.dst), payload).controller(ctx, pause=True)]

    def evaluate(self, machine: Machine) -> bool:
        """Let the machine say whether the message is relayed, and store that."""
        machine.packet.set(self.dst, int(machine.answers(self)))
        return True


def _address(cursor: Cursor, what: str) -> int:
    token = cursor.token
    if token.kind != "integer" or token.format is not Format.IPV4:
        raise cursor.syntax_error(f"expecting IPv4 {what}")
    cursor.advance()
    return token.value


class DhcpRelayRequest(_RelayCheck):
    """`R = dhcp_relay_req_chk(RELAY, SERVER);`: a client's message gets the relay's address, for the server."""

    __slots__ = ()
    NAME, OPCODE = "dhcp_relay_req_chk", Opcode.DHCP_RELAY_REQ_CHK


class DhcpRelayResponse(_RelayCheck):
    """`R = dhcp_relay_resp_chk(RELAY, SERVER);`: a server's reply gets the client's MAC and IP as destination."""

    __slots__ = ()
    NAME, OPCODE = "dhcp_relay_resp_chk", Opcode.DHCP_RELAY_RESP_CHK
