"""Actions that replace the packet by one that the controller makes, and run a block on it (ovn-sb(5), arp to reject).

The userdata carries the block as OpenFlow actions. The controller makes the new packet from the one in the packet-in,
and sends it in a packet-out with these actions. `evaluate` makes the same packet from the microflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Action, encode_all, format_all
from ovenbird.lang.actions.machine import run_on
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.net.addresses import link_local
from ovenbird.net.ethernet import ARP, IPV6
from ovenbird.net.ipv4 import ICMP, SCTP, TCP, UDP
from ovenbird.net.ipv6 import ICMPV6
from ovenbird.openflow.actions import encode_actions

if TYPE_CHECKING:
    from typing import Self

    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.microflow import Microflow
    from ovenbird.openflow.actions import Action as OpenFlowAction

_TCP_RST, _TCP_ACK = 0x004, 0x010
_SOLICITED_NODE = 0xFF02_0000_0000_0000_0000_0001_FF00_0000  # RFC 4291, section 2.7.1

# Fields that are removed when the packet becomes one of another kind.
_IP_FIELDS = (
    "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "ipv6_label", "nw_proto", "nw_ttl", "nw_ecn", "ip_dscp", "ip_frag",
)  # fmt: skip
_UPPER_FIELDS = (
    "tcp_src", "tcp_dst", "tcp_flags", "udp_src", "udp_dst", "sctp_src", "sctp_dst", "icmp_type", "icmp_code",
    "icmpv6_type", "icmpv6_code", "nd_target", "nd_sll", "nd_tll",
)  # fmt: skip


def _without(packet: Microflow, *groups: tuple[str, ...]) -> Microflow:
    made = packet.copy()
    made.quoted = None
    for group in groups:
        for name in group:
            made.values.pop(name, None)
    return made


def arp_request(packet: Microflow) -> Microflow:
    """Return an ARP request for the destination of an IPv4 packet."""
    made = _without(packet, _IP_FIELDS, _UPPER_FIELDS)
    made["eth_type"], made["arp_op"] = ARP, 1
    made["arp_sha"], made["arp_spa"] = packet["eth_src"], packet["ip_src"]
    made["arp_tha"], made["arp_tpa"] = 0, packet["ip_dst"]
    return made


def neighbor_solicitation(packet: Microflow) -> Microflow:
    """Return a solicitation for the destination of an IPv6 packet, from the router's link-local address."""
    made = _without(packet, _UPPER_FIELDS, () if packet["eth_type"] == IPV6 else _IP_FIELDS)
    made["eth_type"] = IPV6
    made["ipv6_src"] = int.from_bytes(link_local(packet["eth_src"].to_bytes(6)))
    target = packet["ipv6_dst"]
    group = _SOLICITED_NODE | target & 0xFF_FFFF
    made["ipv6_dst"], made["eth_dst"] = group, 0x3333_0000_0000 | group & 0xFFFF_FFFF
    made["nw_proto"], made["nw_ttl"], made["icmpv6_type"], made["icmpv6_code"] = ICMPV6, 255, 135, 0
    made["nd_target"], made["nd_sll"] = target, packet["eth_src"]
    return made


def neighbor_advertisement(packet: Microflow) -> Microflow:
    """Return the advertisement that answers a neighbour solicitation."""
    made = _without(packet, _UPPER_FIELDS)
    made["eth_dst"], made["eth_src"] = packet["eth_src"], packet["eth_dst"]
    made["ipv6_dst"], made["ipv6_src"] = packet["ipv6_src"], packet["nd_target"]
    made["nw_proto"], made["nw_ttl"], made["icmpv6_type"], made["icmpv6_code"] = ICMPV6, 255, 136, 0
    made["nd_target"], made["nd_tll"] = packet["nd_target"], packet["eth_dst"]
    return made


def unreachable(packet: Microflow) -> Microflow:
    """Return the ICMP error (destination or administratively unreachable) about an IP packet, addresses unchanged."""
    made = _without(packet, _UPPER_FIELDS)
    made.quoted = packet.copy()
    made["nw_ttl"] = 255
    if packet["eth_type"] == IPV6:
        made["nw_proto"], made["icmpv6_type"], made["icmpv6_code"] = ICMPV6, 1, 1
    else:
        made["nw_proto"], made["icmp_type"], made["icmp_code"], made["ip_frag"] = ICMP, 3, 1, 0
    return made


def reset(packet: Microflow) -> Microflow:
    """Return the TCP reset that answers a segment: ports exchanged, addresses unchanged (the block sets them)."""
    made = packet.copy()
    made["tcp_src"], made["tcp_dst"] = packet["tcp_dst"], packet["tcp_src"]
    made["tcp_flags"] = _TCP_RST if packet["tcp_flags"] & _TCP_ACK else _TCP_RST | _TCP_ACK
    made["nw_ttl"] = 255
    return made


def abort(packet: Microflow) -> Microflow:
    """Return the SCTP abort that answers a packet: ports exchanged, addresses unchanged (the block sets them)."""
    made = packet.copy()
    made["sctp_src"], made["sctp_dst"] = packet["sctp_dst"], packet["sctp_src"]
    made["nw_ttl"] = 255
    return made


def exchanged(packet: Microflow) -> Microflow:
    """Return a copy with Ethernet and IP source and destination exchanged."""
    made = packet.copy()
    names = ("ipv6_src", "ipv6_dst") if packet["eth_type"] == IPV6 else ("ip_src", "ip_dst")
    for a, b in (("eth_src", "eth_dst"), names):
        made[a], made[b] = packet[b], packet[a]
    return made


