"""A port's fixed IPs: which addresses a request asks for, and the rows that allocate them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.port import (
    AllocationOnAutoAddressSubnet,
    BadPortRequest,
    InvalidIpForNetwork,
    InvalidIpForSubnet,
    IpAddressAlreadyAllocated,
    IpAddressGenerationFailure,
)
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.errors.subnet import SubnetNotFound
from ovenbird.api.ports.ipam import eui64
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import FixedAddress, FloatingIPAssociation, Port, PortForwarding, Subnet
from ovenbird.model.load_balancing import LoadBalancer
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.model.cloud import Network

SELF_ADDRESSED = frozenset(("slaac", "dhcpv6-stateless"))
"""IPv6 address modes in which hosts make their addresses from their MACs."""

Choice = tuple[Subnet, str]


class AddressAllocator:
    """Chooses and writes the addresses of ports.

    Arguments:
        databases: contain the allocations.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.allocator = databases.allocator

    def choose(
        self,
        draft: Draft,
        network: Network,
        wanted: Sequence[Mapping[str, str]] | None,
        *,
        mac: str,
        device_owner: str,
    ) -> list[Choice]:
        """Return the addresses of a new port, reserved in the draft.

        Arguments:
            draft: the transaction.
            network: the port's.
            wanted: the requested addresses, each with ``subnet_id``, ``ip_address`` or both; None for any.
            mac: the port's.
            device_owner: the port's; a subnet may be restricted to some owners (`service_types`).

        Raises:
            NeutronError: an address is taken or in no subnet, or none is free.
        """
        subnets = network.referrers(Subnet.network)
        if wanted is None:
            return self._any(draft, network, subnets, mac, device_owner)
        chosen = [self._wanted(draft, network, subnets, item, mac, device_owner) for item in wanted]
        if not device_owner.startswith("network:"):  # hosts make themselves addresses whether asked or not
            there = {subnet for subnet, _ in chosen}
            own = [s for s in _for_owner(subnets, device_owner) if self_addressed(s) and s not in there]
            chosen += [(s, self._take(draft, s, eui64(s.cidr, mac=mac))) for s in own]
        return chosen

    def write(self, draft: Draft, port: UUID, chosen: Iterable[Choice]) -> list[UUID]:
        """Write the allocations of a port, and return their rows.

        Arguments:
            draft: the transaction.
            port: the port's id.
            chosen: its addresses.
        """
        return [
            draft.transaction.insert(FixedAddress, {"port": port, "subnet": subnet.uuid, "address": address})
            for subnet, address in chosen
        ]

    def replace(self, draft: Draft, port: Port, wanted: Sequence[Mapping[str, str]], mac: str) -> frozenset[UUID]:
        """Write the change to a port's requested addresses, and return its new subnets.

        A present address satisfies a request for its subnet alone. Addresses that hosts generate stay.

        Arguments:
            draft: the transaction.
            port: the present port.
            wanted: `fixed_ips`, as the request has them.
            mac: the MAC address that the port has after the request.

        Raises:
            BadPortRequest: the port's subnets must stay as they are.
            NeutronError: an address cannot be allocated.
        """
        held: dict[tuple[str, str], FixedAddress] = {
            (FixedAddress.subnet.raw(fixed), fixed.address): fixed for fixed in port.referrers(FixedAddress.port)
        }
        own: set[tuple[str, str]] = set()
        if not port.device_owner.startswith("network:"):
            own = {key for key, fixed in held.items() if self_addressed(fixed.subnet)}
            held = {key: fixed for key, fixed in held.items() if key not in own}
            if mac != port.mac_address:
                own = self.follow(draft, port, mac)
        missing = []
        for item in sorted(wanted, key=lambda w: "ip_address" not in w):
            kept = next((key for key in (*held, *own) if _means(item, key)), None)
            if kept is None:
                missing.append(item)
            else:
                held.pop(kept, None)
                own.discard(kept)
        network = port.network
        leaving = {fixed.uuid for fixed in held.values()}
        for fixed in held.values():
            if fixed.referrers(FloatingIPAssociation.fixed):
                raise BadPortRequest(
                    reason=f"Cannot update the fixed_ips of the port {port.uuid}, because its original fixed_ip "
                    f"{fixed.address} has been associated to a floating ip."
                )
            if balanced(fixed):
                raise BadPortRequest(reason=f"{fixed.address} of port {port.uuid} is the VIP of a load balancer.")
            release(draft, fixed)
        subnets = network.referrers(Subnet.network)
        chosen = [self._wanted(draft, network, subnets, item, mac, port.device_owner) for item in missing]
        self.write(draft, port.uuid, chosen)
        staying = [fixed for fixed in port.referrers(FixedAddress.port) if fixed.uuid not in leaving]
        return frozenset([FixedAddress.subnet.raw(f) for f in staying] + [subnet.uuid for subnet, _ in chosen])

    def follow(self, draft: Draft, port: Port, mac: str) -> set[tuple[str, str]]:
        """Write the addresses that a host generates from its changed MAC, and return them.

        Arguments:
            draft: the transaction.
            port: the present port.
            mac: the MAC address that the port has after the request.
        """
        own: set[tuple[str, str]] = set()
        for fixed in port.referrers(FixedAddress.port):
            subnet = fixed.subnet
            if self_addressed(subnet) and fixed.address == eui64(subnet.cidr, mac=port.mac_address):
                release(draft, fixed)
                address = self._take(draft, subnet, eui64(subnet.cidr, mac=mac))
                self.write(draft, port.uuid, [(subnet, address)])
                own.add((subnet.uuid, address))
        return own

    # -- choosing -----------------------------------------------------------------------------------------------------

    def _any(self, draft: Draft, network: Network, subnets: list[Subnet], mac: str, device_owner: str) -> list[Choice]:
        """Return an address of each IP version of the network, and one of each subnet with generated addresses."""
        usable = _for_owner(subnets, device_owner)
        chosen = [(s, self._take(draft, s, eui64(s.cidr, mac=mac))) for s in usable if self_addressed(s)]
        for version in (4, 6):
            candidates = [s for s in usable if (":" in s.cidr) == (version == 6) and not self_addressed(s)]
            if not candidates:
                continue
            for subnet in candidates:
                address = self._propose(draft, subnet)
                if address is not None:
                    chosen.append((subnet, self._take(draft, subnet, address)))
                    break
            else:
                raise IpAddressGenerationFailure(network=network.uuid)
        return chosen

    def _wanted(
        self, draft: Draft, network: Network, subnets: list[Subnet], item: Mapping[str, str], mac: str, owner: str
    ) -> Choice:
        """Return the address for one item of a request."""
        address, uuid = item.get("ip_address"), item.get("subnet_id")
        if uuid is not None:
            subnet = self._subnet(network, uuid)
            if address is None:
                return self._from(draft, network, subnet, mac)
            if not _holds(subnet, address):
                raise InvalidIpForSubnet(address=address)
            _check_own(subnet, address, mac, owner)
            return subnet, self._take(draft, subnet, address)
        if address is None:
            raise InvalidInput(error_message="IP allocation requires subnet_id or ip_address")
        for subnet in subnets:
            if _holds(subnet, address):
                _check_own(subnet, address, mac, owner)
                return subnet, self._take(draft, subnet, address)
        if not subnets:
            raise InvalidInput(error_message="IP allocation requires subnets for network")
        raise InvalidIpForNetwork(address=address)

    def _subnet(self, network: Network, uuid: str) -> Subnet:
        subnet = self.databases.store.table(Subnet).get(UUID(uuid))
        if subnet is None:
            raise SubnetNotFound(id=uuid)
        if Subnet.network.raw(subnet) != network.uuid:
            raise InvalidInput(
                error_message=f"Failed to create port on network {network.uuid}, because fixed_ips included invalid "
                f"subnet {uuid}"
            )
        return subnet

    def _from(self, draft: Draft, network: Network, subnet: Subnet, mac: str) -> Choice:
        address = eui64(subnet.cidr, mac=mac) if self_addressed(subnet) else self._propose(draft, subnet)
        if address is None:
            raise IpAddressGenerationFailure(network=network.uuid)
        return subnet, self._take(draft, subnet, address)

    def _propose(self, draft: Draft, subnet: Subnet) -> str | None:
        index = self.databases.store.table(FixedAddress).index(FixedAddress.subnet)
        return self.allocator.propose(
            subnet.uuid,
            subnet.allocation_pools,
            lambda address: self.databases.is_taken(draft, *_key(subnet, address)),
            index.count(subnet.uuid) + len(draft.taken),
        )

    def _take(self, draft: Draft, subnet: Subnet, address: str) -> str:
        """Reserve an address in the draft."""
        key = _key(subnet, address)
        if self.databases.is_taken(draft, *key):
            raise IpAddressAlreadyAllocated(address=address, subnet=subnet.uuid)
        self.databases.take(draft, *key)
        return address


