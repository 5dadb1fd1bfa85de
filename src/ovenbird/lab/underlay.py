"""The underlay: the layer-2 segment that connects a lab's hypervisors."""

from ovenbird.lab.l2_segment import L2Segment
from ovenbird.lab.layout import UNDERLAY_MTU, Layout
from ovenbird.lab.namespace import Namespace

UPLINK = "eth0"
"""The hypervisors' end of the cable."""


def underlay(layout: Layout) -> L2Segment:
    """Return a lab's underlay; its cables carry what tunnels add to 1500 bytes."""
    return L2Segment(
        layout=layout,
        namespace=Namespace(layout.underlay, owner=layout.owner),
        bridge="br-underlay",
        link=UPLINK,
        mtu=UNDERLAY_MTU,
    )
