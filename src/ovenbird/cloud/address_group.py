"""Address groups: an address set for each IP version, to which the ACLs of security groups refer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.cloud import names
from ovenbird.engine.facts import Rows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model import cloud, nb
from ovenbird.net.ip import is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Row


def _own_set(row: Row) -> str | None:
    name: str = row["name"]
    return name if name.startswith("ag_") else None


ADDRESS_SETS = Rows(
    nb.AddressSet,
    key=(nb.AddressSet.name,),
    values=(nb.AddressSet.addresses, nb.AddressSet.external_ids),
    key_of=_own_set,
)


@rule(cloud.AddressGroup)
def address_sets(group: cloud.AddressGroup) -> Iterator[Fact]:
    """Yield the two address sets of an address group."""
    known = frozenset(filter(is_prefix, group.addresses))
    for text in group.addresses - known:
        yield finding(group, f"address group {group.uuid}: {text!r} is no prefix, and is left out")
    v6 = frozenset(prefix for prefix in known if ":" in prefix)
    ids = (("neutron:address_group_id", group.uuid), (names.REVISION, str(group.revision_number)))
    name = names.address_group(group.uuid)
    yield ADDRESS_SETS(f"{name}_ip4", known - v6, ids)
    yield ADDRESS_SETS(f"{name}_ip6", v6, ids)
