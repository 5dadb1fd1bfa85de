"""Options of DHCP and router advertisements as name-value pairs: their grammar, and the encodings of their types.

Parsing does not depend on an option's type; values are validated when they are encoded, with the Southbound's
DHCP_Options and DHCPv6_Options (RFC 2132, RFC 3442 for static routes, RFC 1035 section 4.1.4 for compressed domains,
RFC 8415).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.lang.ast import Integer, String
from ovenbird.lang.constant import parse_constant
from ovenbird.lang.errors import FieldError
from ovenbird.lang.lexer import Format
from ovenbird.net.dhcp4 import classless_routes

if TYPE_CHECKING:
    from ovenbird.lang.lexer import Tokens


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """`name = value` or `name = {value, ...}`."""

    name: str
    values: tuple[Integer | String, ...]

    def __str__(self) -> str:
        values = ", ".join(map(str, self.values))
        return f"{self.name} = {values if len(self.values) == 1 else '{' + values + '}'}"

    @property
    def number(self) -> int:
        """Return the first value as a number.

        Raises:
            FieldError: it is a string.
        """
        first = self.values[0]
        if isinstance(first, String):
            raise FieldError(f"Option {self.name} requires numeric value.")
        return first.value

    @property
    def text(self) -> str:
        """Return the first value as text.

        Raises:
            FieldError: it is a number.
        """
        first = self.values[0]
        if isinstance(first, Integer):
            raise FieldError(f"Option {self.name} requires string value.")
        return first.value

    @property
    def numbers(self) -> tuple[Integer, ...]:
        """Return all values, as numbers.

        Raises:
            FieldError: one is a string.
        """
        numbers = tuple([value for value in self.values if isinstance(value, Integer)])
        if len(numbers) != len(self.values):
            raise FieldError(f"Option {self.name} requires numeric value.")
        return numbers


def parse_options(cursor: Tokens) -> tuple[DhcpOption, ...]:
    """Parse `(name = value, ...)`; raise `LangError`."""
    cursor.expect("(")
    options: list[DhcpOption] = []
    while not cursor.take(")"):
        name = cursor.expect("id").name
        cursor.expect("=")
        options.append(DhcpOption(name, _values(cursor)))
        if not cursor.take(","):
            cursor.expect(")")
            break
    return tuple(options)


def _values(cursor: Tokens) -> tuple[Integer | String, ...]:
    if not cursor.take("{"):
        return (_value(cursor),)
    values = [_value(cursor)]
    cursor.take(",")
    while not cursor.take("}"):
        values.append(_value(cursor))
        cursor.take(",")
    return tuple(values)


def _value(cursor: Tokens) -> Integer | String:
    token = cursor.token
    if token.kind not in ("integer", "masked", "string"):
        raise cursor.syntax_error("expecting constant")
    value = parse_constant(cursor)
    return value if isinstance(value, Integer) else String(token.name)


_UINT_BYTES = {"bool": 1, "uint8": 1, "uint16": 2, "uint32": 4}


def encode_dhcp4(option: DhcpOption, kind: str) -> bytes:
    """Return the encoded value of a DHCPv4 option, whose type `kind` is one of DHCP_Options.

    Raises:
        FieldError: the value does not have this type, or the type is unknown.
    """
    if size := _UINT_BYTES.get(kind):
        return _sized(option, option.number, size)
    match kind:
        case "ipv4":
            return b"".join([_sized(option, value.value, 4) for value in option.numbers])
        case "str":
            return option.text.encode()
        case "static_routes":
            return _static_routes(option)
        case "host_id":
            if isinstance(option.values[0], String):
                return option.text.encode()
            return _sized(option, option.number, 4)
        case "domains":
            return compressed_domains(option.text)
    raise FieldError(f"DHCPv4 option {option.name} has unknown type {kind}.")


def encode_dhcp6(option: DhcpOption, kind: str) -> bytes:
    """Return the encoded value of a DHCPv6 option, whose type `kind` is one of DHCPv6_Options.

    Raises:
        FieldError: the value does not have this type, or the type is unknown.
    """
    match kind:
        case "ipv6":
            return b"".join([_sized(option, value.value, 16) for value in option.numbers])
        case "mac":
            return _sized(option, option.number, 6)
        case "str":
            return option.text.encode()
        case "domain":
            return b"".join([bytes([len(label)]) + label for label in labels(option.text)]) + b"\0"
    raise FieldError(f"DHCPv6 option {option.name} has unknown type {kind}.")


def _sized(option: DhcpOption, value: int, size: int) -> bytes:
    if value.bit_length() > size * 8:
        raise FieldError(f"Option {option.name} takes {size * 8} bits.")
    return value.to_bytes(size, "big")


def _static_routes(option: DhcpOption) -> bytes:
    """Encode pairs of prefix and gateway."""
    numbers = option.numbers
    if len(numbers) % 2:
        raise FieldError(f"Option {option.name} takes pairs of prefix and gateway.")
    routes = []
    for prefix, gateway in zip(numbers[::2], numbers[1::2], strict=True):
        if prefix.format is not Format.IPV4 or gateway.format is not Format.IPV4 or gateway.mask is not None:
            raise FieldError(f"Option {option.name} takes pairs of prefix and gateway.")
        length = 32 if prefix.mask is None else prefix.mask.bit_count()
        routes.append((prefix.value.to_bytes(4, "big"), length, gateway.value.to_bytes(4, "big")))
    return classless_routes(routes)


def labels(domain: str) -> list[bytes]:
    """Return the labels of a domain name.

    Raises:
        FieldError: one is empty or longer than 63 bytes.
    """
    out = [label.encode() for label in domain.strip().rstrip(".").split(".")]
    if any(not 0 < len(label) < 64 for label in out):
        raise FieldError(f"Invalid domain name {domain!r}.")
    return out


def compressed_domains(text: str) -> bytes:
    """Encode a comma-separated search list; a tail that occurred before becomes a pointer (RFC 3397)."""
    out = bytearray()
    known: dict[tuple[bytes, ...], int] = {}
    for domain in text.split(","):
        rest = tuple(labels(domain))
        while rest:
            if rest in known:
                out += (0xC000 | known[rest]).to_bytes(2, "big")
                break
            if len(out) < 0x4000:
                known[rest] = len(out)
            out += bytes([len(rest[0])]) + rest[0]
            rest = rest[1:]
        else:
            out.append(0)
    return bytes(out)
