"""The demo topology that `ovenbird up` makes for a new user, through the API alone.

`create` makes a network with two instances that ping each other. `add_router` connects that network to the external
network and shows a floating IP and IPv6. `ask_metadata` shows what the metadata service tells an instance.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.errors import CommandError, LabError
from ovenbird.lab.external_network import ADDRESS, EXTERNAL_SUBNET, PHYSICAL_NETWORK, POOL, ExternalNetwork
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab, Progress
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.process import wait_until

NETWORK = "private"
SUBNET = "10.0.0.0/24"
SUBNET6 = "fd00:10::/64"
ADDRESSES = ("10.0.0.11", "10.0.0.12")
"""The instances' addresses, which documentation refers to."""
SECURITY_GROUP = "icmp-ssh"

_PING_PATIENCE = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class DemoTopology:
    """The instances of the demo topology, and the output of ping.

    Arguments:
        instances: the instances.
        ping: what ping printed, from the first instance to the second; None when there is but one.
    """

    instances: tuple[Instance, ...]
    ping: str | None


def create(lab: Lab, progress: Progress) -> DemoTopology:
    """Create a network with two subnets, a security group and an instance on each of the first two hosts, and ping.

    Arguments:
        lab: a running cloud.
        progress: called before each step.

    Raises:
        LabError: a step failed; the cloud keeps running.
    """
    progress("creating a network, its subnets and a security group")
    with lab.neutron() as neutron:
        network = neutron.create("network", name=NETWORK)
        neutron.create("subnet", name=NETWORK, network_id=network["id"], ip_version=4, cidr=SUBNET)
        slaac = dict.fromkeys(("ipv6_ra_mode", "ipv6_address_mode"), "slaac")
        neutron.create("subnet", name=f"{NETWORK}6", network_id=network["id"], ip_version=6, cidr=SUBNET6, **slaac)
        description = "lets in ICMP and SSH"
        group = neutron.create("security_group", name=SECURITY_GROUP, description=description)["id"]
        ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        neutron.create("security_group_rule", **ingress, protocol="icmp")
        neutron.create("security_group_rule", **{**ingress, "ethertype": "IPv6"}, protocol="ipv6-icmp")
        neutron.create("security_group_rule", **ingress, protocol="tcp", port_range_min=22, port_range_max=22)
    progress("booting the instances")
    with ThreadPoolExecutor(max_workers=2) as pool:
        booting = [
            pool.submit(
                lab.boot,
                f"test{number}",
                network=network["id"],
                host=host,
                security_groups=(group,),
                fixed_ips=[{"ip_address": address}],
            )
            for number, (host, address) in enumerate(zip(lab.layout.hosts, ADDRESSES, strict=False), 1)
        ]
        instances = tuple(future.result() for future in booting)
    if len(instances) < 2:
        return DemoTopology(instances, None)
    source, target = instances
    address = target.address
    if address is None:
        raise LabError(f"{target.name} has lost its address")
    progress(f"pinging {target.name} from {source.name}")
    deadline = time.monotonic() + _PING_PATIENCE
    while not source.pings(address):
        if time.monotonic() > deadline:
            raise LabError(f"{target.name} ({address}) does not answer {source.name} after {_PING_PATIENCE:g} s")
    return DemoTopology(instances, source.run("ping", "-n", "-c", "3", "-i", "0.2", address))


