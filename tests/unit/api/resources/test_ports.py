"""Ports over HTTP: addresses, MACs, port security, status."""

from __future__ import annotations

import pytest

from ovenbird.model.cloud import FixedAddress, Port
from ovenbird.model.nb import LogicalSwitch, LogicalSwitchPort


def addresses(port):
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


async def test_a_port_gets_an_address_a_mac_and_the_default_group(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network)
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["port_security_enabled"] is True
    [group] = await neutron.list("security-groups")
    assert group["name"] == "default"
    assert port["security_groups"] == [group["id"]]
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "unbound")


async def test_one_address_for_each_ip_version(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    await neutron.subnet(network, cidr="10.1.0.0/24")
    await neutron.subnet(network, ip_version=6, cidr="fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    port = await neutron.port(network, mac_address="FA-16-3E-00-00-01")
    assert port["mac_address"] == "fa:16:3e:00:00:01"
    assert addresses(port) == ["10.0.0.2", "fd00::f816:3eff:fe00:1"]


async def test_a_network_without_subnets_gives_no_address(neutron):
    port = await neutron.port(await neutron.network())
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "none")


async def test_requested_addresses_of_a_port(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network, fixed_ips=[{"ip_address": "10.0.0.9"}, {"subnet_id": subnet["id"]}])
    assert sorted(addresses(port)) == ["10.0.0.2", "10.0.0.9"]
    for wanted, status, kind in [
        ({"ip_address": "10.0.0.9"}, 409, "IpAddressAlreadyAllocated"),
        ({"ip_address": "10.0.0.255"}, 400, "InvalidIpForNetwork"),
        ({"ip_address": "10.9.0.1"}, 400, "InvalidIpForNetwork"),
        ({"ip_address": "10.9.0.1", "subnet_id": subnet["id"]}, 400, "InvalidIpForSubnet"),
        ({"subnet_id": "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f"}, 404, "SubnetNotFound"),
        ({"ip_address": "ten"}, 400, "HTTPBadRequest"),
        ({}, 400, "InvalidInput"),
    ]:
        body = {"port": {"network_id": network["id"], "fixed_ips": [wanted]}}
        await neutron.refused(status, kind, "POST", "ports", body)
    assert len(await neutron.list("ports")) == 1


async def test_pools_run_dry_and_fill_again(neutron):
    network = await neutron.network()
    await neutron.subnet(network, allocation_pools=[{"start": "10.0.0.8", "end": "10.0.0.9"}])
    first, second = [await neutron.port(network) for _ in range(2)]
    assert addresses(first) + addresses(second) == ["10.0.0.8", "10.0.0.9"]
    body = {"port": {"network_id": network["id"]}}
    await neutron.refused(409, "IpAddressGenerationFailure", "POST", "ports", body)
    assert (await neutron.ask("DELETE", f"ports/{first['id']}"))[0] == 204
    assert addresses(await neutron.port(network)) == ["10.0.0.8"]


async def test_a_lost_race_for_an_address_is_run_again(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)

    def another_process():
        transaction = neutron.cloud.transaction()
        values = {"network": network["id"], "mac_address": "fa:16:3e:ff:ff:ff", "vnic_type": "normal"}
        port = transaction.insert(Port, values)
        transaction.insert(FixedAddress, {"port": port, "subnet": subnet["id"], "address": "10.0.0.2"})
        transaction.commit()

    neutron.cloud.interfere.append(another_process)
    assert addresses(await neutron.port(network)) == ["10.0.0.3"]


async def test_a_bulk_takes_different_addresses(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    _, body = await neutron.ask("POST", "ports", {"ports": [{"network_id": network["id"]}] * 5})
    assert sorted(a for port in body["ports"] for a in addresses(port)) == [f"10.0.0.{i}" for i in range(2, 7)]
    assert len(await neutron.list("security-groups")) == 1


async def test_a_mac_is_used_once_in_a_network(neutron):
    network = await neutron.network()
    port = await neutron.port(network)
    body = {"port": {"network_id": network["id"], "mac_address": port["mac_address"]}}
    await neutron.refused(409, "MacAddressInUse", "POST", "ports", body)
    other = await neutron.port(await neutron.network(), mac_address=port["mac_address"])
    assert other["mac_address"] == port["mac_address"]


async def test_port_security(neutron):
    network = await neutron.network()
    port = await neutron.port(network, port_security_enabled=False)
    assert port["security_groups"] == []
    [group] = await neutron.list("security-groups")
    body = {"network_id": network["id"], "port_security_enabled": False}
    await neutron.refused(
        400, "PortSecurityAndIPRequiredForSecurityGroups", "POST", "ports",
        {"port": body | {"security_groups": [group["id"]]}},
    )  # fmt: skip
    await neutron.refused(
        409, "AddressPairAndPortSecurityRequired", "POST", "ports",
        {"port": body | {"allowed_address_pairs": [{"ip_address": "10.0.0.1"}]}},
    )  # fmt: skip
    secured = await neutron.port(network)
    path = f"ports/{secured['id']}"
    change = {"port_security_enabled": False}
    await neutron.refused(409, "PortSecurityPortHasSecurityGroup", "PUT", path, {"port": change})
    _, answer = await neutron.ask("PUT", path, {"port": change | {"security_groups": []}})
    assert answer["port"]["port_security_enabled"] is False


async def test_updates(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network)
    path = f"ports/{port['id']}"
    neutron.chassis("hv1")
    changes = {
        "name": "new",
        "device_id": "vm",
        "binding:host_id": "hv1",
        "binding:profile": {"a": [1]},
        "fixed_ips": [{"ip_address": "10.0.0.2", "subnet_id": subnet["id"]}, {"ip_address": "10.0.0.77"}],
        "allowed_address_pairs": [{"ip_address": "10.0.0.0/28", "mac_address": "fa:16:3e:00:00:09"}],
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
    }
    _, body = await neutron.ask("PUT", path, {"port": changes})
    got = body["port"]
    assert addresses(got) == ["10.0.0.2", "10.0.0.77"]
    for name in ("name", "device_id", "binding:host_id", "binding:profile", "allowed_address_pairs", "extra_dhcp_opts"):
        assert got[name] == changes[name]
    assert (got["binding:vif_type"], got["revision_number"]) == ("ovs", 2)
    option = {"opt_name": "mtu", "opt_value": None}
    _, body = await neutron.ask("PUT", path, {"port": {"fixed_ips": [], "extra_dhcp_opts": [option]}})
    assert (body["port"]["fixed_ips"], body["port"]["extra_dhcp_opts"]) == ([], [])
    assert neutron.cloud.store.table(FixedAddress).all() == []


async def test_the_status_of_a_port_comes_from_northbound(neutron):
    port = await neutron.port(await neutron.network())

    async def status():
        return (await neutron.list("ports"))[0]["status"]

    transaction = neutron.northbound.transaction()
    row = transaction.insert(LogicalSwitchPort, {"name": port["id"]})
    transaction.insert(LogicalSwitch, {"name": "s", "ports": frozenset([row])})
    transaction.commit()
    assert await status() == "DOWN"
    for up, expected in [(True, "ACTIVE"), (False, "DOWN"), (True, "ACTIVE")]:
        transaction = neutron.northbound.transaction()
        transaction.update(row, {"up": up})
        transaction.commit()
        assert await status() == expected
    await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"admin_state_up": False}})
    assert await status() == "DOWN"


