"""The outside world: a namespace that plays what is beyond the cloud, on one segment with the gateways.

It has an address, so that instances have somebody to talk to, and whoever reaches floating IPs from here reaches them
as the rest of the world would. Like the underlay, nothing connects it to the machine's own networks.
"""

from dataclasses import dataclass

from ovenbird.lab.namespace import Namespace
from ovenbird.lab.plan import Plan
from ovenbird.lab.state import Kind, State

PHYSICAL_NETWORK = "public"
"""The segment's name in bridge mappings and in the API's `provider:physical_network`."""
SUBNET = "172.24.4.0/24"
ADDRESS = "172.24.4.1"
POOL = ("172.24.4.10", "172.24.4.200")
"""The segment's addresses: all of them, the outside world's own, and those that the cloud may use."""

OUTSIDE_LINK = "eth1"
"""The gateways' end of the cable."""

_BRIDGE = "br-outside"


@dataclass(frozen=True, slots=True)
class Outside:
    """The segment outside of a lab's cloud.

    Args:
        plan: the lab it belongs to.
    """

    plan: Plan

    @property
    def namespace(self) -> Namespace:
        """The namespace that plays it."""
        return Namespace(self.plan.outside)

    def make(self, state: State) -> None:
        """Create the segment."""
        state.add(Kind.NAMESPACE, self.namespace.name)
        self.namespace.make("ipv6/conf/default/disable_ipv6=1")
        self.namespace.batch(
            [
                f"link add {_BRIDGE} type bridge",
                f"link set {_BRIDGE} up",
                f"address add {ADDRESS}/{SUBNET.rpartition('/')[2]} dev {_BRIDGE}",
            ]
        )
        # The userspace datapath hands packets on as they are: a checksum left to "hardware" would never be made.
        self.namespace.run("ethtool", "-K", _BRIDGE, "tx", "off")

    def join(self, host: str) -> None:
        """Lay the cable to a gateway whose namespace exists: its end is called `eth1`."""
        port = f"host{self.plan.host_number(host)}"
        self.namespace.batch(
            [
                f"link add {port} type veth peer name {OUTSIDE_LINK} netns {self.plan.host_namespace(host)}",
                f"link set {port} master {_BRIDGE} up",
            ]
        )

    def pings(self, address: str, count: int = 1, wait: float = 1.0) -> bool:
        """Say whether an echo request from here is answered."""
        command = f"ping -n -c {count} -W {wait:g} {address} || true"
        return "bytes from" in self.namespace.run("sh", "-c", command, timeout=count + wait + 10)
