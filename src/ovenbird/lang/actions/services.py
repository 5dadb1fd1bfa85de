"""Actions by which the controller answers a packet: DHCPv4, DHCPv6, DNS, router advertisements.

The flow punts the packet and pauses it. The controller replaces it by an answer and writes 1 into the result bit, or
leaves it unchanged and writes 0, and resumes it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Action, check_result, field_requires
from ovenbird.lang.actions.layout import bits_of
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.lang.dhcp_options import DhcpOption, encode_dhcp4, encode_dhcp6, labels, parse_options
from ovenbird.lang.errors import FieldError, ParseError, UnknownNameError
from ovenbird.lang.lexer import Format
from ovenbird.net import nd
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ipv6_network
from ovenbird.net.nd import RouterAdvert
from ovenbird.openflow.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.lang.actions.context import Context, OptionType
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef, Integer
    from ovenbird.net.icmp import Icmp
    from ovenbird.openflow.actions import Action as OpenFlowAction

# OVN's codes of the options that the controller handles specially: boot file, boot file for iPXE, next server.
BOOTFILE, BOOTFILE_ALT, NEXT_SERVER = 67, 254, 253
_FIRST = {BOOTFILE: 0, BOOTFILE_ALT: 1, NEXT_SERVER: 2}


@dataclass(frozen=True, slots=True)
class _Service(Action):
    """`R = service(options);`."""

    NAME: ClassVar[str]
    OPCODE: ClassVar[Opcode]
    NEEDS: ClassVar[str] = ""

    dst: FieldRef
    options: tuple[DhcpOption, ...] = ()

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = {self.NAME}({', '.join(map(str, self.options))});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite, and that of the packets which the service answers."""
        own = field_requires(self.dst)
        return (*own, self.NEEDS) if self.NEEDS else own

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one controller action that pauses the packet; raise `LangError` for an unknown option."""
        return [Userdata(self.OPCODE, bits_of(self.dst), self.payload(ctx)).controller(ctx, pause=True)]

    def payload(self, ctx: Context) -> bytes:  # noqa: ARG002 - subclasses with options use it
        """Return the data from which the controller makes the answer."""
        return b""

    def evaluate(self, machine: Machine) -> bool:
        """Let the machine replace the packet by the answer, and store whether there is one."""
        answered = machine.answers(self)
        machine.packet.set(self.dst, int(answered))
        return True


def _option_types(
    options: tuple[DhcpOption, ...], known: Mapping[str, OptionType], family: str
) -> list[tuple[DhcpOption, OptionType]]:
    out = []
    for option in options:
        kind = known.get(option.name)
        if kind is None:
            raise UnknownNameError(f"There is no {family} option {option.name}.")
        out.append((option, kind))
    return out


@dataclass(frozen=True, slots=True)
class PutDhcpOpts(_Service):
    """`R = put_dhcp_opts(offerip = A, name = value, ...);` (RFC 2131)."""

    NAME, OPCODE = "put_dhcp_opts", Opcode.PUT_DHCP_OPTS

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> PutDhcpOpts:
        """Parse the options.

        Raises:
            LangError: an option is unknown or malformed, or the offered address is missing.
        """
        start = cursor.token.start
        options = parse_options(cursor)
        if all(option.name != "offerip" for option in options):
            raise ParseError(
                "put_dhcp_opts requires offerip to be specified.", text=cursor.text, span=(start, cursor.token.start)
            )
        return cls(check_result(cursor, dst), options)

    def payload(self, ctx: Context) -> bytes:
        """Return the offered address, then the options."""
        offer = next(option for option in self.options if option.name == "offerip")
        rest = tuple([option for option in self.options if option is not offer])
        types = sorted(_option_types(rest, ctx.dhcp_options, "DHCPv4"), key=lambda pair: _FIRST.get(pair[1].code, 3))
        return encode_dhcp4(offer, "ipv4")[:4] + b"".join(
            [_tlv4(option, kind.code, encode_dhcp4(option, kind.type)) for option, kind in types]
        )


def _tlv4(option: DhcpOption, code: int, value: bytes) -> bytes:
    if len(value) > 255:
        raise FieldError(f"DHCPv4 option {option.name} is longer than 255 bytes.")
    return bytes([code, len(value)]) + value


def decode_dhcp4(payload: bytes) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """Read the payload of PUT_DHCP_OPTS: the offered address, and options as (code, value).

    Raises:
        DecodeError: it is cut short.
    """
    options = []
    offset = 4
    while offset < len(payload):
        end = offset + 2 + payload[offset + 1] if offset + 1 < len(payload) else len(payload) + 1
        if end > len(payload):
            raise DecodeError("truncated DHCPv4 options in userdata")
        options.append((payload[offset], payload[offset + 2 : end]))
        offset = end
    if len(payload) < 4:
        raise DecodeError("no offered address in userdata")
    return int.from_bytes(payload[:4], "big"), tuple(options)


@dataclass(frozen=True, slots=True)
class PutDhcp6Opts(_Service):
    """`R = put_dhcpv6_opts(name = value, ...);` (RFC 8415)."""

    NAME, OPCODE = "put_dhcpv6_opts", Opcode.PUT_DHCPV6_OPTS

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> PutDhcp6Opts:
        """Parse the options."""
        options = parse_options(cursor)
        return cls(check_result(cursor, dst), options)

    def payload(self, ctx: Context) -> bytes:
        """Return the options, each as code, length and value."""
        out = b""
        for option, kind in _option_types(self.options, ctx.dhcpv6_options, "DHCPv6"):
            value = encode_dhcp6(option, kind.type)
            out += struct.pack(">HH", kind.code, len(value)) + value
        return out


def decode_dhcp6(payload: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read the payload of PUT_DHCPV6_OPTS: options as (code, value).

    Raises:
        DecodeError: it is cut short.
    """
    options = []
    offset = 0
    while offset < len(payload):
        if offset + 4 > len(payload):
            raise DecodeError("truncated DHCPv6 options in userdata")
        code, length = struct.unpack_from(">HH", payload, offset)
        offset += 4
        if offset + length > len(payload):
            raise DecodeError("truncated DHCPv6 options in userdata")
        options.append((code, payload[offset : offset + length]))
        offset += length
    return tuple(options)