@pytest.mark.parametrize(
    "query",
    [
        "id={id}",
        "name=wanted",
        "device_id=vm",
        "network_id={network_id}&name=wanted",
        "fixed_ips=ip_address=10.0.0.50",
        "fixed_ips=ip_address_substr=0.50",
        "mac_address={mac_address}",
        "admin_state_up=False",
        "security_groups={group}&name=wanted",
        "name=absent&name=wanted",
    ],
)
async def test_filters(neutron, query):
    network = await neutron.network()
    await neutron.subnet(network)
    port = await neutron.port(
        network, name="wanted", device_id="vm", admin_state_up=False, fixed_ips=[{"ip_address": "10.0.0.50"}]
    )
    await neutron.port(network)
    found = await neutron.list("ports?" + query.format(**port, group=port["security_groups"][0]))
    assert found == [port]


async def test_an_unknown_filter_is_refused(neutron):
    await neutron.refused(400, "HTTPBadRequest", "GET", "ports?colour=red")


async def test_renderings_are_forgotten_with_their_rows(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    port_class = neutron.cloud.store.table(Port)
    for _ in range(3):
        port = await neutron.port(network)
        assert len(await neutron.list("ports")) == 1
        row = port_class.get(port["id"])
        assert row.readers
        await neutron.ask("DELETE", f"ports/{port['id']}")
        assert not row.readers


async def test_ports_get_slaac_addresses_of_later_subnets(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    port = await neutron.port(network, mac_address="fa:16:3e:00:00:01")
    mode = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    subnet = await neutron.subnet(network, ip_version=6, cidr="fd00::/64", **mode)
    path = f"ports/{port['id']}"
    _, body = await neutron.ask("GET", path)
    assert addresses(body["port"]) == ["10.0.0.2", "fd00::f816:3eff:fe00:1"]
    _, body = await neutron.ask("PUT", path, {"port": {"mac_address": "fa:16:3e:00:00:02"}})
    assert addresses(body["port"]) == ["10.0.0.2", "fd00::f816:3eff:fe00:2"]
    other = await neutron.port(network, mac_address="fa:16:3e:00:00:03", fixed_ips=[{"ip_address": "10.0.0.9"}])
    assert addresses(other) == ["10.0.0.9", "fd00::f816:3eff:fe00:3"]
    assert (await neutron.ask("DELETE", f"subnets/{subnet['id']}"))[0] == 204
    assert addresses((await neutron.ask("GET", path))[1]["port"]) == ["10.0.0.2"]


@pytest.mark.parametrize("written", ["FA-16-3E-00-00-07", "fa163e000007", "fa16.3e00.0007", "fa:16:3e:0:0:7"])
async def test_every_notation_of_a_mac_address_is_accepted(neutron, written):
    port = await neutron.port(await neutron.network(), mac_address=written)
    assert port["mac_address"] == "fa:16:3e:00:00:07"


async def test_no_mac_is_any(neutron):
    network = await neutron.network()
    port = await neutron.port(network, mac_address=None)
    _, body = await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"mac_address": None}})
    assert body["port"]["mac_address"] != port["mac_address"]
    body = {"port": {"network_id": network["id"], "mac_address": "ff:ff:ff:ff:ff:ff"}}
    await neutron.refused(400, "HTTPBadRequest", "POST", "ports", body)


