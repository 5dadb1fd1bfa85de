"""A routed cloud on real switches: between its networks, out of it, and into it, each by the way it should take."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from ovenbird.lab import external_network
from ovenbird.lab.instance import INTERFACE
from ovenbird.lab.underlay import UPLINK
from support.live.capture import Capture
from support.live.routed_world import GATEWAY, GROUP, hop_limit, port_addresses, vlan_outside
from support.live.traffic import Program, connects, serve
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lab.instance import Instance
    from support.live.routed_world import World

pytestmark = pytest.mark.live

PING = ("ping", "-n", "-c", "3", "-i", "0.05")


def answers(world: World, source: str, address: str) -> None:
    """Wait until an address answers an instance."""
    until(lambda: world[source].pings(address, wait=0.3), what=f"{address} to answer {source}")


def test_packets_between_networks_go_from_host_to_host(world: World) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    answers(world, "red2", external_network.ADDRESS)
    with world.lab.neutron() as neutron:
        blue6 = next(address for address in port_addresses(neutron, blue2) if ":" in address)
    blue2.namespace.batch([f"address replace {blue6}/128 dev eth0 nodad"])  # as a DHCPv6 client would
    for instance in (red1, blue2):
        world.hears_of_a_router(instance)
    answers(world, "red1", blue2.address or "")
    answers(world, "red1", blue6)
    assert hop_limit(red1.run(*PING, blue2.address or "")) == 63
    assert hop_limit(red1.run(*PING, blue6)) == 254
    with serve(blue2, 80):
        assert connects(red1, blue2.address or "", 80)
    pings = [("red1", blue2.address or ""), ("red1", blue6), ("red2", external_network.ADDRESS)]
    assert world.passes_gateway(pings) == [False, False, True]


def test_packets_to_outside_have_the_routers_address(world: World) -> None:
    answers(world, "red2", external_network.ADDRESS)
    address = world.router_address()
    with world.on_wire(f"icmp[icmptype] = icmp-echo and dst {external_network.ADDRESS}") as wire:
        world["red2"].run(*PING, external_network.ADDRESS)
        wire.wait(rf"{address} > {external_network.ADDRESS}")
        assert not wire.find(rf"10\.\d+\.\d+\.\d+ > {external_network.ADDRESS}")
    with serve(world.outside, 8080):  # type: ignore[arg-type]
        assert connects(world["red2"], external_network.ADDRESS, 8080)
        assert connects(world["blue2"], external_network.ADDRESS, 8080)
    inner = world["red2"].address or ""
    assert not world.outside.pings(inner, wait=0.2)
    route = f"{inner}/32 via {address}"
    world.outside.namespace.batch([f"route add {route}"])
    try:  # replies come from the address that was asked, while the instance's own packets are translated
        until(lambda: world.outside.pings(inner, wait=0.3), what=f"{inner} to answer the outside world")
        answers(world, "red2", external_network.ADDRESS)
        with world.on_wire(f"icmp[icmptype] = icmp-echo and dst {external_network.ADDRESS}") as wire:
            world["red2"].run(*PING, external_network.ADDRESS)
            wire.wait(rf"{address} > {external_network.ADDRESS}")
            assert not wire.find(rf"10\.\d+\.\d+\.\d+ > {external_network.ADDRESS}")
    finally:
        world.outside.namespace.batch([f"route delete {route}"])


def test_floating_ips(world: World, floating: str) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    with world.floating_ip("red1") as one, world.floating_ip("blue2") as two:
        with serve(red1, 22):  # in
            assert opens(world, one, 22)
        with world.on_wire(f"icmp[icmptype] = icmp-echo and src {one}") as wire:  # out
            red1.run(*PING, external_network.ADDRESS)
            wire.wait(rf"{one} > {external_network.ADDRESS}")
        answers(world, "red1", two)  # from one to another
        answers(world, "blue2", one)
        with serve(blue2, 22):
            assert connects(red1, two, 22)
            assert connects(world["red2"], two, 22)  # from one that has none
        answers(world, "red1", one)  # to its own
        pings = [("red1", external_network.ADDRESS), ("red2", external_network.ADDRESS)]
        assert world.passes_gateway(pings) == [floating == "centralised", True]
        if floating == "distributed":
            assert world.passes_link([pings[1], pings[0]], "hv1") == [False, True]
    until(lambda: not world.outside.pings(one, wait=0.2), what="the floating IP to be nobody's")
    answers(world, "red1", external_network.ADDRESS)


@pytest.mark.usefixtures("floating")
def test_forwarded_ports(world: World) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    with world.lab.neutron() as neutron, ExitStack() as made:
        floating = neutron.create("floatingip", floating_network_id=world.ids["public"])
        made.callback(neutron.delete, "floatingip", floating["id"])
        address, ways = str(floating["floating_ip_address"]), {}
        path = f"{world.lab.layout.api}/v2.0/floatingips/{floating['id']}/port_forwardings"
        for target, port in ((red1, 2201), (blue2, 2202)):
            wanted = {"internal_port_id": target.port_id, "internal_port": 22, "external_port": port, "protocol": "tcp"}
            ways[port] = httpx.post(path, json={"port_forwarding": wanted}).json()["port_forwarding"]["id"]
            made.callback(httpx.delete, f"{path}/{ways[port]}")
        with serve(red1, 22), serve(blue2, 22):
            until(lambda: opens(world, address, 2201), what="a forwarded port")
            until(lambda: opens(world, address, 2202), what="the other one, of another network")
            for inside in ("red2", "blue2"):  # instances of the router's networks too
                until(partial(connects, world[inside], address, 2201), what=f"a forwarded port for {inside}")
            assert not opens(world, address, 22)
            httpx.delete(f"{path}/{ways[2201]}").raise_for_status()
            until(lambda: not opens(world, address, 2201), what="the port to be forwarded no more")
            assert opens(world, address, 2202)


def test_a_tap_mirror_copies_what_an_instance_sends_and_receives(world: World) -> None:
    red1, sink = world["red1"], world.lab.hypervisor(GATEWAY)
    mirror = {
        "port_id": red1.port_id,
        "directions": {"IN": 7, "OUT": 8},
        "remote_ip": sink.encap_address,
        "mirror_type": "gre",
    }
    path = f"{world.lab.layout.api}/v2.0/taas/tap_mirrors"
    made = httpx.post(path, json={"tap_mirror": mirror}).raise_for_status().json()["tap_mirror"]
    switch = world.lab.hypervisor("hv1")
    try:
        until(lambda: switch.vsctl("list", "Mirror").count("_uuid") == 2, what="two mirrors on the switch")
        with Capture(sink.namespace, UPLINK, "proto gre") as wire:
            answers(world, "red1", world["blue2"].address or "")
            wire.wait(rf"key=0x8.* {red1.address} > {world['blue2'].address}: ICMP echo request")
            wire.wait(rf"key=0x7.* {world['blue2'].address} > {red1.address}: ICMP echo reply")
    finally:
        httpx.delete(f"{path}/{made['id']}").raise_for_status()
    until(lambda: not switch.vsctl("list", "Mirror"), what="the mirrors to go")


RATE, BURST, SECONDS, PAYLOAD = 2000, 400, 4, 1000
FRAME = PAYLOAD + 42
"""Bytes of a frame with a datagram of the payload: 14 Ethernet, 20 IP, 8 UDP."""


def kilobits(source: Instance, target: Instance, address: str) -> tuple[float, float]:
    """Send UDP at four times the rate; return how many kilobits of frames arrived, and in how many seconds."""
    with Program(target, "iperf3", "--server", "--one-off", "--forceflush", ready=True):
        report = source.namespace.run(
            *("iperf3", "--client", address, "--udp", "--json", f"--bandwidth={4 * RATE}K", f"--time={SECONDS}"),
            f"--length={PAYLOAD}",
        )
    told = json.loads(report)["end"]["sum"]
    return (told["packets"] - told["lost_packets"]) * FRAME * 8 / 1000, told["seconds"]


def keeps_to(rate: int, got: tuple[float, float]) -> bool:
    """Return whether what arrived is within a tenth of a rate; what is short of the burst, a busy host did not send."""
    return 0.9 * rate * got[1] < got[0] < 1.1 * (rate * got[1] + BURST)


@contextmanager
def limited(world: World, direction: str) -> Iterator[str]:
    """Make a QoS policy with a limit and a mark, and return its id."""
    path = f"{world.lab.layout.api}/v2.0/qos/policies"
    policy = httpx.post(path, json={"policy": {"name": "limited"}}).raise_for_status().json()["policy"]["id"]
    limit = {"max_kbps": RATE, "max_burst_kbps": BURST, "direction": direction}
    bodies = {"bandwidth_limit": limit, "dscp_marking": {"dscp_mark": 10}}
    for kind, body in bodies.items():
        httpx.post(f"{path}/{policy}/{kind}_rules", json={f"{kind}_rule": body}).raise_for_status()
    try:
        yield policy
    finally:
        httpx.delete(f"{path}/{policy}").raise_for_status()


@contextmanager
def under(world: World, resource: str, ident: str, policy: str) -> Iterator[None]:
    """Put a resource under a policy."""
    with world.lab.neutron() as neutron:
        neutron.update(resource, ident, qos_policy_id=policy)
        try:
            yield
        finally:
            neutron.update(resource, ident, qos_policy_id=None)


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_port_keeps_to_its_policy(world: World, direction: str) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    answers(world, "red1", blue2.address or "")
    source, target = (red1, blue2) if direction == "egress" else (blue2, red1)
    with limited(world, direction) as policy, under(world, "port", red1.port_id, policy):
        with Capture(blue2.namespace, INTERFACE, f"src {red1.address} and ip[1] & 0xfc = 40") as marked:
            until(
                lambda: red1.pings(blue2.address or "") and marked.find("echo request"), what="a packet with the DSCP"
            )
        assert keeps_to(RATE, kilobits(source, target, target.address or ""))
    assert not keeps_to(RATE, kilobits(source, target, target.address or ""))


def test_ports_without_a_policy_keep_to_their_networks(world: World) -> None:
    red1, blue2 = world["red1"], world["blue2"]
    answers(world, "red1", blue2.address or "")
    with limited(world, "egress") as policy, under(world, "network", world.ids["red"], policy):
        with Capture(blue2.namespace, INTERFACE, f"src {red1.address} and ip[1] & 0xfc = 40") as marked:
            until(
                lambda: red1.pings(blue2.address or "") and marked.find("echo request"), what="a packet with the DSCP"
            )
        assert keeps_to(RATE, kilobits(red1, blue2, blue2.address or ""))


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_floating_ip_keeps_to_its_policy(world: World, floating: str, direction: str) -> None:
    del floating
    red1, outside = world["red1"], world.outside
    answers(world, "red1", external_network.ADDRESS)
    with limited(world, direction) as policy, world.floating_ip("red1") as address:
        with world.lab.neutron() as neutron:
            [one] = neutron.list("floatingip", floating_ip_address=address)
        with under(world, "floatingip", one["id"], policy):
            with world.on_wire(f"src {address} and ip[1] & 0xfc = 40") as marked:
                until(lambda: red1.pings(external_network.ADDRESS) and marked.find("echo request"), what="the DSCP")
            if direction == "egress":
                got = kilobits(red1, outside, external_network.ADDRESS)  # type: ignore[arg-type]
            else:
                got = kilobits(outside, red1, address)  # type: ignore[arg-type]
            assert keeps_to(RATE, got)


def test_a_gateway_keeps_to_its_policy(world: World) -> None:
    red2, outside = world["red2"], world.outside
    answers(world, "red2", external_network.ADDRESS)
    with limited(world, "egress") as policy, world.lab.neutron() as neutron:
        gateway = {"network_id": world.ids["public"]}
        neutron.update("router", world.ids["router"], external_gateway_info=gateway | {"qos_policy_id": policy})
        try:
            with world.on_wire(f"src {world.router_address()} and ip[1] & 0xfc = 40") as marked:
                until(lambda: red2.pings(external_network.ADDRESS) and marked.find("echo request"), what="the DSCP")
            assert keeps_to(RATE, kilobits(red2, outside, external_network.ADDRESS))  # type: ignore[arg-type]
        finally:
            neutron.update("router", world.ids["router"], external_gateway_info=gateway | {"qos_policy_id": None})


def opens(world: World, address: str, port: int) -> bool:
    """Say whether the outside world can connect."""
    script = (
        f"import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex(({address!r}, {port})) or 'open')"
    )
    with Program(world.outside, sys.executable, "-c", script) as program:  # type: ignore[arg-type]
        return "open" in program.finish()


VLAN, VLAN_OUTSIDE, VLAN_POOL = 123, "172.25.5.1", ("172.25.5.10", "172.25.5.99")


def test_a_provider_vlan_is_tagged_on_the_wire(world: World) -> None:
    provider = {"provider:network_type": "vlan", "provider:physical_network": external_network.PHYSICAL_NETWORK}
    with vlan_outside(world, VLAN, "10.3.0.1/24"), world.lab.neutron() as neutron:
        network = neutron.create("network", name="wire", **provider, **{"provider:segmentation_id": VLAN})["id"]
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.3.0.0/24", gateway_ip="10.3.0.1")
        booted = []
        try:
            with world.on_wire(f"vlan {VLAN}") as wire:
                for name, host in (("wire1", "hv1"), ("wire2", "hv2")):
                    world.instances[name] = world.lab.boot(name, network=network, host=host, security_groups=(GROUP,))
                    booted.append(name)
                one, two = world["wire1"], world["wire2"]
                wire.wait(rf"{one.mac} > .*who-has {one.address} .*tell {one.address}")  # announced, gratuitously
                answers(world, "wire1", "10.3.0.1")
                wire.wait(rf"vlan {VLAN},.* {one.address} > 10\.3\.0\.1: ICMP echo request")
                answers(world, "wire1", two.address or "")
            pings = [("wire1", two.address or ""), ("red2", external_network.ADDRESS)]
            assert world.passes_gateway(pings) == [False, True]
            assert world.passes(pings[:1], "hv1", "eth1") == [True]  # over the wire, and through no tunnel
        finally:
            for name in booted:
                world.lab.delete(name)
                del world.instances[name]
            neutron.delete("network", network)


def test_two_external_networks_on_one_gateway(world: World) -> None:
    kind = {"provider:network_type": "vlan", "provider:segmentation_id": VLAN}
    with vlan_outside(world, VLAN, f"{VLAN_OUTSIDE}/24"), world.lab.neutron() as neutron:
        public = world.external(neutron, "public2", "172.25.5.0/24", VLAN_OUTSIDE, VLAN_POOL, **kind)
        green = neutron.create("network", name="green")["id"]
        subnet = neutron.create("subnet", network_id=green, ip_version=4, cidr="10.4.0.0/24")["id"]
        router = neutron.create("router", name="router2", external_gateway_info={"network_id": public})["id"]
        world.ids["router2"] = router
        neutron.act("router", router, "add_router_interface", subnet_id=subnet)
        try:
            world.instances["green1"] = world.lab.boot("green1", network=green, host="hv1", security_groups=(GROUP,))
            answers(world, "green1", VLAN_OUTSIDE)
            answers(world, "red2", external_network.ADDRESS)
            with world.on_wire(f"vlan {VLAN} and icmp") as wire:
                world["green1"].run(*PING, VLAN_OUTSIDE)
                wire.wait(rf"{world.router_address('router2')} > {VLAN_OUTSIDE}: ICMP echo request")
            pings = [("green1", VLAN_OUTSIDE), ("red2", external_network.ADDRESS)]
            assert world.passes_link(pings, GATEWAY) == [True, True]
        finally:
            if "green1" in world.instances:
                world.lab.delete("green1")
                del world.instances["green1"]
            neutron.act("router", router, "remove_router_interface", subnet_id=subnet)
            for resource, made in (("router", router), ("network", green), ("network", public)):
                neutron.delete(resource, made)


def test_ipv6_to_the_outside_and_back(world: World) -> None:
    """Without translation: the outside world routes the instances' prefix to the router."""
    kind = {"provider:network_type": "vlan", "provider:physical_network": external_network.PHYSICAL_NETWORK}
    wire, prefix, gateway = "2001:db8:4::/64", "2001:db8:5::/64", "2001:db8:4::1"
    slaac = dict.fromkeys(("ipv6_ra_mode", "ipv6_address_mode"), "slaac")
    with vlan_outside(world, VLAN, "2001:db8:4::1/64"), world.lab.neutron() as neutron:
        tag = {"provider:segmentation_id": VLAN, "router:external": True}
        public = neutron.create("network", name="public6", **kind, **tag)["id"]
        neutron.create("subnet", network_id=public, ip_version=6, cidr=wire, gateway_ip=gateway, enable_dhcp=False)
        inner = neutron.create("network", name="six")["id"]
        subnet = neutron.create("subnet", network_id=inner, ip_version=6, cidr=prefix, **slaac)["id"]
        router = neutron.create("router", name="router6", external_gateway_info={"network_id": public})
        world.ids["router6"] = router["id"]
        neutron.act("router", router["id"], "add_router_interface", subnet_id=subnet)
        try:
            six = world.instances["six"] = world.lab.boot("six", network=inner, host="hv1", security_groups=(GROUP,))
            world.outside.namespace.batch([f"route add {prefix} via {world.router_address('router6')}"])
            until(lambda: six.address6 is not None, what="an IPv6 address")
            answers(world, "six", gateway)
            until(lambda: world.outside.pings(six.address6 or "", wait=0.3), what="the instance to answer")
            assert hop_limit(world.outside.namespace.run(*PING, six.address6 or "")) == 254
        finally:
            if world.instances.pop("six", None):
                world.lab.delete("six")
            neutron.act("router", router["id"], "remove_router_interface", subnet_id=subnet)
            for resource, made in (("router", router["id"]), ("network", inner), ("network", public)):
                neutron.delete(resource, made)


