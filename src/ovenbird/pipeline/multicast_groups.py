"""The multicast groups that datapaths have of themselves: names and tunnel keys, those of ovn-northd."""

from __future__ import annotations

FLOOD = ("_MC_flood", 32_768)
"""Every enabled port."""

FLOOD_UNKNOWN = ("_MC_unknown", 32_769)
"""The ports with unknown addresses."""

MROUTER_FLOOD = ("_MC_mrouter_flood", 32_770)
"""The ports behind which there are multicast routers: all reports go there."""

STATIC = ("_MC_static", 32_771)
"""The ports that take all multicast, whoever has joined."""

FLOOD_L2 = ("_MC_flood_l2", 32_772)
"""Every enabled port but those to routers."""

FIRST_IP_GROUP, LAST_IP_GROUP = 32_773, 65_535
"""The keys of the groups that are IP multicast addresses."""

MROUTERS = "mrouters"
"""The address of rows of IGMP_Group that name the ports of multicast routers."""