async def test_a_plugged_port_keeps_its_mac_and_its_kind(neutron):
    neutron.chassis("c1", "host1")
    port = await neutron.port(await neutron.network(), **{"binding:host_id": "host1", "device_owner": "compute:nova"})
    path = f"ports/{port['id']}"
    await neutron.refused(409, "PortBound", "PUT", path, {"port": {"mac_address": "fa:16:3e:00:00:09"}})
    await neutron.refused(409, "PortInUse", "PUT", path, {"port": {"binding:vnic_type": "direct"}})
    await neutron.ask("PUT", path, {"port": {"binding:host_id": ""}})
    change = {"port": {"mac_address": "fa:16:3e:00:00:09", "binding:vnic_type": "direct"}}
    assert (await neutron.ask("PUT", path, change))[0] == 200
    _, body = await neutron.ask("PUT", path, {"port": {"binding:host_id": "host1"}})
    assert body["port"]["binding:vif_type"] == "binding_failed"  # nothing of ours plugs that
    offload = {"port": {"binding:profile": {"capabilities": ["switchdev"]}}}
    _, body = await neutron.ask("PUT", path, offload)
    assert body["port"]["binding:vif_type"] == "ovs"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"fixed_ips": None}, "HTTPBadRequest"),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}] * 2}, "HTTPBadRequest"),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, "AllowedAddressPairsMissingIP"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}] * 2}, "DuplicateAddressPairInRequest"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": None}]}, "HTTPBadRequest"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu"}]}, "InvalidInput"),
        ({"extra_dhcp_opts": [{"opt_name": "", "opt_value": "1"}]}, "InvalidInput"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]}, "InvalidInput"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1"}] * 2}, "InvalidInput"),
    ],
)
async def test_invalid_lists_of_a_port_are_refused(neutron, values, kind):
    network = await neutron.network()
    await neutron.subnet(network)
    await neutron.refused(400, kind, "POST", "ports", {"port": {"network_id": network["id"]} | values})


async def test_two_addresses_of_one_subnet(neutron):
    network = await neutron.network()
    subnet = await neutron.subnet(network)
    port = await neutron.port(network, fixed_ips=[{"subnet_id": subnet["id"]}] * 2)
    assert len({fixed["ip_address"] for fixed in port["fixed_ips"]}) == 2
