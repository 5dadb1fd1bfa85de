"""The underlay: the segment that joins a lab's hypervisors, as a data centre's network does."""

from ovenbird.lab.namespace import Namespace
from ovenbird.lab.plan import UNDERLAY_MTU, Plan
from ovenbird.lab.segment import Segment

UPLINK = "eth0"
"""The hypervisors' end of the cable."""


def underlay(plan: Plan) -> Segment:
    """Return a lab's underlay; its cables carry what tunnels add to 1500 bytes."""
    return Segment(plan, Namespace(plan.underlay, plan.owner), "br-underlay", UPLINK, UNDERLAY_MTU)
