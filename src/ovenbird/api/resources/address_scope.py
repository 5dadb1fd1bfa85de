"""Address scopes: groups of subnet pools whose addresses do not overlap, and can be routed between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each
from ovenbird.api.access.sharing import is_shared, share, unshare
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.address_scope import AddressScopeInUse, AddressScopeNotFound, AddressScopeUpdateError
from ovenbird.api.resource import Resource, project_of
from ovenbird.api.values import boolean, integer, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model.cloud import AddressScope, RBACPolicy, SubnetPool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, ColumnOf


def _version(value: Any) -> int:
    """Convert an IP version."""
    version = integer()(value)
    if version not in (4, 6):
        raise ValueError(f"{version} is not in valid_values")
    return version


class AddressScopes(Resource[AddressScope]):
    """``/v2.0/address-scopes``."""

    member = "address_scope"
    collection = "address_scopes"
    row_class = AddressScope
    not_found = AddressScopeNotFound
    taggable = False
    extensions: ClassVar[Mapping[str, str]] = {"address-scope": "Address scope"}
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_address_scope", "update_address_scope", "delete_address_scope"),
        "get_address_scope": f"{READER} or rule:shared_address_scopes",
        **each(ADMIN, "create_address_scope:shared", "update_address_scope:shared"),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "name": Attribute(text(), default="", column="name"),
        "project_id": Attribute(text(), put=False),
        "ip_version": Attribute(_version, default=REQUIRED, put=False, column="ip_version"),
        "shared": Attribute(boolean, default=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {}

    def render(self, row: AddressScope) -> dict[str, Any]:
        """Return what the API shows of an address scope."""
        return {
            "id": row.uuid,
            "name": row.name,
            "project_id": row.project_id,
            "tenant_id": row.project_id,
            "ip_version": row.ip_version,
            "shared": is_shared(row),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new address scope."""
        project = project_of(draft, values)
        uuid = draft.insert(AddressScope, self.stored(values) | {"project_id": project})
        if values["shared"]:
            share(draft, RBACPolicy.address_scope, uuid, project=project)
        return uuid

    def update(self, draft: Draft, row: AddressScope, values: dict[str, Any]) -> None:
        """Write a change of an address scope, which does not cease to be shared with every project."""
        shared = is_shared(row)
        if shared and values.get("shared") is False:
            raise AddressScopeUpdateError(id=row.uuid, reason="Shared address scope can't be unshared")
        if not shared and values.get("shared"):
            share(draft, RBACPolicy.address_scope, row.uuid, project=row.project_id)
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: AddressScope) -> None:
        """Write the removal of an address scope without subnet pools."""
        if row.referrers(SubnetPool.address_scope):
            raise AddressScopeInUse(id=row.uuid)
        unshare(draft, row)
        draft.transaction.delete(row)
