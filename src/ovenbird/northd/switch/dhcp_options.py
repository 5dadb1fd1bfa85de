"""The tables of DHCP options that chassis can encode (ovn-sb(5), DHCP_Options and DHCPv6_Options)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Rows
from ovenbird.engine.rules import singleton
from ovenbird.model import sb
from ovenbird.model.dhcp_options import known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

DHCP_OPTION = Rows(sb.DHCPOptions, key=(sb.DHCPOptions.name, sb.DHCPOptions.code, sb.DHCPOptions.type))
DHCPV6_OPTION = Rows(sb.DHCPv6Options, key=(sb.DHCPv6Options.name, sb.DHCPv6Options.code, sb.DHCPv6Options.type))


@singleton
def known_options() -> Iterator[Fact]:
    """List every option that a chassis may be asked to encode."""
    for option in known(4):
        yield DHCP_OPTION(*option)
    for option in known(6):
        yield DHCPV6_OPTION(*option)
