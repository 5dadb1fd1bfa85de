"""A layer-2 segment: a bridge in a namespace of its own, to which hosts are connected by veth pairs.

It has no connection to the machine's own networks, so that labs never meet.
"""

from ovenbird.dataclass import dataclass
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.state import Kind, State

_MAC = "02:6f:62:00:00:01"
"""The bridge's MAC address. By default it is the lowest of its cables', which may change when a host is added; routers
would go on sending to the old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class L2Segment:
    """A segment of a lab.

    Arguments:
        layout: the lab it belongs to.
        namespace: the bridge's namespace.
        bridge: its name.
        link: the name of the hosts' ends of their cables.
        mtu: of bridge and cables, in bytes.
    """

    layout: Layout
    namespace: Namespace
    bridge: str
    link: str
    mtu: int = 1500

    def make(self, state: State) -> None:
        """Create the bridge."""
        state.add(Kind.NAMESPACE, self.namespace.name)
        self.namespace.make("ipv6/conf/default/disable_ipv6=1")
        made = f"link add {self.bridge} address {_MAC} mtu {self.mtu} type bridge"
        self.namespace.batch([made, f"link set {self.bridge} up"])

    def join(self, host: str) -> None:
        """Create the cable to a host whose namespace exists."""
        port = f"host{self.layout.host_number(host)}"
        peer = f"peer name {self.link} mtu {self.mtu} netns {self.layout.host_namespace(host)}"
        self.namespace.batch(
            [
                f"link add {port} mtu {self.mtu} type veth {peer}",
                f"link set {port} master {self.bridge} up",
            ]
        )
