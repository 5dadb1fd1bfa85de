"""Symbols of the match language: one row per field, subfield and predicate.

Sources: ovn-sb(5), "Symbols"; ovs-fields(7); ovn-architecture(7). Invariants: a field's width, masks and access come
from its row in `ovenbird.openflow.fields`; subfields are bits of an ordinal field and stand below it in the table, so
that every symbol has a field and an offset there; fields that overlap in Open vSwitch are subfields of one
another here (reg0 of xxreg0, reg8 of xreg4), so that two symbols overlap only when they share a field.
"""

from __future__ import annotations

from enum import Enum, Flag, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.openflow.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Level(Enum):
    """Level of measurement: the comparisons that are allowed (ovn-sb(5), "Level of Measurement")."""

    NOMINAL = "nominal"  # equality only, and only in the positive sense
    BOOLEAN = "Boolean"  # a predicate that may be negated
    ORDINAL = "ordinal"  # bits can be examined one by one


class Scope(Flag):
    """Where a symbol may be assigned to."""

    NOWHERE = 0
    ANYWHERE = auto()
    CT_COMMIT = auto()  # inside ct_commit { } only: the value belongs to the connection


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """One symbol; symbols are singletons, compared by identity.

    `width` is in bits, and 0 for a string; `prerequisite` is an expression that any use of the symbol implies (or
    empty); `expansion` is the expression that a predicate abbreviates (or empty). `field` is the Open vSwitch field
    that holds a field or subfield, in the bits from `ofs` up; it is None for a predicate, and for a field that only the
    controller can write. `parent` is the symbol that a subfield is part of; `ofs` counts from the least significant bit
    of the root field.
    """

    name: str
    width: int
    level: Level
    prerequisite: str
    field: Field | None
    ofs: int
    parent: Symbol | None
    expansion: str
    scope: Scope

    @property
    def is_string(self) -> bool:
        """Return whether values are names (of ports) and not integers."""
        return self.width == 0

    @property
    def is_predicate(self) -> bool:
        """Return whether the symbol is an abbreviation of a Boolean expression."""
        return bool(self.expansion)

    def writable(self, scope: Scope = Scope.ANYWHERE) -> bool:
        """Return whether an action may assign to the symbol in `scope`."""
        return bool(self.scope & scope)

    def __repr__(self) -> str:
        return f"<Symbol {self.name}>"


# inport and outport hold tunnel keys in these registers, of the whole width (ovn-architecture(7)).
_STRINGS = (("inport", "reg14"), ("outport", "reg15"))

# name, Open vSwitch field, prerequisite
_FIELDS = (
    ("xxreg0", "xxreg0", ""),
    ("xxreg1", "xxreg1", ""),
    ("xreg4", "xreg4", ""),
    ("flags", "reg10", ""),
    ("ct_mark", "ct_mark", ""),
    ("ct_label", "ct_label", ""),
    ("ct_state", "ct_state", ""),
    ("pkt.mark", "pkt_mark", ""),
    ("eth.src", "eth_src", ""),
    ("eth.dst", "eth_dst", ""),
    ("eth.type", "eth_type", ""),
    ("vlan.tci", "vlan_tci", ""),
    ("ip.proto", "nw_proto", "ip"),
    ("ip.dscp", "ip_dscp", "ip"),
    ("ip.ecn", "nw_ecn", "ip"),
    ("ip.ttl", "nw_ttl", "ip"),
    ("ip.frag", "ip_frag", "ip"),
    ("ip4.src", "ip_src", "ip4"),
    ("ip4.dst", "ip_dst", "ip4"),
    ("ip6.src", "ipv6_src", "ip6"),
    ("ip6.dst", "ipv6_dst", "ip6"),
    ("ip6.label", "ipv6_label", "ip6"),
    ("icmp4.type", "icmp_type", "icmp4"),
    ("icmp4.code", "icmp_code", "icmp4"),
    ("icmp6.type", "icmpv6_type", "icmp6"),
    ("icmp6.code", "icmpv6_code", "icmp6"),
    ("arp.op", "arp_op", "arp"),
    ("arp.spa", "arp_spa", "arp"),
    ("arp.sha", "arp_sha", "arp"),
    ("arp.tpa", "arp_tpa", "arp"),
    ("arp.tha", "arp_tha", "arp"),
    ("rarp.op", "arp_op", "rarp"),
    ("rarp.spa", "arp_spa", "rarp"),
    ("rarp.sha", "arp_sha", "rarp"),
    ("rarp.tpa", "arp_tpa", "rarp"),
    ("rarp.tha", "arp_tha", "rarp"),
    ("nd.target", "nd_target", "nd"),
    ("nd.sll", "nd_sll", "nd_ns"),
    ("nd.tll", "nd_tll", "nd_na"),
    ("tcp.src", "tcp_src", "tcp"),
    ("tcp.dst", "tcp_dst", "tcp"),
    ("tcp.flags", "tcp_flags", "tcp"),
    ("udp.src", "udp_src", "udp"),
    ("udp.dst", "udp_dst", "udp"),
    ("sctp.src", "sctp_src", "sctp"),
    ("sctp.dst", "sctp_dst", "sctp"),
)

