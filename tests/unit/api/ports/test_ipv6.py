"""IPv6 subnets: which modes go together, and whose addresses follow from MACs, whoever comes at the same moment."""

from __future__ import annotations

import pytest

from ovenbird.api.ports.ipam import eui64
from ovenbird.model import cloud

MODES = (None, "slaac", "dhcpv6-stateful", "dhcpv6-stateless")
SELF = ("slaac", "dhcpv6-stateless")
CIDR = "2001:db8::/64"


def modes(advertised, addressed):
    return {"ipv6_ra_mode": advertised, "ipv6_address_mode": addressed}


def addresses(port):
    return {f["ip_address"] for f in port["fixed_ips"]}


@pytest.mark.parametrize("advertised", MODES)
@pytest.mark.parametrize("addressed", MODES)
async def test_every_combination(neutron, advertised, addressed):
    network = await neutron.network()
    given = {"network_id": network["id"], "ip_version": 6, "cidr": CIDR} | modes(advertised, addressed)
    if advertised and addressed and advertised != addressed:
        message = await neutron.refused(400, "InvalidInput", "POST", "subnets", {"subnet": given})
        assert f"ipv6_ra_mode set to '{advertised}' with ipv6_address_mode set to '{addressed}' is not valid" in message
        return
    subnet = await neutron.create("subnet", **given)
    assert (subnet["ipv6_ra_mode"], subnet["ipv6_address_mode"]) == (advertised, addressed)
    port = await neutron.port(network)
    own = eui64(CIDR, mac=port["mac_address"])
    assert (addresses(port) == {own}) == (advertised in SELF or addressed in SELF)
    off = {"subnet": {"enable_dhcp": False}}
    if advertised or addressed:
        message = await neutron.refused(400, "InvalidInput", "PUT", f"subnets/{subnet['id']}", off)
        assert message == "Invalid input for operation: Cannot disable enable_dhcp with ipv6 attributes set."
        body = {"subnet": given | {"cidr": "2001:db8:1::/64", "enable_dhcp": False}}
        await neutron.refused(400, "InvalidInput", "POST", "subnets", body)
        if advertised in SELF or addressed in SELF:
            body = {"subnet": given | {"cidr": "2001:db8:1::/72"}}
            assert "/64" in await neutron.refused(400, "InvalidInput", "POST", "subnets", body)
    else:
        assert (await neutron.ask("PUT", f"subnets/{subnet['id']}", off))[0] == 200
    for name in ("ipv6_ra_mode", "ipv6_address_mode"):
        await neutron.refused(400, "HTTPBadRequest", "PUT", f"subnets/{subnet['id']}", {"subnet": {name: "slaac"}})


@pytest.mark.parametrize("name", ["ipv6_ra_mode", "ipv6_address_mode"])
async def test_modes_are_of_ipv6(neutron, name):
    network = await neutron.network()
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", name: "slaac"}}
    assert "ip_version is 4" in await neutron.refused(400, "InvalidInput", "POST", "subnets", body)


async def test_other_addresses_than_the_slaac_address_are_refused(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network, ip_version=6, cidr=CIDR, **modes("slaac", "slaac"))
    mac = "fa:16:3e:00:00:07"
    wanted = {"network_id": network["id"], "mac_address": mac}
    for fixed in ({"ip_address": "2001:db8::77"}, {"ip_address": "2001:db8::77", "subnet_id": subnet["id"]}):
        body = {"port": wanted | {"fixed_ips": [fixed]}}
        await neutron.refused(400, "AllocationOnAutoAddressSubnet", "POST", "ports", body)
    own = {"ip_address": eui64(CIDR, mac=mac)}
    port = await neutron.create("port", **wanted | {"fixed_ips": [own]})
    assert addresses(port) == {own["ip_address"]}
    body = {"port": {"fixed_ips": [own], "name": "same"}}
    assert addresses((await neutron.ask("PUT", f"ports/{port['id']}", body))[1]["port"]) == {own["ip_address"]}
    body = {"port": {"fixed_ips": [{"ip_address": "2001:db8::78"}]}}
    await neutron.refused(400, "AllocationOnAutoAddressSubnet", "PUT", f"ports/{port['id']}", body)
    router = await neutron.create("router")
    await neutron.act(router, "add_router_interface", subnet_id=subnet["id"])
    [inside] = await neutron.list("ports?device_owner=network:router_interface")
    assert addresses(inside) == {"2001:db8::"}


