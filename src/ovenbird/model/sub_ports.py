"""Sub-ports of trunks: where OVN finds their packets.

OVN handles sub-ports of parent ports that a virtual switch connects. A parent port that is connected directly to a
physical network has a trunk in name only: whoever configures the physical switch puts the VLANs there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model.binding_profile import is_external
from ovenbird.model.cloud import SubPort, Trunk

if TYPE_CHECKING:
    from ovenbird.model.cloud import Port


def place_in_trunk(port: Port) -> tuple[str, int] | None:
    """Return the parent port and the VLAN tag of a sub-port; None for other ports, and where OVN handles no trunk."""
    found: SubPort | None = port.referrer(SubPort.port)
    if found is None or is_external(found.trunk.port):
        return None
    return Trunk.port.raw(found.trunk), found.segmentation_id
