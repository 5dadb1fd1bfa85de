"""What a router says for itself on real switches, and that bulk gets through it whole."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network
from support.live.routed_world import GROUP
from support.live.traffic import CONNECT, Program, serve
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from support.live.routed_world import World

pytestmark = pytest.mark.live


def said(instance: Instance, *argv: str) -> str:
    """Return what a program says that may fail."""
    return instance.run("sh", "-c", '"$@" 2>&1 || true', "sh", *argv)


def test_a_router_answers_for_itself(world: World) -> None:
    red1 = world["red1"]
    world.hears_of_a_router(red1)
    until(lambda: red1.address6 is not None, what="an IPv6 address")
    for address in ("10.1.0.1", "10.2.0.1", "fd00:1::1", "fd00:2::1", world.router_address()):
        until(lambda a=address: red1.pings(a, wait=0.3), what=f"{address} to answer")


def test_a_packet_whose_ttl_expires_is_answered_with_time_exceeded(world: World) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    until(lambda: red1.pings(blue2.address or "", wait=0.3), what="blue2 to answer")
    assert "From 10.1.0.1 icmp_seq=1 Time to live exceeded" in said(
        red1, "ping", "-n", "-c", "1", "-W", "2", "-t", "1", blue2.address or ""
    )
    world.hears_of_a_router(red1)
    until(lambda: red1.address6 is not None, what="an IPv6 address")
    assert "From fd00:1::1 icmp_seq=1 Time exceeded: Hop limit" in said(
        red1, "ping", "-n", "-c", "1", "-W", "2", "-t", "1", "fd00:2::99"
    )


@pytest.mark.usefixtures("floating")
def test_a_packet_that_is_too_large_is_reported(world: World) -> None:
    """From outside, whose MTU is larger: what is too large for the instance's network must not just be gone."""
    with world.floating_ip("red1") as address:
        command = ("sh", "-c", f"ping -n -c 1 -W 2 -M do -s 1472 {address} || true")
        assert "Frag needed and DF set (mtu = 1442)" in world.outside.namespace.run(*command)
        # The route is that of the packet quoted: so it was the address that the outside knows.
        assert "mtu 1442" in world.outside.namespace.run("ip", "route", "get", address)
        assert "1 received" in world.outside.namespace.run("ping", "-n", "-c", "1", "-M", "do", "-s", "1414", address)


UDP = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as asking:
    asking.connect((sys.argv[1], 7))
    asking.settimeout(30)
    asking.send(b"?")
    try:
        asking.recv(1)
    except OSError as error:
        print(type(error).__name__)
"""


def test_a_routers_ports_are_closed(world: World) -> None:
    """Those of a router without a gateway: the others say nothing (ovn-northd(8))."""
    with world.lab.neutron() as neutron:
        network = neutron.create("network", name="apart")["id"]
        slaac = dict.fromkeys(("ipv6_ra_mode", "ipv6_address_mode"), "slaac")
        subnets = [
            neutron.create("subnet", network_id=network, ip_version=4, cidr="10.5.0.0/24")["id"],
            neutron.create("subnet", network_id=network, ip_version=6, cidr="fd00:5::/64", **slaac)["id"],
        ]
        router = neutron.create("router", name="apart")["id"]
        for subnet in subnets:
            neutron.act("router", router, "add_router_interface", subnet_id=subnet)
        apart = world.lab.boot("apart", network=network, host="hv1", security_groups=(GROUP,))
        try:
            until(lambda: apart.address6 is not None, what="an IPv6 address")
            for address in ("10.5.0.1", "fd00:5::"):
                until(lambda a=address: apart.pings(a, wait=0.3), what=f"{address} to answer")
                assert said(apart, sys.executable, "-c", CONNECT, address, "22", "2").strip() == "refused"
                assert said(apart, sys.executable, "-c", UDP, address).strip() == "ConnectionRefusedError"
        finally:
            world.lab.delete("apart")
            for subnet in subnets:
                neutron.act("router", router, "remove_router_interface", subnet_id=subnet)
            neutron.delete("router", router)
            neutron.delete("network", network)


BULK = """
import socket, sys, threading
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
connection.settimeout(15)
data = bytes(number * 7 % 251 for number in range(1 << 20))
def send():
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b""
while more := connection.recv(65536):
    got += more
print("whole" if got[:-4] == data else f"{len(got)} bytes")
"""


def carries_bulk(source: Instance, address: str, port: int) -> bool:
    """Say whether a MiB comes back from an echo server as it was sent."""
    with Program(source, sys.executable, "-c", BULK, address, str(port)) as program:
        return program.finish().strip() == "whole"


def test_bulk_gets_through_whole(world: World) -> None:
    red1, red2, blue2 = world["red1"], world["red2"], world["blue2"]
    until(lambda: red2.pings(external_network.ADDRESS, wait=0.3), what="the outside world to answer")
    until(lambda: red1.pings(blue2.address or "", wait=0.3), what="blue2 to answer")
    with serve(blue2, 7001):
        assert carries_bulk(red1, blue2.address or "", 7001)
        with world.floating_ip("blue2") as address:
            assert carries_bulk(world.outside, address, 7001)  # type: ignore[arg-type]
    with serve(world.outside, 7002):  # type: ignore[arg-type]
        assert carries_bulk(red2, external_network.ADDRESS, 7002)