def release(draft: Draft, fixed: FixedAddress) -> None:
    """Release an address, and disassociate its floating IP or port forwardings."""
    for association in fixed.referrers(FloatingIPAssociation.fixed):
        draft.touch(association.floating_ip)
        draft.transaction.delete(association)
    for forwarding in fixed.referrers(PortForwarding.fixed):
        draft.transaction.delete(forwarding)
    draft.transaction.delete(fixed)


def balanced(fixed: FixedAddress) -> bool:
    """Return whether an address is the virtual address of a load balancer."""
    return any(fixed.referrers(column) for column in (LoadBalancer.vip, LoadBalancer.additional_vips))


def _for_owner(subnets: Iterable[Subnet], owner: str) -> list[Subnet]:
    """Return the subnets from which ports of an owner get addresses without requesting them."""
    return [subnet for subnet in subnets if not subnet.service_types or owner in subnet.service_types]


def _key(subnet: Subnet, address: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    return (FixedAddress.subnet, subnet.uuid), (FixedAddress.address, address)


def self_addressed(subnet: Subnet) -> bool:
    """Return whether the hosts of a subnet generate their addresses, by either of its IPv6 modes."""
    return subnet.ipv6_address_mode in SELF_ADDRESSED or subnet.ipv6_ra_mode in SELF_ADDRESSED


def _holds(subnet: Subnet, address: str) -> bool:
    """Return whether an address is a host address of a subnet.

    In IPv6, the first one is the subnet-router anycast address (RFC 4291, section 2.6.1).
    """
    block, at = ip_network(subnet.cidr), ip_address(address)
    if at.version != block.version or at not in block:
        return False
    if block.num_addresses <= 2:
        return True
    return at.version == 6 or at not in (block.network_address, block.broadcast_address)


def _check_own(subnet: Subnet, address: str, mac: str, owner: str) -> None:
    """Check that no address is requested in a subnet whose hosts generate them; routers may have any."""
    if self_addressed(subnet) and not owner.startswith("network:") and address != eui64(subnet.cidr, mac=mac):
        raise AllocationOnAutoAddressSubnet(ip=address, subnet_id=subnet.uuid)


def _means(item: Mapping[str, str], key: tuple[str, str]) -> bool:
    """Return whether an item of a request is satisfied by an allocation."""
    subnet, address = key
    return item.get("ip_address", address) == address and item.get("subnet_id", subnet) == subnet
