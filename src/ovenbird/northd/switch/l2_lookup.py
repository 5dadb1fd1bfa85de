"""The lookup of the Ethernet destination: one port, all ports, or those with unknown addresses.

ovn-northd(8), "Ingress Table 25" and "26". The flood groups are rows of ovn-sb(5), Multicast_Group: every enabled port;
the same without routers, for frames that are neither ARP nor IP; and the ports with unknown addresses. Packets to a
gateway are sent to it only on the chassis where it is active, but an address given explicitly in `addresses` of its
switch port is used everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.northd.ir.datapath_groups import SWITCHES, UNKNOWN
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.multicast_group import (
    IN_MULTICAST_GROUP,
    MULTICAST_GROUP,
)
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.ir.switch_port import active_at
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.multicast_groups import FLOOD, FLOOD_L2, FLOOD_UNKNOWN
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

L2_LOOKUP = stage("ls_in_l2_lkup")
NOT_FOUND = stage("ls_in_l2_unknown")

flow = flow_builder("l2_lookup")


@singleton
def destinations() -> Iterator[Fact]:
    """Flood multicast, look unknown destinations up in the FDB, and drop those that no port takes."""
    yield SWITCHES.row
    yield UNKNOWN.row
    yield flow(L2_LOOKUP, SWITCHES, 71, "eth.mcast && (arp || ip)", 'outport = "_MC_flood"; output;')
    yield flow(L2_LOOKUP, SWITCHES, 70, "eth.mcast", 'outport = "_MC_flood_l2"; output;')  # routers would drop it
    yield flow(L2_LOOKUP, SWITCHES, 0, "1", "outport = get_fdb(eth.dst); next;")
    yield flow(NOT_FOUND, UNKNOWN, 50, 'outport == "none"', 'outport = "_MC_unknown"; output;')
    yield flow(NOT_FOUND, SWITCHES, 40, 'outport == "none"', "drop;")
    yield flow(NOT_FOUND, SWITCHES, 0, "1", "output;")


@rule(nb.LogicalSwitch)
def flood_groups(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Make each switch's multicast groups; ports add themselves."""
    where = datapath(switch)
    yield MULTICAST_GROUP(where, *FLOOD)
    yield MULTICAST_GROUP(where, *FLOOD_L2)
    if not flag(switch.other_config, "broadcast-arps-to-all-routers", default=True):
        requests = "eth.mcast && (arp.op == 1 || nd_ns)"
        yield flow(L2_LOOKUP, where, 72, requests, 'outport = "_MC_flood_l2"; output;', hint=switch.uuid)


def port(port: SwitchPort) -> Iterator[Fact]:
    """Make the L2 lookup flows of a port, and add it to multicast groups."""
    where = port.datapath
    if port.enabled:
        act = f"outport = {port.quoted}; output;"
        if port.type == "" and port.options.get("pkt_clone_type") == "mc_unknown":
            act = f'clone {{ {act} }}; outport = "_MC_unknown"; output;'
            yield MULTICAST_GROUP(where, *FLOOD_UNKNOWN)
        yield (IN_MULTICAST_GROUP, (where, FLOOD[0]), port.binding)
        if port.type != "router":
            yield (IN_MULTICAST_GROUP, (where, FLOOD_L2[0]), port.binding)
        if port.unknown and port.type != "external":
            yield MULTICAST_GROUP(where, *FLOOD_UNKNOWN)
            yield (IN_MULTICAST_GROUP, (where, FLOOD_UNKNOWN[0]), port.binding)
            yield UNKNOWN.includes(where)
    else:
        act = "drop;"
        yield flow(NOT_FOUND, where, 50, f"outport == {port.quoted}", act, hint=port.hint, port=port.name)
    learned = port.type == "" and port.unknown and flag(port.options, "force_fdb_lookup")
    if port.type != "external" and not learned:
        here = active_at(port) if port.router is not None else ""
        for address in port.addresses:
            match = f"eth.dst == {address.mac}{here}" if address is port.router else f"eth.dst == {address.mac}"
            yield flow(L2_LOOKUP, where, 50, match, act, hint=port.hint)


FEATURE = Feature(
    "l2_lookup",
    rules=(destinations, flood_groups),
    port=port,
    outputs=(MULTICAST_GROUP, IN_MULTICAST_GROUP),
    hints=(HintedTable(nb.LogicalSwitchPort), HintedTable(nb.LogicalSwitch)),
    drops={NOT_FOUND: "no port of the switch has that MAC address, and none takes unknown ones"},
)
