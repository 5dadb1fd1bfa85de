"""The virtual addresses (VIPs) of load balancers, and the ports that hold them.

A request names a subnet, a network or a port. Unless the port is the user's, it is created with the load balancer and
deleted with it; its name, owner and device are those that ovn-octavia-provider gives such ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.errors.load_balancing import InvalidSubresource, ValidationFailure
from ovenbird.api.ports.service_ports import ServicePorts, has_vip
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import FixedAddress, Network, Port, Subnet
from ovenbird.model.load_balancing import VIP_OWNER
from ovenbird.net.ip import ip_address, ip_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.model.load_balancing import LoadBalancer

VIP_PORT = "ovn-lb-vip-"
"""Of the ports' names, before the load balancer's id."""


class VirtualAddresses:
    """Allocates and releases them.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.ports = ServicePorts(databases)

    def allocate(
        self, draft: Draft, balancer: UUID, project: str, values: Mapping[str, Any]
    ) -> tuple[UUID, list[UUID], tuple[Subnet, ...]]:
        """Return the main virtual address, the additional ones, and the subnets of all, written as necessary.

        Arguments:
            draft: the transaction.
            balancer: the load balancer's id.
            project: its project.
            values: parsed attributes.

        Raises:
            NeutronError: there is no such address, or it cannot be used.
        """
        if values["vip_port_id"] is not None:
            vip, subnet = self._of_port(draft, balancer, values)
        else:
            wanted = self._wanted(values)
            vip, subnet = self._new(draft, balancer, project, f"{VIP_PORT}{balancer}", *wanted)
        additional, subnets = [], [subnet]
        for number, one in enumerate(values["additional_vips"], 1):
            other = self._subnet(one["subnet_id"])
            if other in subnets:
                raise ValidationFailure(
                    reason="Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."
                )
            if Subnet.network.raw(other) != Subnet.network.raw(subnet):
                raise ValidationFailure(reason="All VIP subnets must belong to the same network.")
            name = f"{VIP_PORT}additional-{number}-{balancer}"
            uuid, _ = self._new(draft, balancer, project, name, other, one.get("ip_address"))
            additional.append(uuid)
            subnets.append(other)
        return vip, additional, tuple(subnets)

    def release(self, draft: Draft, row: LoadBalancer) -> None:
        """Write the removal of the ports that were created for a load balancer; the user's stays, and is free."""
        vip: FixedAddress = row.vip
        for address in row.additional_vips:
            self.ports.delete(draft, address.port)
        if row.on_users_port:
            draft.update(vip.port, {"device_owner": "", "device_id": ""})
        else:
            self.ports.delete(draft, vip.port)

    def _new(
        self, draft: Draft, balancer: UUID, project: str, name: str, subnet: Subnet, address: str | None
    ) -> tuple[UUID, Subnet]:
        """Write a port with one address, and return the row of that."""
        wanted = {"subnet_id": subnet.uuid} | ({} if address is None else {"ip_address": address})
        port, _ = self.ports.create(
            draft, subnet.network, owner=VIP_OWNER, device=_device(balancer), project=project, wanted=[wanted],
            name=name,
        )  # fmt: skip
        address_row: UUID = draft.made["addresses", port][0]
        return address_row, subnet

    def _subnet(self, uuid: str) -> Subnet:
        found = self.databases.store.table(Subnet).get(UUID(uuid))
        if found is None:
            raise InvalidSubresource(resource="Subnet", id=uuid)
        return found

    def _wanted(self, values: Mapping[str, Any]) -> tuple[Subnet, str | None]:
        """Return the subnet and the address that a request wants, without a port."""
        address = values["vip_address"]
        if values["vip_network_id"] is None:
            if values["vip_subnet_id"] is None:
                raise ValidationFailure(reason="VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
            return self._subnet(values["vip_subnet_id"]), address
        network = self.databases.store.table(Network).get(UUID(values["vip_network_id"]))
        if network is None:
            raise InvalidSubresource(resource="Network", id=values["vip_network_id"])
        if values["vip_subnet_id"] is not None:
            subnet = self._subnet(values["vip_subnet_id"])
            if Subnet.network.raw(subnet) != network.uuid:
                raise ValidationFailure(reason="Supplied VIP subnet does not belong to the supplied VIP network.")
            return subnet, address
        subnets = sorted(network.referrers(Subnet.network), key=lambda s: (":" in s.cidr, s.created_at, s.uuid))
        if address is not None:
            subnets = [subnet for subnet in subnets if _contains(subnet, address)]
            if not subnets:
                raise ValidationFailure(reason="Supplied network does not contain a subnet for VIP address specified.")
        if not subnets:
            raise ValidationFailure(reason="Supplied network does not contain a subnet.")
        return subnets[0], address

    def _of_port(self, draft: Draft, balancer: UUID, values: Mapping[str, Any]) -> tuple[UUID, Subnet]:
        """Return the address of a port that a request names."""
        port = self.databases.store.table(Port).get(UUID(values["vip_port_id"]))
        if port is None:
            raise InvalidSubresource(resource="Port", id=values["vip_port_id"])
        if port.device_id or port.device_owner or has_vip(port):
            device = port.device_id or "a load balancer"
            raise ValidationFailure(reason=f"Port {port.uuid} is already used by device {device}.")
        draft.update(port, {"device_owner": VIP_OWNER, "device_id": _device(balancer)})
        fixed: list[FixedAddress] = port.referrers(FixedAddress.port)
        if values["vip_subnet_id"] is not None:
            fixed = [one for one in fixed if FixedAddress.subnet.raw(one) == values["vip_subnet_id"]]
            if not fixed:
                raise ValidationFailure(
                    reason="No VIP address found on the specified VIP port within the specified subnet."
                )
        elif values["vip_address"] is not None:
            fixed = [one for one in fixed if one.address == values["vip_address"]]
            if not fixed:
                raise ValidationFailure(reason="Specified VIP address not found on the specified VIP port.")
        elif len(fixed) != 1:
            raise ValidationFailure(
                reason="VIP port's subnet could not be determined. Please specify either a VIP subnet or address."
            )
        return fixed[0].uuid, fixed[0].subnet


def _device(balancer: UUID) -> str:
    return f"lb-{balancer}"


def _contains(subnet: Subnet, address: str) -> bool:
    return ip_address(address) in ip_network(subnet.cidr)
