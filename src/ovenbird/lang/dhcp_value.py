"""Checks of one DHCP option: whether a chassis can parse and encode it as part of an action."""

from __future__ import annotations

from ovenbird.lang.dhcp_options import encode_dhcp4, encode_dhcp6, parse_options
from ovenbird.lang.errors import FieldError
from ovenbird.lang.lexer import Tokens

LONGEST = 255
"""Bytes of a DHCPv4 option's value (RFC 2132, section 2)."""


def dhcp_value(version: int, name: str, *, kind: str, text: str) -> bytes:
    """Return the encoded value of one option.

    Arguments:
        version: 4 or 6.
        name: OVN's name of the option.
        kind: its type (ovn-sb(5), DHCP_Options, DHCPv6_Options).
        text: its value, as in `put_dhcp_opts(name = value)`.

    Raises:
        LangError: a chassis cannot encode it, or the text holds more than one value.
    """
    cursor = Tokens(f"({name} = {text})")
    options = parse_options(cursor)
    if len(options) != 1 or cursor.token.kind != "end":
        raise FieldError(f"Option {name} has one value.")
    value = encode_dhcp4(options[0], kind) if version == 4 else encode_dhcp6(options[0], kind)
    if version == 4 and len(value) > LONGEST:
        raise FieldError(f"DHCPv4 option {name} is longer than {LONGEST} bytes.")
    return value