@dataclass(frozen=True, slots=True)
class DnsLookup(_Service):
    """`R = dns_lookup();`."""

    NAME, OPCODE, NEEDS = "dns_lookup", Opcode.DNS_LOOKUP, "udp"

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> DnsLookup:
        """Parse empty parentheses."""
        cursor.no_arguments("dns_lookup")
        return cls(check_result(cursor, dst))


_MODES = {"slaac": 0x00, "dhcpv6_stateful": 0x80, "dhcpv6_stateless": 0x40}
_PREFERENCES = {"LOW": 0x18, "MEDIUM": 0x00, "HIGH": 0x08}  # RFC 4191, section 2.1
_U32 = 0xFFFFFFFF
_RA_OPTIONS = ("addr_mode", "slla", "prefix", "mtu", "rdnss", "dnssl", "route_info", "router_preference")


@dataclass(frozen=True, slots=True)
class PutNdRaOpts(_Service):
    """`R = put_nd_ra_opts(addr_mode = M, slla = E, ...);` (RFC 4861, section 4.2; RFC 4191; RFC 8106)."""

    NAME, OPCODE, NEEDS = "put_nd_ra_opts", Opcode.PUT_ND_RA_OPTS, "ip6"

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> PutNdRaOpts:
        """Parse the options and check that they are consistent.

        Raises:
            LangError: an option is unknown or malformed, or the options are inconsistent.
        """
        start = cursor.token.start
        options = parse_options(cursor)
        action = cls(check_result(cursor, dst), options)
        try:
            action.advertisement()
        except FieldError as error:
            raise ParseError(error.message, text=cursor.text, span=(start, cursor.token.start)) from None
        return action

    def payload(self, ctx: Context) -> bytes:  # noqa: ARG002 - the same everywhere
        """Return the advertisement, with a checksum of zero."""
        message = self.advertisement()
        return bytes((message.type, message.code, 0, 0)) + message.body

    def advertisement(self) -> Icmp:
        """Return the ICMPv6 message.

        Raises:
            FieldError: the options are inconsistent.
        """
        by_name = {option.name: option for option in self.options}
        for name in by_name:
            if name not in _RA_OPTIONS:
                raise FieldError(f"There is no router advertisement option {name}.")
        if "slla" not in by_name:
            raise FieldError("slla option not present")
        mode = by_name["addr_mode"].text if "addr_mode" in by_name else "slaac"
        if mode not in _MODES:
            raise FieldError('Invalid value for "addr_mode" option')
        if mode != "dhcpv6_stateful" and "prefix" not in by_name:
            raise FieldError("prefix option needs to be set when address mode is slaac/dhcpv6_stateless.")
        preference = by_name["router_preference"].text if "router_preference" in by_name else "MEDIUM"
        flags = _MODES[mode] | _preference(preference)
        autonomous = mode != "dhcpv6_stateful"
        told = tuple([pair for option in self.options for pair in _ra_options(option, autonomous=autonomous)])
        try:
            return RouterAdvert(hop_limit=255, flags=flags, lifetime=0xFFFF, options=told).icmp()
        except PacketError as error:
            raise FieldError(f"Invalid router advertisement: {error}.") from None


