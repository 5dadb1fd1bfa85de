"""The tables of DHCP options that chassis can encode (ovn-sb(5), DHCP_Options and DHCPv6_Options)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import singleton
from ovenbird.model.dhcp_options import known
from ovenbird.northd.ir.southbound_rows import DHCP_OPTION, DHCPV6_OPTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact


@singleton
def known_options() -> Iterator[Fact]:
    """List every option that a chassis may be asked to encode."""
    for option in known(4):
        yield DHCP_OPTION(*option)
    for option in known(6):
        yield DHCPV6_OPTION(*option)
