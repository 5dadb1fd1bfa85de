"""BGP speakers: which routes of routers on external networks are announced, and to which peers.

The compiler has the routers announce them through Northbound's dynamic routing (`cloud/bgp`); a routing daemon on the
gateways' hosts, such as FRR, speaks to the peers (docs/dynamic-routing.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.bgp import (
    BadBgpSpeakerRequest,
    BgpPeerNotFound,
    BgpSpeakerNetworkBindingError,
    BgpSpeakerNetworkNotAssociated,
    BgpSpeakerNotFound,
    BgpSpeakerPeerNotAssociated,
    DuplicateBgpPeerIpException,
)
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.resource import Resource, project_of
from ovenbird.api.resources.bgp_peer import AS_NUMBER
from ovenbird.api.values import boolean, integer, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import BGPPeer, BGPSpeaker, Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft


def _version(value: Any) -> int:
    """Convert an IP version."""
    version = integer()(value)
    if version not in (4, 6):
        raise ValueError(f"'{version}' is not in [4, 6]")
    return version


class BGPSpeakers(Resource[BGPSpeaker]):
    """``/v2.0/bgp-speakers``."""

    member = "bgp_speaker"
    collection = "bgp_speakers"
    row_class = BGPSpeaker
    not_found = BgpSpeakerNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {
        "bgp": "Neutron BGP Dynamic Routing Extension",
        "bgp_4byte_asn": "BGP 4-byte AS numbers",
    }
    rules: ClassVar[Mapping[str, str]] = each(
        ADMIN,
        *(f"{verb}_bgp_speaker" for verb in ("create", "get", "update", "delete")),
        *("add_bgp_peer", "remove_bgp_peer", "add_gateway_network", "remove_gateway_network", "get_advertised_routes"),
    )
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "project_id": Attribute(text(), put=False),
        "name": Attribute(text(), default="", column="name"),
        "local_as": Attribute(AS_NUMBER, default=REQUIRED, put=False, column="local_as"),
        "ip_version": Attribute(_version, default=REQUIRED, put=False, column="ip_version"),
        "peers": shown(filterable=False),
        "networks": shown(filterable=False),
        "advertise_floating_ip_host_routes": Attribute(
            boolean, default=True, column="advertise_floating_ip_host_routes"
        ),
        "advertise_tenant_networks": Attribute(boolean, default=True, column="advertise_tenant_networks"),
    }
    actions: ClassVar[Mapping[str, str]] = {
        "add_bgp_peer": "add_peer",
        "remove_bgp_peer": "remove_peer",
        "add_gateway_network": "add_network",
        "remove_gateway_network": "remove_network",
    }

    def render(self, row: BGPSpeaker) -> dict[str, Any]:
        """Return what the API shows of a speaker."""
        return {
            "id": row.uuid,
            "project_id": row.project_id,
            "tenant_id": row.project_id,
            "name": row.name,
            "local_as": row.local_as,
            "ip_version": row.ip_version,
            "peers": sorted(peer.uuid for peer in row.peers),
            "networks": sorted(network.uuid for network in row.networks),
            "advertise_floating_ip_host_routes": row.advertise_floating_ip_host_routes,
            "advertise_tenant_networks": row.advertise_tenant_networks,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new speaker."""
        return draft.insert(BGPSpeaker, self.stored(values) | {"project_id": project_of(draft, values)})

    def update(self, draft: Draft, row: BGPSpeaker, values: dict[str, Any]) -> None:
        """Write a change of a speaker."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: BGPSpeaker) -> None:
        """Write the removal of a speaker."""
        draft.transaction.delete(row)

    def add_peer(self, draft: Draft, row: BGPSpeaker, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add a peer, and return its id.

        Arguments:
            draft: the transaction.
            row: the speaker.
            body: the request's, parsed.

        Raises:
            NeutronError: there is no such peer, or the speaker has one with its address.
        """
        peer = self.databases.store.table(BGPPeer).get(_id_in(body, "bgp_peer_id"))
        if peer is None:
            raise BgpPeerNotFound(id=body["bgp_peer_id"])
        if any(other.peer_ip == peer.peer_ip for other in row.peers):
            raise DuplicateBgpPeerIpException(bgp_peer_id=peer.uuid, peer_ip=peer.peer_ip, bgp_speaker_id=row.uuid)
        draft.update(row, {"peers": frozenset(one.uuid for one in row.peers) | {peer.uuid}})
        return {"bgp_peer_id": peer.uuid}

    def remove_peer(self, draft: Draft, row: BGPSpeaker, body: Mapping[str, Any]) -> dict[str, Any]:
        """Remove a peer, and return its id.

        Arguments:
            draft: the transaction.
            row: the speaker.
            body: the request's, parsed.

        Raises:
            NeutronError: the speaker does not have it.
        """
        uuid, present = _id_in(body, "bgp_peer_id"), frozenset(one.uuid for one in row.peers)
        if uuid not in present:
            raise BgpSpeakerPeerNotAssociated(bgp_peer_id=uuid, bgp_speaker_id=row.uuid)
        draft.update(row, {"peers": present - {uuid}})
        return {"bgp_peer_id": uuid}

    def add_network(self, draft: Draft, row: BGPSpeaker, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add an external network, and return its id.

        Arguments:
            draft: the transaction.
            row: the speaker.
            body: the request's, parsed.

        Raises:
            NeutronError: there is no such network, or the speaker has it.
        """
        uuid, present = _id_in(body, "network_id"), frozenset(one.uuid for one in row.networks)
        if self.databases.store.table(Network).get(uuid) is None:
            raise NetworkNotFound(id=uuid)
        if uuid in present:
            raise BgpSpeakerNetworkBindingError(network_id=uuid, bgp_speaker_id=row.uuid)
        draft.update(row, {"networks": present | {uuid}})
        return {"network_id": uuid}

    def remove_network(self, draft: Draft, row: BGPSpeaker, body: Mapping[str, Any]) -> dict[str, Any]:
        """Remove an external network, and return its id.

        Arguments:
            draft: the transaction.
            row: the speaker.
            body: the request's, parsed.

        Raises:
            NeutronError: the speaker does not have it.
        """
        uuid, present = _id_in(body, "network_id"), frozenset(one.uuid for one in row.networks)
        if uuid not in present:
            raise BgpSpeakerNetworkNotAssociated(network_id=uuid, bgp_speaker_id=row.uuid)
        draft.update(row, {"networks": present - {uuid}})
        return {"network_id": uuid}


def _id_in(body: Mapping[str, Any], name: str) -> UUID:
    """Return an id in a request."""
    if name not in body:
        raise BadBgpSpeakerRequest(reason=f"{name} must be specified")
    try:
        return UUID(uuid_value(body[name]))
    except ValueError as error:
        raise BadBgpSpeakerRequest(reason=str(error)) from error
