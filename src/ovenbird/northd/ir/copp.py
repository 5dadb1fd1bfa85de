"""Control plane protection: meters for the packets that a switch or router sends to controllers, by kind of packet.

ovn-nb(5), Copp. The kinds are its keys: `arp`, `dhcpv4-opts`, `icmp4-error` and so on. A key whose meter does not exist
has no effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find
from ovenbird.engine.views import view
from ovenbird.model import nb

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNLIMITED: Mapping[str, str] = {}


def meters(network: nb.LogicalSwitch | nb.LogicalRouter) -> Mapping[str, str]:
    """Return the meters of a switch's or router's control plane protection, by kind of packet; usually none."""
    protection = network.copp
    return _there(protection) if protection is not None else _UNLIMITED


@view
def _there(protection: nb.Copp) -> Mapping[str, str]:
    """Return those of the meters that exist."""
    return {kind: name for kind, name in protection.meters.items() if find(nb.Meter.name, name) is not None}