def rejection(packet: Microflow) -> Microflow:
    """Return the packet that rejects another: a TCP reset, an SCTP abort or an ICMP unreachable.

    For a UDP packet the ICMP error is port unreachable.
    """
    if packet["nw_proto"] == TCP:
        return reset(exchanged(packet))
    if packet["nw_proto"] == SCTP:
        return abort(exchanged(packet))
    made = unreachable(exchanged(packet))
    made.quoted = packet.copy()
    if packet["nw_proto"] == UDP:
        six = packet["eth_type"] == IPV6
        made["icmpv6_code" if six else "icmp_code"] = 4 if six else 3
    return made


@dataclass(frozen=True, slots=True)
class _Reply(Action):
    """Run a block on a packet that the controller makes from this one."""

    NAME: ClassVar[str]
    OPCODE: ClassVar[Opcode]
    NEEDS: ClassVar[str]

    actions: tuple[Action, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Parse the block."""
        return cls(cursor.block())

    def format(self) -> str:
        """Write the action."""
        return f"{self.NAME} {{ {format_all(self.actions)} }};"

    def requires(self) -> tuple[str, ...]:
        """Require the kind of packet that the action replaces; the block's prerequisites concern the new packet."""
        return (self.NEEDS,) if self.NEEDS else ()

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one controller action with the block in the userdata."""
        return [Userdata(self.OPCODE, None, encode_actions(encode_all(self.actions, ctx))).controller(ctx)]

    def evaluate(self, machine: Machine) -> bool:
        """Run the block on the new packet."""
        run_on(self.made(machine.packet), self.actions, machine)
        return True

    @staticmethod
    def made(packet: Microflow) -> Microflow:
        """Return the new packet."""
        return packet.copy()


@dataclass(frozen=True, slots=True)
class _Question(_Reply):
    """Ask for the address of the packet's next hop; actions that follow run on the packet when it is known.

    In flows of OVN 25.03 the output of the packet follows. The packet is paused until the controller has the address.
    """

    def encode_before_others(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one controller action that pauses the packet."""
        actions = encode_actions(encode_all(self.actions, ctx))
        return [Userdata(self.OPCODE, None, actions).controller(ctx, pause=True)]


@dataclass(frozen=True, slots=True)
class Arp(_Question):
    """`arp { ... };`: an ARP request for the packet's destination; for that of an IPv6 packet, the block names one."""

    NAME, OPCODE, NEEDS = "arp", Opcode.ARP, "ip"
    made = staticmethod(arp_request)


@dataclass(frozen=True, slots=True)
class NdNs(_Question):
    """`nd_ns { ... };`: a neighbour solicitation for the packet's destination; for that of an IPv4 packet, as above."""

    NAME, OPCODE, NEEDS = "nd_ns", Opcode.ND_NS, "ip"
    made = staticmethod(neighbor_solicitation)


@dataclass(frozen=True, slots=True)
class NdNa(_Reply):
    """`nd_na { ... };`: the advertisement that answers a solicitation."""

    NAME, OPCODE, NEEDS = "nd_na", Opcode.ND_NA, "nd_ns"
    made = staticmethod(neighbor_advertisement)


@dataclass(frozen=True, slots=True)
class NdNaRouter(_Reply):
    """`nd_na_router { ... };`: the same with the router flag."""

    NAME, OPCODE, NEEDS = "nd_na_router", Opcode.ND_NA_ROUTER, "nd_ns"
    made = staticmethod(neighbor_advertisement)


@dataclass(frozen=True, slots=True)
class Icmp4(_Reply):
    """`icmp4 { ... };`: an ICMP host unreachable, with the packet's own addresses."""

    NAME, OPCODE, NEEDS = "icmp4", Opcode.ICMP, "ip4"
    made = staticmethod(unreachable)


@dataclass(frozen=True, slots=True)
class Icmp4Error(_Reply):
    """`icmp4_error { ... };`: the same, quoting the packet (RFC 1122, section 3.2.2)."""

    NAME, OPCODE, NEEDS = "icmp4_error", Opcode.ICMP4_ERROR, "ip4"
    made = staticmethod(unreachable)


@dataclass(frozen=True, slots=True)
class Icmp6(_Reply):
    """`icmp6 { ... };`: an ICMPv6 administratively prohibited, with the packet's own addresses."""

    NAME, OPCODE, NEEDS = "icmp6", Opcode.ICMP, "ip6"
    made = staticmethod(unreachable)


@dataclass(frozen=True, slots=True)
class Icmp6Error(_Reply):
    """`icmp6_error { ... };`: the same, in answer to an error in the packet."""

    NAME, OPCODE, NEEDS = "icmp6_error", Opcode.ICMP6_ERROR, "ip6"
    made = staticmethod(unreachable)


@dataclass(frozen=True, slots=True)
class TcpReset(_Reply):
    """`tcp_reset { ... };`: a TCP reset."""

    NAME, OPCODE, NEEDS = "tcp_reset", Opcode.TCP_RESET, "tcp"
    made = staticmethod(reset)


@dataclass(frozen=True, slots=True)
class SctpAbort(_Reply):
    """`sctp_abort { ... };`: an SCTP abort."""

    NAME, OPCODE, NEEDS = "sctp_abort", Opcode.SCTP_ABORT, "sctp"
    made = staticmethod(abort)


@dataclass(frozen=True, slots=True)
class Reject(_Reply):
    """`reject { ... };`: the packet of `rejection`, with source and destination exchanged."""

    NAME, OPCODE, NEEDS = "reject", Opcode.REJECT, ""
    made = staticmethod(rejection)
