"""MACs of ports: requested ones, or random ones in OpenStack's range; unique within a network by an index."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ovenbird.api.errors.port import MacAddressGenerationFailure, MacAddressInUse
from ovenbird.model.cloud import Network, Port

if TYPE_CHECKING:
    from ovenbird.api.databases import Databases, Draft

PREFIX = "fa:16:3e"
"""OpenStack's MAC prefix."""

TRIES = 16
"""How many random MACs are tried before an error is returned."""


def reserve_mac(databases: Databases, draft: Draft, network: Network, wanted: str | None = None) -> str:
    """Reserve a port's MAC, requested or random, in the draft, and return it.

    Arguments:
        databases: contain the MACs that are taken.
        draft: the transaction.
        network: of the port.
        wanted: the requested MAC; None for a random one.

    Raises:
        MacAddressInUse: the requested MAC is taken.
        MacAddressGenerationFailure: every random MAC was taken.
    """
    for _ in range(1 if wanted is not None else TRIES):
        chosen = wanted or f"{PREFIX}:{secrets.token_bytes(3).hex(':')}"
        key = (Port.network, network.uuid), (Port.mac_address, chosen)
        if not databases.is_taken(draft, *key):
            databases.take(draft, *key)
            return chosen
    if wanted is not None:
        raise MacAddressInUse(network=network.uuid, mac=wanted)
    raise MacAddressGenerationFailure(network=network.uuid)
