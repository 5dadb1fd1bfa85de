"""Next hops of symmetric replies, so that hosts flush the connections of those that are removed.

ovn-nb(5), NB_Global, `ecmp_nexthop_monitor_enable`; ovn-sb(5), ECMP_Nexthop; OVN 25.03. A connection that came by a
next hop is committed with the MAC address of its packets, so that replies go back there for as long as the connection
lasts. When the last route to the next hop is removed, or its MAC address changes, hosts flush the connections with the
former address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.lookups import select, table
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import parse_mac
from ovenbird.northd.ir.southbound_rows import PORT_BINDING
from ovenbird.northd.ir.switch_port import global_flag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.router_port import RouterPort


class NexthopRow(NamedTuple):
    """A next hop; the columns are those of ovn-sb(5)."""

    relation: Relation
    nexthop: str
    port: UUID
    datapath: UUID
    mac: str


_EN = sb.ECMPNexthop
NEXTHOP = NamedRows(_EN, NexthopRow, key=(_EN.nexthop, _EN.port))


def monitored(port: RouterPort, nexthop: str) -> Iterator[Fact]:
    """Write a next hop with symmetric replies to Southbound, if next hops are monitored.

    Arguments:
        port: the port that leads to it.
        nexthop: its address; empty if the destination itself is the next hop.
    """
    if nexthop and global_flag("ecmp_nexthop_monitor_enable", False):
        binding = PORT_BINDING.uuid((port.name, port.datapath))
        mac = _mac(port, nexthop) or _last_mac(binding, nexthop)
        yield NEXTHOP(nexthop=nexthop, port=binding, datapath=port.datapath, mac=mac)


def _mac(port: RouterPort, nexthop: str) -> str:
    """Return the MAC address that a next hop is known to have now; empty if it is not known."""
    key = (port.name, nexthop)
    given = table(nb.StaticMACBinding).index(nb.StaticMACBinding.logical_port, nb.StaticMACBinding.ip).rows(key)
    learned = table(sb.MACBinding).index(sb.MACBinding.logical_port, sb.MACBinding.ip).rows(key)
    overriding = [row.mac for row in given if row.override_dynamic_mac]
    known = [*overriding, *(row.mac for row in learned), *(row.mac for row in given)]
    return parse_mac(known[0]) if known else ""


def _last_mac(binding: UUID, nexthop: str) -> str:
    """Return the MAC address that a next hop had: its connections go on while the neighbour is learned anew."""
    for row in select(_EN.nexthop, nexthop):
        if _EN.port.raw(row) == binding:
            return parse_mac(row.mac)
    return ""
