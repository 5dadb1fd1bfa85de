"""Converters of attribute values: each takes a JSON value and returns the value to store, or raises an error.

A converter raises ``ValueError`` with the reason, in Neutron's words; the caller adds the attribute's name (``Invalid
input for NAME. Reason: REASON.``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.net.addresses import ip_text
from ovenbird.net.ip import ip_address, ip_interface, ip_network
from ovenbird.ovsdb.types import is_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
NO_MACS = frozenset(("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"))
_LABEL = re.compile(r"[A-Za-z0-9-]{1,63}\Z")
_TRUE, _FALSE = frozenset(("true", "1", "t", "yes", "on")), frozenset(("false", "0", "f", "no", "off"))


class WrongTypeError(ValueError):
    """A value cannot even be read as what the attribute is; Neutron has another error for that."""


def text(maximum: int = 255) -> Callable[[Any], str]:
    """Make a converter of strings of at most ``maximum`` characters."""

    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")  # noqa: TRY004 (a request's error, not the program's)
        if len(value) > maximum:
            raise ValueError(f"'{value}' exceeds maximum length of {maximum}")
        return value

    return convert


def optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a converter that lets null through."""
    return lambda value: None if value is None else convert(value)


def nothing(value: Any) -> None:
    """Refuse every value but null, for what other Neutrons have and this one has none of.

    Raises:
        ValueError: it is another.
    """
    if value is not None:
        raise ValueError(f"'{value}' is not available here")


def never(value: Any) -> bool:
    """Refuse that something be so which cannot be.

    Raises:
        WrongTypeError: the value is no boolean.
        ValueError: it is true.
    """
    if value is not None and boolean(value):
        raise ValueError("it is not available here")
    return False


def boolean(value: Any) -> bool:
    """Convert a boolean, or a word or number for one.

    Raises:
        WrongTypeError: the value is neither.
    """
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise WrongTypeError(f"'{value}' cannot be converted to boolean")


