"""The port of the metadata service in each network, if the setting asks for it.

It exists on every chassis, has an address in each subnet with DHCP (DHCP gives instances a route to 169.254.169.254
through it), and is deleted with the network.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ovenbird.api.ports.fixed_ips import SELF_ADDRESSED, release
from ovenbird.api.ports.ipam import eui64
from ovenbird.api.ports.macs import PREFIX
from ovenbird.api.ports.service_ports import METADATA_OWNER, metadata_device
from ovenbird.model import settings
from ovenbird.model.cloud import FixedAddress, Port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID
    from ovenbird.model.cloud import Subnet


class MetadataPorts:
    """Creates metadata ports and allocates their addresses.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    def of(self, network: str) -> Port | None:
        """Return a network's port, if it has one."""
        ports = self.databases.store.table(Port).select(Port.device_id, metadata_device(network))
        return next((port for port in ports if port.device_owner == METADATA_OWNER), None)

    def open(self, draft: Draft, network: UUID, project: str) -> UUID | None:
        """Write the metadata port of a network without one, and return it; None without a metadata service.

        Arguments:
            draft: the transaction.
            network: the network's id.
            project: the network's.
        """
        if not settings.METADATA.of(self.databases.store):
            return None
        values = {
            "network": network,
            "project_id": project,
            "mac_address": f"{PREFIX}:{secrets.token_bytes(3).hex(':')}",
            "admin_state_up": True,
            "device_owner": METADATA_OWNER,
            "device_id": metadata_device(network),
            "vnic_type": "normal",
        }
        return draft.insert(Port, values)

    def join(
        self, draft: Draft, network: UUID, project: str, subnet: UUID, cidr: str, pools: Iterable[str], mode: str | None
    ) -> None:
        """Write an address in a subnet for a network's metadata port.

        Arguments:
            draft: the transaction.
            network: the network.
            project: the project that owns it.
            subnet: a subnet with DHCP, which may be new.
            cidr: its addresses.
            pools: its allocation pools.
            mode: its ``ipv6_address_mode``.
        """
        found = self.of(network)
        port = found.uuid if found is not None else draft.made.get(("metadata", network))
        if port is None:
            port = draft.made["metadata", network] = self.open(draft, network, project)
        if port is None:
            return
        index = self.databases.store.table(FixedAddress).index(FixedAddress.subnet, FixedAddress.address)
        if mode in SELF_ADDRESSED and found is not None:
            address: str | None = eui64(cidr, mac=found.mac_address)
        else:
            allocator = self.databases.allocator
            count = self.databases.store.table(FixedAddress).index(FixedAddress.subnet).count(subnet)
            address = allocator.propose(subnet, pools, lambda a: index.count((subnet, a)) > 0, count)
        if address is not None:  # a full subnet's instances go without
            self.databases.take(draft, (FixedAddress.subnet, subnet), (FixedAddress.address, address))
            draft.transaction.insert(FixedAddress, {"port": port, "subnet": subnet, "address": address})

    def leave(self, draft: Draft, network: str, subnet: Subnet) -> None:
        """Remove the address of a network's metadata port in a subnet.

        Arguments:
            draft: the transaction.
            network: the network's id.
            subnet: the subnet.
        """
        for fixed in self.addresses(network, subnet):
            release(draft, fixed)

    def addresses(self, network: str, subnet: Subnet) -> list[FixedAddress]:
        """Return the addresses of a network's metadata port in a subnet."""
        port = self.of(network)
        fixed: list[FixedAddress] = port.referrers(FixedAddress.port) if port is not None else []
        return [f for f in fixed if FixedAddress.subnet.raw(f) == subnet.uuid]
