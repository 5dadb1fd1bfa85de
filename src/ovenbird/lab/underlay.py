"""The underlay: one bridge in a namespace of its own, to which every hypervisor has a cable.

It stands for the data centre's network. Nothing connects it to the machine's own networks, so labs cannot meet there.
"""

from dataclasses import dataclass

from ovenbird.lab.namespace import Namespace
from ovenbird.lab.plan import UNDERLAY_MTU, Plan
from ovenbird.lab.state import Kind, State

_BRIDGE = "br-underlay"

UPLINK = "eth0"
"""The hypervisors' end of the cable."""


@dataclass(frozen=True, slots=True)
class Underlay:
    """The network that joins a lab's hypervisors.

    Args:
        plan: the lab it belongs to.
    """

    plan: Plan

    @property
    def namespace(self) -> Namespace:
        """The namespace that holds the bridge."""
        return Namespace(self.plan.underlay)

    def make(self, state: State) -> None:
        """Create the bridge."""
        state.add(Kind.NAMESPACE, self.namespace.name)
        self.namespace.make("ipv6/conf/default/disable_ipv6=1")
        self.namespace.batch([f"link add {_BRIDGE} mtu {UNDERLAY_MTU} type bridge", f"link set {_BRIDGE} up"])

    def join(self, host: str) -> None:
        """Lay the cable to a hypervisor whose namespace exists: its end is called `eth0` and carries 1600 bytes."""
        port = f"host{self.plan.host_number(host)}"
        peer = f"peer name {UPLINK} mtu {UNDERLAY_MTU} netns {self.plan.host_namespace(host)}"
        self.namespace.batch(
            [
                f"link add {port} mtu {UNDERLAY_MTU} type veth {peer}",
                f"link set {port} master {_BRIDGE} up",
            ]
        )
