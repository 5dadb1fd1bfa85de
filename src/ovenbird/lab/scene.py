"""The first scenes: what a new user finds after `ovenbird up`. They are made through the API and nothing else.

`play` is two instances on a network of their own, which meet. `play_routed` opens that network to the outside world,
and has them meet over IPv6. `play_metadata` has one of them ask who it is.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ovenbird.lab.errors import CommandError, LabError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab, Progress
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.outside import ADDRESS, PHYSICAL_NETWORK, POOL, Outside
from ovenbird.lab.outside import SUBNET as OUTSIDE_SUBNET
from ovenbird.lab.process import wait_until

NETWORK = "private"
SUBNET = "10.0.0.0/24"
SUBNET6 = "fd00:10::/64"
ADDRESSES = ("10.0.0.11", "10.0.0.12")
"""The instances' addresses, so that a page may name them."""
SECURITY_GROUP = "icmp-ssh"

_PING_PATIENCE = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """What the first scene shows.

    Arguments:
        instances: those that were made.
        ping: what ping printed, from the first instance to the second; None when there is but one.
    """

    instances: tuple[Instance, ...]
    ping: str | None


def play(lab: Lab, progress: Progress) -> Scene:
    """Make a network with two subnets, a security group, and an instance on each of the first two hosts; let them meet.

    Arguments:
        lab: a running cloud.
        progress: is told what is about to happen.

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
            pool.submit(lab.boot, f"test{number}", network["id"], host, (group,), fixed_ips=[{"ip_address": address}])
            for number, (host, address) in enumerate(zip(lab.plan.hosts, ADDRESSES, strict=False), 1)
        ]
        instances = tuple(future.result() for future in booting)
    if len(instances) < 2:
        return Scene(instances, None)
    source, target = instances
    address = target.address
    if address is None:
        raise LabError(f"{target.name} has lost its address")
    progress(f"pinging {target.name} from {source.name}")
    deadline = time.monotonic() + _PING_PATIENCE
    while not source.pings(address):
        if time.monotonic() > deadline:
            raise LabError(f"{target.name} ({address}) does not answer {source.name} after {_PING_PATIENCE:g} s")
    return Scene(instances, source.run("ping", "-n", "-c", "3", "-i", "0.2", address))


EXTERNAL_NETWORK = "public"
ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody did in a scene, and what came of it.

    Arguments:
        title: who did what.
        said: what the program printed.
    """

    title: str
    said: str


def play_routed(lab: Lab, scene: Scene, progress: Progress) -> tuple[Act, ...]:
    """Join the first scene's network to the outside world: a router, an external network, a floating IP.

    Arguments:
        lab: a running cloud with a gateway.
        scene: the first scene, played in it.
        progress: is told what is about to happen.

    Raises:
        LabError: a step failed; the cloud keeps running.
    """
    first = scene.instances[0]
    progress("creating a router, an external network and a floating IP")
    with lab.neutron() as neutron:
        provider = {"provider:network_type": "flat", "provider:physical_network": PHYSICAL_NETWORK}
        external = neutron.create("network", name=EXTERNAL_NETWORK, **{"router:external": True, **provider})["id"]
        pool = [{"start": POOL[0], "end": POOL[1]}]
        addresses = {"cidr": OUTSIDE_SUBNET, "gateway_ip": ADDRESS, "allocation_pools": pool, "enable_dhcp": False}
        neutron.create("subnet", name=EXTERNAL_NETWORK, network_id=external, ip_version=4, **addresses)
        gateway = {"network_id": external}
        router = neutron.create("router", name=ROUTER, external_gateway_info=gateway)["id"]
        for subnet in (NETWORK, f"{NETWORK}6"):
            neutron.act("router", router, "add_router_interface", subnet_id=neutron.find("subnet", subnet)["id"])
        floating = neutron.create("floatingip", floating_network_id=external, port_id=first.port_id)
    address = str(floating["floating_ip_address"])
    outside = Outside(lab.plan)
    progress(f"pinging {first.name} at its floating IP, and the outside world from it")
    wait_until(lambda: outside.pings(address), f"{first.name} to answer at {address}", _PING_PATIENCE)
    wait_until(lambda: first.pings(ADDRESS), f"the outside world to answer {first.name}", _PING_PATIENCE)
    return (
        _shown(f"the outside world pings {first.name} at its floating IP", outside.namespace, *_PING, address),
        _shown(f"{first.name} pings the outside world", first.namespace, *_PING, ADDRESS),
        *_play_ipv6(scene.instances, progress),
    )


_PING = ("ping", "-n", "-c", "2", "-i", "0.2")


def _shown(title: str, namespace: Namespace, *argv: str) -> Act:
    """Run a program until it succeeds: of several gateways, one may still be taking over from another."""
    said: list[str] = []

    def succeeds() -> bool:
        try:
            said.append(namespace.run(*argv))
        except CommandError:
            return False
        return True

    wait_until(succeeds, title, _PING_PATIENCE, poll=0.1)
    return Act(title, said[-1])


def _play_ipv6(instances: tuple[Instance, ...], progress: Progress) -> tuple[Act, ...]:
    """Let the instances take the prefix that the router advertises, and the first ping the last."""
    source, target = instances[0], instances[-1]
    if source == target:
        return ()
    progress(f"pinging {target.name} from {source.name} over IPv6")
    wait_until(lambda: all(i.address6 for i in instances), "the instances to have IPv6 addresses", _PING_PATIENCE)
    address = target.address6 or ""
    wait_until(lambda: source.pings(address), f"{target.name} to answer at {address}", _PING_PATIENCE)
    return (_shown(f"{source.name} pings {target.name} over IPv6", source.namespace, "ping6", *_PING[1:], address),)


METADATA = "http://169.254.169.254/openstack/latest/meta_data.json"

_CURL = ("curl", "-sSf", "-m", "3", "--noproxy", "*")


def play_metadata(instance: Instance, progress: Progress) -> Act:
    """Have an instance ask the metadata service who it is.

    Arguments:
        instance: of a lab whose hosts serve metadata.
        progress: is told what is about to happen.

    Raises:
        LabError: nobody answers; the cloud keeps running.
    """
    progress(f"asking the metadata service from {instance.name}")
    act = _shown(f"{instance.name} asks for {METADATA}", instance.namespace, *_CURL, METADATA)
    told = json.loads(act.said)
    told["random_seed"] = f"{told['random_seed'][:16]}…"
    return Act(act.title, json.dumps(told, indent=2, ensure_ascii=False))
