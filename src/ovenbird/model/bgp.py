"""What BGP speakers announce of routers, as a function of Cloud's rows.

A project's networks are announced where their subnets are in the address scope of the external network: elsewhere
their addresses may be those of another project's networks. This is the rule of neutron-dynamic-routing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model.cloud import AddressScope, BGPSpeaker, FixedAddress, Subnet, SubnetPool

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID
    from ovenbird.model.cloud import Network, RouterGateway, RouterInterface


def speakers_of(network: Network) -> list[BGPSpeaker]:
    """Return the speakers that an external network has; tracked."""
    found: list[BGPSpeaker] = network.referrers(BGPSpeaker.networks)
    return found


def scope_of(subnet: Subnet) -> UUID | None:
    """Return the address scope of a subnet; None if it is in none."""
    pool: SubnetPool | None = subnet.subnet_pool
    scope: AddressScope | None = pool.address_scope if pool is not None else None
    return scope.uuid if scope is not None else None


def announced_subnets(speaker: BGPSpeaker, outside: RouterGateway, interface: RouterInterface) -> list[Subnet]:
    """Return the subnets of a router's internal port that a speaker announces.

    Arguments:
        speaker: the speaker.
        outside: the router's gateway on one of its networks.
        interface: the router's port.
    """
    if not speaker.advertise_tenant_networks:
        return []
    six = speaker.ip_version == 6
    scopes = {scope_of(fixed.subnet) for fixed in outside.port.referrers(FixedAddress.port)
              if (":" in fixed.address) == six} - {None}  # fmt: skip
    inside = (fixed.subnet for fixed in interface.port.referrers(FixedAddress.port) if (":" in fixed.address) == six)
    return [subnet for subnet in inside if scope_of(subnet) in scopes]
