"""The tables of DHCP options that chassis can encode (ovn-sb(5), DHCP_Options and DHCPv6_Options)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb, sb
from ovenbird.model.dhcp_options import FQDN, known
from ovenbird.namedtuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation


class OptionRow(NamedTuple):
    """A DHCP option that chassis can encode."""

    relation: Relation
    name: str
    code: int
    type: str


_FOUR, _SIX = sb.DHCPOptions, sb.DHCPv6Options
DHCP_OPTION = NamedRows(_FOUR, OptionRow, key=(_FOUR.name, _FOUR.code, _FOUR.type))
DHCPV6_OPTION = NamedRows(_SIX, OptionRow, key=(_SIX.name, _SIX.code, _SIX.type))


@singleton
def known_options() -> Iterator[Fact]:
    """Write every DHCP option that a chassis can encode (DHCP_Options, DHCPv6_Options)."""
    for name, code, kind in known(4):
        yield DHCP_OPTION(name=name, code=code, type=kind)
    for name, code, kind in known(6):
        yield DHCPV6_OPTION(name=name, code=code, type=kind)


@rule(nb.DHCPOptions)
def newer_options(options: nb.DHCPOptions) -> Iterator[Fact]:
    """Write the options that older schemas of Southbound have no type for, if they are used."""
    name, code, kind = FQDN
    if name in options.options:
        yield DHCPV6_OPTION(name=name, code=code, type=kind)
