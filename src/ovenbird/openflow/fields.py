"""Match fields: one row per field of ovs-fields(7), in the order in which a match carries them.

Invariants: a field's prerequisites stand above it, so that a match written in table order satisfies Open vSwitch's
rule that prerequisites come first; the first code point of a row is used for encoding, and all of them are decoded;
names are ovs-fields(7)'s main names, and `ALIASES` maps the others to them. A code point is an OXM class and number,
and for class 0xffff an experimenter (OpenFlow 1.5.1, section 7.2.3; ovs-fields(7), "Fields reference").
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.openflow.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Prefix of a code point's name -> (OXM class, experimenter); ovs-fields(7).
_CLASSES = {
    "NXM_OF": (0x0000, 0),
    "NXM_NX": (0x0001, 0),
    "ERICOXM_OF": (0x1000, 0),
    "OXM_OF": (0x8000, 0),
    "OXM_OF_PKT_REG": (0x8001, 0),
    "NXOXM_ET": (0xFFFF, 0x00002320),
    "NXOXM_NSH": (0xFFFF, 0x005AD650),
    "ONFOXM_ET": (0xFFFF, 0x4F4E4600),
}

_M, _X = True, False  # arbitrary bitwise masks, or exact match only
_RW, _RO = True, False  # writable by set_field and friends, or not

# name, significant bits, encoded bytes, code points, maskable, writable, prerequisite
_TABLE: tuple[tuple[str, int, int, str, bool, bool, str], ...] = (
    ("packet_type", 32, 4, "OXM_OF:44", _X, _RO, "none"),
    ("in_port", 16, 2, "NXM_OF:0", _X, _RW, "none"),
    ("in_port_oxm", 32, 4, "OXM_OF:0", _X, _RW, "none"),
    ("actset_output", 32, 4, "ONFOXM_ET:43 OXM_OF:43", _X, _RO, "none"),
    ("recirc_id", 32, 4, "NXM_NX:36", _X, _RO, "none"),
    ("dp_hash", 32, 4, "NXM_NX:35", _M, _RO, "none"),
    ("conj_id", 32, 4, "NXM_NX:37", _X, _RO, "none"),
    ("pkt_mark", 32, 4, "NXM_NX:33", _M, _RW, "none"),
    # tunnels
    ("tun_id", 64, 8, "OXM_OF:38 NXM_NX:16", _M, _RW, "none"),
    ("tun_src", 32, 4, "NXM_NX:31", _M, _RW, "none"),
    ("tun_dst", 32, 4, "NXM_NX:32", _M, _RW, "none"),
    ("tun_ipv6_src", 128, 16, "NXM_NX:109", _M, _RW, "none"),
    ("tun_ipv6_dst", 128, 16, "NXM_NX:110", _M, _RW, "none"),
    ("tun_gbp_id", 16, 2, "NXM_NX:38", _M, _RW, "none"),
    ("tun_gbp_flags", 8, 1, "NXM_NX:39", _M, _RW, "none"),
    ("tun_flags", 1, 2, "NXM_NX:104", _M, _RW, "none"),
    ("tun_erspan_ver", 4, 1, "NXOXM_ET:12", _M, _RW, "none"),
    ("tun_erspan_idx", 20, 4, "NXOXM_ET:11", _M, _RW, "none"),
    ("tun_erspan_dir", 1, 1, "NXOXM_ET:13", _M, _RW, "none"),
    ("tun_erspan_hwid", 6, 1, "NXOXM_ET:14", _M, _RW, "none"),
    ("tun_gtpu_flags", 8, 1, "NXOXM_ET:15", _M, _RO, "none"),
    ("tun_gtpu_msgtype", 8, 1, "NXOXM_ET:16", _M, _RO, "none"),
    *((f"tun_metadata{n}", 992, 124, f"NXM_NX:{40 + n}", _M, _RW, "none") for n in range(64)),
    # registers
    ("metadata", 64, 8, "OXM_OF:2", _M, _RW, "none"),
    *((f"reg{n}", 32, 4, f"NXM_NX:{n}", _M, _RW, "none") for n in range(16)),
    *((f"xreg{n}", 64, 8, f"OXM_OF_PKT_REG:{n}", _M, _RW, "none") for n in range(8)),
    *((f"xxreg{n}", 128, 16, f"NXM_NX:{111 + n}", _M, _RW, "none") for n in range(4)),
    # layer 2
    ("eth_src", 48, 6, "OXM_OF:4 NXM_OF:2", _M, _RW, "Ethernet"),
    ("eth_dst", 48, 6, "OXM_OF:3 NXM_OF:1", _M, _RW, "Ethernet"),
    ("eth_type", 16, 2, "OXM_OF:5 NXM_OF:3", _X, _RO, "Ethernet"),
    ("vlan_tci", 16, 2, "NXM_OF:4", _M, _RW, "Ethernet"),
    ("vlan_vid", 13, 2, "OXM_OF:6", _M, _RW, "Ethernet"),
    ("vlan_pcp", 3, 1, "OXM_OF:7", _X, _RW, "VLAN VID"),
    ("mpls_label", 20, 4, "OXM_OF:34", _X, _RW, "MPLS"),
    ("mpls_tc", 3, 1, "OXM_OF:35", _X, _RW, "MPLS"),
    ("mpls_bos", 1, 1, "OXM_OF:36", _X, _RO, "MPLS"),
    ("mpls_ttl", 8, 1, "NXM_NX:30", _X, _RW, "MPLS"),
    # layer 3
    ("ip_src", 32, 4, "OXM_OF:11 NXM_OF:7", _M, _RW, "IPv4"),
    ("ip_dst", 32, 4, "OXM_OF:12 NXM_OF:8", _M, _RW, "IPv4"),
    ("ipv6_src", 128, 16, "OXM_OF:26 NXM_NX:19", _M, _RW, "IPv6"),
    ("ipv6_dst", 128, 16, "OXM_OF:27 NXM_NX:20", _M, _RW, "IPv6"),
    ("ipv6_label", 20, 4, "OXM_OF:28 NXM_NX:27", _M, _RW, "IPv6"),
    ("nw_proto", 8, 1, "OXM_OF:10 NXM_OF:6", _X, _RO, "IPv4/IPv6"),
    ("nw_ttl", 8, 1, "NXM_NX:29", _X, _RW, "IPv4/IPv6"),
    ("ip_frag", 2, 1, "NXM_NX:26", _M, _RO, "IPv4/IPv6"),
    ("nw_tos", 8, 1, "NXM_OF:5", _X, _RW, "IPv4/IPv6"),
    ("ip_dscp", 6, 1, "OXM_OF:8", _X, _RW, "IPv4/IPv6"),
    ("nw_ecn", 2, 1, "OXM_OF:9 NXM_NX:28", _X, _RW, "IPv4/IPv6"),
    ("arp_op", 16, 2, "OXM_OF:21 NXM_OF:15", _X, _RW, "ARP"),
    ("arp_spa", 32, 4, "OXM_OF:22 NXM_OF:16", _M, _RW, "ARP"),
    ("arp_tpa", 32, 4, "OXM_OF:23 NXM_OF:17", _M, _RW, "ARP"),
    ("arp_sha", 48, 6, "OXM_OF:24 NXM_NX:17", _M, _RW, "ARP"),
    ("arp_tha", 48, 6, "OXM_OF:25 NXM_NX:18", _M, _RW, "ARP"),
    # layer 4
    ("tcp_src", 16, 2, "OXM_OF:13 NXM_OF:9", _M, _RW, "TCP"),
    ("tcp_dst", 16, 2, "OXM_OF:14 NXM_OF:10", _M, _RW, "TCP"),
    ("tcp_flags", 12, 2, "NXM_NX:34 ONFOXM_ET:42 OXM_OF:42", _M, _RO, "TCP"),
    ("udp_src", 16, 2, "OXM_OF:15 NXM_OF:11", _M, _RW, "UDP"),
    ("udp_dst", 16, 2, "OXM_OF:16 NXM_OF:12", _M, _RW, "UDP"),
    ("sctp_src", 16, 2, "OXM_OF:17", _M, _RW, "SCTP"),
    ("sctp_dst", 16, 2, "OXM_OF:18", _M, _RW, "SCTP"),
    ("icmp_type", 8, 1, "OXM_OF:19 NXM_OF:13", _X, _RW, "ICMPv4"),
    ("icmp_code", 8, 1, "OXM_OF:20 NXM_OF:14", _X, _RW, "ICMPv4"),
    ("icmpv6_type", 8, 1, "OXM_OF:29 NXM_NX:21", _X, _RW, "ICMPv6"),
    ("icmpv6_code", 8, 1, "OXM_OF:30 NXM_NX:22", _X, _RW, "ICMPv6"),
    ("nd_target", 128, 16, "OXM_OF:31 NXM_NX:23", _M, _RW, "ND"),
    ("nd_sll", 48, 6, "OXM_OF:32 NXM_NX:24", _M, _RW, "ND solicit"),
    ("nd_tll", 48, 6, "OXM_OF:33 NXM_NX:25", _M, _RW, "ND advert"),
    ("nd_reserved", 32, 4, "ERICOXM_OF:1", _X, _RW, "ND"),
    ("nd_options_type", 8, 1, "ERICOXM_OF:2", _X, _RW, "ND"),
    # connection tracking: last, because ct_nw_* and ct_tp_* need ct_state, eth_type and ct_nw_proto
    ("ct_state", 32, 4, "NXM_NX:105", _M, _RO, "none"),
    ("ct_zone", 16, 2, "NXM_NX:106", _X, _RO, "none"),
    ("ct_mark", 32, 4, "NXM_NX:107", _M, _RW, "none"),
    ("ct_label", 128, 16, "NXM_NX:108", _M, _RW, "none"),
    ("ct_nw_proto", 8, 1, "NXM_NX:119", _X, _RO, "CT"),
    ("ct_nw_src", 32, 4, "NXM_NX:120", _M, _RO, "CT"),
    ("ct_nw_dst", 32, 4, "NXM_NX:121", _M, _RO, "CT"),
    ("ct_ipv6_src", 128, 16, "NXM_NX:122", _M, _RO, "CT"),
    ("ct_ipv6_dst", 128, 16, "NXM_NX:123", _M, _RO, "CT"),
    ("ct_tp_src", 16, 2, "NXM_NX:124", _M, _RO, "CT"),
    ("ct_tp_dst", 16, 2, "NXM_NX:125", _M, _RO, "CT"),
    # network service header
    ("nsh_flags", 8, 1, "NXOXM_NSH:1", _M, _RW, "NSH"),
    ("nsh_ttl", 8, 1, "NXOXM_NSH:10", _X, _RW, "NSH"),
    ("nsh_mdtype", 8, 1, "NXOXM_NSH:2", _X, _RO, "NSH"),
    ("nsh_np", 8, 1, "NXOXM_NSH:3", _X, _RO, "NSH"),
    ("nsh_spi", 24, 4, "NXOXM_NSH:4", _X, _RW, "NSH"),
    ("nsh_si", 8, 1, "NXOXM_NSH:5", _X, _RW, "NSH"),
    *((f"nsh_c{n}", 32, 4, f"NXOXM_NSH:{5 + n}", _M, _RW, "NSH") for n in range(1, 5)),
)

_IP = ({"eth_type": 0x0800}, {"eth_type": 0x86DD})

# Prerequisite -> the alternatives that satisfy it, each a conjunction of values (ovs-fields(7), "Fields reference"):
# exact ones, but of vlan_vid and ct_state, bits that must be set. "Ethernet" is every packet of an Ethernet bridge. For
# "CT", ct_state=+trk-inv serves too.
PREREQUISITES: Mapping[str, tuple[Mapping[str, int], ...]] = MappingProxyType(
    {
        "none": ({},),
        "Ethernet": ({},),
        "VLAN VID": ({"vlan_vid": 0x1000},),
        "ARP": ({"eth_type": 0x0806}, {"eth_type": 0x8035}),
        "IPv4": ({"eth_type": 0x0800},),
        "IPv6": ({"eth_type": 0x86DD},),
        "IPv4/IPv6": _IP,
        "MPLS": ({"eth_type": 0x8847}, {"eth_type": 0x8848}),
        "TCP": tuple({**ip, "nw_proto": 6} for ip in _IP),
        "UDP": tuple({**ip, "nw_proto": 17} for ip in _IP),
        "SCTP": tuple({**ip, "nw_proto": 132} for ip in _IP),
        "ICMPv4": ({"eth_type": 0x0800, "nw_proto": 1},),
        "ICMPv6": ({"eth_type": 0x86DD, "nw_proto": 58},),
        "ND solicit": ({"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0},),
        "ND advert": ({"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 136, "icmpv6_code": 0},),
        "ND": tuple({"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": kind, "icmpv6_code": 0} for kind in (135, 136)),
        "NSH": ({"eth_type": 0x894F},),
        "CT": tuple({**ip, "ct_state": state} for ip in _IP for state in (0x01, 0x02, 0x04)),  # +new, +est, +rel
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePoint:
    """The identification of a field in OXM: class, number, and for class 0xffff the experimenter (otherwise 0)."""

    oxm_class: int
    number: int
    experimenter: int

    def header(self, n_bytes: int, *, masked: bool = False) -> bytes:
        """Encode the OXM header for a value of `n_bytes`, or, if masked, for a value and a mask."""
        length = n_bytes * (2 if masked else 1) + (4 if self.experimenter else 0)
        head = (self.oxm_class << 16 | self.number << 9 | masked << 8 | length).to_bytes(4, "big")
        return head + self.experimenter.to_bytes(4, "big") if self.experimenter else head


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Field:
    """One match field; fields are singletons, compared by identity.

    `bits` counts the significant low bits of the `n_bytes` encoded; `mask` is all ones in `bits`; `prerequisites`
    is a key of `PREREQUISITES`; `rank` is the row's position in the table; `header` and `masked_header` are the OXM
    headers for encoding; `code_points` lists all code points that are decoded.
    """

    name: str
    bits: int
    n_bytes: int
    code_points: tuple[CodePoint, ...]
    maskable: bool
    writable: bool
    prerequisites: str
    rank: int
    mask: int
    header: bytes
    masked_header: bytes

    @property
    def variable(self) -> bool:
        """Return whether values may be shorter than `n_bytes`; true for tun_metadata0-63 only."""
        return self.n_bytes == 124

    def __str__(self) -> str:
        return self.name


def _rows() -> Iterator[Field]:
    for rank, (name, bits, n_bytes, points, maskable, writable, prerequisites) in enumerate(_TABLE):
        code_points = tuple(
            CodePoint(oxm_class=_CLASSES[prefix][0], number=int(number), experimenter=_CLASSES[prefix][1])
            for prefix, _, number in (point.partition(":") for point in points.split())
        )
        first = code_points[0]
        yield Field(
            name=name,
            bits=bits,
            n_bytes=n_bytes,
            code_points=code_points,
            maskable=maskable,
            writable=writable,
            prerequisites=prerequisites,
            rank=rank,
            mask=(1 << bits) - 1,
            header=first.header(n_bytes),
            masked_header=first.header(n_bytes, masked=True),
        )


FIELDS: Mapping[str, Field] = MappingProxyType({field.name: field for field in _rows()})

# Other names that ovs-fields(7) gives ("aka"), and the layer-4 names that older Open vSwitch prints.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "tunnel_id": "tun_id", "dl_src": "eth_src", "dl_dst": "eth_dst", "dl_type": "eth_type", "nw_src": "ip_src",
        "nw_dst": "ip_dst", "ip_proto": "nw_proto", "nw_frag": "ip_frag", "ip_ecn": "nw_ecn", "tp_src": "tcp_src",
        "tp_dst": "tcp_dst", "nsp": "nsh_spi", "nsi": "nsh_si", "nshc1": "nsh_c1", "nshc2": "nsh_c2", "nshc3": "nsh_c3",
        "nshc4": "nsh_c4",
    }
)  # fmt: skip

# (OXM class, number, experimenter) -> field, for decoding.
BY_CODE_POINT: Mapping[tuple[int, int, int], Field] = MappingProxyType(
    {
        (point.oxm_class, point.number, point.experimenter): field
        for field in FIELDS.values()
        for point in field.code_points
    }
)


def field_named(name: str) -> Field:
    """Return the field of a name, which may be an alias of ovs-fields(7).

    Raises:
        EncodeError: no field has this name.
    """
    field = FIELDS.get(name) or FIELDS.get(ALIASES.get(name, ""))
    if field is None:
        raise EncodeError(f"no match field is called {name!r}")
    return field


@dataclass(frozen=True, slots=True)
class Subfield:
    """The bits from `ofs` to `ofs + n_bits - 1` of a field, counted from the least significant."""

    field: Field
    _: KW_ONLY
    ofs: int
    n_bits: int

    def __post_init__(self) -> None:
        """Refuse bits beyond the field's width.

        Raises:
            EncodeError: some of the bits are beyond the field's width.
        """
        if self.ofs < 0 or self.n_bits < 1 or self.ofs + self.n_bits > self.field.n_bytes * 8:
            raise EncodeError(f"{self.field.name} has no bits {self.ofs}..{self.ofs + self.n_bits - 1}")

    @classmethod
    def of(cls, name: str, *, ofs: int = 0, n_bits: int | None = None) -> Subfield:
        """Return bits of a field.

        Arguments:
            name: of the field, or an alias of it (ovs-fields(7)).
            ofs: the lowest of the bits, counted from the field's least significant one.
            n_bits: how many; None for all the significant ones from `ofs` up.

        Raises:
            EncodeError: no field has the name.
        """
        field = field_named(name)
        return cls(field, ofs=ofs, n_bits=field.bits - ofs if n_bits is None else n_bits)

    def __str__(self) -> str:
        return f"{self.field.name}[{self.ofs}..{self.ofs + self.n_bits - 1}]"
