"""The kinds of settings: each parses the stored text, and describes the values that it accepts.

A text of any length and content is parsed in linear time. An empty text is a value if the kind permits it, and
otherwise invalid; it never means "not set".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, TypeVar

from ovenbird.dataclass import dataclass
from ovenbird.net.ip import is_address
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_LONGEST_NAME = 253
"""Characters of a name of the DNS without its final dot (RFC 1035, section 3.1: 255 octets)."""
_LONGEST_ADDRESS = 45
MOST_ADDRESSES = 32
"""As many name servers as fit into one answer of DHCP beside everything else (RFC 2132, section 3.8: 255 bytes)."""


class Kind(Protocol[T]):
    """A kind of value."""

    @property
    def allowed(self) -> str:
        """The allowed values, in words that follow "is"."""

    def read(self, text: str) -> T:
        """Return the value of a text.

        Raises:
            ValueError: the text is not a valid value.
        """

    def write(self, value: T) -> str:
        """Return the canonical text of a value, which is stored."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false, in the words and cases that oslo.config accepts."""

    allowed = "true or false"

    def read(self, text: str) -> bool:
        """Return whether it is on."""
        word = text.lower() if len(text) < 8 else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise ValueError(self.allowed)

    def write(self, value: bool) -> str:
        """Return the word for it."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a range.

    Arguments:
        low: the least.
        high: the greatest.
    """

    low: int
    high: int

    @property
    def allowed(self) -> str:
        """The range."""
        return f"a whole number from {self.low} to {self.high}"

    def read(self, text: str) -> int:
        """Return the number."""
        number = integer(text, self.low, self.high)
        if number is None:
            raise ValueError(self.allowed)
        return number

    def write(self, value: int) -> str:
        """Return it in decimal digits."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, which may include the empty one.

    Arguments:
        words: which.
    """

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words."""
        return " or ".join(word or "empty" for word in self.words)

    def read(self, text: str) -> str:
        """Return the word."""
        if text not in self.words:
            raise ValueError(self.allowed)
        return text

    def write(self, value: str) -> str:
        """Return the word."""
        return value


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of the DNS, with or without its final dot, or empty for none (RFC 1035, section 2.3.1; RFC 1123)."""

    allowed = "a domain such as example.org., or empty"

    def read(self, text: str) -> str:
        """Return the domain without its final dot."""
        name = text.removesuffix(".")
        if not text:
            return text
        if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
            raise ValueError(self.allowed)
        return name

    def write(self, value: str) -> str:
        """Return the domain with its final dot."""
        return f"{value}." if value else value


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of IPv4 and IPv6 separated by commas, or none."""

    allowed = f"at most {MOST_ADDRESSES} IP addresses separated by commas, or empty"

    def read(self, text: str) -> tuple[str, ...]:
        """Return the addresses, as they are written."""
        if not text:
            return ()
        words = text.split(",") if len(text) < MOST_ADDRESSES * (_LONGEST_ADDRESS + 2) else []
        addresses = tuple(word.strip(" ") for word in words)
        if not addresses or len(addresses) > MOST_ADDRESSES or not all(map(is_address, addresses)):
            raise ValueError(self.allowed)
        return addresses

    def write(self, value: Sequence[str]) -> str:
        """Return the addresses with commas between."""
        return ",".join(value)
