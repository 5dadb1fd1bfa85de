"""DHCP for IPv6: messages and options (RFC 8415)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.net.errors import PacketError

CLIENT_PORT, SERVER_PORT = 546, 547
SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_ADDR, ORO, PREFERENCE = range(1, 8)
ELAPSED_TIME = 8
STATUS_CODE, RAPID_COMMIT, DNS_SERVERS, DOMAIN_LIST, IA_PD, IA_PREFIX, BOOTFILE_URL = 13, 14, 23, 24, 25, 26, 59
CLIENT_FQDN = 39
"""RFC 4704."""
FOREVER = 0xFFFFFFFF
"""The lifetime, in seconds, that never expires (RFC 8415, section 7.7)."""

Options = tuple[tuple[int, bytes], ...]


def encode_options(options: Options) -> bytes:
    """Encode (code, value) options in order.

    Raises:
        PacketError: a code, or the length of a value, is over 65,535.
    """
    try:
        return b"".join(struct.pack(">HH", code, len(value)) + value for code, value in options)
    except struct.error as error:
        raise PacketError(f"DHCPv6 option: {error}") from None


def decode_options(data: bytes) -> Options:
    """Decode the options of a message, or those within an option.

    Raises:
        PacketError: one is truncated.
    """
    options, offset = [], 0
    while offset < len(data):
        end = offset + 4 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        if offset + 4 > len(data) or end > len(data):
            raise PacketError("DHCPv6 option cut short")
        options.append((int.from_bytes(data[offset : offset + 2], "big"), data[offset + 4 : end]))
        offset = end
    return tuple(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dhcp6:
    """A message between client and server; `xid` has 24 bits."""

    type: int
    xid: int
    options: Options = ()

    def encode(self) -> bytes:
        """Encode."""
        return (self.type << 24 | self.xid).to_bytes(4, "big") + encode_options(self.options)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a message.

        Raises:
            PacketError: the message is truncated, or is a relay message (types 12 and 13).
        """
        if len(data) < 4 or data[0] in {12, 13}:
            raise PacketError(f"DHCPv6 message {data[:1].hex()} of {len(data)} bytes")
        return cls(type=data[0], xid=int.from_bytes(data[1:4], "big"), options=decode_options(data[4:]))

    def option(self, code: int) -> bytes | None:
        """Return the first option with this code."""
        return next((value for number, value in self.options if number == code), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class IaNa:
    """An identity association's value: its id, the times T1 and T2 in seconds, and its own options."""

    iaid: int
    t1: int = 0
    t2: int = 0
    options: Options = ()

    def encode(self) -> bytes:
        """Encode the value of option `IA_NA` or `IA_PD`."""
        return struct.pack(">III", self.iaid, self.t1, self.t2) + encode_options(self.options)

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Decode the value of option `IA_NA` or `IA_PD`.

        Raises:
            PacketError: it is truncated.
        """
        if len(value) < 12:
            raise PacketError(f"identity association of {len(value)} bytes")
        iaid, t1, t2 = struct.unpack_from(">III", value)
        return cls(iaid=iaid, t1=t1, t2=t2, options=decode_options(value[12:]))


def ia_address(address: bytes, *, preferred: int, valid: int) -> tuple[int, bytes]:
    """Return an option `IA_ADDR`.

    Arguments:
        address: 16 bytes.
        preferred: the preferred lifetime in seconds.
        valid: the valid lifetime in seconds.
    """
    return IA_ADDR, struct.pack(">16sII", address, preferred, valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class IaPrefix:
    """A delegated prefix: option `IA_PREFIX` within `IA_PD`; lifetimes in seconds, all ones for ever."""

    prefix: bytes
    length: int
    preferred: int = 0
    valid: int = 0

    def encode(self) -> bytes:
        """Encode the option's value."""
        return struct.pack(">IIB16s", self.preferred, self.valid, self.length, self.prefix)

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Decode the option's value.

        Raises:
            PacketError: it is truncated, or a prefix of over 128 bits.
        """
        if len(value) < 25 or value[8] > 128:
            raise PacketError(f"delegated prefix of {len(value)} bytes")
        preferred, valid, length, prefix = struct.unpack_from(">IIB16s", value)
        return cls(prefix=prefix, length=length, preferred=preferred, valid=valid)


def status_of(options: Options) -> int:
    """Return the status code among options; 0, success, if there is none."""
    found = next((value for code, value in options if code == STATUS_CODE), b"")
    return int.from_bytes(found[:2], "big")
