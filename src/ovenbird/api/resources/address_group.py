"""Address groups: sets of addresses that security group rules refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MEMBER, READER, each, tags
from ovenbird.api.access.sharing import is_shared, unshare
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.other import AddressesAlreadyExist, AddressesNotFound, AddressGroupInUse, AddressGroupNotFound
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.values import list_of, network_of, network_prefix, text
from ovenbird.model.cloud import AddressGroup, DefaultSecurityGroupRule, SecurityGroupRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID, ColumnOf, ReferenceOf

MOST_GROUP_ADDRESSES = 10_000
"""The largest number of addresses of a group."""

ADDRESSES = list_of(network_of, most=MOST_GROUP_ADDRESSES, null=False)


REFERRING_TO_ADDRESSES: tuple[ReferenceOf[Any, AddressGroup, Any], ...] = (
    SecurityGroupRule.remote_address_group,
    DefaultSecurityGroupRule.remote_address_group,
)
"""The columns of what cannot be without its address group."""


class AddressGroups(Resource[AddressGroup]):
    """``/v2.0/address-groups``."""

    member = "address_group"
    collection = "address_groups"
    row_class = AddressGroup
    not_found = AddressGroupNotFound
    extensions: ClassVar[Mapping[str, str]] = {
        "address-group": "Address group",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_address_group", "update_address_group", "delete_address_group", "add_addresses",
                "remove_addresses"),
        "get_address_group": f"{READER} or rule:shared_address_groups",
        # Neutron has none for these:
        **tags("address_group", reader=f"{READER} or rule:shared_address_groups", member=MEMBER),
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "addresses": Attribute(
            list_of(network_prefix, most=MOST_GROUP_ADDRESSES), default=[], put=False, filterable=False
        ),
        "shared": shown(),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"name": AddressGroup.name}
    actions: ClassVar[Mapping[str, str]] = {"add_addresses": "add", "remove_addresses": "remove"}

    def render(self, row: AddressGroup) -> dict[str, Any]:
        """Return what the API shows of an address group."""
        return {
            **standard(row),
            "name": row.name,
            "addresses": sorted(row.addresses),
            "shared": is_shared(row),
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new group."""
        stored = {"name": values["name"], "description": values["description"]}
        addresses = frozenset(values["addresses"])
        return draft.insert(AddressGroup, stored | {"project_id": project_of(draft, values), "addresses": addresses})

    def update(self, draft: Draft, row: AddressGroup, values: dict[str, Any]) -> None:
        """Write a change of a group's name or description."""
        draft.update(row, values)

    def delete(self, draft: Draft, row: AddressGroup) -> None:
        """Write the removal of a group; a group that rules or templates refer to cannot be removed."""
        if any(row.referrers(column) for column in REFERRING_TO_ADDRESSES):
            raise AddressGroupInUse(id=row.uuid)
        unshare(draft, row)
        draft.transaction.delete(row)

    # -- actions ------------------------------------------------------------------------------------------------------

    def add(self, draft: Draft, row: AddressGroup, body: Mapping[str, Any]) -> None:
        """Add addresses to a group, none of which it may have already.

        Arguments:
            draft: the transaction.
            row: the group.
            body: the request's, parsed.

        Raises:
            AddressesAlreadyExist: the group already has one of them.
            HTTPBadRequest: the group would have too many.
        """
        given = _addresses_in(body)
        if there := sorted(given & row.addresses):
            raise AddressesAlreadyExist(addresses=there, address_group_id=row.uuid)
        if len(row.addresses) + len(given) > MOST_GROUP_ADDRESSES:
            raise HTTPBadRequest(reason=f"an address group has at most {MOST_GROUP_ADDRESSES} addresses")
        draft.update(row, {"addresses": row.addresses | given})

    def remove(self, draft: Draft, row: AddressGroup, body: Mapping[str, Any]) -> None:
        """Remove addresses from a group, which must have all of them.

        Arguments:
            draft: the transaction.
            row: the group.
            body: the request's, parsed.

        Raises:
            AddressesNotFound: the group does not have one of them.
        """
        given = _addresses_in(body)
        if missing := sorted(given - row.addresses):
            raise AddressesNotFound(addresses=missing, address_group_id=row.uuid)
        draft.update(row, {"addresses": row.addresses - given})


def _addresses_in(body: Mapping[str, Any]) -> frozenset[str]:
    given = body.get("addresses")
    try:
        return frozenset(ADDRESSES(given))
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for addresses. Reason: {error}.") from error
