"""Address sets and port groups for the matches that chassis evaluate.

ovn-sb(5), Address_Set and Port_Group. A port group becomes one Southbound group for each switch, with the datapath's
tunnel key in its name, so that a chassis receives only ports on its own datapaths; and two address sets, `<name>_ip4`
and `<name>_ip6`, with its ports' addresses. Each port yields its own memberships, so adding a port costs one port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import KeyRows, Members
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.shared.binding import switch_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

ADDRESS_SET = KeyRows(sb.AddressSet, sb.AddressSet.name)
IN_ADDRESS_SET = Members(ADDRESS_SET, sb.AddressSet.addresses)

PORT_GROUP = KeyRows(sb.PortGroup, sb.PortGroup.name)
IN_PORT_GROUP = Members(PORT_GROUP, sb.PortGroup.ports)


@rule(nb.AddressSet)
def address_set(row: nb.AddressSet) -> Iterator[Fact]:
    """Copy an address set."""
    name = row.name
    yield ADDRESS_SET(name)
    for address in row.addresses:
        yield (IN_ADDRESS_SET, name, address)


@rule(nb.PortGroup)
def group_address_sets(group: nb.PortGroup) -> Iterator[Fact]:
    """Give each port group its two address sets."""
    name = group.name
    yield ADDRESS_SET(f"{name}_ip4")
    yield ADDRESS_SET(f"{name}_ip6")


@view
def names(group: nb.PortGroup, switch: nb.LogicalSwitch) -> tuple[str, str, str]:
    """Return the name of a group on a switch's datapath, and the names of its two address sets."""
    name = group.name
    return f"{switch_key(switch)}_{name}", f"{name}_ip4", f"{name}_ip6"


def port(port: SwitchPort) -> Iterator[Fact]:
    """Add a port and its addresses to its port groups."""
    addresses = () if "router" in port.texts else port.addresses  # a router's addresses are not members of the set
    for group in port.groups:
        here, ip4, ip6 = names(group, port.switch)
        yield (PORT_GROUP, here)
        yield (IN_PORT_GROUP, here, port.name)
        for address in addresses:
            for ip in address.ipv4:
                yield (IN_ADDRESS_SET, ip4, ip)
            for ip in address.ipv6:
                yield (IN_ADDRESS_SET, ip6, ip)


FEATURE = Feature(
    "address_sets",
    rules=(address_set, group_address_sets),
    port=port,
    needs=("groups",),
    outputs=(ADDRESS_SET, IN_ADDRESS_SET, PORT_GROUP, IN_PORT_GROUP),
)