# Fields that Open vSwitch does not have, which an action sets through the controller: name, width.
_CONTROLLER_FIELDS = (("icmp4.frag_mtu", 16), ("icmp6.frag_mtu", 32))

# name, field or subfield above it, lowest and highest bit there, prerequisite
_SUBFIELDS = (
    *((f"xreg{n}", f"xxreg{n // 2}", 64 * (1 - n % 2), 64 * (1 - n % 2) + 63, "") for n in range(4)),
    *((f"reg{n}", f"xreg{n // 2}", 32 * (1 - n % 2), 32 * (1 - n % 2) + 31, "") for n in range(10)),
    ("flags.loopback", "flags", 0, 0, ""),
    ("flags.force_snat_for_dnat", "flags", 2, 2, ""),
    ("flags.force_snat_for_lb", "flags", 3, 3, ""),
    ("flags.skip_snat_for_lb", "flags", 9, 9, ""),
    ("flags.use_snat_zone", "flags", 11, 11, ""),
    ("flags.localnet", "flags", 15, 15, ""),
    ("flags.tunnel_rx", "flags", 16, 16, ""),
    ("flags.icmp_snat", "flags", 17, 17, ""),
    ("flags.from_ctrl", "flags", 19, 19, ""),
    ("flags.unsnat_new", "flags", 20, 20, ""),
    ("flags.unsnat_not_tracked", "flags", 21, 21, ""),
    ("ct_mark.blocked", "ct_mark", 0, 0, ""),
    ("ct_mark.natted", "ct_mark", 1, 1, ""),
    ("ct_mark.skip_snat", "ct_mark", 2, 2, ""),
    ("ct_mark.force_snat", "ct_mark", 3, 3, ""),
    ("ct_mark.obs_stage", "ct_mark", 4, 5, ""),
    ("ct_mark.allow_established", "ct_mark", 6, 6, ""),
    ("ct_mark.ecmp_reply_port", "ct_mark", 16, 31, ""),
    ("ct_mark.obs_collector_id", "ct_mark", 16, 23, ""),
    ("ct_label.blocked", "ct_label", 0, 0, ""),
    ("ct_label.natted", "ct_label", 1, 1, ""),
    ("ct_label.skip_snat", "ct_label", 2, 2, ""),
    ("ct_label.force_snat", "ct_label", 3, 3, ""),
    ("ct_label.ecmp_reply_eth", "ct_label", 32, 79, ""),
    ("ct_label.ecmp_reply_port", "ct_label", 80, 95, ""),
    ("ct_label.label", "ct_label", 96, 127, ""),
    ("ct_label.acl_id", "ct_label", 80, 95, ""),
    ("ct_label.obs_point_id", "ct_label", 96, 127, ""),
    ("ct_label.obs_unused", "ct_label", 0, 95, ""),
    ("ct.new", "ct_state", 0, 0, "ct.trk"),
    ("ct.est", "ct_state", 1, 1, "ct.trk"),
    ("ct.rel", "ct_state", 2, 2, "ct.trk"),
    ("ct.rpl", "ct_state", 3, 3, "ct.trk"),
    ("ct.inv", "ct_state", 4, 4, "ct.trk"),
    ("ct.trk", "ct_state", 5, 5, ""),
    ("ct.snat", "ct_state", 6, 6, "ct.trk"),
    ("ct.dnat", "ct_state", 7, 7, "ct.trk"),
    ("eth.mcast", "eth.dst", 40, 40, ""),
    ("vlan.pcp", "vlan.tci", 13, 15, "vlan.present"),
    ("vlan.vid", "vlan.tci", 0, 11, "vlan.present"),
)

_NOMINAL, _BOOLEAN = Level.NOMINAL, Level.BOOLEAN
_ND = "icmp6.code == 0 && ip.ttl == 255"

