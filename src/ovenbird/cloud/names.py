"""Names of rows in Northbound, the same as Neutron's, so that tools written for Neutron with OVN keep working."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ovenbird.engine.facts import Fact, NamedRows, Rows, columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.facts import Pairs
    from ovenbird.engine.rows import Row

K = TypeVar("K")
P = ParamSpec("P")
F = TypeVar("F", bound=Fact)

DROP_GROUP = "neutron_pg_drop"
"""The port group whose ACLs drop what no security group allows."""

NETWORK_DEVICES = ("network:", "neutron:")
"""Prefixes of the device owners of a network's own ports, which get no DHCP options and no QoS policy."""

REVISION = "neutron:revision_number"
ROUTER_NAME = "neutron:router_name"
LISTENER = "octavia:listener_id"
"""The key of `external_ids` that rows of load balancers' listeners have."""


def switch(network_id: str) -> str:
    """Return the name of a network's logical switch."""
    return f"neutron-{network_id}"


def router(router_id: str) -> str:
    """Return the name of a router's logical router."""
    return f"neutron-{router_id}"


def router_port(port_id: str) -> str:
    """Return the name of the router's side of a router's port."""
    return f"lrp-{port_id}"


def provider_port(segment_id: str) -> str:
    """Return the name of the localnet port of a segment."""
    return f"provnet-{segment_id}"


def port_group(group_id: str) -> str:
    """Return the name of a security group's port group; port groups' names are identifiers of the match language."""
    return "pg_" + group_id.replace("-", "_")


def address_group(group_id: str) -> str:
    """Return the prefix of the names of an address group's address sets."""
    return "ag_" + group_id.replace("-", "_")


def pairs(**values: str) -> Pairs:
    """Return a map column's value for options whose names are Python identifiers."""
    return tuple(sorted(values.items()))


class RowsById(NamedRows[K, P, F]):
    """Rows whose identity is one of their ``external_ids``: the tables that have no name column.

    Arguments:
        row_class: the table's row class.
        make: the class of the facts: all fields are columns, ``external_ids`` first.
        id_of: returns the key of a row, given its ``external_ids``; None for a row that is left alone.
    """

    __slots__ = ()

    def __init__(
        self,
        row_class: type[Row],
        make: Callable[Concatenate[Any, P], F],
        id_of: Callable[[dict[str, str]], K | None],
    ) -> None:
        named: Any = make
        columns = columns_of(row_class, named._fields[1:])
        at = columns[0].index
        Rows.__init__(self, row_class, (), values=columns, key_of=lambda row: id_of(row.values[at]))
        self.make = make
        self.start = 1  # the key is inside the first column: the external_ids, as pairs
        self.key = lambda fact: id_of(dict(fact[1]))
