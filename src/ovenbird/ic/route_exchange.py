"""Which routes this zone advertises and learns: the options `ic-route-*` of NB_Global (ovn-nb(5)).

Link-local prefixes, and those that belong to a prefix of `ic-route-blacklist`, are neither advertised nor learned;
default routes only where the options ending in `-default` allow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_address, ip_interface, ip_network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from ovenbird.engine.facts import Fact

LINK_LOCAL = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
BARRED = "ic-route-blacklist"


class Prefix(NamedTuple):
    """A prefix as a row has it, with the bits behind its length that the row may have.

    Arguments:
        address: the address.
        length: of the prefix.
    """

    address: IPv4Address | IPv6Address
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"

    def belongs_to(self, network: IPv4Network | IPv6Network) -> bool:
        """Return whether every address of the prefix is in a network."""
        return self.address.version == network.version and self.length >= network.prefixlen and self.address in network


class RouteExchange(NamedTuple):
    """The options of this zone.

    Arguments:
        advertised: whether routes are told to other zones.
        learned: whether routes of other zones are taken.
        advertised_default: whether that goes for default routes.
        learned_default: the same of learning.
        barred: prefixes whose routes are neither told nor taken.
    """

    advertised: bool
    learned: bool
    advertised_default: bool
    learned_default: bool
    barred: tuple[IPv4Network | IPv6Network, ...]

    def advertises(self, prefix: Prefix) -> bool:
        """Return whether a route to a prefix is advertised to other zones."""
        return self.advertised and (prefix.length > 0 or self.advertised_default) and not self._bars(prefix)

    def learns(self, prefix: Prefix) -> bool:
        """Return whether a route to a prefix is learned from other zones."""
        return self.learned and (prefix.length > 0 or self.learned_default) and not self._bars(prefix)

    def _bars(self, prefix: Prefix) -> bool:
        return any(prefix.belongs_to(network) for network in (*LINK_LOCAL, *self.barred))


def parse_prefix(text: str) -> Prefix | None:
    """Return the prefix that a text says, or None."""
    try:
        found = ip_interface(text)
    except PacketError:
        return None
    return Prefix(found.ip, found.network.prefixlen)


def is_next_hop(text: str) -> bool:
    """Return whether a text is an address that another zone can reach: IPv6 link-local ones are not."""
    try:
        found = ip_address(text)
    except PacketError:
        return False
    return found.version == 4 or not found.is_link_local


def _barred(text: str) -> Iterator[tuple[str, IPv4Network | IPv6Network | None]]:
    """Yield the items of `ic-route-blacklist`, each with its prefix if it is one."""
    for item in filter(None, (item.strip() for item in text.split(","))):
        try:
            yield item, ip_network(item, strict=False)
        except PacketError:
            yield item, None


@view
def route_exchange() -> RouteExchange:
    """Return which routes this zone advertises and learns."""
    options = next((row.options for row in rows(nb.NBGlobal)), {})
    return RouteExchange(
        advertised=flag(options, "ic-route-adv"),
        learned=flag(options, "ic-route-learn"),
        advertised_default=flag(options, "ic-route-adv-default"),
        learned_default=flag(options, "ic-route-learn-default"),
        barred=tuple([network for _, network in _barred(options.get(BARRED, "")) if network is not None]),
    )


@rule(nb.NBGlobal)
def bad_prefixes(row: nb.NBGlobal) -> Iterator[Fact]:
    """Report items of `ic-route-blacklist` that are not prefixes."""
    for item, network in _barred(row.options.get(BARRED, "")):
        if network is None:
            yield finding(row, f"NB_Global options:{BARRED}: {item!r} is not an IP prefix, and is left out")
