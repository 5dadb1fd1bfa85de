"""BGP peers: the routers of the physical network that speakers talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.bgp import BgpPeerNotAuthenticated, BgpPeerNotFound, InvalidBgpPeerMd5Authentication
from ovenbird.api.resource import Resource, project_of
from ovenbird.api.values import address, integer, one_of, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model.cloud import BGPPeer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID

AS_NUMBER = integer(1, 4_294_967_294)
"""RFC 6793; the last number is reserved (RFC 7300)."""


class BGPPeers(Resource[BGPPeer]):
    """``/v2.0/bgp-peers``."""

    member = "bgp_peer"
    collection = "bgp_peers"
    row_class = BGPPeer
    not_found = BgpPeerNotFound
    taggable = False
    rules: ClassVar[Mapping[str, str]] = each(
        ADMIN, *(f"{verb}_bgp_peer" for verb in ("create", "get", "update", "delete"))
    )
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "project_id": Attribute(text(), put=False),
        "name": Attribute(text(), default="", column="name"),
        "peer_ip": Attribute(address, default=REQUIRED, put=False, column="peer_ip"),
        "remote_as": Attribute(AS_NUMBER, default=REQUIRED, put=False, column="remote_as"),
        "auth_type": Attribute(one_of("none", "md5"), default=REQUIRED, put=False, column="auth_type"),
        "password": Attribute(optional(text()), default=None, filterable=False),
    }

    def render(self, row: BGPPeer) -> dict[str, Any]:
        """Return what the API shows of a peer; not its password."""
        return {
            "id": row.uuid,
            "project_id": row.project_id,
            "tenant_id": row.project_id,
            "name": row.name,
            "peer_ip": row.peer_ip,
            "remote_as": row.remote_as,
            "auth_type": row.auth_type,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new peer."""
        password = values["password"] or ""
        if values["auth_type"] == "md5" and not password:
            raise InvalidBgpPeerMd5Authentication
        stored = self.stored(values) | {"project_id": project_of(draft, values), "password": password}
        return draft.insert(BGPPeer, stored)

    def update(self, draft: Draft, row: BGPPeer, values: dict[str, Any]) -> None:
        """Write a change of a peer."""
        password = values.get("password")
        if password is not None and row.auth_type == "none":
            raise BgpPeerNotAuthenticated(bgp_peer_id=row.uuid)
        draft.update(row, self.stored(values) | ({} if password is None else {"password": password}))

    def delete(self, draft: Draft, row: BGPPeer) -> None:
        """Write the removal of a peer, from its speakers too."""
        draft.transaction.delete(row)
