"""A trunk on real switches: an instance reaches two more networks by VLAN tags, from host to host."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from ovenbird.lab.dhcp import DhcpClient
from ovenbird.lab.instance import INTERFACE
from ovenbird.lab.process import ProcessSpec
from support.live.machine import Machine, tag_containers
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.lab import Lab
    from ovenbird.lab.neutron import Neutron

pytestmark = pytest.mark.live

TAGS = {"green": 5, "blue": 7}
"""The VLAN tag of each network in the instance."""


def address_by_dhcp(lab: Lab, machine: Machine) -> str:
    """Have a machine ask for an address, and return the one that it then has."""
    directory = lab.layout.rundir / machine.name
    directory.mkdir()
    client = DhcpClient.choose(directory, interface=INTERFACE, hostname=machine.name)
    client.prepare()
    log = str(directory / "dhcp.log")
    lab.keep(ProcessSpec(f"{machine.name}-dhcp", client.argv, log, namespace=machine.namespace.name))
    until(lambda: client.lease() is not None, what=f"{machine.name} to have an address")
    lease = client.lease()
    assert lease is not None
    return lease.address


def test_an_instance_reaches_other_networks_through_its_trunk(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(hosts=("hv1", "hv2"))
    with lab.neutron() as neutron, ExitStack() as made:
        group = neutron.create("security_group", name="open")["id"]
        neutron.create(
            "security_group_rule", security_group_id=group, direction="ingress", remote_ip_prefix="0.0.0.0/0"
        )
        ids = {}
        for number, name in enumerate(("plain", *TAGS)):
            ids[name] = neutron.create("network", name=name)["id"]
            neutron.create("subnet", network_id=ids[name], ip_version=4, cidr=f"10.0.{number}.0/24")

        def port(network: str, name: str, **values: str) -> dict[str, str]:
            return neutron.create("port", network_id=ids[network], name=name, security_groups=[group], **values)

        def instance(name: str, host: str, found: dict[str, str]) -> None:
            owner = {"device_id": name, "device_owner": "compute:lab", "binding:host_id": host}
            neutron.update("port", found["id"], **owner)
            lab.attach(name, host=host, port_id=found["id"], mac=found["mac_address"])
            made.callback(lab.delete, name)

        parent = port("plain", "parent")
        inside = {name: port(name, f"inside-{name}") for name in TAGS}
        peers = {name: port(name, f"peer-{name}") for name in ("plain", *TAGS)}
        subs = [
            {"port_id": inside[name]["id"], "segmentation_type": "vlan", "segmentation_id": tag}
            for name, tag in TAGS.items()
        ]
        trunk = neutron.create("trunk", port_id=parent["id"], sub_ports=subs[:1])
        instance("vm", "hv1", parent)
        path = f"{lab.layout.api}/v2.0/trunks/{trunk['id']}"
        httpx.put(f"{path}/add_subports", json={"sub_ports": subs[1:]}).raise_for_status()  # while it runs
        for name, found in peers.items():
            instance(name, "hv2", found)

        machines = {tag: Machine(lab, name[0], inside[name]["mac_address"]) for name, tag in TAGS.items()}
        tag_containers(lab, lab.instance("vm").namespace, INTERFACE, machines)
        for name, tag in TAGS.items():
            assert address_by_dhcp(lab, machines[tag]) == inside[name]["fixed_ips"][0]["ip_address"]
            there = str(lab.instance(name).address)
            until(lambda m=machines[tag], to=there: m.pings(to), what=f"{name} through the trunk")
            until(lambda one=inside[name]: status(neutron, one["id"]) == "ACTIVE", what="the sub-port to be up")
        until(lambda: lab.instance("vm").pings(str(lab.instance("plain").address)), what="the parent port's network")
        assert not machines[5].pings(str(lab.instance("blue").address), wait=0.3)

        body = {"sub_ports": [{"port_id": inside["green"]["id"]}]}
        httpx.put(f"{path}/remove_subports", json=body).raise_for_status()
        green, blue = (str(lab.instance(name).address) for name in TAGS)
        until(lambda: not machines[5].pings(green, wait=0.3), what="the removed sub-port to be cut off")
        assert machines[7].pings(blue)
        until(lambda: status(neutron, inside["green"]["id"]) == "DOWN", what="the removed sub-port to be down")


def status(neutron: Neutron, port: str) -> str:
    """Return the status of a port."""
    return str(neutron.list("port", id=port)[0]["status"])