async def test_a_host_keeps_the_address_that_it_makes(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    await neutron.subnet(network, ip_version=6, cidr=CIDR, **modes("slaac", "slaac"))
    first, second = "fa:16:3e:00:00:07", "fa:16:3e:00:00:08"
    port = await neutron.port(network, mac_address=first)

    async def changed(**values):
        got, body = await neutron.ask("PUT", f"ports/{port['id']}", {"port": values})
        assert got == 200, body
        return addresses(body["port"])

    assert await changed(fixed_ips=[{"ip_address": "10.0.0.77"}]) == {"10.0.0.77", eui64(CIDR, mac=first)}
    assert await changed(fixed_ips=[]) == {eui64(CIDR, mac=first)}
    both = [{"ip_address": "10.0.0.78"}, {"ip_address": eui64(CIDR, mac=second)}]
    assert await changed(fixed_ips=both, mac_address=second) == {"10.0.0.78", eui64(CIDR, mac=second)}
    assert await changed(mac_address=first) == {"10.0.0.78", eui64(CIDR, mac=first)}
    assert await changed(fixed_ips=[{"ip_address": "10.0.0.9"}], mac_address=second) == {
        "10.0.0.9",
        eui64(CIDR, mac=second),
    }


async def test_a_subnet_for_some_owners_is_for_those_alone(neutron):
    network = await neutron.network()
    ours = await neutron.port(network, device_owner="compute:a")
    other = await neutron.port(network, device_owner="compute:b")
    only = {"service_types": ["compute:a"]} | modes("slaac", "slaac")
    await neutron.subnet(network, ip_version=6, cidr=CIDR, **only)
    ports = {p["id"]: addresses(p) for p in await neutron.list("ports")}
    assert ports == {ours["id"]: {eui64(CIDR, mac=ours["mac_address"])}, other["id"]: set()}


async def test_a_port_made_while_its_subnet_is_made(neutron):
    """Another process's port comes just before the subnet: this one saw none when it wrote the subnet."""
    network = await neutron.network()
    made = []

    def other_process():
        transaction = neutron.cloud.transaction()
        values = {"network": network["id"], "mac_address": "fa:16:3e:00:00:07", "vnic_type": "normal"}
        made.append(transaction.insert(cloud.Port, values | {"revision_number": 1}))
        transaction.commit()

    neutron.cloud.interfere.append(other_process)
    await neutron.subnet(network, ip_version=6, cidr=CIDR, **modes("slaac", "slaac"))
    [port] = await neutron.list("ports")
    assert (port["id"], addresses(port)) == (made[0], {eui64(CIDR, mac="fa:16:3e:00:00:07")})


async def test_a_subnet_made_while_its_port_is_made(neutron):
    """Another process's subnet comes just before the port: this one saw none when it wrote the port."""
    network = await neutron.network()

    def other_process():
        transaction = neutron.cloud.transaction()
        row = neutron.cloud.store.table(cloud.Network).get(network["id"])
        transaction.update(row, {"revision_number": row.revision_number + 1})
        values = {"network": network["id"], "cidr": CIDR, "enable_dhcp": True} | modes("slaac", "slaac")
        transaction.insert(cloud.Subnet, values)
        transaction.commit()

    neutron.cloud.interfere.append(other_process)
    port = await neutron.port(network)
    assert addresses(port) == {eui64(CIDR, mac=port["mac_address"])}


async def test_a_bulk_of_ports_in_two_self_addressed_subnets(neutron):
    network = await neutron.network()
    for cidr in (CIDR, "2001:db8:1::/64"):
        await neutron.subnet(network, ip_version=6, cidr=cidr, **modes("dhcpv6-stateless", "dhcpv6-stateless"))
    _, body = await neutron.ask("POST", "ports", {"ports": [{"network_id": network["id"]}] * 20})
    for port in body["ports"]:
        assert addresses(port) == {eui64(cidr, mac=port["mac_address"]) for cidr in (CIDR, "2001:db8:1::/64")}


async def test_packets_too_small_for_ipv6(neutron):
    network = await neutron.network(mtu=1279)
    body = {"subnet": {"network_id": network["id"], "ip_version": 6, "cidr": CIDR}}
    await neutron.refused(409, "NetworkMTUSubnetConflict", "POST", "subnets", body)
    path = f"networks/{network['id']}"
    assert (await neutron.ask("PUT", path, {"network": {"mtu": 1280}}))[0] == 200
    await neutron.create("subnet", **body["subnet"])
    await neutron.refused(409, "NetworkMTUSubnetConflict", "PUT", path, {"network": {"mtu": 1279}})


async def test_an_unspecified_ipv6_prefix_is_refused(neutron):
    network = await neutron.network()
    body = {"subnet": {"network_id": network["id"], "ip_version": 6, "cidr": "::/64"}}
    await neutron.refused(400, "InvalidInput", "POST", "subnets", body)