# name, level (nominal as soon as the expansion mentions a nominal field or predicate), expansion
_PREDICATES = (
    ("eth.bcast", _BOOLEAN, "eth.dst == ff:ff:ff:ff:ff:ff"),
    ("eth.mcastv6", _BOOLEAN, "eth.dst[32..47] == 0x3333"),
    ("vlan.present", _BOOLEAN, "vlan.tci[12]"),
    ("ip4", _NOMINAL, "eth.type == 0x800"),
    ("ip6", _NOMINAL, "eth.type == 0x86dd"),
    ("ip", _NOMINAL, "ip4 || ip6"),
    ("ip4.src_mcast", _BOOLEAN, "ip4.src[28..31] == 0xe"),
    ("ip4.mcast", _BOOLEAN, "eth.mcast && ip4.dst[28..31] == 0xe"),
    ("icmp4", _NOMINAL, "ip4 && ip.proto == 1"),
    ("igmp", _NOMINAL, "ip4 && ip.proto == 2"),
    ("ip6.mcast_rsvd", _BOOLEAN, "ip6.dst[116..127] == 0xff0 && ip6.dst[0..111] == 0x0"),
    ("ip6.mcast_all_nodes", _BOOLEAN, "ip6.dst == ff01::1 || ip6.dst == ff02::1"),
    ("ip6.mcast_all_rtrs", _BOOLEAN, "ip6.dst == ff01::2 || ip6.dst == ff02::2 || ip6.dst == ff05::2"),
    ("ip6.mcast_sol_node", _BOOLEAN, "ip6.dst == ff02::1:ff00:0000/104"),
    (
        "ip6.mcast_flood",
        _BOOLEAN,
        "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)",
    ),
    ("ip6.mcast", _BOOLEAN, "eth.mcastv6 && ip6.dst[120..127] == 0xff"),
    ("icmp6", _NOMINAL, "ip6 && ip.proto == 58"),
    ("icmp", _NOMINAL, "icmp4 || icmp6"),
    ("ip.is_frag", _BOOLEAN, "ip.frag[0]"),
    ("ip.later_frag", _BOOLEAN, "ip.frag[1]"),
    ("ip.first_frag", _BOOLEAN, "ip.is_frag && !ip.later_frag"),
    ("arp", _NOMINAL, "eth.type == 0x806"),
    ("rarp", _NOMINAL, "eth.type == 0x8035"),
    ("nd", _NOMINAL, f"icmp6.type == {{135, 136}} && {_ND}"),
    ("nd_ns", _NOMINAL, f"icmp6.type == 135 && {_ND}"),
    ("nd_ns_mcast", _NOMINAL, f"ip6.mcast && icmp6.type == 135 && {_ND}"),
    ("nd_na", _NOMINAL, f"icmp6.type == 136 && {_ND}"),
    ("nd_rs", _NOMINAL, f"icmp6.type == 133 && {_ND}"),
    ("nd_ra", _NOMINAL, f"icmp6.type == 134 && {_ND}"),
    ("mldv1", _NOMINAL, "ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}"),
    ("mldv2", _NOMINAL, "ip6.dst == ff02::16 && icmp6.type == 143"),
    ("tcp", _NOMINAL, "ip.proto == 6"),
    ("udp", _NOMINAL, "ip.proto == 17"),
    ("sctp", _NOMINAL, "ip.proto == 132"),
)


def _scope(field: Field) -> Scope:
    if not field.writable:
        return Scope.NOWHERE
    return Scope.CT_COMMIT if field.name in ("ct_mark", "ct_label") else Scope.ANYWHERE


def _rows() -> Iterator[Symbol]:
    known: dict[str, Symbol] = {}
    for name, register in _STRINGS:
        yield Symbol(name, 0, Level.NOMINAL, "", FIELDS[register], 0, None, "", Scope.ANYWHERE)
    for name, field_name, prerequisite in _FIELDS:
        field = FIELDS[field_name]
        level = Level.ORDINAL if field.maskable else Level.NOMINAL
        known[name] = Symbol(name, field.bits, level, prerequisite, field, 0, None, "", _scope(field))
        yield known[name]
    for name, width in _CONTROLLER_FIELDS:
        yield Symbol(name, width, Level.ORDINAL, "", None, 0, None, "", Scope.ANYWHERE)
    for name, parent_name, low, high, prerequisite in _SUBFIELDS:
        parent = known[parent_name]
        width, ofs = high - low + 1, parent.ofs + low
        known[name] = Symbol(name, width, Level.ORDINAL, prerequisite, parent.field, ofs, parent, "", parent.scope)
        yield known[name]
    for name, level, expansion in _PREDICATES:
        yield Symbol(name, 1, level, "", None, 0, None, expansion, Scope.NOWHERE)


SYMBOLS: Mapping[str, Symbol] = MappingProxyType({symbol.name: symbol for symbol in _rows()})

# Narrow register -> (the field it is part of, offset of its least significant bit there), for Open vSwitch's names
# reg0-9 and xreg0-3; the symbols of these names have the same fields and offsets.
OVERLAYS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        name: (symbol.field.name, symbol.ofs)
        for name, symbol in SYMBOLS.items()
        if symbol.parent is not None and symbol.field is not None and name.lstrip("x")[:3] == "reg"
    }
)
