"""Datapath groups: datapaths that share logical flows (Southbound's Logical_DP_Group).

A flow that is the same on many datapaths is emitted once, for a group; the rules of each datapath, or of its ports,
yield the groups that it belongs to. So an ACL on a port group is one flow however many switches the port group spans,
and a new switch is a handful of memberships. Of a group without datapaths neither the row nor its flows are written.

The group's row has a UUID computed from the group's name, so that a restart, or another northd, finds it again: the
table has no column that identifies it. The row exists while a flow refers to it (the server removes others by itself),
so a rule that yields a flow for a group yields ``group.row`` with it.
"""

from __future__ import annotations

from hashlib import sha256

from ovenbird.engine.facts import Fact, KeyRows, Members
from ovenbird.engine.rows import UUID
from ovenbird.model import sb

DP_GROUP = KeyRows(sb.LogicalDPGroup)
IN_DP_GROUP = Members(DP_GROUP, sb.LogicalDPGroup.datapaths, vital=True)


def named_uuid(*name: str) -> UUID:
    """Return a UUID computed from a name (RFC 9562, version 8), for rows that have no other key."""
    h = sha256("\0".join(("ovenbird", *name)).encode()).hexdigest()
    return UUID(f"{h[:8]}-{h[8:12]}-8{h[13:16]}-8{h[17:20]}-{h[20:32]}")


class DatapathGroup:
    """Datapaths that share logical flows.

    Arguments:
        name: parts of a name that is unique among groups.
    """

    __slots__ = ("name", "row", "uuid")

    def __init__(self, *name: str) -> None:
        self.name = " ".join(name)
        self.uuid = named_uuid("trait", *name)  # the word of former releases: an upgrade keeps the rows
        self.row: Fact = DP_GROUP(self.uuid)

    def includes(self, datapath: UUID) -> Fact:
        """Make the fact that the group includes a datapath."""
        return (IN_DP_GROUP, self.uuid, datapath)

    def __repr__(self) -> str:
        return f"<datapath group {self.name}>"


SWITCHES = DatapathGroup("switches")
"""Every logical switch."""

STATEFUL = DatapathGroup("stateful")
"""Switches with ACLs that track connections."""

BALANCING = DatapathGroup("balancing")
"""Switches with load balancers."""

TRACKING = DatapathGroup("tracking")
"""Switches whose traffic passes through connection tracking, for ACLs or for load balancers."""

PERSISTENT = DatapathGroup("persistent")
"""Switches with ACLs whose connections outlive changes of ACLs."""

FILTERED = DatapathGroup("filtered")
"""Switches with ACLs, in a cloud that drops by default what no ACL allows (`default_acl_drop`)."""

UNKNOWN = DatapathGroup("unknown")
"""Switches with a port whose addresses include `unknown`."""

ROUTERS = DatapathGroup("routers")
"""Every logical router that is enabled."""

ALWAYS_LEARN = DatapathGroup("eager routers")
"""Routers that learn from every ARP request."""

LEARN_KNOWN_ONLY = DatapathGroup("careful routers")
"""Routers that learn from an ARP request only if it is for them, or updates a neighbour that they know."""

_port_groups: dict[str, DatapathGroup] = {}


def port_group(uuid: str, *, meter: str = "", tracks: bool) -> DatapathGroup:
    """Return the datapath group of the switches with a port in a Northbound port group.

    Arguments:
        uuid: of the port group.
        meter: that of the `reject` actions of the switches meant; each meter has flows of its own.
        tracks: whether the switches meant track connections; those that do and those that do not have different flows.
    """
    key = f"{uuid} {meter}" if meter else uuid
    if not tracks:
        key += " untracked"
    found = _port_groups.get(key)
    if found is None:
        if len(_port_groups) > 65_536:
            _port_groups.clear()
        found = _port_groups[key] = DatapathGroup("port group", key)
    return found
