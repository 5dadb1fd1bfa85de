"""A segment: one Ethernet, as a bridge in a namespace of its own, to which hosts have cables.

Nothing connects it to the machine's own networks, so that labs cannot meet there.
"""

from dataclasses import dataclass

from ovenbird.lab.namespace import Namespace
from ovenbird.lab.plan import Plan
from ovenbird.lab.state import Kind, State


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a lab.

    Arguments:
        plan: the lab it belongs to.
        namespace: that holds the bridge.
        bridge: its name.
        link: the name of the hosts' ends of their cables.
        mtu: of bridge and cables, in bytes.
    """

    plan: Plan
    namespace: Namespace
    bridge: str
    link: str
    mtu: int = 1500

    def make(self, state: State) -> None:
        """Create the bridge."""
        state.add(Kind.NAMESPACE, self.namespace.name)
        self.namespace.make("ipv6/conf/default/disable_ipv6=1")
        self.namespace.batch([f"link add {self.bridge} mtu {self.mtu} type bridge", f"link set {self.bridge} up"])

    def join(self, host: str) -> None:
        """Lay the cable to a host whose namespace exists."""
        port = f"host{self.plan.host_number(host)}"
        peer = f"peer name {self.link} mtu {self.mtu} netns {self.plan.host_namespace(host)}"
        self.namespace.batch(
            [
                f"link add {port} mtu {self.mtu} type veth {peer}",
                f"link set {port} master {self.bridge} up",
            ]
        )
