"""The resolution of names in logical flows: ports, groups and address sets, in a local datapath."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.gateway import chassis_of
from ovenbird.controller.local.local_data import here_in, is_here
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import find, table
from ovenbird.engine.views import view
from ovenbird.model.sb import (
    AddressSet,
    DatapathBinding,
    MulticastGroup,
    PortBinding,
    PortGroup,
)
from ovenbird.model.southbound_lookup import port_in
from ovenbird.model.vswitch import Port

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID

_TUNNELS = ComputedIndex(
    Port.external_ids,
    keys=lambda values: (chassis_of(end),) if (end := values[Port.external_ids.index].get("ovn-chassis-id")) else (),
)
"""The tunnel ports to each chassis, by its name."""
_MULTICAST = 0x8000
_PLACE_OF_PORT = PortBinding.datapath.bit | PortBinding.tunnel_key.bit
_PORT_DATAPATH, _PORT_KEY = PortBinding.datapath.index, PortBinding.tunnel_key.index


def port_key(name: str, datapath: UUID) -> int | None:
    """Return the tunnel key of a port or multicast group of a datapath; None when it has none by that name.

    It is not a view: most names are looked up once, and the columns read hardly ever change.
    """
    port: PortBinding | None = find(PortBinding.logical_port, name)
    if port is not None:
        values = port.watch(_PLACE_OF_PORT)
        if values[_PORT_DATAPATH] == datapath:
            key: int = values[_PORT_KEY]
            return key
    index = table(MulticastGroup).index(MulticastGroup.datapath, MulticastGroup.name)
    groups = index.rows((datapath, name))
    return groups[0].tunnel_key if groups else 0 if name == "none" else None


@view
def is_key_here(datapath: UUID, key: int) -> bool:
    """Return whether packets from or to the port with that key can be on this chassis in the given pipeline."""
    if key >= _MULTICAST or key == 0:
        return True
    port = port_in(table(PortBinding).store, datapath, key)
    return port is None or is_here(port)


@view
def tunnel_ofport(name: str) -> int:
    """Return the OpenFlow port of a tunnel to the chassis of the logical port `name`; 0 for one that is not away."""
    port: PortBinding | None = find(PortBinding.logical_port, name)
    chassis = port.chassis if port is not None else None
    if chassis is None:
        return 0
    tunnels = _TUNNELS.rows(chassis.name)
    return next((number for each in tunnels for i in each.interfaces if (number := i.ofport or 0) > 0), 0)


@view
def members(group: str, datapath_key: int) -> frozenset[str] | None:
    """Return the ports of a group in a datapath; None when there is no such group.

    Southbound has a row for each datapath that a group has ports in, named `<datapath's key>_<group>`.
    """
    row = find(PortGroup.name, f"{datapath_key}_{group}") or find(PortGroup.name, group)
    return row.ports if row is not None else None


@view
def local_members(group: str, datapath: DatapathBinding) -> tuple[str, ...] | None:
    """Return the ports of a group in a datapath that are here; None when there is no such group."""
    found = members(group, datapath.tunnel_key)
    return tuple(sorted(here_in(datapath.uuid) & found)) if found is not None else None


class PortKeys:
    """Port names in one datapath, as tunnel keys."""

    __slots__ = ("datapath",)

    def __init__(self, datapath: UUID) -> None:
        self.datapath = datapath

    def get(self, name: str) -> int | None:
        """Return the key of a port or multicast group."""
        return port_key(name, self.datapath)


class AddressSets:
    """Address sets by name."""

    __slots__ = ()

    def get(self, name: str) -> frozenset[str] | None:
        """Return the addresses of a set."""
        row = find(AddressSet.name, name)
        return row.addresses if row is not None else None


class ExistingSets:
    """The existence of address sets, regardless of their members."""

    __slots__ = ()

    def get(self, name: str) -> UUID | None:
        """Return the UUID of a set."""
        row = find(AddressSet.name, name)
        return row.uuid if row is not None else None


class PortGroups:
    """Port groups in one datapath: their ports, or those of them that are here."""

    __slots__ = ("datapath", "local")

    def __init__(self, datapath: DatapathBinding, *, local: bool) -> None:
        self.datapath = datapath
        self.local = local

    def get(self, name: str) -> frozenset[str] | tuple[str, ...] | None:
        """Return the ports of a group."""
        return local_members(name, self.datapath) if self.local else members(name, self.datapath.tunnel_key)


ADDRESS_SETS = AddressSets()
EXISTING_SETS = ExistingSets()
