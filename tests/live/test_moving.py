"""What moves between hosts while it is spoken to: an address that two instances share, and an instance."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import httpx
import pytest

from ovenbird.lab import external_network
from ovenbird.lab.command import run
from ovenbird.lab.instance import INTERFACE
from support.live.capture import Capture
from support.live.routed_world import GROUP
from support.live.traffic import SEND, Program, announcement
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lab.external_network import ExternalNetwork
    from ovenbird.lab.instance import Instance
    from support.live.routed_world import World

pytestmark = pytest.mark.live

FIRST, SECOND = "red1", "red2"
"""Instances on two hosts, in one network."""

FEW = 5
"""Requests of 20 a second that may be lost: the userspace datapath may drop what it holds when a port comes or goes.

Both requests that 45 moves lost, of 17,650, had left their sender as the port was plugged into that host's switch, long
before the instance moved; `ovs-vswitchd` without a controller lost one of 5,700, a port coming and going 190 times.
In 40 moves of a port without routers, at 100 requests a second from each of two hosts, 4 of 16,170 were lost, and with
Debian's 23.03 controllers in the same place 44 of 16,444, most as the new host alone has the port.
"""


def rarp(mac: str) -> bytes:
    """Return the frame with which a hypervisor announces an instance that has arrived (RFC 903)."""
    own = bytes.fromhex(mac.replace(":", ""))
    return b"\xff" * 6 + own + bytes.fromhex("8035 0001 0800 0604 0003") + own + bytes(4) + own + bytes(4)


def send(instance: Instance, frame: bytes) -> None:
    """Send a frame as it is."""
    instance.run(sys.executable, "-c", SEND, INTERFACE, frame.hex())


@contextmanager
def shared_address(world: World, *names: str) -> Iterator[tuple[str, str]]:
    """Make a port that is on no host, whose address instances may use; give the address and its floating IP."""
    ports = [world[name].port_id for name in names]
    with world.lab.neutron() as neutron:
        fixed = [{"subnet_id": world.ids["red4"]}]
        group = {"security_groups": [world.ids[GROUP]]}
        vip = neutron.create("port", name="vip", network_id=world.ids["red"], fixed_ips=fixed, **group)
        address = str(vip["fixed_ips"][0]["ip_address"])
        made = neutron.create("floatingip", floating_network_id=world.ids["public"], port_id=vip["id"])
        try:
            for port in ports:
                neutron.update("port", port, allowed_address_pairs=[{"ip_address": address}])
            yield address, str(made["floating_ip_address"])
        finally:
            for port in ports:
                neutron.update("port", port, allowed_address_pairs=[])
            neutron.delete("floatingip", made["id"])
            neutron.delete("port", vip["id"])


def take(instance: Instance, address: str) -> None:
    """Give an instance an address, and have it announce that, as keepalived does."""
    instance.namespace.batch([f"address replace {address}/32 dev {INTERFACE}"])
    send(instance, announcement(instance.mac, instance.mac, address, b""))


def release(instance: Instance, address: str) -> None:
    """Take an address from an instance."""
    instance.namespace.batch([f"address delete {address}/32 dev {INTERFACE}"])


def answers_from(world: World, here: str, there: str, address: str, public: str) -> None:
    """Wait until a shared address, and its floating IP, are answered by one instance."""
    with Capture(world[here].namespace, INTERFACE, f"icmp and dst {address}") as wire:
        until(lambda: world.outside.pings(public, wait=0.3), what=f"{public} to answer from {here}")
        until(lambda: world["blue2"].pings(address, wait=0.3), what=f"{address} to answer another subnet")
        until(lambda: world[there].pings(address, wait=0.3), what=f"{address} to answer its own subnet")
        wire.wait(rf"{external_network.ADDRESS} > {address}: ICMP echo request")


@pytest.mark.usefixtures("floating")
def test_a_shared_address_and_its_floating_ip_are_where_it_was_announced_last(world: World) -> None:
    with shared_address(world, FIRST, SECOND) as (address, public):
        for here, there in ((FIRST, SECOND), (SECOND, FIRST), (FIRST, SECOND)):
            take(world[here], address)
            answers_from(world, here, there, address, public)
            release(world[here], address)
        assert not world.outside.pings(public, wait=0.3)


@contextmanager
def pinging(source: Instance | ExternalNetwork, address: str) -> Iterator[list[int]]:
    """Ping all the while; give the numbers of the requests, up to the last that was answered, that were not."""
    unanswered: list[int] = []
    with TemporaryFile("w+") as output:
        with Program(source, "ping", "-n", "-i", "0.05", address, output=output) as ping:  # type: ignore[arg-type]
            yield unanswered
            ping.interrupt()
        output.seek(0)
        text = output.read()
    sent = re.search(r"(\d+) packets transmitted", text)
    assert sent, text
    answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)}
    unanswered += [number for number in range(1, max(answered, default=int(sent[1]))) if number not in answered]


def bound(world: World, port: str) -> tuple[set[str], set[str]]:
    """Return the chassis that has a port, and those that have it besides."""
    columns = {"columns": ["chassis", "additional_chassis"], "where": [["logical_port", "==", port]]}
    names = {"op": "select", "table": "Chassis", "where": [], "columns": ["_uuid", "name"]}
    query = json.dumps(["OVN_Southbound", {"op": "select", "table": "Port_Binding", **columns}, names])
    found, chassis = json.loads(run(["ovsdb-client", "transact", world.lab.layout.remote("sb"), query]))
    name_of = {row["_uuid"][1]: row["name"] for row in chassis["rows"]}
    row = found["rows"][0]
    here, besides = ({name_of[u] for u in name_of if u in str(row[column])} for column in columns["columns"])
    return here, besides


@contextmanager
def mover(world: World) -> Iterator[tuple[Instance, str]]:
    """Give an instance on hv1 that has a port of its own, and its floating IP."""
    lab = world.lab
    with lab.neutron() as neutron:
        owner = {"device_owner": "compute:lab", "device_id": "mover", "binding:host_id": "hv1"}
        groups = {"security_groups": [world.ids[GROUP]]}
        port = neutron.create("port", name="mover", network_id=world.ids["red"], **owner, **groups)
        try:
            world.instances["mover"] = lab.attach("mover", host="hv1", port_id=port["id"], mac=port["mac_address"])
            with world.floating_ip("mover") as public:
                yield world["mover"], public
        finally:
            for name in ("mover", "moved"):
                if world.instances.pop(name, None):
                    lab.delete(name)
            neutron.delete("port", port["id"])


def bindings(world: World, port: str, method: str, path: str = "", **binding: str) -> None:
    """Ask about a port's bindings, as Nova does."""
    address = f"{world.lab.layout.api}/v2.0/ports/{port}/bindings{path}"
    httpx.request(method, address, json={"binding": binding} if binding else None).raise_for_status()


