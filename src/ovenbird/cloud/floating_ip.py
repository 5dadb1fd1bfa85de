"""Floating IPs: a `dnat_and_snat` row for each, on the router that reaches the port (ovn-nb(5), NAT)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.addressing import fixed_addresses
from ovenbird.cloud.router import NAT_OF_ROUTER, segment_of
from ovenbird.engine import lookups
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation


class FloatingIpRow(NamedTuple):
    """The translation of a floating IP; the columns are those of ovn-nb(5), NAT."""

    relation: Relation
    external_ids: Pairs
    type: str
    external_ip: str
    logical_ip: str
    external_mac: str | None
    logical_port: str | None


FLOATING_IPS = names.RowsById(nb.NAT, FloatingIpRow, lambda ids: ids.get("neutron:fip_id"))


@view
def is_up(port_id: str) -> bool:
    """Return whether a port is up in Northbound."""
    found: nb.LogicalSwitchPort | None = lookups.find(nb.LogicalSwitchPort.name, port_id)
    return found is not None and bool(found.up)


@rule(cloud.FloatingIPAssociation)
def floating_ip(association: cloud.FloatingIPAssociation) -> Iterator[Fact]:
    """Yield the NAT rule of a floating IP.

    A distributed one is translated on the port's chassis, with a MAC of its own, as long as the port is up.
    """
    floating = association.floating_ip
    outside = floating.port
    address = next((address for address, _ in fixed_addresses(outside)), None)
    if address is None:
        return
    fixed = association.fixed
    port = cloud.FixedAddress.port.raw(fixed)
    router = names.router(cloud.RouterGateway.router.raw(association.gateway))
    distributed = (
        settings.DISTRIBUTED_FLOATING_IP.of(floating.home.store)
        and segment_of(floating.network)[1] is not None
        and is_up(port)
    )
    mac = outside.mac_address
    ids = (
        ("neutron:fip_external_mac", mac),
        ("neutron:fip_id", floating.uuid),
        ("neutron:fip_network_id", cloud.FloatingIP.network.raw(floating)),
        ("neutron:fip_port_id", port),
        (names.REVISION, str(floating.revision_number)),
        (names.ROUTER_NAME, router),
    )
    yield FLOATING_IPS(
        external_ids=ids,
        type="dnat_and_snat",
        external_ip=address,
        logical_ip=fixed.address,
        external_mac=mac if distributed else None,
        logical_port=port if distributed else None,
    )
    yield NAT_OF_ROUTER(router, FLOATING_IPS.uuid(floating.uuid))
