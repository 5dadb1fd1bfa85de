"""Subnet pools: prefixes from which non-overlapping subnets are allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, MEMBER, READER, each, tags
from ovenbird.api.access.sharing import EVERY_PROJECT, grant, grants, is_shared, share, unshare
from ovenbird.api.address_scopes import check_same_scope, check_scope, check_scope_allows
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.address_scope import AddressScopeNotFound
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.request import HTTPBadRequest, InvalidInput, NotAuthorized
from ovenbird.api.errors.subnet_pool import (
    EmptySubnetPoolPrefixList,
    IllegalSubnetPoolPrefixBounds,
    IllegalSubnetPoolPrefixUpdate,
    IllegalSubnetPoolUpdate,
    PrefixVersionMismatch,
    SubnetPoolDeleteError,
    SubnetPoolNotFound,
)
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.subnet_allocation import BITS, address_range, aligned, allocated, gaps, overlaps
from ovenbird.api.values import boolean, integer, list_of, network_prefix, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import AddressScope, DefaultSubnetPool, Network, RBACPolicy, Subnet, SubnetPool
from ovenbird.net.addresses import ipv4_text, ipv6_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.subnet_allocation import Range
    from ovenbird.engine.rows import ColumnOf

SHORTEST = {4: 8, 6: 64}
"""Neutron's default `min_prefixlen`, by IP version."""

MOST_PREFIXES = 1000
"""The largest number of prefixes of a pool."""

HIGHEST_POOL_QUOTA = 2_147_483_647
"""The largest quota of a pool."""


def _name(value: Any) -> str:
    """Convert a name that is not blank."""
    name = text()(value)
    if not name.strip():
        raise ValueError(f"'{name}' Blank strings are not permitted")
    return name


PREFIXES = list_of(network_prefix, most=MOST_PREFIXES, null=False)
LENGTH = Attribute(integer(0), sought=lambda value: str(integer()(value)))


SEES_POOL = f"{READER} or rule:shared_subnetpools"


