"""Subnets over HTTP."""

from __future__ import annotations

import pytest

from ovenbird.model.cloud import Network, Subnet


async def test_defaults(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    assert subnet["gateway_ip"] == "10.0.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert (subnet["ip_version"], subnet["enable_dhcp"]) == (4, True)
    [shown] = await neutron.list("networks")
    assert shown["subnets"] == [subnet["id"]]


async def test_name_servers_and_host_routes_keep_their_order(neutron):
    subnet = await neutron.subnet(
        await neutron.network(),
        dns_nameservers=["9.9.9.9", "1.1.1.1"],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
    )
    assert subnet["dns_nameservers"] == ["9.9.9.9", "1.1.1.1"]
    assert subnet["host_routes"] == [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]


@pytest.mark.parametrize(
    ("values", "status", "kind"),
    [
        ({"cidr": "10.0.0.0"}, 400, "InvalidInput"),
        ({"cidr": "nonsense"}, 400, "InvalidInput"),
        ({"cidr": None}, 400, "BadRequest"),
        ({"ip_version": 6}, 400, "InvalidInput"),
        ({"ip_version": 5}, 400, "HTTPBadRequest"),
        ({"gateway_ip": "10.0.0.255"}, 400, "InvalidInput"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, 400, "InvalidAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.2"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}, 409, "GatewayConflictWithAllocationPools"),
        ({"allocation_pools": [{"start": "10.0.0.3", "end": "10.0.0.9"}, {"start": "10.0.0.9", "end": "10.0.0.12"}]},
         409, "OverlappingAllocationPools"),
        ({"allocation_pools": [{"start": "10.0.0.3"}]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["example.org"]}, 400, "HTTPBadRequest"),
        ({"dns_nameservers": ["1.1.1.1", "1.1.1.1"]}, 400, "HTTPBadRequest"),
        ({"ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/31"}, 400, "InvalidInput"),
        ({"cidr": "224.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "127.0.0.0/24"}, 400, "InvalidInput"),
        ({"cidr": "0.0.0.0/8"}, 400, "InvalidInput"),
        ({"dns_nameservers": ["fd00::1"]}, 400, "InvalidInput"),
        ({"dns_nameservers": [f"1.1.1.{i}" for i in range(6)]}, 400, "DNSNameServersExhausted"),
        ({"host_routes": [{"destination": "fd00::/8", "nexthop": "10.0.0.9"}]}, 400, "InvalidInput"),
        ({"host_routes": [{"destination": f"10.{i}.0.0/16", "nexthop": "10.0.0.9"} for i in range(21)]}, 400,
         "HostRoutesExhausted"),
        ({"service_types": ["nonsense"]}, 400, "InvalidSubnetServiceType"),
        ({"service_types": [5]}, 400, "InvalidInputSubnetServiceType"),
        ({"network_id": "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f"}, 404, "NetworkNotFound"),
    ],
)  # fmt: skip
async def test_bad_values_are_refused_and_nothing_is_created(neutron, values, status, kind):
    network = await neutron.network()
    given = {"network_id": network["id"], "cidr": "10.0.0.0/24"} | values
    await neutron.refused(status, kind, "POST", "subnets", {"subnet": given})
    assert await neutron.list("subnets") == []


async def test_subnets_of_a_network_do_not_overlap(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    body = {"subnet": {"network_id": network["id"], "cidr": "10.0.0.128/25"}}
    await neutron.refused(400, "InvalidInput", "POST", "subnets", body)
    await neutron.subnet(await neutron.network(), cidr="10.0.0.128/25")
    pair = [{"network_id": network["id"], "cidr": c} for c in ("10.1.0.0/16", "10.1.2.0/24")]
    await neutron.refused(400, "InvalidInput", "POST", "subnets", {"subnets": pair})
    assert len(await neutron.list("subnets")) == 2


async def test_two_processes_cannot_make_overlapping_subnets_at_once(neutron):
    network = await neutron.network()

    def another_process():
        row = neutron.cloud.store.table(Network).get(network["id"])
        transaction = neutron.cloud.transaction()
        transaction.update(row, {"revision_number": row.revision_number + 1})
        transaction.insert(Subnet, {"network": row.uuid, "cidr": "10.0.0.0/16"})
        transaction.commit()

    neutron.cloud.interfere.append(another_process)
    body = {"subnet": {"network_id": network["id"], "cidr": "10.0.0.0/24"}}
    await neutron.refused(400, "InvalidInput", "POST", "subnets", body)


async def test_a_subnet_in_use_stays(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network)
    await neutron.refused(409, "SubnetInUse", "DELETE", f"subnets/{subnet['id']}")
    await neutron.ask("DELETE", f"ports/{port['id']}")
    assert (await neutron.ask("DELETE", f"subnets/{subnet['id']}"))[0] == 204


async def test_updates(neutron):
    subnet = await neutron.subnet(await neutron.network())
    path = f"subnets/{subnet['id']}"
    changes = {"gateway_ip": None, "enable_dhcp": False, "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}
    _, body = await neutron.ask("PUT", path, {"subnet": changes})
    assert {name: body["subnet"][name] for name in changes} == changes
    await neutron.refused(
        409, "GatewayConflictWithAllocationPools", "PUT", path, {"subnet": {"gateway_ip": "10.0.0.5"}}
    )
    await neutron.refused(400, "HTTPBadRequest", "PUT", path, {"subnet": {"cidr": "10.0.0.0/25"}})


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
async def test_self_addressed_subnets_are_of_64_bits(neutron, mode):
    network = await neutron.network()
    body = {
        "network_id": network["id"], "ip_version": 6, "cidr": "fd00::/56",
        "ipv6_ra_mode": mode, "ipv6_address_mode": mode,
    }  # fmt: skip
    await neutron.refused(400, "InvalidInput", "POST", "subnets", {"subnet": body})
    subnet = await neutron.create("subnet", **body | {"cidr": "fd00::/64"})
    assert subnet["gateway_ip"] == "fd00::"
    assert subnet["allocation_pools"] == [{"start": "fd00::1", "end": "fd00::ffff:ffff:ffff:ffff"}]


async def test_the_smallest_and_largest_prefixes(neutron):
    """One address has its gateway outside of it; all of IPv4 is no subnet."""
    network = await neutron.network()
    for cidr, version, gateway in (
        ("192.0.2.9/32", 4, "192.0.2.10"), ("fd00::9/128", 6, "fd00::9"), ("64.0.0.0/2", 4, "64.0.0.1")
    ):  # fmt: skip
        subnet = await neutron.subnet(network, cidr=cidr, ip_version=version, enable_dhcp=False)
        assert subnet["gateway_ip"] == gateway
    for cidr in ("255.255.255.255/32", "0.0.0.0/0", "192.0.3.0/31"):
        body = {"subnet": {"network_id": network["id"], "cidr": cidr, "enable_dhcp": False}}
        await neutron.refused(400, "InvalidInput", "POST", "subnets", body)


async def test_a_network_carries_what_its_subnets_need(neutron):
    network = await neutron.network(mtu=67)
    for version, cidr in ((4, "192.0.2.0/24"), (6, "fd00::/64")):
        body = {"subnet": {"network_id": network["id"], "cidr": cidr, "ip_version": version}}
        await neutron.refused(409, "NetworkMTUSubnetConflict", "POST", "subnets", body)
    path = f"networks/{network['id']}"
    assert (await neutron.ask("PUT", path, {"network": {"mtu": 1280}}))[0] == 200
    for version, cidr, mtu in ((4, "192.0.2.0/24", 67), (6, "fd00::/64", 1279)):
        await neutron.subnet(network, cidr=cidr, ip_version=version)
        await neutron.refused(409, "NetworkMTUSubnetConflict", "PUT", path, {"network": {"mtu": mtu}})
