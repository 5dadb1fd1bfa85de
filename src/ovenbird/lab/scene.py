"""The first scene: what a new user finds after `ovenbird up`. It is made through the API and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ovenbird.lab.errors import LabError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab, Progress

NETWORK = "private"
SUBNET = "10.0.0.0/24"
SECURITY_GROUP = "icmp-ssh"

_PING_PATIENCE = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """What the first scene shows.

    Args:
        instances: those that were made.
        ping: what ping printed, from the first instance to the second; None when there is but one.
    """

    instances: tuple[Instance, ...]
    ping: str | None


def play(lab: Lab, progress: Progress) -> Scene:
    """Make a network with a subnet, a security group, and an instance on each of the first two hosts; let them meet.

    Args:
        lab: a running cloud.
        progress: is told what is about to happen.

    Raises:
        LabError: a step failed; the cloud keeps running.
    """
    progress("creating a network, a subnet and a security group")
    with lab.neutron() as neutron:
        network = neutron.create("network", name=NETWORK)
        neutron.create("subnet", name=NETWORK, network_id=network["id"], ip_version=4, cidr=SUBNET)
        description = "lets in ICMP and SSH"
        group = neutron.create("security_group", name=SECURITY_GROUP, description=description)["id"]
        ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        neutron.create("security_group_rule", **ingress, protocol="icmp")
        neutron.create("security_group_rule", **ingress, protocol="tcp", port_range_min=22, port_range_max=22)
    progress("booting the instances")
    with ThreadPoolExecutor(max_workers=2) as pool:
        booting = [
            pool.submit(lab.boot, f"test{number}", network["id"], host, (group,))
            for number, host in enumerate(lab.plan.hosts[:2], 1)
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
