"""IP protocols by the names that Neutron's security group rules use (numbers by IANA's registry)."""

from __future__ import annotations

PROTOCOLS = {
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6-encap": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ospf": 89,
    "vrrp": 112,
    "pgm": 113,
    "sctp": 132,
    "udplite": 136,
}
"""Number by name."""

ALIASES = {"icmpv6": "ipv6-icmp"}
"""Older names that are still accepted and shown as given."""

WITH_PORTS = frozenset((6, 17, 33, 132, 136))
"""Protocols whose rules may name destination ports."""

ICMP = frozenset((1, 58))
"""Protocols whose rules have a type and a code in place of ports."""


def spellings(protocol: str) -> list[str]:
    """Return every way to write a protocol, by its names and by its number.

    Raises:
        ValueError: it is none.
    """
    value = number(protocol)
    names = [name for name, known in PROTOCOLS.items() if known == value]
    return [protocol, *({str(value), *names, *(old for old, name in ALIASES.items() if name in names)} - {protocol})]


def number(protocol: str) -> int:
    """Return a protocol's number.

    Arguments:
        protocol: a name, or a number from 0 to 255 in decimal.

    Raises:
        ValueError: it is neither.
    """
    known = PROTOCOLS.get(ALIASES.get(protocol, protocol))
    if known is not None:
        return known
    value = int(protocol)
    if not 0 <= value <= 255:
        raise ValueError(f"{protocol} is not an IP protocol")
    return value
