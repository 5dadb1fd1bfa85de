"""Connections that end with a row of Southbound, and are known by their labels.

ovn-sb(5), ACL_ID: the connections of an ACL that outlive other changes of ACLs are committed with its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import LABELLED
from ovenbird.engine.rules import rule
from ovenbird.model.sb import ACLID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

_ACL_ID = 80, 16
"""The bits of `ct_label` with the number of an ACL: the lowest one, and how many."""


@rule(ACLID)
def of_acl(row: ACLID) -> Iterator[Fact]:
    """Yield the connections of an ACL, in all zones."""
    if row.id:
        low, width = _ACL_ID
        yield LABELLED(zone=None, low=low, width=width, value=row.id)