def _preference(text: str) -> int:
    if text not in _PREFERENCES:
        raise FieldError(f"Invalid router preference {text!r}.")
    return _PREFERENCES[text]


def _ra_options(option: DhcpOption, *, autonomous: bool) -> Iterable[tuple[int, bytes]]:
    """Return the encoded options for one of the action; `autonomous`: hosts may form addresses from prefixes."""
    match option.name:
        case "slla":
            return ((nd.SOURCE_LLA, _slla(option)),)
        case "prefix":
            prefix = _prefix(option)
            length = 128 if prefix.mask is None else prefix.mask.bit_count()
            return (nd.prefix_information(prefix.value.to_bytes(16, "big"), length, autonomous=autonomous),)
        case "mtu":
            if option.number > _U32:
                raise FieldError("Option mtu takes 32 bits.")
            return ((nd.MTU, struct.pack(">2xI", option.number)),)
        case "rdnss":
            if len(option.values) > 1 or option.numbers[0].format is not Format.IPV6:
                raise FieldError("Invalid value for rdnss option")
            return ((nd.RDNSS, struct.pack(">2xI", nd.FOREVER) + option.number.to_bytes(16, "big")),)
        case "dnssl":
            names = [
                b"".join([bytes([len(label)]) + label for label in labels(name)]) for name in option.text.split(",")
            ]
            return ((nd.DNSSL, struct.pack(">2xI", nd.FOREVER) + b"".join([name + b"\0" for name in names])),)
        case "route_info":
            return [_route(text) for text in option.text.split(",")]
    return ()


def _slla(option: DhcpOption) -> bytes:
    first = option.numbers[0]
    if first.format is not Format.ETHERNET:
        raise FieldError("slla option takes an Ethernet address")
    return first.value.to_bytes(6, "big")


def _prefix(option: DhcpOption) -> Integer:
    first = option.numbers[0]
    if first.format is not Format.IPV6:
        raise FieldError("prefix option takes an IPv6 prefix")
    return first


def _route(text: str) -> tuple[int, bytes]:
    """Return the route information option for `PREFERENCE-PREFIX/LENGTH` (RFC 4191, section 2.3)."""
    preference, _, network = text.strip().partition("-")
    try:
        prefix = ipv6_network(network, strict=False)
    except ValueError:
        raise FieldError(f"Invalid route information {text!r}.") from None
    head = struct.pack(">BBI", prefix.prefixlen, _preference(preference), nd.FOREVER)
    return nd.ROUTE_INFORMATION, head + prefix.network_address.packed[: (prefix.prefixlen + 63) // 64 * 8]
