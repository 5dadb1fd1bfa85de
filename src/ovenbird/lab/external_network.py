"""The external network of a lab: a namespace on one segment with the gateways, for what lies beyond the cloud.

It has an address that instances can reach, and it reaches floating IPs as hosts outside the cloud do.
"""

from ovenbird.dataclass import dataclass
from ovenbird.lab.l2_segment import L2Segment
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.state import State

PHYSICAL_NETWORK = "public"
"""The segment's name in bridge mappings and in the API's `provider:physical_network`."""
EXTERNAL_SUBNET = "172.24.4.0/24"
ADDRESS = "172.24.4.1"
POOL = ("172.24.4.10", "172.24.4.200")
"""The segment's addresses: all of them, the outside world's own, and those that the cloud may use."""

OUTSIDE_LINK = "eth1"
"""The gateways' end of the cable."""


@dataclass(frozen=True, slots=True)
class ExternalNetwork:
    """The outside of a lab's cloud.

    Arguments:
        layout: the lab it belongs to.
    """

    layout: Layout

    @property
    def namespace(self) -> Namespace:
        """Its namespace."""
        return Namespace(self.layout.outside, owner=self.layout.owner)

    @property
    def segment(self) -> L2Segment:
        """Its segment, to which the gateways are connected."""
        return L2Segment(layout=self.layout, namespace=self.namespace, bridge="br-outside", link=OUTSIDE_LINK)

    def make(self, state: State) -> None:
        """Create the segment, and the outside world's address on it."""
        segment = self.segment
        segment.make(state)
        self.namespace.batch([f"address add {ADDRESS}/{EXTERNAL_SUBNET.rpartition('/')[2]} dev {segment.bridge}"])
        # The userspace datapath hands packets on as they are: a checksum left to "hardware" would never be made.
        self.namespace.run("ethtool", "-K", segment.bridge, "tx", "off")

    def pings(self, address: str, *, count: int = 1, wait: float = 1.0) -> bool:
        """Return whether an echo request from here is answered.

        Arguments:
            address: the destination.
            count: how many requests are sent at most.
            wait: seconds for each answer.
        """
        command = f"ping -n -c {count} -W {wait:g} {address} || true"
        return "bytes from" in self.namespace.run("sh", "-c", command, timeout=count + wait + 10)
