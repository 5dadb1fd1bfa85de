"""IGMP and MLD snooping: IP multicast is forwarded to the ports that joined a group, and to routers.

ovn-nb(5), "IP Multicast Snooping Options"; ovn-northd(8), "Ingress Table 25"; RFC 4541. In a switch with
`other_config:mcast_snoop`, flows punt reports and queries to the chassis, which write the memberships to IGMP_Group
(`controller.protocols.multicast_snooping`); each group there becomes a flow and a multicast group. The settings for
snooping and queries are in IP_Multicast, which has a row for every switch.

A switch has at most `mcast_table_size` groups of each IP version; a group beyond that is treated as unregistered until
another one is removed. A row that a chassis wrote is kept as long as the switch and the chassis exist.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.facts import KeyRows, NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import INT, flag, number
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.multicast_group import (
    FLOODED,
    IN_MULTICAST_GROUP,
    IP_GROUP_KEYS,
    MULTICAST_GROUP,
    joined,
    keep_keys,
    leads_to_relay,
    relaying,
    switch_of,
)
from ovenbird.northd.ir.router_port import SPECIAL
from ovenbird.northd.ir.southbound_rows import PORT_BINDING, datapath
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.multicast_groups import FLOOD, FLOOD_L2, MROUTER_FLOOD, MROUTERS, STATIC
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.multicast_group import Joined
    from ovenbird.northd.ir.switch_port import SwitchPort

L2_LOOKUP = stage("ls_in_l2_lkup")
BETWEEN_ZONES = stage("ls_out_pre_lb")


class IPMulticastRow(NamedTuple):
    """The snooping settings of a switch."""

    relation: Relation
    datapath: UUID
    enabled: bool
    querier: bool
    table_size: int
    idle_timeout: int
    query_interval: int
    query_max_resp: int
    eth_src: str
    ip4_src: str
    ip6_src: str


IP_MULTICAST = NamedRows(sb.IPMulticast, IPMulticastRow, key=sb.IPMulticast.datapath)
"""The snooping settings of switches; `seq_no` is not written here (`ovn-sbctl ip-multicast-flush` increments it)."""

IGMP_GROUP = KeyRows(sb.IGMPGroup)
"""The rows that chassis write: a fact keeps a row, and rows without a fact are deleted."""

TABLE_SIZE, LARGEST_TABLE = 2048, 32_766
IDLE_TIMEOUT = (15, 3600, 300)
"""Seconds after which a group without reports is removed: minimum, maximum, default."""
QUERY_INTERVAL = (1, 3600)
"""Seconds between queries: minimum and maximum; the default is half the idle timeout."""

SNOOPING = DatapathGroup("snooping switches")
"""Switches that snoop."""

UNMETERED = DatapathGroup("snooping switches without a meter")
"""Switches that snoop and have no meter for reports and queries."""

UNREGISTERED = {
    (relay, static): DatapathGroup("unregistered multicast", f"{relay=}", f"{static=}")
    for relay in (False, True)
    for static in (False, True)
}
"""Switches that snoop and do not flood unregistered multicast, by whether relaying routers and flood ports get it."""

REPORTS = ("igmp", "mldv1 || mldv2")
_TO_ROUTERS = f'clone {{ outport = "{MROUTER_FLOOD[0]}"; output; }}; '

flow = flow_builder("multicast")


class Snooping(NamedTuple):
    """The properties of a switch on which the flows of its groups depend.

    Arguments:
        relay: whether a router beside the switch relays multicast.
        static: whether a port receives all multicast (`mcast_flood`).
        table_size: the largest number of groups of an IP version.
    """

    relay: bool
    static: bool
    table_size: int


@view
def snooping(switch: nb.LogicalSwitch) -> Snooping | None:
    """Return how a switch forwards multicast; None if it does not snoop."""
    config = switch.other_config
    if not flag(config, "mcast_snoop"):
        return None
    relay, static = bool(relaying.values(switch.uuid)), bool(FLOODED.rows(switch.uuid, True))
    return Snooping(
        relay=relay,
        static=static,
        table_size=max(1, min(number(config, "mcast_table_size", TABLE_SIZE), LARGEST_TABLE)),
    )


@singleton
def every_switch() -> Iterator[Fact]:
    """Yield the flows that punt reports and queries, flood link-local multicast, and forward unregistered multicast."""
    yield from (SNOOPING.row, UNMETERED.row)
    for match in REPORTS:
        yield flow(L2_LOOKUP, UNMETERED, 100, match, "igmp;")
    l2, flood = f'outport = "{FLOOD_L2[0]}"; output;', f'outport = "{FLOOD[0]}"; output;'
    yield flow(L2_LOOKUP, SNOOPING, 85, "ip4.mcast && ip4.dst == 224.0.0.0/24", l2)
    yield flow(L2_LOOKUP, SNOOPING, 85, "ip6.mcast_flood", flood)
    for (relay, static), group in UNREGISTERED.items():
        act = (_TO_ROUTERS if relay else "") + (f'outport = "{STATIC[0]}"; output;' if static else "")
        yield group.row
        yield flow(L2_LOOKUP, group, 80, "ip4.mcast || ip6.mcast", act.rstrip() or "drop;")


@rule(nb.LogicalSwitch)
def snooping_options(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Yield the snooping settings of a switch, and its membership in the groups of the common flows."""
    config, where = switch.other_config, datapath(switch)
    idle = _between(config, "mcast_idle_timeout", *IDLE_TIMEOUT)
    yield IP_MULTICAST(
        datapath=where,
        enabled=flag(config, "mcast_snoop"),
        querier=flag(config, "mcast_querier", default=True),
        table_size=number(config, "mcast_table_size", TABLE_SIZE),
        idle_timeout=idle,
        query_interval=_between(config, "mcast_query_interval", *QUERY_INTERVAL, idle // 2),
        query_max_resp=number(config, "mcast_query_max_response", 1),
        eth_src=config.get("mcast_eth_src", ""),
        ip4_src=config.get("mcast_ip4_src", ""),
        ip6_src=config.get("mcast_ip6_src", ""),
    )
    snoops = snooping(switch) if flag(config, "mcast_snoop") else None
    if snoops is None:
        return
    yield SNOOPING.includes(where)
    meter = meters(switch).get("igmp")
    if meter is None:
        yield UNMETERED.includes(where)
    else:
        for match in REPORTS:
            yield flow(L2_LOOKUP, where, 100, match, "igmp;", meter=meter)
    if not flag(config, "mcast_flood_unregistered"):
        yield UNREGISTERED[snoops.relay, snoops.static].includes(where)


def _between(config: dict[str, str], name: str, low: int, high: int, default: int) -> int:
    """Return an option's number, clamped to its bounds as in OVN."""
    return min(max(number(config, name, default, low=-INT), low), high)


def port(port: SwitchPort) -> Iterator[Fact]:
    """Add a port to the groups that receive all multicast or all reports; punt reports from ports of other zones."""
    where, options = port.datapath, port.options
    if options and port.enabled:
        if (port.type == "router" and leads_to_relay(port.lsp)) or flag(options, "mcast_flood_reports"):
            yield MULTICAST_GROUP(where, *MROUTER_FLOOD)
            yield (IN_MULTICAST_GROUP, (where, MROUTER_FLOOD[0]), port.binding)
        if flag(options, "mcast_flood"):
            yield MULTICAST_GROUP(where, *STATIC)
            yield (IN_MULTICAST_GROUP, (where, STATIC[0]), port.binding)
    if port.type == "remote" and "interconn-ts" in port.switch.other_config and snooping(port.switch) is not None:
        for match in ("igmp", "(mldv1 || mldv2)"):
            came = f"inport == {port.quoted} && {match}"
            yield flow(
                BETWEEN_ZONES, where, 120, came, "clone { igmp; }; next;", hint=port.hint, meter=port.meters.get("igmp")
            )


@rule(sb.IGMPGroup)
def learned(row: sb.IGMPGroup) -> Iterator[Fact]:
    """Keep the row of a chassis while its switch and the chassis exist, and forward to the members."""
    if switch_of(row) is None:
        return
    yield IGMP_GROUP(row.uuid)
    group = joined(row)
    if group is None or not group.members:
        return
    where = group.datapath
    if group.address == MROUTERS:
        yield MULTICAST_GROUP(where, *MROUTER_FLOOD)
        for member in group.members:
            yield (IN_MULTICAST_GROUP, (where, MROUTER_FLOOD[0]), member)
    elif not group.is_local:
        yield from _registered(group)


def _registered(group: Joined) -> Iterator[Fact]:
    """Forward packets for a group to its members, relaying routers, `mcast_flood` ports and physical networks."""
    snoops = snooping(group.switch)
    if snoops is None:
        return
    where, address = group.datapath, group.address
    version = group.ip.version
    try:
        _places(snoops.table_size).get(address, scope=(where, version))
        key = IP_GROUP_KEYS.get(address, scope=where)
    except IdsExhaustedError as error:  # until another group is removed
        name = group.switch.name
        yield finding(group.switch, f"switch {name}: {error}: further groups are forwarded as unregistered ones")
        return
    yield MULTICAST_GROUP(where, address, key)
    outside = [PORT_BINDING.uuid((lsp.name, where)) for lsp in SPECIAL.rows(group.switch.uuid, "localnet")]
    for member in (*group.members, *outside):
        yield (IN_MULTICAST_GROUP, (where, address), member)
    act = _TO_ROUTERS if snoops.relay else ""
    if snoops.static:
        act += f'clone {{ outport = "{STATIC[0]}"; output; }}; '
    match = f"eth.mcast && ip{version} && ip{version}.dst == {address}"
    yield flow(L2_LOOKUP, where, 90, match, f'{act}outport = "{address}"; output;')


@cache
def _places(size: int) -> Pool:
    """Return the pool that limits the groups of a switch; a group without a place waits for one."""
    return Pool("place in the table of multicast groups (mcast_table_size)", 1, size)


FEATURE = Feature(
    "multicast",
    rules=(every_switch, snooping_options, learned, relaying),
    port=port,
    needs=("options", "type"),
    outputs=(MULTICAST_GROUP, IN_MULTICAST_GROUP, IP_MULTICAST, IGMP_GROUP),
    start=keep_keys,
    hints=(HintedTable(nb.LogicalSwitchPort),),
    drops={(L2_LOOKUP, 80): "no port of the switch has joined that multicast group"},
)
