"""An instance: a namespace that stands for a virtual machine, plugged into a hypervisor's br-int.

A veth pair takes the place of Nova's tap device: one end is `eth0` in the instance, with the port's MAC address; the
other is plugged into br-int with the port's id as `iface-id`. The lab configures nothing else: the instance gets its
IPv4 address by DHCP, and its IPv6 address from router advertisements.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.dhcp import DhcpClient, Lease
from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.layout import INSTANCE_MTU, Layout
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.process import ProcessSpec

INTERFACE = "eth0"

_SOLICITING = tuple(
    f"ipv6/conf/default/{knob}=1"
    for knob in ("router_solicitation_delay", "router_solicitation_interval", "router_solicitation_max_interval")
)
"""Kernel settings by which an instance solicits routers every second, without back-off (RFC 7559)."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a lab.

    Arguments:
        layout: the lab it belongs to.
        name: unique in the lab.
        host: the hypervisor it runs on.
        port_id: its logical port.
        mac: its hardware address.
        network: the name of its network, for people.
        dhcp: whether it has a DHCP client.
        owned: whether its port was created by `boot`, and is deleted with it.
    """

    layout: Layout
    name: str
    _: KW_ONLY
    host: str
    port_id: str
    mac: str
    network: str = ""
    dhcp: bool = True
    owned: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the instance as the state file keeps it, without layout and name."""
        return {
            "host": self.host,
            "port_id": self.port_id,
            "mac": self.mac,
            "network": self.network,
            "dhcp": self.dhcp,
            "owned": self.owned,
        }

    @classmethod
    def from_json(cls, layout: Layout, name: str, value: Mapping[str, Any]) -> "Instance":
        """Read what `to_json` wrote.

        Arguments:
            layout: of the lab.
            name: the instance's.
            value: what was written.
        """
        return cls(layout, name, **value)

    @property
    def namespace(self) -> Namespace:
        """Its namespace."""
        return Namespace(self.layout.instance_namespace(self.name), owner=self.layout.owner)

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor it runs on."""
        return Hypervisor(self.layout, self.host)

    @property
    def rundir(self) -> Path:
        """The directory of its lease and logs."""
        return self.layout.instance_rundir(self.name)

    @property
    def device(self) -> str:
        """The hypervisor's end of its cable, named as Nova names tap devices."""
        return f"tap{self.port_id[:11]}"

    @property
    def dhcp_client(self) -> DhcpClient:
        """Its DHCP client."""
        return DhcpClient.choose(self.rundir, interface=INTERFACE, hostname=self.name)

    @property
    def lease(self) -> Lease | None:
        """Its DHCP lease, or None."""
        return self.dhcp_client.lease() if self.dhcp else None

    @property
    def address(self) -> str | None:
        """Its IPv4 address, or None."""
        lease = self.lease
        return lease.address if lease else None

    @property
    def address6(self) -> str | None:
        """Its global IPv6 address, or None."""
        (link,) = json.loads(self.run("ip", "-json", "-6", "address", "show", "dev", INTERFACE, "scope", "global")) or [
            {}
        ]
        return next((found["local"] for found in link.get("addr_info", ())), None)

    @property
    def process_name(self) -> str:
        """The name of its DHCP client among the lab's processes."""
        return f"{self.name}-dhcp"

    def dhcp_process(self) -> ProcessSpec:
        """Return the specification of its DHCP client."""
        log = str(self.rundir / "dhcp.log")
        return ProcessSpec(self.process_name, self.dhcp_client.argv, log, namespace=self.namespace.name)

    def make(self) -> None:
        """Create the namespace and its cable, and plug it in. The namespace must be recorded already."""
        self.rundir.mkdir(parents=True, exist_ok=True)
        self.namespace.make(*_SOLICITING)
        peer = f"peer name {self.device} mtu {INSTANCE_MTU} netns {self.layout.host_namespace(self.host)}"
        self.namespace.batch(
            [
                f"link add {INTERFACE} address {self.mac} mtu {INSTANCE_MTU} type veth {peer}",
                f"link set {INTERFACE} up",
            ]
        )
        # The userspace datapath hands packets on as they are: a checksum left to "hardware" would never be made.
        self.namespace.run("ethtool", "-K", INTERFACE, "tx", "off")
        self.hypervisor.namespace.batch([f"link set {self.device} up"])
        if self.dhcp:
            self.dhcp_client.prepare()
        self.hypervisor.plug(self.device, port_id=self.port_id, mac=self.mac)

    def run(self, *argv: str, timeout: float = 30.0) -> str:
        """Run a program in the instance to its end and return its output.

        Raises:
            CommandError: it failed.
        """
        return self.namespace.run(*argv, timeout=timeout)

    def pings(self, address: str, *, count: int = 1, wait: float = 1.0) -> bool:
        """Return whether an echo request to an address is answered.

        Arguments:
            address: the destination.
            count: how many requests; one answer is enough.
            wait: seconds for an answer.
        """
        command = f"ping -n -c {count} -W {wait:g} {address} || true"
        return "bytes from" in self.run("sh", "-c", command, timeout=count + wait + 10)
