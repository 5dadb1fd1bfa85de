"""The predefined multicast groups of datapaths: names and tunnel keys, the same as ovn-northd's."""

from __future__ import annotations

FLOOD = ("_MC_flood", 32_768)
"""Every enabled port."""

FLOOD_UNKNOWN = ("_MC_unknown", 32_769)
"""The ports with unknown addresses."""

MROUTER_FLOOD = ("_MC_mrouter_flood", 32_770)
"""The ports with multicast routers behind them, which receive all reports."""

STATIC = ("_MC_static", 32_771)
"""The ports that receive all multicast, without joining groups."""

FLOOD_L2 = ("_MC_flood_l2", 32_772)
"""Every enabled port except those to routers."""

FIRST_IP_GROUP, LAST_IP_GROUP = 32_773, 65_535
"""The range of keys for groups of IP multicast addresses."""

MROUTERS = "mrouters"
"""The address, in IGMP_Group, of rows that list the ports of multicast routers."""
