"""The Internet checksum (RFC 1071), and its pseudo-headers (RFC 793, section 3.1; RFC 8200, section 8.1)."""

from __future__ import annotations


def internet_checksum(data: bytes) -> int:
    """Return the ones' complement of the ones' complement sum of 16-bit words; odd data is padded with a zero."""
    # 2**16 is 1 modulo 0xffff, so that the sum of the words is the whole number's remainder.
    number = int.from_bytes(data + b"\0" if len(data) % 2 else data, "big")
    remainder = number % 0xFFFF
    return 0xFFFF - (remainder or (0xFFFF if number else 0))


def pseudo_checksum(*, src: bytes, dst: bytes, proto: int, segment: bytes) -> int:
    """Return the checksum of a TCP, UDP or ICMPv6 segment between two IPv4 or two IPv6 addresses.

    Arguments:
        src: the sender's address, 4 or 16 bytes.
        dst: the receiver's address, as long.
        proto: the IP protocol number.
        segment: header and payload, with zero in the place of the checksum.
    """
    if len(src) == 4:
        header = src + dst + bytes([0, proto]) + len(segment).to_bytes(2, "big")
    else:
        header = src + dst + len(segment).to_bytes(4, "big") + bytes([0, 0, 0, proto])
    return internet_checksum(header + segment)