def test_an_external_network_that_tunnels_carry(world: World) -> None:
    with world.lab.neutron() as neutron:
        outer = neutron.create("network", name="outer", **{"router:external": True})["id"]
        neutron.create("subnet", network_id=outer, ip_version=4, cidr="10.5.0.0/24")
        green = neutron.create("network", name="green")["id"]
        subnet = neutron.create("subnet", network_id=green, ip_version=4, cidr="10.4.0.0/24")["id"]
        router = neutron.create("router", name="router2", external_gateway_info={"network_id": outer})["id"]
        neutron.act("router", router, "add_router_interface", subnet_id=subnet)
        booted = []
        try:
            for name, network, host in (("outer1", outer, "hv1"), ("green2", green, "hv2")):
                world.instances[name] = world.lab.boot(name, network=network, host=host, security_groups=(GROUP,))
                booted.append(name)
            outer1, green2 = world["outer1"], world["green2"]
            with Capture(outer1.namespace, "eth0", "icmp") as wire:
                answers(world, "green2", outer1.address or "")
                address = neutron.show("router", router)["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
                wire.wait(rf"{address} > {outer1.address}: ICMP echo request")
            floating = neutron.create("floatingip", floating_network_id=outer, port_id=green2.port_id)
            answers(world, "outer1", floating["floating_ip_address"])
            neutron.delete("floatingip", floating["id"])
        finally:
            for name in booted:
                world.lab.delete(name)
                del world.instances[name]
            neutron.act("router", router, "remove_router_interface", subnet_id=subnet)
            for resource, made in (("router", router), ("network", green), ("network", outer)):
                neutron.delete(resource, made)
