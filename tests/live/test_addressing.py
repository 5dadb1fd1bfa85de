"""Addresses and names in a routed cloud, as programs of the system see them: SLAAC, DHCPv6, DNS, announcements."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network
from ovenbird.lab.requirements import find_program
from support.live.capture import announced
from support.live.routed_world import GATEWAY, offer_gateways, port_addresses
from support.live.traffic import Program
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovenbird.lab.instance import Instance
    from support.live.routed_world import World

pytestmark = pytest.mark.live


def test_an_instance_gets_its_address_whatever_its_security_groups_say(world: World) -> None:
    with world.lab.neutron() as neutron:
        group = neutron.create("security_group", name="shut")
        for rule in group["security_group_rules"]:
            neutron.delete("security_group_rule", rule["id"])
        try:
            shut = world.lab.boot("shut", network="red", host="hv1", security_groups=("shut",))
            try:
                until(lambda: shut.address == port_addresses(neutron, shut)[0], what="a lease")
                assert not shut.pings(world["red2"].address or "", wait=1)
                assert not world["red2"].pings(shut.address or "", wait=1)
            finally:
                world.lab.delete("shut")
        finally:
            neutron.delete("security_group", group["id"])


def needs(program: str, package: str) -> None:
    """Skip where a program is missing."""
    if not find_program(program):
        pytest.skip(f"missing {program}: apt-get install {package}")


def address6(world: World, name: str) -> str:
    """Return the IPv6 address that the API has given to an instance."""
    with world.lab.neutron() as neutron:
        return next(address for address in port_addresses(neutron, world[name]) if ":" in address)


def gets_address6(instance: Instance) -> str | None:
    """Wait until an instance has an IPv6 address, and return it."""
    until(lambda: instance.address6 is not None, what=f"{instance.name} to have an IPv6 address")
    return instance.address6


def test_the_kernel_configures_the_slaac_address_that_the_api_shows(world: World) -> None:
    for name in ("red1", "red2"):
        instance = world[name]
        assert gets_address6(instance) == address6(world, name)
        route = instance.run("ip", "-6", "route", "show", "default")
        assert re.search(r"default via fe80::\S+ dev eth0 proto ra", route), route
        assert instance.run("cat", "/proc/sys/net/ipv6/conf/eth0/mtu").strip() == "1442"
    until(lambda: world["red1"].pings(address6(world, "red2"), wait=0.3), what="red2 to answer over IPv6")


def test_an_instance_of_a_stateful_subnet_gives_itself_none(world: World) -> None:
    blue2 = world["blue2"]
    world.hears_of_a_router(blue2)
    assert "dynamic" not in blue2.run("ip", "-6", "address", "show", "dev", "eth0", "scope", "global")


DHCP6_HOOK = """#!/bin/sh
[ -z "$new_ip6_address" ] || ip -6 address replace "$new_ip6_address/128" dev "$interface" nodad
env | grep -E '^(reason|new_)' > '{said}.new' && mv '{said}.new' '{said}'
"""


@contextmanager
def dhcp6(instance: Instance, directory: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run ISC's DHCPv6 client in an instance once, and give what it got."""
    needs("dhclient", "isc-dhcp-client")
    hook, said = directory / "hook", directory / "said"
    hook.write_text(DHCP6_HOOK.format(said=said))
    hook.chmod(0o755)
    files = ("-lf", str(directory / "leases"), "-pf", str(directory / "pid"), "-sf", str(hook), "-cf", "/dev/null")
    with Program(instance, "dhclient", "-6", "-d", "-v", *options, *files, "eth0"):
        until(lambda: said.exists() and "new_dhcp6_client_id" in said.read_text(), what="an answer by DHCPv6")
        yield dict(line.split("=", 1) for line in said.read_text().splitlines())


def test_a_real_dhcpv6_client_gets_its_address(world: World, tmp_path: Path) -> None:
    blue2, wanted = world["blue2"], address6(world, "blue2")
    with world.lab.neutron() as neutron:
        neutron.update("subnet", world.ids["blue6"], dns_nameservers=["2001:db8::53"])
        with dhcp6(blue2, tmp_path) as got:
            assert got["reason"] == "BOUND6"
            assert got["new_ip6_address"] == wanted
            assert got["new_dhcp6_name_servers"] == "2001:db8::53"
            assert wanted in blue2.run("ip", "-6", "address", "show", "dev", "eth0")
            world.hears_of_a_router(blue2)
            red6 = gets_address6(world["red1"]) or ""
            until(lambda: blue2.pings(red6, wait=0.3), what="the other network to answer over IPv6")


def dig(instance: Instance, *question: str) -> list[str]:
    """Return the short answers to a question of an instance, none if nobody answers."""
    # Names are answered for whatever server is asked, before the question leaves the host.
    command = ("dig", "+short", "+tries=1", "+time=1", "@10.1.0.1", *question)
    said = instance.run("sh", "-c", '"$@" || true', "sh", *command)
    return [line for line in said.splitlines() if not line.startswith(";;")]


def test_dig_finds_instances_by_name_and_back(world: World) -> None:
    needs("dig", "bind9-dnsutils")
    red1, red2 = world["red1"], world["red2"]
    with world.lab.neutron() as neutron:
        neutron.update("port", red2.port_id, dns_name="Web")
        try:
            until(lambda: dig(red1, "web", "A") == [red2.address], what="the name to be there")
            for name in ("web", "web.openstacklocal", "WEB.OpenStackLocal"):
                assert dig(red1, name, "A") == [red2.address]
                assert dig(red1, name, "AAAA") == [address6(world, "red2")]
            full = red1.run("dig", "+tries=1", "@10.1.0.1", "web", "A")  # with EDNS, unless it is told otherwise
            assert "EDNS: version: 0, flags:; udp: 1232" in full
            assert dig(red1, "+noedns", "web", "A") == [red2.address]
            assert dig(red1, "-x", red2.address or "") == ["web.openstacklocal."]
            assert dig(red1, "-x", address6(world, "red2")) == ["web.openstacklocal."]
            assert dig(red1, "nobody.openstacklocal", "A") == []
            assert dig(world["blue2"], "web.openstacklocal", "A") == []  # of another network
        finally:
            neutron.update("port", red2.port_id, dns_name="")
    until(lambda: dig(red1, "web", "A") == [], what="the name to be gone")


def test_a_floating_ip_is_announced(world: World) -> None:
    until(lambda: world["red2"].pings(external_network.ADDRESS, wait=0.3), what="the outside world to answer")
    with world.on_wire("arp") as wire, world.floating_ip("red1") as address:
        wire.wait(announced(address))


def test_a_gateway_that_takes_over_announces_its_addresses(world: World) -> None:
    with world.floating_ip("red1") as address:
        own = world.router_address()
        try:
            with world.on_wire("arp") as wire:
                offer_gateways(world.lab, "hv1")
                until(lambda: world.gateways == ["hv1"], what="hv1 to be the gateway")
                for announcement in (own, address):
                    wire.wait(announced(announcement))
            until(lambda: world.outside.pings(address, wait=0.3), what="the floating IP to answer by hv1")
        finally:
            offer_gateways(world.lab, GATEWAY)
            until(lambda: world.gateways == [GATEWAY], what=f"{GATEWAY} to be the gateway")
        until(lambda: world.outside.pings(address, wait=0.3), what=f"the floating IP to answer by {GATEWAY}")
