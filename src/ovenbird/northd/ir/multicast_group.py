"""Multicast groups of a datapath (ovn-sb(5), Multicast_Group), and the memberships that chassis learn (IGMP_Group).

A datapath has predefined groups, with ovn-northd's tunnel keys, and one for each IP multicast address that a port has
joined. A router that relays multicast has one for each address that is joined in an adjacent switch; the members are
its ports to these switches. A group exists only while a flow refers to it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.grouped import grouped_values
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, get, table
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.ip import ip_address
from ovenbird.northd.ir.addresses import parse_ip
from ovenbird.northd.ir.router_port import LRP, LSP, enabled, peer_switch_port, router_port_by_name, router_port_of
from ovenbird.northd.ir.southbound_rows import northbound_uuid
from ovenbird.pipeline.multicast_groups import FIRST_IP_GROUP, LAST_IP_GROUP, MROUTERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address
    from typing import Any

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Relation
    from ovenbird.engine.rows import UUID, Store

_MG = sb.MulticastGroup


class MulticastGroupRow(NamedTuple):
    """A multicast group, without its members."""

    relation: Relation
    datapath: UUID
    name: str
    tunnel_key: int


MULTICAST_GROUP = NamedRows(_MG, MulticastGroupRow, key=(_MG.datapath, _MG.name))
IN_MULTICAST_GROUP = Members(MULTICAST_GROUP, _MG.ports)

IP_GROUP_KEYS = Pool("tunnel key of an IP multicast group", FIRST_IP_GROUP, LAST_IP_GROUP)
"""The tunnel keys of groups of IP multicast addresses; each datapath has its own scope."""

_LINK_SCOPE = 3
_RESERVED_SCOPE = 15
"""Scopes up to that of a realm, and the last, are not forwarded by routers (RFC 4291, section 2.7; RFC 7346)."""


def _floods(values: list[Any], *, options: int, enabled: int) -> tuple[bool, ...]:
    return (True,) if flag(values[options], "mcast_flood") and values[enabled] is not False else ()


FLOODED = ComputedIndex(
    LSP.options,
    LSP.enabled,
    keys=partial(_floods, options=LSP.options.index, enabled=LSP.enabled.index),
    parent=nb.LogicalSwitch.ports,
)
"""A switch's enabled ports that receive all multicast."""

ROUTER_FLOODED = ComputedIndex(
    LRP.options,
    LRP.enabled,
    keys=partial(_floods, options=LRP.options.index, enabled=LRP.enabled.index),
    parent=nb.LogicalRouter.ports,
)
"""A router's enabled ports that send all multicast."""


@view
def relays(router: nb.LogicalRouter) -> bool:
    """Return whether a router relays multicast between its switches."""
    return enabled(router) and flag(router.options, "mcast_relay")


@view
def floods(router: nb.LogicalRouter) -> bool:
    """Return whether a router has ports that send all multicast."""
    return bool(ROUTER_FLOODED.rows(router.uuid, True))


@grouped_values(LRP)
def relaying(lrp: nb.LogicalRouterPort) -> Iterator[tuple[UUID, UUID]]:
    """Group the ports of relaying routers by the adjacent switch."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    if router is not None and relays(router) and router_port_of(lrp) is not None:
        met = peer_switch_port(lrp.name)
        if met is not None:
            yield met.switch.uuid, lrp.uuid


def leads_to_relay(lsp: nb.LogicalSwitchPort) -> bool:
    """Return whether a switch port leads to a router that relays multicast."""
    port = router_port_by_name(lsp.options.get("router-port", "")) if lsp.type == "router" else None
    router = get(nb.LogicalRouter, port.router) if port is not None else None
    return router is not None and relays(router)


class Joined(NamedTuple):
    """The content of a row of IGMP_Group: the members of a group in a switch, on one chassis.

    Arguments:
        switch: the switch.
        datapath: UUID of its datapath binding.
        address: the group's address in canonical form; `mrouters` for multicast routers.
        members: the bindings of the members, without ports that receive all multicast.
    """

    switch: nb.LogicalSwitch
    datapath: UUID
    address: str
    members: tuple[UUID, ...]

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        """The group's address."""
        return ip_address(self.address)

    @property
    def is_local(self) -> bool:
        """Whether the group's packets are flooded on the link (RFC 4541, section 2.1.2; RFC 4291, section 2.7.1)."""
        return self.address.startswith("224.0.0.") or self.address in ("ff02::1", "ff02::2", "ff05::2")

    @property
    def is_routable(self) -> bool:
        """Whether routers forward the group's packets."""
        ip = self.ip
        return not self.is_local and (ip.version == 4 or _LINK_SCOPE < ip.packed[1] & 15 < _RESERVED_SCOPE)


def switch_of(row: sb.IGMPGroup) -> nb.LogicalSwitch | None:
    """Return the switch of a row of IGMP_Group; None if the switch, or the chassis that wrote the row, is gone."""
    datapath = row.datapath
    if datapath is None or row.chassis is None:
        return None
    return get(nb.LogicalSwitch, northbound_uuid(datapath) or row.uuid)


def _router_ports(row: sb.IGMPGroup) -> frozenset[UUID]:
    """Return the ports with multicast routers behind them, as the chassis of a row has learned them.

    If a logical router relays, these ports receive all multicast; as members they would receive it twice.
    """
    index = table(sb.IGMPGroup).index(sb.IGMPGroup.address, sb.IGMPGroup.datapath, sb.IGMPGroup.chassis)
    found = index.rows((MROUTERS, sb.IGMPGroup.datapath.raw(row), sb.IGMPGroup.chassis.raw(row)))
    return found[0]["ports"] if found else frozenset()


@view
def joined(row: sb.IGMPGroup) -> Joined | None:
    """Return the content of a row of IGMP_Group; None if it does not concern a switch that snoops."""
    switch, where = switch_of(row), sb.IGMPGroup.datapath.raw(row)
    if switch is None or where is None or not flag(switch.other_config, "mcast_snoop"):
        return None
    address = row.address if row.address == MROUTERS else parse_ip(row.address)
    if address != MROUTERS and not (address and ip_address(address).is_multicast):
        return None
    members = []
    served = _router_ports(row) if address != MROUTERS and relaying.values(switch.uuid) else frozenset()
    for binding in row.ports:
        lsp = find(LSP.name, binding.logical_port)
        if lsp is None or switch not in lsp.referrers(nb.LogicalSwitch.ports) or binding.uuid in served:
            continue
        if not flag(lsp.options, "mcast_flood") and not leads_to_relay(lsp):
            members.append(binding.uuid)
    return Joined(switch, where, address, tuple(sorted(members)))


def keep_keys(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the tunnel keys of the IP multicast groups that Southbound has.

    Arguments:
        engine: the engine whose keys are reserved.
        southbound: Southbound's rows.
    """
    for row in southbound.table(_MG).rows.values():
        seed(engine, IP_GROUP_KEYS, row.name, row.tunnel_key, scope=_MG.datapath.raw(row))
