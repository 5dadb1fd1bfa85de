"""The local Open_vSwitch database: this chassis's name, and the localports plugged into the integration bridge.

An interface of this service has its network's id in `external_ids`, beside the localport's name in `iface-id`. With
this id the service finds its interfaces again after a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.metadata.network import outer_name
from ovenbird.metadata.rows import Bridge, Interface, OpenVSwitch, Port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.rows import UUID, Store
    from ovenbird.metadata.network import Network
    from ovenbird.ovsdb.transaction import Transaction

MARK = "ovenbird-metadata"
"""The key of an interface's external_ids that holds its network's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChassisSettings:
    """The configuration of this chassis in the local database (ovn-controller(8), "Configuration").

    Arguments:
        chassis: its name; empty while it is not set.
        remote: the address of Southbound; empty while it is not set.
        bridge: the integration bridge's name.
    """

    chassis: str
    remote: str
    bridge: str

    @classmethod
    def read(cls, switch: Store, chassis: str = "") -> ChassisSettings:
        """Read the settings.

        Arguments:
            switch: the rows of Open_vSwitch.
            chassis: the chassis's name; empty for the one in the database.
        """
        ids = next((row.external_ids for row in switch.table(OpenVSwitch)), {})
        name = chassis or ids.get("system-id", "")

        def option(key: str, default: str) -> str:
            return ids.get(f"{key}-{name}", ids.get(key, default))

        return cls(chassis=name, remote=option("ovn-remote", ""), bridge=option("ovn-bridge", "br-int"))


def plugged(switch: Store) -> dict[str, list[Interface]]:
    """Return the interfaces of this service, by network."""
    found: dict[str, list[Interface]] = {}
    for interface in switch.table(Interface):
        network = interface.external_ids.get(MARK)
        if network is not None:
            found.setdefault(network, []).append(interface)
    return found


def userspace(switch: Store, bridge: str) -> bool:
    """Return whether a bridge uses the userspace datapath."""
    row = switch.find(Bridge.name, bridge)
    return row is not None and row.datapath_type == "netdev"


def plan(
    switch: Store, bridge: str, wanted: Iterable[Network], unwanted: Iterable[str], transaction: Transaction
) -> None:
    """Write the interfaces to plug in and to unplug into a transaction.

    Arguments:
        switch: the rows of Open_vSwitch.
        bridge: the integration bridge's name; nothing is plugged in if it does not exist.
        wanted: the networks to plug in; an existing interface of the same name is taken over.
        unwanted: the ids of the networks to unplug.
        transaction: of the local database.
    """
    row: Bridge | None = switch.find(Bridge.name, bridge)
    ours = plugged(switch)
    for name in unwanted:
        for interface in {*ours.get(name, ()), *switch.select(Interface.name, outer_name(name))}:
            unplug(switch, interface, transaction)
    if row is None:
        return
    on_bridge = {port.uuid for port in row.ports}
    for one in wanted:
        ids = {"iface-id": one.port, MARK: one.id}
        there: Interface | None = switch.find(Interface.name, one.outer)
        if there is not None and _port_of(there) in on_bridge:
            if any(there.external_ids.get(key) != value for key, value in ids.items()):
                transaction.mutate(there, "external_ids", delete=list(ids), insert=ids)
            continue
        if there is not None:
            unplug(switch, there, transaction)
        device = transaction.insert(Interface, {"name": one.outer, "external_ids": ids})
        port = transaction.insert(Port, {"name": one.outer, "interfaces": frozenset([device])})
        transaction.mutate(row, "ports", insert=[port])


def unplug(switch: Store, interface: Interface, transaction: Transaction) -> None:
    """Write the removal of an interface from its bridge into a transaction.

    Arguments:
        switch: the rows of Open_vSwitch.
        interface: the interface.
        transaction: of the local database.
    """
    port = _port_of(interface)
    for bridge in switch.select(Bridge.ports, port):
        transaction.mutate(bridge, "ports", delete=[port])


def _port_of(interface: Interface) -> UUID | None:
    port = interface.referrer(Port.interfaces)
    return None if port is None else port.uuid
