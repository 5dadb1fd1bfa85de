"""Lookups of rows of Southbound: datapaths and ports by tunnel key, ports by type.

The functions read a store or a table; where a rule or view is being computed, that is tracked as any read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model.sb import DatapathBinding, MACBinding, PortBinding

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID, Store, Table


def datapath_by_key(store: Store, key: int) -> DatapathBinding | None:
    """Return the datapath with a tunnel key."""
    return store.table(DatapathBinding).find(DatapathBinding.tunnel_key, key)


def port_in(store: Store, datapath: UUID, key: int) -> PortBinding | None:
    """Return the port of a datapath with a tunnel key.

    Arguments:
        store: Southbound's.
        datapath: the datapath's UUID.
        key: the port's.
    """
    ports = store.table(PortBinding).index(PortBinding.datapath, PortBinding.tunnel_key).rows((datapath, key))
    return ports[0] if ports else None


def port_by_keys(store: Store, *, datapath: int, port: int) -> PortBinding | None:
    """Return the port with these tunnel keys.

    Arguments:
        store: Southbound's.
        datapath: the key of its datapath.
        port: its own key there.
    """
    row = datapath_by_key(store, datapath)
    return port_in(store, row.uuid, port) if row is not None else None


def ports_of_types(ports: Table[PortBinding], datapath: UUID, *types: str) -> list[PortBinding]:
    """Return the ports of a datapath that have one of these types, type by type.

    Arguments:
        ports: Southbound's table.
        datapath: the datapath's UUID.
        types: as in ovn-sb(5), Port_Binding.
    """
    index = ports.index(PortBinding.datapath, PortBinding.type)
    return [port for kind in types for port in index.rows((datapath, kind))]


def mac_binding(store: Store, *, port: str, ip: str) -> MACBinding | None:
    """Return the MAC binding of an address at a router port.

    Arguments:
        store: Southbound's.
        port: the name of the router's port.
        ip: the address.
    """
    found = store.table(MACBinding).index(MACBinding.logical_port, MACBinding.ip).rows((port, ip))
    return found[0] if found else None
