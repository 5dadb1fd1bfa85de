"""An IP address with an optional port, as in load balancers; in templates each may be a variable."""

from __future__ import annotations

import re

from ovenbird.namedtuple import NamedTuple
from ovenbird.net.addresses import ipv4_bytes, ipv6_bytes, ipv6_text
from ovenbird.net.errors import PacketError

_NAME = r"\^[A-Za-z_][A-Za-z0-9_]*"
_ENDPOINT = re.compile(rf"(?:\[([0-9a-fA-F:.]+|{_NAME})\]|([0-9.]+|{_NAME}))(?::(\d{{1,5}}|{_NAME}))?|([0-9a-fA-F:.]+)")
"""An address in brackets or a dotted quad, optionally with a port; or an IPv6 address alone."""


class SocketAddress(NamedTuple):
    """An address and a port, each a number as text or the name of a variable.

    Arguments:
        ip: in canonical form.
        port: empty if there is none.
        six: whether it is an IPv6 address.
    """

    ip: str
    port: str
    six: bool

    def __str__(self) -> str:
        if not self.port:
            return self.ip
        return f"[{self.ip}]:{self.port}" if self.six else f"{self.ip}:{self.port}"

    @property
    def family(self) -> str:
        """The name of the IP version in the match language."""
        return "ip6" if self.six else "ip4"


def parse_endpoint(text: str, six: bool | None = None) -> SocketAddress | None:
    """Return an address and its port, of which 0 means none; None if the text is malformed.

    Arguments:
        text: `IP`, `IP:PORT` or `[IPv6]:PORT`.
        six: in a template, whether variables are IPv6 addresses; None if the text must not have variables.
    """
    found = _ENDPOINT.fullmatch(text)
    if found is None or (six is None and "^" in text):
        return None
    bracketed, plain, port, alone = found.groups()
    ip, port = bracketed or plain or alone, port or ""
    if port.isdecimal():
        if int(port) > 0xFFFF:
            return None
        port = str(int(port)) if int(port) else ""
    try:
        if ip[0] == "^":
            return SocketAddress(ip=ip, port=port, six=bool(six))
        if ":" in ip:
            return SocketAddress(ip=ipv6_text(ipv6_bytes(ip)), port=port, six=True)
        ipv4_bytes(ip)
    except PacketError:
        return None
    return SocketAddress(ip=ip, port=port, six=False) if bracketed is None else None
