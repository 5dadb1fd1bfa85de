"""Connections that end with a row of Southbound, and are known by their labels.

ovn-sb(5), ACL_ID: the connections of an ACL that outlive other changes of ACLs are committed with its number.
ovn-sb(5), ECMP_Nexthop: those that came to a router by a next hop with symmetric replies are committed with its MAC
address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import LABELLED
from ovenbird.controller.local.ct_zones import datapath_zones
from ovenbird.controller.local.local_data import is_hosted
from ovenbird.engine.rules import rule
from ovenbird.model.sb import ACLID, ECMPNexthop
from ovenbird.net.addresses import is_mac, mac_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

_ACL_ID = 80, 16
"""The bits of `ct_label` with the number of an ACL: the lowest one, and how many."""

_REPLY_ETH = 32, 48
"""Those with the MAC address to which replies go (`ct_label.ecmp_reply_eth`)."""


@rule(ACLID)
def of_acl(row: ACLID) -> Iterator[Fact]:
    """Yield the connections of an ACL, in all zones."""
    if row.id:
        low, width = _ACL_ID
        yield LABELLED(zone=None, low=low, width=width, value=row.id)


@rule(ECMPNexthop)
def by_nexthop(row: ECMPNexthop) -> Iterator[Fact]:
    """Yield the connections that came to a hosted router by a next hop."""
    datapath = ECMPNexthop.datapath.raw(row)
    if is_mac(row.mac) and datapath is not None and is_hosted(datapath):
        low, width = _REPLY_ETH
        dnat, _ = datapath_zones(datapath)
        yield LABELLED(zone=dnat, low=low, width=width, value=mac_number(row.mac))
