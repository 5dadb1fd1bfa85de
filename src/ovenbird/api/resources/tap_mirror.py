"""Tap mirrors: copies of the packets of a port that are sent through a tunnel, as in Neutron's tap-as-a-service.

Neutron takes any integer as a tunnel's id; here it must fit the key of GRE (RFC 2890) or the index of ERSPAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MEMBER, READER, each
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.port import PortNotFound
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.errors.tap_mirror import (
    PortCannotBeMirrored,
    PortDoesNotBelongToTenant,
    TapMirrorNotFound,
    TapMirrorTunnelConflict,
)
from ovenbird.api.ports.removal import remove_mirror
from ovenbird.api.resource import Resource, project_of
from ovenbird.api.values import address, integer, one_of, optional, record, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Port, TapMirror, TapMirrorTunnel
from ovenbird.model.shared_address import INFRASTRUCTURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import ColumnOf

LARGEST_ID = {"gre": 0xFFFF_FFFF, "erspanv1": 0xF_FFFF}
"""The largest id of a tunnel, by the type of the mirror."""

_number = optional(integer(0, max(LARGEST_ID.values())))
_members = record((), IN=_number, OUT=_number, BOTH=_number)


def _directions(value: Any) -> dict[str, int]:
    """Convert the tunnel ids of a mirror, by direction."""
    found = {name: number for name, number in _members(value).items() if number is not None}
    if not found:
        raise ValueError(f"'{value}' names no tunnel; the directions are IN, OUT and BOTH")
    return found


class TapMirrors(Resource[TapMirror]):
    """``/v2.0/taas/tap_mirrors``."""

    member = "tap_mirror"
    collection = "tap_mirrors"
    path = "taas/tap_mirrors"
    row_class = TapMirror
    not_found = TapMirrorNotFound
    taggable = False
    references: ClassVar[Mapping[str, str]] = {"port_id": "ports"}
    extensions: ClassVar[Mapping[str, str]] = {
        "tap-mirror": "Tap as a Service GRE or ERSPAN mirror",
        "tap-mirror-both-direction": "Tap as a Service mirror with BOTH direction support",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_tap_mirror", "update_tap_mirror", "delete_tap_mirror"),
        "get_tap_mirror": READER,
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "project_id": Attribute(text(), put=False),
        "name": Attribute(text(), default="", column="name"),
        "description": Attribute(text(), default="", column="description"),
        "port_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "directions": Attribute(_directions, default=REQUIRED, put=False, filterable=False),
        "remote_ip": Attribute(address, default=REQUIRED, put=False, column="remote_ip"),
        "mirror_type": Attribute(one_of(*LARGEST_ID), default=REQUIRED, put=False, column="mirror_type"),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"port_id": TapMirror.port}

    def render(self, row: TapMirror) -> dict[str, Any]:
        """Return what the API shows of a tap mirror."""
        return {
            "id": row.uuid,
            "project_id": row.project_id,
            "tenant_id": row.project_id,
            "name": row.name,
            "description": row.description,
            "port_id": TapMirror.port.raw(row),
            "directions": {
                tunnel.direction: tunnel.tunnel_id
                for tunnel in sorted(row.referrers(TapMirrorTunnel.mirror), key=lambda each: each.direction)
            },
            "remote_ip": row.remote_ip,
            "mirror_type": row.mirror_type,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new tap mirror with a tunnel for each direction."""
        project = project_of(draft, values)
        port = self.databases.store.table(Port).get(UUID(values["port_id"]))
        if port is None:
            raise PortNotFound(id=values["port_id"])
        if port.project_id != project:
            raise PortDoesNotBelongToTenant
        if port.device_owner.startswith(INFRASTRUCTURE):
            raise PortCannotBeMirrored(port_id=port.uuid, device_owner=port.device_owner)
        tunnels: dict[str, int] = values["directions"]
        self._take_tunnels(draft, tunnels, mirror_type=values["mirror_type"])
        mirror = draft.insert(TapMirror, self.stored(values) | {"project_id": project, "port": port.uuid})
        for direction, number in tunnels.items():
            draft.transaction.insert(TapMirrorTunnel, {"mirror": mirror, "direction": direction, "tunnel_id": number})
        return mirror

    def update(self, draft: Draft, row: TapMirror, values: dict[str, Any]) -> None:
        """Write a change of a tap mirror's name or description."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: TapMirror) -> None:
        """Write the removal of a tap mirror."""
        remove_mirror(draft, row)

    def _take_tunnels(self, draft: Draft, tunnels: Mapping[str, int], *, mirror_type: str) -> None:
        """Take ids that no other tunnel has.

        Arguments:
            draft: the transaction.
            tunnels: the tunnel ids, by direction.
            mirror_type: the type of the mirror.

        Raises:
            HTTPBadRequest: an id is too large for the type.
            TapMirrorTunnelConflict: an id is in use, or is given twice.
        """
        for number in tunnels.values():
            if number > LARGEST_ID[mirror_type]:
                raise HTTPBadRequest(
                    reason=f"Invalid input for directions. Reason: '{number}' is too large for {mirror_type} - "
                    f"must be no larger than '{LARGEST_ID[mirror_type]}'."
                )
            key = (TapMirrorTunnel.tunnel_id, number)
            if self.databases.is_taken(draft, key):
                raise TapMirrorTunnelConflict(tunnel_id=number)
            self.databases.take(draft, key)
