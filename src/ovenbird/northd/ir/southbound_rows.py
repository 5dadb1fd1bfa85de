"""Southbound's rows that several features write or refer to, as kinds of facts: datapaths and ports.

What one feature writes alone is declared in its own file. Each relation owns the columns that it names and leaves the
others to their owners: a chassis writes Port_Binding.chassis, `up` and `virtual_parent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ovenbird.engine.facts import Members, NamedRows, maker
from ovenbird.engine.ids import Pool
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple

if TYPE_CHECKING:
    from ovenbird.engine.facts import Pairs, Relation
    from ovenbird.engine.rows import UUID

PORT_KEYS = Pool("tunnel key of a port", 1, 32_767)
"""One scope for each datapath; keys from 32,768 are multicast groups', ovn-architecture(7), "Tunnel Encapsulations"."""


def northbound_uuid(datapath: sb.DatapathBinding) -> UUID | None:
    """Return the UUID of the logical switch or router that a datapath is for."""
    ids = datapath.external_ids
    return cast("UUID | None", ids.get("logical-switch") or ids.get("logical-router"))


class DatapathRow(NamedTuple):
    """A datapath binding.

    Arguments:
        relation: `DATAPATH`.
        network: the UUID of the Northbound switch or router.
        tunnel_key: see ovn-sb(5), as for all columns.
        external_ids: among them the same UUID.
    """

    relation: Relation
    network: UUID
    tunnel_key: int
    external_ids: Pairs


DATAPATH = NamedRows(
    sb.DatapathBinding,
    DatapathRow,
    key_of=lambda row: northbound_uuid(row) or row.uuid,
    empty=(sb.DatapathBinding.load_balancers,),
)
"""Key: UUID of the Northbound switch or router; of a datapath that names none, and so has to go, its own."""


class PortBindingRow(NamedTuple):
    """A port binding, but for what chassis write; the columns are those of ovn-sb(5)."""

    relation: Relation
    logical_port: str
    datapath: UUID
    type: str
    tunnel_key: int
    options: Pairs
    mac: frozenset[str]
    external_ids: Pairs
    parent_port: str | None = None
    tag: int | None = None
    port_security: frozenset[str] = frozenset()
    requested_chassis: UUID | None = None
    requested_additional_chassis: frozenset[UUID] = frozenset()
    ha_chassis_group: UUID | None = None


_PB = sb.PortBinding
PORT_BINDING = NamedRows(
    _PB,
    PortBindingRow,
    key=(_PB.logical_port, _PB.datapath),
    initial={_PB.up: False},
    empty=(_PB.gateway_chassis,),
)

port_binding = maker(PORT_BINDING)
"""Makes a fact of PORT_BINDING; there is one for each port."""

IN_NAT_ADDRESSES = Members(PORT_BINDING, _PB.nat_addresses)
"""What a chassis announces for a port by gratuitous ARP (`nat_addresses`): a MAC, addresses, and the resident port."""


def datapath(network: nb.LogicalSwitch | nb.LogicalRouter) -> UUID:
    """Return the UUID of the datapath binding of a logical switch or router."""
    return DATAPATH.uuid(network.uuid)
