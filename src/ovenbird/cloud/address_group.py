"""Address groups: an address set for each IP version, to which the ACLs of security groups refer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model import cloud, nb
from ovenbird.net.ip import is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation


class AddressSetRow(NamedTuple):
    """The addresses of one IP version."""

    relation: Relation
    name: str
    addresses: frozenset[str]
    external_ids: Pairs


def _own_set(row: nb.AddressSet) -> str | None:
    return row.name if row.name.startswith("ag_") else None


ADDRESS_SETS = NamedRows(nb.AddressSet, AddressSetRow, key=nb.AddressSet.name, key_of=_own_set)


@rule(cloud.AddressGroup)
def address_sets(group: cloud.AddressGroup) -> Iterator[Fact]:
    """Yield the two address sets of an address group."""
    known = frozenset(filter(is_prefix, group.addresses))
    for text in group.addresses - known:
        yield finding(group, f"address group {group.uuid}: {text!r} is not an IP prefix, and is left out")
    v6 = frozenset(prefix for prefix in known if ":" in prefix)
    ids = (("neutron:address_group_id", group.uuid), (names.REVISION, str(group.revision_number)))
    name = names.address_group(group.uuid)
    yield ADDRESS_SETS(f"{name}_ip4", addresses=known - v6, external_ids=ids)
    yield ADDRESS_SETS(f"{name}_ip6", addresses=v6, external_ids=ids)
