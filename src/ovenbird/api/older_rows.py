"""Rows of older releases, which the service converts when it first connects to the database.

Before there were RBAC policies, a column said whether a network or a subnet pool is shared with every project,
and every project could use every external network. Before there were templates, the rules of new security groups were
Neutron's, as they are at first in a new database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.access.sharing import EXTERNAL, is_shared, policies, share
from ovenbird.api.rule_templates import store_templates
from ovenbird.model.cloud import Network, RBACPolicy, SubnetPool

if TYPE_CHECKING:
    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import Row, Store

ONCE_SHARED: tuple[tuple[type[Row], Any], ...] = (
    (Network, RBACPolicy.network),
    (SubnetPool, RBACPolicy.subnet_pool),
)
"""The tables with the column `shared`, and the column of policies that refers to each."""


def renew(store: Store, draft: Draft) -> None:
    """Write the policies and templates that older releases did not have; nothing if there is nothing left to do.

    If several processes do it at once, the index of policies lets one through.

    Arguments:
        store: the rows.
        draft: the transaction.
    """
    store_templates(store, draft)
    for table, column in ONCE_SHARED:
        for row in store.table(table).rows.values():
            if not row["shared"]:
                continue
            if not is_shared(row):
                share(draft, column, row.uuid, project=row["project_id"])
            draft.transaction.update(row, {"shared": False})
    for network in store.table(Network).rows.values():
        if network.external and not policies(network, EXTERNAL):
            share(draft, RBACPolicy.network, network.uuid, project=network.project_id, action=EXTERNAL)