EXTERNAL_NETWORK = "public"
ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A program that was run in the demo topology, and what it printed.

    Arguments:
        title: what it shows.
        output: what the program printed.
    """

    title: str
    _: KW_ONLY
    output: str


def add_router(lab: Lab, topology: DemoTopology, progress: Progress) -> tuple[Demonstration, ...]:
    """Connect the network to the outside world by a router, an external network and a floating IP.

    Arguments:
        lab: a running cloud with a gateway.
        topology: what `create` has made in it.
        progress: called before each step.

    Raises:
        LabError: a step failed; the cloud keeps running.
    """
    first = topology.instances[0]
    progress("creating a router, an external network and a floating IP")
    with lab.neutron() as neutron:
        provider = {"provider:network_type": "flat", "provider:physical_network": PHYSICAL_NETWORK}
        external = neutron.create("network", name=EXTERNAL_NETWORK, **{"router:external": True, **provider})["id"]
        pool = [{"start": POOL[0], "end": POOL[1]}]
        addresses = {"cidr": EXTERNAL_SUBNET, "gateway_ip": ADDRESS, "allocation_pools": pool, "enable_dhcp": False}
        neutron.create("subnet", name=EXTERNAL_NETWORK, network_id=external, ip_version=4, **addresses)
        gateway = {"network_id": external}
        router = neutron.create("router", name=ROUTER, external_gateway_info=gateway)["id"]
        for subnet in (NETWORK, f"{NETWORK}6"):
            neutron.act("router", router, "add_router_interface", subnet_id=neutron.find("subnet", subnet)["id"])
        floating = neutron.create("floatingip", floating_network_id=external, port_id=first.port_id)
    address = str(floating["floating_ip_address"])
    outside = ExternalNetwork(lab.layout)
    progress(f"pinging {first.name} at its floating IP, and the outside world from it")
    wait_until(lambda: outside.pings(address), f"{first.name} to answer at {address}", timeout=_PING_PATIENCE)
    wait_until(lambda: first.pings(ADDRESS), f"the outside world to answer {first.name}", timeout=_PING_PATIENCE)
    return (
        _demonstrate(f"the outside world pings {first.name} at its floating IP", outside.namespace, *_PING, address),
        _demonstrate(f"{first.name} pings the outside world", first.namespace, *_PING, ADDRESS),
        *_ping_ipv6(topology.instances, progress),
    )


_PING = ("ping", "-n", "-c", "2", "-i", "0.2")


def _demonstrate(title: str, namespace: Namespace, *argv: str) -> Demonstration:
    """Run a program until it succeeds: of several gateways, one may still be taking over from another."""
    said: list[str] = []

    def succeeds() -> bool:
        try:
            said.append(namespace.run(*argv))
        except CommandError:
            return False
        return True

    wait_until(succeeds, title, timeout=_PING_PATIENCE, poll=0.1)
    return Demonstration(title, output=said[-1])


def _ping_ipv6(instances: tuple[Instance, ...], progress: Progress) -> tuple[Demonstration, ...]:
    """Wait for the instances' IPv6 addresses, and have the first ping the last."""
    source, target = instances[0], instances[-1]
    if source == target:
        return ()
    progress(f"pinging {target.name} from {source.name} over IPv6")
    wait_until(
        lambda: all(i.address6 for i in instances), "the instances to have IPv6 addresses", timeout=_PING_PATIENCE
    )
    address = target.address6 or ""
    wait_until(lambda: source.pings(address), f"{target.name} to answer at {address}", timeout=_PING_PATIENCE)
    title = f"{source.name} pings {target.name} over IPv6"
    return (_demonstrate(title, source.namespace, "ping6", *_PING[1:], address),)


METADATA = "http://169.254.169.254/openstack/latest/meta_data.json"

_CURL = ("curl", "-sSf", "-m", "3", "--noproxy", "*")


def ask_metadata(instance: Instance, progress: Progress) -> Demonstration:
    """Have an instance request its metadata.

    Arguments:
        instance: an instance of a lab with the metadata service.
        progress: called before each step.

    Raises:
        LabError: there is no answer; the cloud keeps running.
    """
    progress(f"asking the metadata service from {instance.name}")
    told = _demonstrate(f"{instance.name} asks for {METADATA}", instance.namespace, *_CURL, METADATA)
    content = json.loads(told.output)
    content["random_seed"] = f"{content['random_seed'][:16]}…"
    return Demonstration(told.title, output=json.dumps(content, indent=2, ensure_ascii=False))
