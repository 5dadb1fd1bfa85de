"""The world of the routed tests: two networks behind a router, both IP versions, and a way out on a host of its own.

    hv1: red1          hv2: red2, blue2          hv3: the gateway, no instances          the outside world

Network `red` gives IPv6 addresses by SLAAC, `blue` by DHCPv6. All hosts have a cable to the outside world,
for what does not go through the gateway; only hv3 offers itself as one. Whatever the tests add they take away.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ovenbird.lab import external_network
from ovenbird.lab.command import run
from ovenbird.lab.external_network import OUTSIDE_LINK, ExternalNetwork
from ovenbird.lab.hypervisor import EXTERNAL_BRIDGE
from ovenbird.lab.underlay import UPLINK
from support.live.capture import Capture
from support.live.traffic import SNIFF, Program
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovenbird.lab.hypervisor import Hypervisor
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab
    from ovenbird.lab.neutron import Neutron

HOSTS = ("hv1", "hv2", "hv3")
GATEWAY = "hv3"
SETTINGS = {"metadata": "true"}
NETWORKS = {
    "red": ("10.1.0.0/24", "fd00:1::/64", "slaac"),
    "blue": ("10.2.0.0/24", "fd00:2::/64", "dhcpv6-stateful"),
}
GROUP = "open"


def offer_gateways(lab: Lab, *hosts: str) -> None:
    """Have these hosts, and no others, offer themselves as gateways; all keep their cables to the outside world."""
    for host in lab.layout.hosts:
        if host in hosts:
            offer = ("set", "Open_vSwitch", ".", "external_ids:ovn-cms-options=enable-chassis-as-gw")
            lab.hypervisor(host).vsctl(*offer)
        else:
            lab.hypervisor(host).vsctl("remove", "Open_vSwitch", ".", "external_ids", "ovn-cms-options")


def port_addresses(neutron: Neutron, instance: Instance) -> list[str]:
    """Return the addresses that the API has given to an instance."""
    return [fixed["ip_address"] for fixed in neutron.show("port", instance.port_id)["fixed_ips"]]


@dataclass
class World:
    """What the tests share.

    Args:
        lab: the cloud.
        ids: the ids of what was made, by name.
        instances: by name.
    """

    lab: Lab
    ids: dict[str, str] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)

    def build(self) -> World:
        """Make everything, through the API."""
        offer_gateways(self.lab, GATEWAY)
        with self.lab.neutron() as neutron:
            self.ids[GROUP] = group = neutron.create("security_group", name=GROUP)["id"]
            for version in ("IPv4", "IPv6"):
                neutron.create("security_group_rule", security_group_id=group, direction="ingress", ethertype=version)
            self.ids["router"] = router = neutron.create("router", name="router")["id"]
            for name, (cidr4, cidr6, mode) in NETWORKS.items():
                self.ids[name] = network = neutron.create("network", name=name)["id"]
                modes = {"ipv6_ra_mode": mode, "ipv6_address_mode": mode, "gateway_ip": cidr6.replace("::/64", "::1")}
                subnets: list[tuple[int, str, dict[str, str]]] = [(4, cidr4, {}), (6, cidr6, modes)]
                for family, prefix, more in subnets:
                    subnet = neutron.create("subnet", network_id=network, ip_version=family, cidr=prefix, **more)
                    self.ids[f"{name}{family}"] = subnet["id"]
                    neutron.act("router", router, "add_router_interface", subnet_id=subnet["id"])
            self.ids["public"] = self.external(
                neutron, "public", external_network.EXTERNAL_SUBNET, external_network.ADDRESS, external_network.POOL
            )
            neutron.update("router", router, external_gateway_info={"network_id": self.ids["public"]})
        until(lambda: self.gateways == [GATEWAY], what=f"{GATEWAY} to be the gateway")
        for name, host in (("red1", "hv1"), ("red2", "hv2"), ("blue2", "hv2")):
            self.instances[name] = self.lab.boot(name, network=name[:-1], host=host, security_groups=(GROUP,))
        return self

    @staticmethod
    def external(neutron: Neutron, name: str, cidr: str, gateway: str, pool: Sequence[str], **provider: Any) -> str:
        """Make an external network on the outside world's segment, and return its id."""
        kind = {
            "provider:network_type": "flat",
            "provider:physical_network": external_network.PHYSICAL_NETWORK,
            **provider,
        }
        network: str = neutron.create("network", name=name, **{"router:external": True, **kind})["id"]
        pools = [{"start": pool[0], "end": pool[1]}]
        addresses = {"cidr": cidr, "gateway_ip": gateway, "allocation_pools": pools, "enable_dhcp": False}
        neutron.create("subnet", network_id=network, ip_version=4, **addresses)
        return network

    def __getitem__(self, name: str) -> Instance:
        """Return the instance of a name."""
        return self.instances[name]

    @property
    def outside(self) -> ExternalNetwork:
        """The outside world."""
        return ExternalNetwork(self.lab.layout)

    def hypervisor(self, name: str) -> Hypervisor:
        """Return the hypervisor of a name."""
        return self.lab.hypervisor(name)

    @property
    def gateways(self) -> list[str]:
        """The hosts that carry the routers' traffic to external networks now, each once."""
        redirects = [["type", "==", "chassisredirect"]]
        bound = {"op": "select", "table": "Port_Binding", "where": redirects, "columns": ["chassis"]}
        names = {"op": "select", "table": "Chassis", "where": [], "columns": ["_uuid", "name"]}
        query = json.dumps(["OVN_Southbound", bound, names])
        ports, chassis = json.loads(run(["ovsdb-client", "transact", self.lab.layout.remote("sb"), query]))
        name_of = {row["_uuid"][1]: row["name"] for row in chassis["rows"]}
        return sorted({name_of.get(str(row["chassis"][1]), "") for row in ports["rows"]} if ports["rows"] else [])

    def router_address(self, router: str = "router") -> str:
        """Return the address that a router has in the external network."""
        with self.lab.neutron() as neutron:
            gateway = neutron.show("router", self.ids[router])["external_gateway_info"]
        return str(gateway["external_fixed_ips"][0]["ip_address"])

    def on_wire(self, expression: str) -> Capture:
        """Listen at the outside world's end of its segment."""
        return Capture(self.outside.namespace, "br-outside", expression)

    @staticmethod
    def hears_of_a_router(instance: Instance) -> None:
        """Wait until an instance has an IPv6 route that a router advertised."""
        until(lambda: "proto ra" in instance.run("ip", "-6", "route", "show", "default"), what="an advertised route")

    @contextmanager
    def floating_ip(self, name: str) -> Iterator[str]:
        """Give an instance a floating IP for a while."""
        with self.lab.neutron() as neutron:
            made = neutron.create(
                "floatingip", floating_network_id=self.ids["public"], port_id=self.instances[name].port_id
            )
            address = str(made["floating_ip_address"])
            try:
                until(lambda: self.outside.pings(address, wait=0.3), what=f"{name} to answer at {address}")
                yield address
            finally:
                neutron.delete("floatingip", made["id"])

    def passes(self, send: Sequence[tuple[str, str]], host: str, device: str) -> list[bool]:
        """Say which of some pings a host's device sees.

        Args:
            send: pairs of instance and address; the last one must pass there, which ends the listening.
            host: whose device.
            device: `eth0`, the underlay, or `eth1`, the outside world's segment.
        """
        marks = [f"{0xB1D0_0B1D_0000 + number:012x}" for number in range(1, len(send) + 1)]
        argv = (sys.executable, "-c", SNIFF, device, *marks)
        with Program(self.hypervisor(host), *argv, ready=True) as listener:  # type: ignore[arg-type]
            for mark, (name, address) in zip(marks, send, strict=True):
                said = self.instances[name].run("ping", "-n", "-c", "3", "-i", "0.05", "-p", mark, address)
                assert "3 received" in said
            seen = set(listener.finish().split())
        return [mark in seen for mark in marks]

    def passes_gateway(self, send: Sequence[tuple[str, str]]) -> list[bool]:
        """Say which pings go through a tunnel of the gateway; the last one must."""
        return self.passes(send, GATEWAY, UPLINK)

    def passes_link(self, send: Sequence[tuple[str, str]], host: str) -> list[bool]:
        """Say which pings go through a host's cable to the outside world; the last one must."""
        return self.passes(send, host, OUTSIDE_LINK)


@contextmanager
def vlan_outside(world: World, tag: int, address: str) -> Iterator[None]:
    """Give the outside world an address on a VLAN of its segment for a while.

    A port of hv2's external bridge takes the tag off, as a data centre's switch would: not every kernel can.
    """
    hypervisor, device = world.hypervisor("hv2"), f"vlan{tag}"
    namespace = world.outside.namespace
    namespace.batch(
        [
            f"link add {device} type veth peer name {device} netns {hypervisor.namespace.name}",
            f"link set {device} up",
        ]
    )
    with ExitStack() as stack:
        stack.callback(namespace.batch, [f"link delete {device}"])
        namespace.run("sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
        namespace.batch([f"address add {address} dev {device}"])
        namespace.run("ethtool", "-K", device, "tx", "off")
        hypervisor.namespace.batch([f"link set {device} up"])
        stack.callback(hypervisor.vsctl, "--if-exists", "del-port", EXTERNAL_BRIDGE, device)
        hypervisor.vsctl("add-port", EXTERNAL_BRIDGE, device, f"tag={tag}")
        yield


def hop_limit(said: str) -> int:
    """Return the time to live of the answers that ping printed."""
    found = re.search(r"ttl=(\d+)", said)
    assert found is not None, said
    return int(found[1])
