"""Networks: a logical switch for each, and a localnet port for a segment on a physical network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

ON_A_WIRE = frozenset(("flat", "vlan"))
"""Network types that reach a physical network through a localnet port."""

LAST_VLAN = 4095
"""The largest number of a VLAN (ovn-nb(5), `tag_request`)."""

LOCALNET_OPTIONS = {"localnet_learn_fdb": "false", "mcast_flood": "false", "mcast_flood_reports": "true"}
SWITCH_CONFIG = {
    tags: tuple(sorted({"mcast_snoop": "false", "mcast_flood_unregistered": "false", "vlan-passthru": value}.items()))
    for tags, value in ((False, "false"), (True, "true"))
}
"""The `other_config` of a switch, by whether it carries VLAN tags of instances."""


def _own_switch(row: nb.LogicalSwitch) -> str | None:
    return row.name if row.name.startswith("neutron-") else None


def _own_port(row: nb.LogicalSwitchPort) -> str | None:
    """Return the name of a switch port if it has the form of ours: a UUID, or a segment's localnet port."""
    name = row.name
    if name.startswith("provnet-"):
        return name
    return name if len(name) == 36 and name.count("-") == 4 else None


class SwitchRow(NamedTuple):
    """A logical switch, without its ports and other members."""

    relation: Relation
    name: str
    external_ids: Pairs
    other_config: Pairs


class SwitchPortRow(NamedTuple):
    """A logical switch port; the columns are those of ovn-nb(5)."""

    relation: Relation
    name: str
    type: str
    addresses: frozenset[str]
    external_ids: Pairs
    options: Pairs = ()
    port_security: frozenset[str] = frozenset()
    enabled: bool | None = None
    parent_name: str | None = None
    tag_request: int | None = None
    dhcpv4_options: UUID | None = None
    dhcpv6_options: UUID | None = None
    ha_chassis_group: UUID | None = None


SWITCHES = NamedRows(nb.LogicalSwitch, SwitchRow, key=nb.LogicalSwitch.name, key_of=_own_switch)
SWITCH_PORTS = NamedRows(nb.LogicalSwitchPort, SwitchPortRow, key=nb.LogicalSwitchPort.name, key_of=_own_port)
PORTS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.ports)


@view
def network_mtu(network: cloud.Network) -> int:
    """Return the MTU of a network, as a view, so that its ports and DHCP options depend on nothing else of it."""
    return network.mtu


@view
def domain(network: cloud.Network) -> str:
    """Return the domain of a network's instances, without the final dot."""
    return settings.domain(network.home.store, network.dns_domain)


@rule(cloud.Network)
def network_switch(network: cloud.Network) -> Iterator[Fact]:
    """Yield the logical switch of a network."""
    ids = {
        "neutron:network_name": network.name,
        "neutron:mtu": str(network.mtu),
        "neutron:availability_zone_hints": ",".join(sorted(network.availability_zone_hints)),
        "neutron:provnet-network-type": "local",
        names.REVISION: str(network.revision_number),
    }
    for segment in network.referrers(cloud.NetworkSegment.network):
        ids["neutron:provnet-network-type"] = segment.network_type
        if segment.physical_network is not None:
            ids["neutron:provnet-physical-network"] = segment.physical_network
    yield SWITCHES(
        names.switch(network.uuid),
        external_ids=tuple(sorted(ids.items())),
        other_config=SWITCH_CONFIG[network.vlan_transparent or network.qinq],
    )


@rule(cloud.NetworkSegment)
def provider_port(segment: cloud.NetworkSegment) -> Iterator[Fact]:
    """Yield the localnet port through which a segment reaches its physical network (ovn-nb(5), localnet)."""
    if segment.network_type not in ON_A_WIRE or segment.physical_network is None:
        return
    name = names.provider_port(segment.uuid)
    options = LOCALNET_OPTIONS | {"network_name": segment.physical_network}
    if segment.network.qinq:
        options["ethtype"] = "802.11ad"
    tag = segment.segmentation_id or None
    if tag is not None and tag > LAST_VLAN:
        yield finding(segment, f"segment {segment.uuid}: it is left out, since {tag} is not a VLAN number (1 to 4094)")
        return
    ids = (("neutron:provnet-physical-network", segment.physical_network),)
    unknown = frozenset(("unknown",))
    yield SWITCH_PORTS(
        name=name,
        type="localnet",
        addresses=unknown,
        external_ids=ids,
        options=tuple(sorted(options.items())),
        tag_request=tag,
    )
    network = cloud.NetworkSegment.network.raw(segment)
    yield PORTS_OF_SWITCH(names.switch(network), SWITCH_PORTS.uuid(name))
