"""The metadata agent's entry in Chassis_Private: its id, and the last `nb_cfg` that it has served.

The keys of `external_ids` are those of Neutron's metadata agent, so that its API lists this one as it lists its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import NAMESPACE_DNS, uuid5

from ovenbird.model.chassis import answering_row
from ovenbird.model.sb import SBGlobal

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Client

ID, NUMBER = "neutron:ovn-metadata-id", "neutron:ovn-metadata-sb-cfg"

_NAMES = uuid5(NAMESPACE_DNS, "metadata.ovenbird")


async def report(southbound: Client, chassis: str) -> None:
    """Report that everything up to Southbound's current `nb_cfg` is served, unless this is already reported.

    Arguments:
        southbound: a client that has SB_Global and the chassis's row.
        chassis: the chassis's name.

    Raises:
        OvsdbError, Disconnected: the report could not be written.
    """
    private = answering_row(southbound, chassis)
    if private is None:
        return
    number = next((row.nb_cfg for row in southbound.store.table(SBGlobal)), 0)
    said = {ID: str(uuid5(_NAMES, chassis)), NUMBER: str(number)}
    if said.items() <= private.external_ids.items():
        return
    transaction = southbound.transaction()
    transaction.mutate(private, "external_ids", delete=said, insert=said)
    await southbound.commit(transaction)
