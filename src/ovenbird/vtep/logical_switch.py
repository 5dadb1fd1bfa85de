"""Logical switches of hardware_vtep: the tunnel key of the network, and the replication mode.

A logical switch without a network has the key 0, as with ovn-controller-vtep. In OVN the sender of a broadcast, unknown
unicast or multicast packet makes the copies (`source_node`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.model import sb
from ovenbird.model.vtep import LogicalSwitch
from ovenbird.vtep.binding import network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID


class TunnelKey(NamedTuple):
    """The tunnel key of a logical switch."""

    relation: Relation
    uuid: UUID
    tunnel_key: int | None


class Replication(NamedTuple):
    """The replication mode of a logical switch that has a network."""

    relation: Relation
    uuid: UUID
    replication_mode: str | None


TUNNEL_KEY = NamedRows(LogicalSwitch, TunnelKey, update_only=True)
REPLICATION = NamedRows(LogicalSwitch, Replication, update_only=True)


@rule(LogicalSwitch)
def tunnel_key(switch: LogicalSwitch) -> Iterator[Fact]:
    """Give a logical switch the tunnel key of its network."""
    uuid = network(switch)
    datapath = get(sb.DatapathBinding, uuid) if uuid is not None else None
    yield TUNNEL_KEY(switch.uuid, datapath.tunnel_key if datapath is not None else 0)
    if datapath is not None:
        yield REPLICATION(switch.uuid, "source_node")
