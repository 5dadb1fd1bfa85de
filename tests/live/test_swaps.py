"""Swaps: in every arrangement of our programs and the originals, the demo topology works as its security group says.

Each arrangement goes through the same proofs: addresses by DHCP, a ping across hosts, the ports that the security
group names and no others, a rule added and removed through the API, an instance that leaves; and the routed ones: in by
a floating IP, out by the router's address, and between hosts from one network to another over both IP versions.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ovenbird.lab import demo_topology, external_network, programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import ApiError
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from ovenbird.lab.neutron import Neutron
from ovenbird.lab.process import ProcessSpec
from support.live.conversation import PORT, SERVER, Conversation, ask
from support.live.traffic import Program, connects, serve
from support.northd import newer_oracle
from support.waiting import until

pytestmark = pytest.mark.live

CENTRAL = {
    "ours in one process": programs.all_in_one,
    "ours, a process each": programs.split(),
    "the original's database server": programs.split(server=programs.ORIGINAL_SERVER),
    "the original's northd": programs.split(northd=programs.ORIGINAL_NORTHD),
    "the original's database server and northd": programs.split(
        server=programs.ORIGINAL_SERVER, northd=programs.ORIGINAL_NORTHD
    ),
}
CONTROLLERS = {
    "ours": {},
    "the originals": dict.fromkeys(("hv1", "hv2"), programs.ORIGINAL_CONTROLLER),
    "ours on hv1, the original on hv2": {"hv2": programs.ORIGINAL_CONTROLLER},
    "the original on hv1, ours on hv2": {"hv1": programs.ORIGINAL_CONTROLLER},
}
ARRANGEMENTS = [
    *((central, controllers) for central in CENTRAL for controllers in ("ours", "the originals")),
    *(("ours in one process", mixed) for mixed in CONTROLLERS if "hv1" in mixed),
    *(("the original's database server and northd", mixed) for mixed in CONTROLLERS if "hv1" in mixed),
]

NEWER = "a newer OVN's database server and northd"
CENTRAL[NEWER] = programs.split(
    server=(f"{newer_oracle.DIRECTORY}/ovsdb-server",), northd=(f"{newer_oracle.DIRECTORY}/ovn-northd",)
)
NEWER_CONTROLLER = (f"{newer_oracle.DIRECTORY}/ovn-controller",)
CONTROLLERS["ours on hv1, a newer one on hv2"] = {"hv2": NEWER_CONTROLLER}
CONTROLLERS["a newer one on hv1, ours on hv2"] = {"hv1": NEWER_CONTROLLER}
NEWER_ARRANGEMENTS = [
    (NEWER, "ours"),
    *((central, mixed) for central in (NEWER, "ours in one process") for mixed in CONTROLLERS if "a newer" in mixed),
]


def _opens_and_closes(lab: Lab, source: Instance, target: Instance, port: int) -> None:
    """See a rule of the security group come into force and go."""
    address = target.address or ""
    with lab.neutron() as neutron:
        until(lambda: _answers(neutron), what="the API to have its database")
        group = neutron.find("security_group", demo_topology.SECURITY_GROUP)["id"]
        ports = {"protocol": "tcp", "port_range_min": port, "port_range_max": port}
        ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        rule = neutron.create("security_group_rule", **ingress, **ports)
        until(lambda: connects(source, address, port, 0.3), what=f"port {port} to open")
        neutron.delete("security_group_rule", rule["id"])
        until(lambda: not connects(source, address, port, 0.3), what=f"port {port} to close")


def _answers(neutron: Neutron) -> bool:
    """Say whether the API takes writes."""
    try:
        neutron.delete("network", neutron.create("network", name="probe")["id"])
    except ApiError as error:
        if error.status != 503:
            raise
        return False
    return True


@dataclass(frozen=True, slots=True)
class Routed:
    """The router of the demo topology, and one more network on its router with an instance on hv2.

    Args:
        lab: where.
        floating: test1's floating IP.
        other: the instance.
    """

    lab: Lab
    floating: str
    other: Instance

    @classmethod
    def create(cls, lab: Lab, topology: demo_topology.DemoTopology) -> "Routed":
        """Make them."""
        demo_topology.add_router(lab, topology, lambda _step: None)
        slaac = dict.fromkeys(("ipv6_ra_mode", "ipv6_address_mode"), "slaac")
        with lab.neutron() as neutron:
            router = neutron.find("router", demo_topology.ROUTER)["id"]
            network = neutron.create("network", name="other")["id"]
            subnets = (
                neutron.create("subnet", network_id=network, ip_version=4, cidr="10.6.0.0/24"),
                neutron.create("subnet", network_id=network, ip_version=6, cidr="fd00:6::/64", **slaac),
            )
            for subnet in subnets:
                neutron.act("router", router, "add_router_interface", subnet_id=subnet["id"])
            (floating,) = neutron.list("floatingip")
        other = lab.boot("other", network=network, host="hv2", security_groups=(demo_topology.SECURITY_GROUP,))
        until(lambda: other.address6 is not None, what="an IPv6 address")
        return cls(lab, floating["floating_ip_address"], other)

    def check(self, what: str) -> None:
        """Wait until packets go every way.

        Args:
            what: happened before.
        """
        one, two, world = self.lab.instance("test1"), self.lab.instance("test2"), ExternalNetwork(self.lab.layout)
        until(lambda: world.pings(self.floating, wait=0.3), what=f"the floating IP {what}")
        until(lambda: two.pings(external_network.ADDRESS, wait=0.3), what=f"a way out {what}")
        for address in (self.other.address, self.other.address6):
            until(lambda a=address: one.pings(a or "", wait=0.3), what=f"a way between networks {what}")

    def comes_and_goes(self, what: str) -> None:
        """See another floating IP come into force and go."""
        world = ExternalNetwork(self.lab.layout)
        with self.lab.neutron() as neutron:
            external = neutron.find("network", demo_topology.EXTERNAL_NETWORK)["id"]
            made = neutron.create("floatingip", floating_network_id=external, port_id=self.other.port_id)
            address = made["floating_ip_address"]
            until(lambda: world.pings(address, wait=0.3), what=f"a new floating IP {what}")
            neutron.delete("floatingip", made["id"])
            until(lambda: not world.pings(address, wait=0.2), what=f"a floating IP to go {what}")


@pytest.mark.parametrize(("central", "controllers"), ARRANGEMENTS)
def test_the_demo_topology_works_with_every_combination_of_programs(
    originals: None, make_lab: Callable[..., Lab], central: str, controllers: str
) -> None:
    _works(make_lab, central, controllers)


@pytest.mark.skipif(newer_oracle.DIRECTORY is None, reason="OVENBIRD_NEWER_OVN names no directory with OVN 25.03")
@pytest.mark.parametrize(("central", "controllers"), NEWER_ARRANGEMENTS)
def test_the_demo_topology_works_beside_a_newer_ovn(
    originals: None, make_lab: Callable[..., Lab], central: str, controllers: str
) -> None:
    _works(make_lab, central, controllers, balanced=True)


def _balances_and_cuts(lab: Lab, source: Instance, target: Instance, other: Instance) -> None:
    """See a load balancer of a switch, for itself too, and connections that end with the rule that allowed them."""
    nbctl = ["ovn-nbctl", f"--db={lab.layout.remote('nb')}"]
    backends = ",".join(f"{each.address}:{PORT}" for each in (source, target))
    with lab.neutron() as neutron:
        switch = f"neutron-{neutron.find('network', demo_topology.NETWORK)['id']}"
        group = neutron.find("security_group", demo_topology.SECURITY_GROUP)["id"]
        ports = {"protocol": "tcp", "port_range_min": PORT, "port_range_max": PORT}
        rule = neutron.create(
            "security_group_rule", security_group_id=group, direction="ingress", ethertype="IPv4", **ports
        )
        run([*nbctl, "lb-add", "lb", f"192.0.2.80:{PORT}", backends, "--", "ls-lb-add", switch, "lb"])
        servers = [
            Program(each, sys.executable, "-c", SERVER, each.name, str(PORT), ready=True) for each in (source, target)
        ]
        names = {source.name, target.name}
        for asker in (source, target):
            until(lambda a=asker: {ask(a, "192.0.2.80") for _ in range(8)} == names, what="both backends to answer")
        with Conversation(source, target.address or "") as kept:
            assert kept.say() == target.name
            neutron.delete("security_group_rule", rule["id"])
            until(lambda: not connects(other, target.address or "", PORT, 0.3), what="the port to close")
            until(lambda: not connects(source, target.address or "", PORT, 0.3), what="the port to close")
            assert kept.say() == "silence"
        for server in servers:
            server.close()


def _works(make_lab: Callable[..., Lab], central: str, controllers: str, *, balanced: bool = False) -> None:
    lab = make_lab(gateways=("hv1",), central=CENTRAL[central], controllers=CONTROLLERS[controllers])
    topology = demo_topology.create(lab, lambda _step: None)
    assert topology.ping is not None
    assert "3 received" in topology.ping
    source, target = topology.instances
    address = target.address
    assert address is not None
    for instance in topology.instances:
        assert instance.lease is not None
        assert "1442" in instance.run("ip", "link", "show", "eth0")
    assert "3 received" in target.run("ping", "-n", "-c", "3", "-i", "0.02", source.address or "")
    with serve(target, 22, 80), lab.neutron() as neutron:
        assert connects(source, address, 22)
        assert not connects(source, address, 80, 0.3)
        _opens_and_closes(lab, source, target, 80)
        ports = {port["id"]: port for port in neutron.list("port", device_owner="compute:lab")}
        assert {ports[instance.port_id]["binding:host_id"] for instance in topology.instances} == {"hv1", "hv2"}
    routed = Routed.create(lab, topology)
    routed.check("at first")
    routed.comes_and_goes("at first")
    if balanced:
        _balances_and_cuts(lab, source, target, routed.other)
    lab.delete(target.name)
    assert not [name for name in lab.processes() if name.startswith(target.name)]
    with lab.neutron() as neutron:
        assert target.port_id not in {port["id"] for port in neutron.list("port")}
    until(lambda: not source.pings(address, wait=0.2), what="the instance to be gone")


def test_every_part_is_swapped_and_swapped_back_in_a_running_cloud(
    originals: None, make_lab: Callable[..., Lab]
) -> None:
    lab = make_lab(gateways=("hv1",), central=programs.split())
    topology = demo_topology.create(lab, lambda _step: None)
    source, target = topology.instances
    routed = Routed.create(lab, topology)

    def part(name: str, original: bool) -> ProcessSpec:
        if name == "northd":
            return programs._northd(lab.layout, programs.ORIGINAL_NORTHD if original else None, cloud=True)
        if name.startswith("db-"):
            server = programs.ORIGINAL_SERVER if original else programs.ovenbird("db")
            return programs._server(lab.layout, name.removeprefix("db-"), server)
        host = name.removesuffix("-controller")
        return programs.controller(lab.hypervisor(host), programs.ORIGINAL_CONTROLLER if original else None)

    with serve(target, 80):
        for name in ("northd", "hv1-controller", "hv2-controller", "db-sb", "db-nb", "db-cloud"):
            for original in (True, False):
                old = lab.process(name)
                lab.keep(part(name, original))
                until(lambda n=name, o=old: lab.process(n) not in {None, o}, what=f"{name} to be swapped")
                until(lambda: source.pings(target.address or "", wait=0.2), what=f"a ping after {name}")
                _opens_and_closes(lab, source, target, 80)
                what = f"with {'the original' if original else 'our'} {name}"
                routed.check(what)
                routed.comes_and_goes(what)