def integer(minimum: int | None = None, maximum: int | None = None) -> Callable[[Any], int]:
    """Make a converter of integers, also given as a string, from ``minimum`` to ``maximum``."""

    def convert(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise WrongTypeError(f"'{value}' is not an integer") from None
        if isinstance(value, bool | float):
            raise WrongTypeError(f"'{value}' is not an integer")
        if minimum is not None and number < minimum:
            raise ValueError(f"'{number}' is too small - must be at least '{minimum}'")
        if maximum is not None and number > maximum:
            raise ValueError(f"'{number}' is too large - must be no larger than '{maximum}'")
        return number

    return convert


def port_range(value: Any) -> tuple[int, int]:
    """Convert a port, or the first and last of several with a colon between them (`22`, `8000:8010`).

    Raises:
        ValueError: the value is neither.
    """
    words = str(value).split(":")
    if len(words) > 2:
        raise ValueError("Port range must be two integers separated by a colon")
    for word in words:
        if not (word.isascii() and word.isdecimal() and len(word) <= 5 and 1 <= int(word) <= 65_535):
            raise ValueError(f"Invalid port: {word}")
    first, last = int(words[0]), int(words[-1])
    if first > last:
        raise ValueError("First port in a port range must be lower than the second port")
    return first, last


def one_of(*choices: Any) -> Callable[[Any], Any]:
    """Make a converter that takes ``choices`` alone."""

    def convert(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"'{value}' is not in {list(choices)}")
        return value

    return convert


def uuid(value: Any) -> str:
    """Convert a UUID.

    Raises:
        ValueError: the value is none.
    """
    if not isinstance(value, str) or not is_uuid(value):
        raise ValueError(f"'{value}' is not a valid UUID")
    return value.lower()


def address(value: Any) -> str:
    """Convert an IP address to its canonical text.

    Raises:
        ValueError: the value is none.
    """
    try:
        return ip_text(ip_address(value).packed)
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP address") from None


def prefix(value: Any) -> str:
    """Convert an IP prefix; one with host bits is a mistake that its sender should know of.

    Raises:
        ValueError: the value is none, or has host bits.
    """
    try:
        interface = ip_interface(value)
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP subnet") from None
    if str(value).partition("/")[2] == "":
        raise ValueError(f"'{value}' isn't a recognized IP subnet cidr, '{interface.network}' is recommended")
    if interface.ip != interface.network.network_address:
        raise ValueError(f"'{value}' isn't a recognized IP subnet cidr, '{interface.network}' is recommended")
    return str(interface.network)


def loose_prefix(value: Any) -> str:
    """Convert a prefix or an address, host bits and all, to its canonical text.

    Raises:
        ValueError: the value is neither.
    """
    try:
        interface = ip_interface(value)
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP subnet") from None
    return f"{ip_text(interface.ip.packed)}/{interface.network.prefixlen}"


def network_of(value: Any) -> str:
    """Convert a prefix or an address to the network that it is in, without host bits."""
    return str(ip_network(loose_prefix(value), strict=False))


def network_prefix(value: Any) -> str:
    """Convert a prefix, which has to say how long it is; bits of hosts are dropped.

    Raises:
        ValueError: the value is none, or does not say how long it is.
    """
    if "/" not in str(value):
        raise ValueError(f"'{value}' is not a valid IP subnet")
    return network_of(value)


def mac(value: Any) -> str:
    """Convert a MAC, in any of the ways to write it, to lower case with colons.

    Raises:
        ValueError: the value is none.
    """
    word = _spelled(value.strip().lower()) if isinstance(value, str) else ""
    if not _MAC.match(word) or word in NO_MACS:
        raise ValueError(f"'{value}' is not a valid MAC address")
    return word


def _spelled(word: str) -> str:
    parts = word.replace("-", ":").split(":")
    if len(parts) == 6:  # 0 for 00 too
        return ":".join(part.zfill(2) for part in parts)
    digits = word.replace(".", "")
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def dns_name(value: Any) -> str:
    """Convert a name of the DNS, of one label or several (RFC 1123, section 2.1); empty for none.

    Raises:
        WrongTypeError: the value is not a string.
        ValueError: it is no such name.
    """
    word = text()(value)
    labels = word.removesuffix(".").split(".") if word else []
    why = next((reason for label in labels if (reason := _wrong_label(label))), "")
    if not why and len(labels) > 1 and labels[-1].isdecimal():
        why = f"TLD '{labels[-1]}' must not be all numeric"
    if why:
        raise ValueError(f"'{word}' not a valid PQDN or FQDN. Reason: {why}")
    return word


def domain(value: Any) -> str:
    """Convert a domain of the DNS, fully qualified: it ends with a dot; empty for none.

    Raises:
        WrongTypeError: the value is not a string.
        ValueError: it is no such domain.
    """
    if not isinstance(value, str):
        raise WrongTypeError(f"Input value {value} must be string type")
    word = dns_name(value.lower())
    if word and not word.endswith("."):
        raise ValueError(f"'{word}' is not a FQDN")
    return word


def _wrong_label(label: str) -> str:
    if not label:
        return "Encountered an empty component"
    if label.startswith("-") or label.endswith("-"):
        return f"Name '{label}' must not start or end with a hyphen"
    if not _LABEL.match(label):
        return f"Name '{label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
    return ""


def mapping(value: Any) -> dict[str, Any]:
    """Convert an object.

    Raises:
        ValueError: the value is none.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")  # noqa: TRY004 (a request's error, not the program's)
    return value


def list_of(convert: Callable[[Any], Any], *, most: int = 200, null: bool = True) -> Callable[[Any], list[Any]]:
    """Make a converter of lists without duplicates.

    Arguments:
        convert: converts one item.
        most: the most items.
        null: whether null is the empty list, where otherwise it is refused.
    """

    def each(value: Any) -> list[Any]:
        if null and (value is None or value == ""):
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{value}' is not a list")  # noqa: TRY004 (a request's error, not the program's)
        if len(value) > most:
            raise ValueError(f"{len(value)} items exceed the maximum of {most}")
        items = [convert(item) for item in value]
        for item in duplicates(items):
            raise ValueError(f"Duplicate items in the list: '{item}'")
        return items

    return each


def duplicates(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items that are equal to an earlier one: texts, or anything else that JSON can say."""
    seen = set()
    for item in items:
        key = item if isinstance(item, str) else orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        if key in seen:
            yield item
        seen.add(key)


def record(required: Iterable[str], **fields: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """Make a converter of objects with the members ``fields``, of which ``required`` must be there."""
    needed = tuple(required)

    def convert(value: Any) -> dict[str, Any]:
        given = mapping(value)
        unknown = sorted(set(given) - set(fields))
        missing = [name for name in needed if name not in given]
        if unknown or missing:
            raise ValueError(f"Invalid data format: '{value}'. Required keys: {list(needed)}, unknown: {unknown}")
        return {name: fields[name](item) for name, item in given.items()}

    return convert
