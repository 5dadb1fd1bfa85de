"""A filter's value goes through the attribute's own conversion, as in Neutron; ids mean the same in either case."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from ovenbird.api import query
from ovenbird.api.values import boolean


@pytest.fixture
async def world(neutron):
    network = await neutron.network(mtu=1400)
    subnet = await neutron.subnet(network)
    six = await neutron.subnet(network, ip_version=6, cidr="2001:db8::/64")
    port = await neutron.port(network, mac_address="fa:16:3e:00:00:01", dns_name="web")
    await neutron.port(network, admin_state_up=False)
    group = (await neutron.list("security-groups"))[0]
    rule = await neutron.create(
        "security_group_rule", security_group_id=group["id"], direction="ingress", protocol="tcp",
        port_range_min=22, port_range_max=22, remote_ip_prefix="10.0.0.1",
    )  # fmt: skip
    router = await neutron.create("router")
    return {"network": network, "subnet": subnet, "six": six, "port": port, "rule": rule, "router": router} | {
        "group": group
    }


@pytest.mark.parametrize(
    ("path", "filters", "found"),
    [
        ("ports", "mac_address=FA:16:3E:00:00:01", "port"),
        ("ports", "mac_address=fa-16-3e-00-00-01", "port"),
        ("ports", "admin_state_up=yes", "port"),
        ("ports", "admin_state_up=True&admin_state_up=1", "port"),
        ("ports", "dns_name=WEB", "port"),
        ("ports", "id={PORT}", "port"),
        ("ports", "network_id={NETWORK}&admin_state_up=on", "port"),
        ("ports", "security_groups={GROUP}&admin_state_up=t", "port"),
        ("ports", "fixed_ips=subnet_id={SUBNET}&fixed_ips=ip_address={port_ip}", "port"),
        ("ports", "fixed_ips=ip_address={PORT_IP6}", "port"),
        ("ports", "revision_number=1&admin_state_up=YES", "port"),
        ("subnets", "cidr=2001:DB8::/64", "six"),
        ("subnets", "cidr=2001:0db8:0::/64", "six"),
        ("subnets", "cidr=10.0.0.0/24&enable_dhcp=on", "subnet"),
        ("subnets", "ip_version=6&shared=no&router:external=f", "six"),
        ("subnets", "gateway_ip=2001:DB8::", "six"),
        ("networks", "mtu=1400&shared=False", "network"),
        ("networks", "mtu=0001400", "network"),
        ("routers", "distributed=yes&ha=1&enable_ndp_proxy=off", "router"),
        ("security-group-rules", "protocol=TCP&ethertype=ipv4", "rule"),
        ("security-group-rules", "remote_ip_prefix=10.0.0.1", "rule"),
        ("security-group-rules", "remote_ip_prefix=10.0.0.1/255.255.255.255", "rule"),
        ("security-group-rules", "port_range_min=22&port_range_max=022", "rule"),
        ("security-group-rules", "id={RULE}&belongs_to_default_sg=yes", "rule"),
    ],
)
async def test_filters_accept_every_notation_that_requests_accept(neutron, world, path, filters, found):
    ips = {":" in one["ip_address"]: one["ip_address"] for one in world["port"]["fixed_ips"]}
    named = {name.upper(): value["id"].upper() for name, value in world.items()}
    filters = filters.format(**named, port_ip=ips[False], PORT_IP6=ips.get(True, "").upper())
    filters = "&".join(f"{k}={quote(v)}" for k, _, v in (one.partition("=") for one in filters.split("&")))
    assert [one["id"] for one in await neutron.list(f"{path}?{filters}")] == [world[found]["id"]]


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("ports", "mac_address=x"),
        ("ports", "network_id=x"),
        ("ports", "binding:vnic_type=x"),
        ("ports", "fixed_ips=ip_address=x"),
        ("ports", "fixed_ips=ip_address=fd00::5%25a"),
        ("subnets", "gateway_ip=x"),
        ("subnets", "subnetpool_id=x"),
        ("security-group-rules", "ethertype=IPv5"),
        ("security-group-rules", "direction=up"),
        ("security-group-rules", "remote_group_id=x"),
        ("routers", "distributed=no"),
        ("networks", "dns_domain=x"),
    ],
)
async def test_a_filter_by_an_impossible_value_finds_nothing(neutron, world, path, filters):
    assert await neutron.list(f"{path}?{filters}") == []


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("ports", "admin_state_up=maybe"),
        ("networks", "mtu=large"),
        ("subnets", "ip_version=six"),
        ("subnets", "cidr=x"),
        ("security-group-rules", "protocol=x"),
        ("security-group-rules", "port_range_min=x"),
        ("security-group-rules", "remote_ip_prefix=x"),
        ("networks", "limit=x"),
        ("networks", "limit=" + "9" * 5000),
        ("networks", "fields=" + "&fields=".join(map(str, range(101)))),
        ("ports", "&".join(f"fixed_ips=ip_address_substr={i}" for i in range(101))),
    ],
)
async def test_filters_with_values_of_the_wrong_type_are_400(neutron, world, path, filters):
    status, body = await neutron.ask("GET", f"{path}?{filters}")
    assert status == 400, body


async def test_ids_in_addresses_mean_the_same_in_either_case(neutron, world):
    network, group, router = world["network"], world["group"], world["router"]
    assert (await neutron.ask("GET", f"networks/{network['id'].upper()}"))[1]["network"]["id"] == network["id"]
    status, body = await neutron.ask("PUT", f"networks/{network['id'].upper()}", {"network": {"name": "other"}})
    assert (status, body["network"]["name"]) == (200, "other")
    assert (await neutron.ask("PUT", f"networks/{network['id'].upper()}/tags/a"))[0] == 201
    assert (await neutron.ask("GET", f"security-groups/{group['id'].upper()}"))[0] == 200
    subnet = {"subnet_id": world["subnet"]["id"].upper()}
    status, body = await neutron.ask("PUT", f"routers/{router['id'].upper()}/add_router_interface", subnet)
    assert status == 200, body
    status, body = await neutron.ask("PUT", f"routers/{router['id'].upper()}/remove_router_interface", subnet)
    assert status == 200, body
    page = await neutron.list(f"ports?limit=5&marker={world['port']['id'].upper()}")
    assert world["port"]["id"] not in {one["id"] for one in page}
    assert (await neutron.ask("DELETE", f"ports/{world['port']['id'].upper()}"))[0] == 204


def test_repeated_parameters_are_evaluated_once():
    asked = query.parse(b"sort_key=name&" * 1000 + b"fields=a&" * 1000 + b"up=1&" * 1000, {"name": None, "up": boolean})
    assert asked.sort == (("name", False),)
    assert asked.fields == ("a",)
    assert list(asked.filters["up"]) == [True]