@pytest.mark.parametrize("by_bindings", [False, True], ids=["host", "bindings"])
def test_an_instance_moves_under_a_ping(world: World, *, by_bindings: bool) -> None:
    with mover(world) as (here, public), world.lab.neutron() as neutron:
        assert here.lease
        port, address = here.port_id, here.lease.address
        with pinging(world[SECOND], address) as near, pinging(world.outside, public) as far:
            if by_bindings:
                bindings(world, port, "POST", host="hv2")
            neutron.update("port", port, **{"binding:profile": {"migrating_to": "hv2"}})
            there = world.instances["moved"] = world.lab.attach(
                "moved", host="hv2", port_id=port, mac=here.mac, dhcp=False
            )
            until(lambda: bound(world, port) == ({"hv1"}, {"hv2"}), what="both chassis to have the port")
            there.namespace.batch([f"address add {address}/24 dev {INTERFACE}"])
            there.namespace.batch([f"route add default via {here.lease.router} dev {INTERFACE}"])
            send(there, rarp(here.mac))
            with Capture(there.namespace, INTERFACE, f"icmp and src {address}") as wire:
                wire.wait(rf"{address} > {external_network.ADDRESS}: ICMP echo reply")
            here.namespace.batch([f"address delete {address}/24 dev {INTERFACE}"])
            if by_bindings:
                bindings(world, port, "PUT", "/hv2/activate")
                bindings(world, port, "DELETE", "/hv1")
            else:
                neutron.update("port", port, **{"binding:host_id": "hv2", "binding:profile": {}})
            until(lambda: bound(world, port) == ({"hv2"}, set()), what="the new host alone to have the port")
            world.lab.delete(world.instances.pop("mover").name)
            until(lambda: world.outside.pings(public, wait=0.3), what="the instance to answer where it is now")
        assert len(near) <= FEW
        assert len(far) <= FEW
