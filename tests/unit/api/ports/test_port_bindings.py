"""Bindings and names of ports: both follow from what is known now."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, sb


async def shown(neutron, port):
    return (await neutron.ask("GET", f"ports/{port['id']}"))[1]["port"]


async def test_a_binding_holds_while_the_host_has_a_chassis(neutron):
    port = await neutron.port(await neutron.network(), **{"binding:host_id": "host1"})
    assert (port["binding:vif_type"], port["binding:vif_details"]) == ("binding_failed", {})
    neutron.chassis("c1", "host1", {"datapath-type": "netdev"})
    bound = await shown(neutron, port)
    assert bound["binding:vif_type"] == "ovs"
    assert bound["binding:vif_details"]["datapath_type"] == "netdev"
    assert bound["binding:vif_details"]["bound_drivers"] == {"0": "ovn"}
    transaction = neutron.southbound.transaction()
    transaction.delete(neutron.southbound.store.find(sb.Chassis.name, "c1"))
    transaction.commit()
    assert (await shown(neutron, port))["binding:vif_type"] == "binding_failed"
    _, body = await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"binding:host_id": None}})
    assert (body["port"]["binding:host_id"], body["port"]["binding:vif_type"]) == ("", "unbound")


async def test_the_chassis_own_name_is_a_host_too(neutron):
    neutron.chassis("c1", "host1")
    port = await neutron.port(await neutron.network(), **{"binding:host_id": "c1"})
    assert port["binding:vif_type"] == "ovs"


async def test_a_host_without_the_physical_network_cannot_have_the_port(neutron):
    neutron.chassis("c1", "host1")
    neutron.chassis("c2", "host2", {"ovn-bridge-mappings": "other:br-o, physnet1:br-p"})
    network = await neutron.network(**{"provider:network_type": "vlan", "provider:physical_network": "physnet1"})
    found = [(await neutron.port(network, **{"binding:host_id": h}))["binding:vif_type"] for h in ("host1", "host2")]
    assert found == ["binding_failed", "ovs"]


async def test_a_change_of_a_chassis_affects_the_ports_of_its_host_only(neutron):
    network = await neutron.network()
    one, other = [await neutron.port(network, **{"binding:host_id": host}) for host in ("host1", "host2")]
    await neutron.list("ports")
    rows = neutron.cloud.store.table(cloud.Port)
    held = set(rows.get(other["id"]).readers)
    neutron.chassis("c1", "host1")
    assert held <= set(rows.get(other["id"]).readers)
    assert not rows.get(one["id"]).readers
    assert (await shown(neutron, one))["binding:vif_type"] == "ovs"


async def test_names(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    await neutron.subnet(network, cidr="2001:db8::/64", ip_version=6)
    fixed = [{"ip_address": "10.0.0.5"}, {"ip_address": "2001:db8::5"}]
    plain = await neutron.port(network, fixed_ips=fixed)
    assert plain["dns_assignment"] == [
        {"ip_address": "10.0.0.5", "hostname": "host-10-0-0-5", "fqdn": "host-10-0-0-5.openstacklocal."},
        {"ip_address": "2001:db8::5", "hostname": "host-2001-db8--5", "fqdn": "host-2001-db8--5.openstacklocal."},
    ]
    named = await neutron.port(network, dns_name="web", fixed_ips=[{"ip_address": "10.0.0.6"}])
    assert [n["fqdn"] for n in named["dns_assignment"]] == ["web.openstacklocal."]
    await neutron.ask("PUT", f"networks/{network['id']}", {"network": {"dns_domain": "example.org."}})
    assert (await shown(neutron, named))["dns_assignment"][0]["fqdn"] == "web.example.org."
    _, body = await neutron.ask("PUT", f"ports/{named['id']}", {"port": {"dns_domain": "own.example."}})
    assert body["port"]["dns_domain"] == "own.example."
    assert body["port"]["dns_assignment"][0]["fqdn"] == "web.own.example."
    transaction = neutron.cloud.transaction()
    uuid = transaction.insert(cloud.CloudGlobal, {"options": {"dns_domain": "cloud.example."}})
    transaction.commit()
    await neutron.ask("PUT", f"networks/{network['id']}", {"network": {"dns_domain": ""}})
    assert (await shown(neutron, plain))["dns_assignment"][0]["fqdn"] == "host-10-0-0-5.cloud.example."
    transaction = neutron.cloud.transaction()
    transaction.update(uuid, {"options": {"dns_domain": ""}})
    transaction.commit()
    assert (await shown(neutron, plain))["dns_assignment"][0]["fqdn"] == "host-10-0-0-5."


@pytest.mark.parametrize("name", ["-web", "web-", "we_b", "a" * 64, "web..org", ".", "web.org"])
async def test_invalid_names_are_refused(neutron, name):
    network = await neutron.network()
    body = {"port": {"network_id": network["id"], "dns_name": name}}
    await neutron.refused(400, "HTTPBadRequest", "POST", "ports", body)


@pytest.mark.parametrize("domain", ["exa mple.org", "example..org", "example.123", "-x.org"])
async def test_invalid_domains_are_refused(neutron, domain):
    await neutron.refused(400, "HTTPBadRequest", "POST", "networks", {"network": {"dns_domain": domain}})


async def test_no_more_than_ten_address_pairs(neutron):
    network = await neutron.network()
    pairs = [{"ip_address": f"10.0.0.{i}"} for i in range(11)]
    body = {"port": {"network_id": network["id"], "allowed_address_pairs": pairs}}
    await neutron.refused(400, "AllowedAddressPairExhausted", "POST", "ports", body)
    await neutron.port(network, allowed_address_pairs=pairs[:10])


@pytest.mark.parametrize(("prefix", "kind"), [("cr-lrp-", "chassisredirect"), ("lrp-", "l3gateway")])
async def test_a_gateways_port_is_where_the_gateway_is(neutron, prefix, kind):
    outside, *_ = await neutron.routed()
    neutron.chassis("c1", "host1")
    [port] = await neutron.list(f"ports?network_id={outside['id']}&device_owner=network:router_gateway")
    assert (port["binding:host_id"], port["status"]) == ("", "DOWN")
    transaction = neutron.southbound.transaction()
    datapath = transaction.insert(sb.DatapathBinding, {"tunnel_key": 1})
    chassis = neutron.southbound.store.find(sb.Chassis.name, "c1")
    values = {"logical_port": f"{prefix}{port['id']}", "type": kind, "datapath": datapath, "tunnel_key": 1}
    transaction.insert(sb.PortBinding, values | {"chassis": chassis.uuid})
    transaction.commit()
    port = await shown(neutron, port)
    assert (port["binding:host_id"], port["status"]) == ("host1", "ACTIVE")


async def test_device_id_and_owner_of_a_routers_port_cannot_be_changed(neutron):
    _, _, _, router, _ = await neutron.routed()
    ports = await neutron.list(f"ports?device_id={router['id']}")
    for port in ports:
        for change in ({"device_id": ""}, {"device_owner": ""}):
            await neutron.refused(409, "PortInUse", "PUT", f"ports/{port['id']}", {"port": change})
        same = {"port": {"device_id": router["id"], "name": "x"}}
        assert (await neutron.ask("PUT", f"ports/{port['id']}", same))[0] == 200


CARD = {"card_serial_number": "x", "pf_mac_address": "02:00:00:00:00:01", "vf_num": 3}
PCI = {"pci_vendor_info": "15b3:101e", "pci_slot": "0000:03:00.2", "physical_network": None}


@pytest.mark.parametrize(
    ("profile", "vnic_type"),
    [
        ({"capabilities": "switchdev"}, "normal"),
        ({"tag": 5}, "normal"),
        ({"parent_name": 7, "tag": 5}, "normal"),
        ({"parent_name": "PARENT", "tag": "5"}, "normal"),
        ({"parent_name": "PARENT", "tag": True}, "normal"),
        ({"parent_name": "PARENT", "tag": -1}, "normal"),
        ({"parent_name": "PARENT", "tag": 4096}, "normal"),
        ({"vtep-physical-switch": "tor"}, "normal"),
        ({"pci_slot": "0000:03:00.2"}, "direct"),
        (PCI, "remote-managed"),
        (PCI | CARD | {"vf_num": "3"}, "remote-managed"),
    ],
)
async def test_a_profile_whose_keys_do_not_fit_together(neutron, profile, vnic_type):
    network = await neutron.network()
    parent = (await neutron.port(network))["id"]
    given = {key: parent if value == "PARENT" else value for key, value in profile.items()}
    values = {"binding:profile": given, "binding:vnic_type": vnic_type}
    await neutron.refused(400, "InvalidInput", "POST", "ports", {"port": {"network_id": network["id"]} | values})
    port = await neutron.port(network)
    await neutron.refused(400, "InvalidInput", "PUT", f"ports/{port['id']}", {"port": values})


async def test_profiles_that_are_taken(neutron):
    network = await neutron.network()
    parent = (await neutron.port(network))["id"]
    container = {"parent_name": parent, "tag": 0, "surplus": [1]}
    for profile, vnic_type in [
        (container, "normal"),
        ({"vtep-physical-switch": "tor", "vtep-logical-switch": "ls"}, "normal"),
        (PCI | {"capabilities": ["switchdev"]}, "direct"),
        (PCI | CARD, "remote-managed"),
        ({"pci_slot": "x", "capabilities": ["other"]}, "direct"),
        ({"pci_slot": "x", "migrating_to": "hv2"}, "normal"),
    ]:
        port = await neutron.port(network, **{"binding:profile": profile, "binding:vnic_type": vnic_type})
        assert port["binding:profile"] == profile
    lost = {"parent_name": "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f", "tag": 1}
    body = {"port": {"network_id": network["id"], "binding:profile": lost}}
    await neutron.refused(404, "PortNotFound", "POST", "ports", body)


async def test_a_port_whose_address_others_may_use_is_not_given_to_an_instance(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    vip = await neutron.port(network)
    address = vip["fixed_ips"][0]["ip_address"]
    pairs = {"allowed_address_pairs": [{"ip_address": address}]}
    member = await neutron.port(network, **pairs)
    path, taken = f"ports/{vip['id']}", {"device_id": "vm", "device_owner": "compute:a", "binding:host_id": "hv1"}
    await neutron.refused(400, "BadRequest", "PUT", path, {"port": taken})
    assert (await neutron.ask("PUT", path, {"port": {"device_id": "lb", "device_owner": "Octavia"}}))[0] == 200
    await neutron.ask("PUT", f"ports/{member['id']}", {"port": {"allowed_address_pairs": []}})
    assert (await neutron.ask("PUT", path, {"port": taken}))[0] == 200
    assert (await neutron.ask("PUT", f"ports/{member['id']}", {"port": pairs}))[0] == 200
    assert (await neutron.ask("PUT", path, {"port": taken | {"binding:host_id": "hv2", "device_id": "v2"}}))[0] == 200


async def test_a_port_does_not_come_to_hold_a_floating_ip(neutron):
    port = await neutron.port(await neutron.network())
    await neutron.refused(
        400, "BadRequest", "PUT", f"ports/{port['id']}", {"port": {"device_owner": "network:floatingip"}}
    )