class SubnetPools(Resource[SubnetPool]):
    """``/v2.0/subnetpools``."""

    member = "subnetpool"
    collection = "subnetpools"
    row_class = SubnetPool
    not_found = SubnetPoolNotFound
    references: ClassVar[Mapping[str, str]] = {"network_id": "networks", "address_scope_id": "address_scopes"}
    extensions: ClassVar[Mapping[str, str]] = {
        "default-subnetpools": "Default Subnetpools",
        "subnet_allocation": "Subnet Allocation",
        "subnet_onboard": "Subnet Onboard",
        "subnetpool-prefix-ops": "Subnet Pool Prefix Operations",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_subnetpool", "update_subnetpool", "delete_subnetpool", "add_prefixes",
               "remove_prefixes", "onboard_network_subnets"),
        "get_subnetpool": SEES_POOL,
        **each(ADMIN, "create_subnetpool:shared", "create_subnetpool:is_default", "update_subnetpool:is_default"),
        **tags("subnetpool", reader=SEES_POOL, member=MEMBER),
    }  # fmt: skip
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(_name, default=REQUIRED, column="name"),
        "prefixes": Attribute(PREFIXES, default=REQUIRED, filterable=False),
        "ip_version": shown(),
        "min_prefixlen": LENGTH,
        "max_prefixlen": LENGTH,
        "default_prefixlen": LENGTH,
        "default_quota": Attribute(integer(0, HIGHEST_POOL_QUOTA), default=UNSET),
        "is_default": Attribute(boolean, default=False),
        "shared": Attribute(boolean, default=False, put=False),
        "address_scope_id": Attribute(optional(uuid_value), default=None),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"name": SubnetPool.name}
    actions: ClassVar[Mapping[str, str]] = {
        "add_prefixes": "add",
        "remove_prefixes": "remove",
        "onboard_network_subnets": "onboard",
    }

    def render(self, row: SubnetPool) -> dict[str, Any]:
        """Return what the API shows of a pool; Neutron's prefix lengths are strings."""
        return {
            **standard(row),
            "name": row.name,
            "prefixes": sorted(row.prefixes, key=address_range),
            "ip_version": row.ip_version,
            "min_prefixlen": str(row.min_prefixlen),
            "max_prefixlen": str(row.max_prefixlen),
            "default_prefixlen": str(row.default_prefixlen),
            "default_quota": row.default_quota,
            "is_default": bool(row.referrers(DefaultSubnetPool.subnet_pool)),
            "shared": is_shared(row),
            "address_scope_id": SubnetPool.address_scope.raw(row),
            "tags": sorted(row.tags),
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new pool."""
        prefixes = _compact(values["prefixes"])
        if not prefixes:
            raise EmptySubnetPoolPrefixList
        version = address_range(prefixes[0])[0]
        shortest = values.get("min_prefixlen", SHORTEST[version])
        lengths = {
            "min_prefixlen": shortest,
            "max_prefixlen": values.get("max_prefixlen", BITS[version]),
            "default_prefixlen": values.get("default_prefixlen", shortest),
        }
        _check_lengths(version, **lengths)
        project = project_of(draft, values)
        scope = self._scope(draft, values["address_scope_id"], project)
        if scope is not None:
            check_scope(draft, scope, version, prefixes)
        stored = lengths | {name: values[name] for name in ("name", "description")}
        uuid = draft.insert(
            SubnetPool,
            stored
            | {
                "project_id": project,
                "ip_version": version,
                "prefixes": frozenset(prefixes),
                "default_quota": values.get("default_quota"),
                "address_scope": None if scope is None else scope.uuid,
                "allowed_by": grants(draft, project, () if scope is None else (scope,)),
            },
        )
        if values["shared"]:
            if scope is not None:
                check_scope_allows(uuid, scope, EVERY_PROJECT)
            share(draft, RBACPolicy.subnet_pool, uuid, project=project)
        if values["is_default"]:
            self._make_default(draft, version, uuid)
        return uuid

    def update(self, draft: Draft, row: SubnetPool, values: dict[str, Any]) -> None:
        """Write a change of a pool; its prefixes can be extended but not reduced."""
        changed = {name: values[name] for name in values if name not in ("prefixes", "is_default", "address_scope_id")}
        scope = row.address_scope
        if scope is not None and not draft.caller.admin and scope.project_id != draft.caller.project:
            raise IllegalSubnetPoolUpdate(
                reason=f"subnetpool {row.uuid} cannot be updated when associated with shared address scope {scope.uuid}"
            )
        if "address_scope_id" in values and values["address_scope_id"] != SubnetPool.address_scope.raw(row):
            scope = self._scope(draft, values["address_scope_id"], row.project_id)
            changed["address_scope"] = None if scope is None else scope.uuid
            changed["allowed_by"] = grants(draft, row.project_id, () if scope is None else (scope,))
            check_same_scope(draft, row)
        if "prefixes" in values:
            prefixes = _compact(values["prefixes"])
            there = _ranges(row.prefixes)
            if _version(prefixes) != row.ip_version or any(gaps(there, _ranges(prefixes))):
                raise IllegalSubnetPoolPrefixUpdate(msg="Existing prefixes must be a subset of the new prefixes")
            changed["prefixes"] = frozenset(prefixes)
        if scope is not None and ("prefixes" in changed or "address_scope" in changed):
            check_scope(draft, scope, row.ip_version, changed.get("prefixes", row.prefixes), row)
        _check_lengths(
            row.ip_version,
            *(values.get(name, row[name]) for name in ("min_prefixlen", "max_prefixlen", "default_prefixlen")),
        )
        draft.update(row, changed)
        is_default = row.referrers(DefaultSubnetPool.subnet_pool)
        if values.get("is_default", bool(is_default)) == bool(is_default):
            return
        if is_default:
            draft.transaction.delete(is_default[0])
        else:
            self._make_default(draft, row.ip_version, row.uuid)

    def delete(self, draft: Draft, row: SubnetPool) -> None:
        """Write the removal of a pool; a pool with subnets cannot be removed."""
        if row.referrers(Subnet.subnet_pool):
            raise SubnetPoolDeleteError(reason="Subnet pool has existing allocations")
        for default in row.referrers(DefaultSubnetPool.subnet_pool):
            draft.transaction.delete(default)
        unshare(draft, row)
        draft.transaction.delete(row)

    def _scope(self, draft: Draft, uuid: str | None, project: str) -> AddressScope | None:
        """Return the address scope of a new or changed pool, which the pool's project may use."""
        if uuid is None:
            return None
        scope = self.databases.store.table(AddressScope).get(UUID(uuid))
        if scope is None:
            raise AddressScopeNotFound(id=uuid)
        if not draft.caller.admin and scope.project_id != project and grant(scope, project) is None:
            raise AddressScopeNotFound(id=uuid)
        return scope

    def _make_default(self, draft: Draft, version: int, uuid: UUID) -> None:
        if self.databases.is_taken(draft, (DefaultSubnetPool.ip_version, version)):
            raise InvalidInput(
                error_message="A default subnetpool for this IP family has already been set. Only one default may "
                "exist per IP family"
            )
        self.databases.take(draft, (DefaultSubnetPool.ip_version, version))
        draft.transaction.insert(DefaultSubnetPool, {"ip_version": version, "subnet_pool": uuid})

    # -- actions ------------------------------------------------------------------------------------------------------

    def add(self, draft: Draft, row: SubnetPool, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add prefixes to a pool, and return all its prefixes.

        Arguments:
            draft: the transaction.
            row: the pool.
            body: the request's, parsed.
        """
        return _write(draft, row, _compact([*row.prefixes, *_prefixes_in(body)]))

    def remove(self, draft: Draft, row: SubnetPool, body: Mapping[str, Any]) -> dict[str, Any]:
        """Remove unused prefixes from a pool, and return the remaining ones.

        Arguments:
            draft: the transaction.
            row: the pool.
            body: the request's, parsed.

        Raises:
            IllegalSubnetPoolPrefixUpdate: a subnet uses one of them.
        """
        version = row.ip_version
        given = _ranges(block for block in _compact_each(_prefixes_in(body)) if _version([block]) == version)
        if any(overlaps(allocated(draft, row).blocks, block) for block in given):
            raise IllegalSubnetPoolPrefixUpdate(msg="One or more the prefixes to be removed is in use by a subnet.")
        left = _blocks(version, gaps(_ranges(row.prefixes), given))
        return _write(draft, row, left)

    def onboard(self, draft: Draft, row: SubnetPool, body: Mapping[str, Any]) -> list[dict[str, str]]:
        """Onboard a network's subnets: assign them to the pool and add their CIDRs to its prefixes; return them.

        Arguments:
            draft: the transaction.
            row: the pool.
            body: the request's, parsed: `network_id`.

        Raises:
            NeutronError: the network does not exist or is not the caller's, or a subnet cannot be onboarded.
        """
        wanted = body.get("network_id")
        if not isinstance(wanted, str):
            raise InvalidInput(error_message="network_id must be specified.")
        network = self.databases.store.table(Network).get(UUID(wanted))
        if network is None:
            raise NetworkNotFound(id=wanted)
        if not draft.caller.admin and network.project_id != draft.caller.project:
            raise NotAuthorized
        subnets: list[Subnet] = [
            subnet for subnet in network.referrers(Subnet.network) if address_range(subnet.cidr)[0] == row.ip_version
        ]
        there = allocated(draft, row)
        for subnet in subnets:
            if overlaps(there.blocks, address_range(subnet.cidr)[1:]):
                raise IllegalSubnetPoolUpdate(
                    reason=f"Onboarding subnet {subnet.uuid}: {subnet.cidr} conflicts with allocated prefixes in "
                    f"subnet pool {row.uuid}"
                )
        _write(draft, row, _compact([*row.prefixes, *(subnet.cidr for subnet in subnets)]))
        draft.touch(network)  # fails if a subnet outside of the pool is added concurrently
        for subnet in subnets:
            draft.update(subnet, {"subnet_pool": row.uuid, "allowed_by": grants(draft, subnet.project_id, (row,))})
        return [{"id": subnet.uuid, "cidr": subnet.cidr} for subnet in subnets]


def default_pool(databases: Databases, draft: Draft, version: int) -> SubnetPool | None:
    """Return the default pool of an IP version, if there is one that the caller may use.

    Arguments:
        databases: the databases with the pools.
        draft: the transaction, with its caller.
        version: 4 or 6.
    """
    for row in databases.store.select(DefaultSubnetPool.ip_version, version):
        pool: SubnetPool = row.subnet_pool
        own = draft.caller.admin or pool.project_id == draft.caller.project
        if own or grant(pool, draft.caller.project) is not None:
            return pool
    return None


def _write(draft: Draft, row: SubnetPool, prefixes: list[str]) -> dict[str, Any]:
    """Write a pool's prefixes, and return them in the form of the actions' responses."""
    if len(prefixes) > MOST_PREFIXES:
        raise HTTPBadRequest(reason=f"{len(prefixes)} prefixes exceed the maximum of {MOST_PREFIXES} in a subnet pool")
    if row.address_scope is not None:
        check_scope(draft, row.address_scope, row.ip_version, prefixes, row)
    draft.update(row, {"prefixes": frozenset(prefixes)})
    return {"prefixes": sorted(prefixes, key=address_range)}


def _prefixes_in(body: Mapping[str, Any]) -> list[str]:
    """Return the prefixes in the request of an action."""
    given = body.get("prefixes")
    if not given or not isinstance(given, list):
        raise HTTPBadRequest(reason="Request body contains invalid data")
    try:
        prefixes: list[str] = PREFIXES(given)
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for prefixes. Reason: {error}.") from error
    return prefixes


def _compact(prefixes: Iterable[str]) -> list[str]:
    """Return the fewest prefixes with the same addresses, in order; all are of one IP version.

    Raises:
        PrefixVersionMismatch: the prefixes have different IP versions.
    """
    prefixes = list(prefixes)
    if len({address_range(block)[0] for block in prefixes}) > 1:
        raise PrefixVersionMismatch
    return _compact_each(prefixes)


def _compact_each(prefixes: Iterable[str]) -> list[str]:
    """Return the fewest prefixes with the same addresses, for each IP version."""
    ranges: dict[int, list[Range]] = {4: [], 6: []}
    for version, first, last in sorted(map(address_range, prefixes)):
        found = ranges[version]
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return [block for version in (4, 6) for block in _blocks(version, ranges[version])]


def _blocks(version: int, ranges: Iterable[Range]) -> list[str]:
    """Return the fewest prefixes that cover ranges of addresses."""
    written = ipv4_text if version == 4 else ipv6_text
    bits = BITS[version] + 1
    return [f"{written(at)}/{bits - size.bit_length()}" for low, high in ranges for at, size in aligned(low, high)]


def _version(prefixes: list[str]) -> int | None:
    """Return the common IP version of prefixes; None if there are no prefixes."""
    return address_range(prefixes[0])[0] if prefixes else None


def _ranges(prefixes: Iterable[str]) -> list[Range]:
    """Return the address ranges of prefixes of one IP version, in order."""
    return sorted(address_range(block)[1:] for block in prefixes)


def _check_lengths(version: int, min_prefixlen: int, max_prefixlen: int, default_prefixlen: int) -> None:
    """Check that the minimum, maximum and default prefix lengths of a pool are consistent.

    Raises:
        IllegalSubnetPoolPrefixBounds: they are not.
    """
    for name, length, than, limit, wrong in (
        ("min_prefixlen", min_prefixlen, "max_prefixlen", max_prefixlen, min_prefixlen > max_prefixlen),
        ("max_prefixlen", max_prefixlen, "ip_version_max", BITS[version], max_prefixlen > BITS[version]),
        ("default_prefixlen", default_prefixlen, "min_prefixlen", min_prefixlen, default_prefixlen < min_prefixlen),
        ("default_prefixlen", default_prefixlen, "max_prefixlen", max_prefixlen, default_prefixlen > max_prefixlen),
    ):
        if wrong:
            raise IllegalSubnetPoolPrefixBounds(
                prefix_type=name, prefixlen=length, base_prefix_type=than, base_prefixlen=limit
            )
