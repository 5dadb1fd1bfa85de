"""Address scopes of subnet pools: which pools may be in one, and what may then change.

The prefixes of an address scope's pools do not overlap: each association, and each change of a pool's prefixes,
increments the scope's revision in the same transaction, so that of two concurrent requests the second is prepared
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.api.access.sharing import EVERY_PROJECT, SHARED, policies
from ovenbird.api.errors.address_scope import (
    AddressScopePrefixConflict,
    IllegalSubnetPoolIpVersionAssociationToAddressScope,
    NetworkAddressScopeAffinityError,
)
from ovenbird.api.errors.request import InvalidInput
from ovenbird.api.subnet_allocation import address_range, overlaps
from ovenbird.model.cloud import Subnet, SubnetPool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.api.databases import Draft
    from ovenbird.model.cloud import AddressScope


def check_scope(
    draft: Draft, scope: AddressScope, version: int, prefixes: Iterable[str], pool: SubnetPool | None = None
) -> None:
    """Check that a pool may be in an address scope with these prefixes, and ensure that at the commit.

    Arguments:
        draft: the transaction.
        scope: the scope.
        version: the pool's IP version.
        prefixes: the pool's prefixes.
        pool: the pool; None for a new one.

    Raises:
        IllegalSubnetPoolIpVersionAssociationToAddressScope: the scope is of the other IP version.
        AddressScopePrefixConflict: another pool of the scope has some of the addresses.
    """
    if scope.ip_version != version:
        raise IllegalSubnetPoolIpVersionAssociationToAddressScope(
            subnetpool_id="" if pool is None else pool.uuid, address_scope_id=scope.uuid, ip_version=scope.ip_version
        )
    others: list[SubnetPool] = scope.referrers(SubnetPool.address_scope)
    made: list[tuple[int, int]] = draft.made.setdefault(("scope", scope.uuid), [])
    new = [address_range(block)[1:] for block in prefixes]
    taken = sorted(made + [address_range(block)[1:] for one in others if one is not pool for block in one.prefixes])
    if any(overlaps(taken, block) for block in new):
        raise AddressScopePrefixConflict
    made += new
    draft.touch(scope)


def check_same_scope(draft: Draft, pool: SubnetPool) -> None:
    """Check that no network would have subnets of two address scopes if a pool were in another one.

    Arguments:
        draft: the transaction.
        pool: the pool.

    Raises:
        NetworkAddressScopeAffinityError: a network has subnets of other pools too.
    """
    for subnet in pool.referrers(Subnet.subnet_pool):
        network = subnet.network
        for other in network.referrers(Subnet.network):
            if (":" in other.cidr) == (pool.ip_version == 6) and Subnet.subnet_pool.raw(other) != pool.uuid:
                raise NetworkAddressScopeAffinityError
        draft.expect(network)  # which a new subnet changes


def check_scope_allows(uuid: str, scope: AddressScope, target: str) -> None:
    """Check that a subnet pool is shared only with projects that may use its address scope.

    Arguments:
        uuid: the pool.
        scope: its scope.
        target: the project that the pool is shared with.

    Raises:
        InvalidInput: it may not use the scope.
    """
    if not any(policy.target_project in (EVERY_PROJECT, target) for policy in policies(scope, SHARED)):
        raise InvalidInput(
            error_message=f"Failed to create RBAC policy on object {uuid} because target project doesn't have "
            "access to associated address scope."
        )
