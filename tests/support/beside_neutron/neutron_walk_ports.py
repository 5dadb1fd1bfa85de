"""The walk goes on: ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

PAIR = {"ip_address": "10.50.0.99"}

PORTS: list[dict[str, Any]] = [
    {},
    {"name": "p", "description": "d"},
    {"admin_state_up": False},
    {"mac_address": "fa:16:3e:00:00:01"},
    {"mac_address": "FA-16-3E-00-00-02"},
    {"mac_address": "fa:16:3e:00:00:01"},
    {"mac_address": "fa163e000003"},
    {"mac_address": "fa16.3e00.0004"},
    {"mac_address": "fa:16:3e:0:0:5"},
    {"mac_address": "01:00:5e:00:00:01"},
    {"mac_address": "00:00:00:00:00:00"},
    {"mac_address": "ff:ff:ff:ff:ff:ff"},
    {"mac_address": "x"},
    {"mac_address": ""},
    {"mac_address": None},
    {"fixed_ips": []},
    {"fixed_ips": None},
    {"fixed_ips": "x"},
    {"fixed_ips": [{}]},
    {"fixed_ips": ["x"]},
    {"fixed_ips": [{"ip_address": "10.50.0.7"}]},
    {"fixed_ips": [{"ip_address": "10.50.0.7"}]},
    {"fixed_ips": [{"subnet_id": "FOUR"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.8"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.51.0.8"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.0"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.255"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.1"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.254"}]},
    {"fixed_ips": [{"subnet_id": "FOUR"}, {"subnet_id": "FOUR"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.9"}, {"subnet_id": "FOUR"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.10"}] * 2},
    {"fixed_ips": [{"ip_address": "10.50.0.11"}, {"ip_address": "10.50.0.12"}]},
    {"fixed_ips": [{"ip_address": "10.50.0.13"}, {"subnet_id": "FOUR", "ip_address": "10.50.0.13"}]},
    {"fixed_ips": [{"ip_address": f"10.50.0.{i}"} for i in range(100, 107)]},
    {"fixed_ips": [{"ip_address": "99.0.0.1"}]},
    {"fixed_ips": [{"ip_address": "x"}]},
    {"fixed_ips": [{"ip_address": "10.50.0"}]},
    {"fixed_ips": [{"ip_address": "10.050.0.14"}]},
    {"fixed_ips": [{"ip_address": None}]},
    {"fixed_ips": [{"subnet_id": NOWHERE}]},
    {"fixed_ips": [{"subnet_id": "x"}]},
    {"fixed_ips": [{"subnet_id": None}]},
    {"fixed_ips": [{"subnet_id": "OTHER"}]},
    {"fixed_ips": [{"subnet_id": "SIX"}]},
    {"fixed_ips": [{"subnet_id": "SIX", "ip_address": "fd50::7"}]},
    {"fixed_ips": [{"ip_address": "fd50::0008"}]},
    {"fixed_ips": [{"subnet_id": "SIX", "ip_address": "fd50::1"}]},
    {"fixed_ips": [{"subnet_id": "SLAAC"}], "mac_address": "fa:16:3e:00:00:61"},
    {"fixed_ips": [{"subnet_id": "SLAAC", "ip_address": "fd51::7"}]},
    {"fixed_ips": [{"subnet_id": "SLAAC"}], "mac_address": "fa:16:3e:00:00:63", "device_owner": "network:dhcp"},
    {"device_id": "d", "device_owner": "compute:nova"},
    {"device_id": "x" * 256},
    {"device_id": None},
    {"device_owner": None},
    {"device_owner": "network:dhcp"},
    {"device_owner": "network:distributed"},
    {"device_owner": "network:anything"},
    {"device_owner": "neutron:LOADBALANCERV2"},
    {"device_owner": "trunk:subport"},
    {"port_security_enabled": False},
    {"port_security_enabled": None},
    {"port_security_enabled": False, "security_groups": []},
    {"port_security_enabled": False, "security_groups": ["GROUP"]},
    {"port_security_enabled": False, "allowed_address_pairs": [PAIR]},
    {"port_security_enabled": False, "allowed_address_pairs": []},
    {"security_groups": []},
    {"security_groups": None},
    {"security_groups": ["GROUP"]},
    {"security_groups": ["GROUP", "GROUP"]},
    {"security_groups": ["GROUP", "GROUP2"]},
    {"security_groups": [NOWHERE]},
    {"security_groups": ["x"]},
    {"security_groups": "GROUP"},
    {"security_groups": ["STATELESS"]},
    {"security_groups": ["STATELESS", "GROUP"]},
    {"security_groups": ["BLUE"]},
    {"allowed_address_pairs": [PAIR]},
    {"allowed_address_pairs": [PAIR | {"mac_address": "fa:16:3e:99:99:99"}]},
    {"allowed_address_pairs": [{"mac_address": "fa:16:3e:99:99:99"}]},
    {"allowed_address_pairs": [{"ip_address": "10.0.0.0/8"}, {"ip_address": "fd00::/8"}]},
    {"allowed_address_pairs": [{"ip_address": "10.0.0.1/8"}]},
    {"allowed_address_pairs": [{"ip_address": "x"}]},
    {"allowed_address_pairs": [{"ip_address": ""}]},
    {"allowed_address_pairs": [{"ip_address": None}]},
    {"allowed_address_pairs": [PAIR, PAIR]},
    {"allowed_address_pairs": [PAIR | {"mac_address": "fa:16:3e:99:99:99"}, PAIR]},
    {"allowed_address_pairs": [PAIR | {"mac_address": "x"}]},
    {"allowed_address_pairs": [PAIR | {"mac_address": None}]},
    {"allowed_address_pairs": [PAIR | {"more": "x"}]},
    {"allowed_address_pairs": "x"},
    {"allowed_address_pairs": None},
    {"allowed_address_pairs": ["x"]},
    {"allowed_address_pairs": [{"ip_address": f"10.0.0.{i}"} for i in range(11)]},
    {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": 1400}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": None}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu"}]},
    {"extra_dhcp_opts": [{"opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": "", "opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": None, "opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]},
    {"extra_dhcp_opts": [{"opt_name": "router", "opt_value": ""}]},
    {"extra_dhcp_opts": [{"opt_name": "nonsense", "opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "fd00::1", "ip_version": 6}]},
    {"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "fd00::1", "ip_version": "6"}]},
    {"extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "1.1.1.1", "ip_version": 5}]},
    {
        "extra_dhcp_opts": [
            {"opt_name": "mtu", "opt_value": "1"},
            {"opt_name": "mtu", "opt_value": "2"},
        ]
    },
    {
        "extra_dhcp_opts": [
            {"opt_name": "mtu", "opt_value": "1", "ip_version": 4},
            {"opt_name": "mtu", "opt_value": "2", "ip_version": 6},
        ]
    },
    {"extra_dhcp_opts": "x"},
    {"extra_dhcp_opts": None},
    {"extra_dhcp_opts": []},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1", "more": 1}]},
    {"binding:host_id": "host1", "device_owner": "compute:nova"},
    {"binding:host_id": "host2"},
    {"binding:host_id": "nowhere"},
    {"binding:host_id": ""},
    {"binding:host_id": None},
    {"binding:vnic_type": "direct", "binding:host_id": "host1"},
    {"binding:vnic_type": "direct"},
    {"binding:vnic_type": "macvtap", "binding:host_id": "host1"},
    {"binding:vnic_type": "baremetal", "binding:host_id": "host1"},
    {"binding:vnic_type": "vdpa", "binding:host_id": "host1"},
    {"binding:vnic_type": "nonsense"},
    {"binding:vnic_type": None},
    {"binding:profile": {"a": 1}},
    {"binding:profile": {"a": {"b": [1]}}},
    {"binding:profile": "x"},
    {"binding:profile": {"capabilities": ["switchdev"]}, "binding:vnic_type": "direct", "binding:host_id": "host1"},
    {"binding:vif_type": "ovs"},
    {"binding:vif_details": {}},
    {"dns_name": "a"},
    {"dns_name": "A-1"},
    {"dns_name": "a_b"},
    {"dns_name": "-a"},
    {"dns_name": "1"},
    {"dns_name": "x" * 64},
    {"dns_name": None},
    {"dns_domain": "example.org"},
    {"status": "ACTIVE"},
    {"id": NOWHERE},
    {"nonsense": 1},
    {"qos_policy_id": None},
    {"ip_allocation": "deferred"},
    {"project_id": "blue"},
    {"propagate_uplink_status": True},
]

PORT_CHANGES: list[dict[str, Any]] = [
    {"name": "q"},
    {"fixed_ips": [{"ip_address": "10.50.0.201"}]},
    {"fixed_ips": [{"subnet_id": "FOUR"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.201"}, {"ip_address": "10.50.0.202"}]},
    {"fixed_ips": [{"subnet_id": "FOUR", "ip_address": "10.50.0.202"}]},
    {"fixed_ips": [{"ip_address": "99.0.0.1"}]},
    {"fixed_ips": [{"ip_address": "10.50.0.202"}, {"subnet_id": "SIX", "ip_address": "fd50::99"}]},
    {"mac_address": "fa:16:3e:77:00:01"},
    {"fixed_ips": [{"subnet_id": "SLAAC"}]},
    {"mac_address": "fa:16:3e:77:00:02"},
    {"fixed_ips": []},
    {"security_groups": ["GROUP"]},
    {"fixed_ips": [{"ip_address": "10.50.0.203"}]},
    {"security_groups": ["GROUP"]},
    {"port_security_enabled": False},
    {"port_security_enabled": False, "security_groups": []},
    {"allowed_address_pairs": [PAIR]},
    {"security_groups": ["GROUP"]},
    {"port_security_enabled": True},
    {"port_security_enabled": True, "security_groups": ["GROUP"]},
    {"allowed_address_pairs": [PAIR]},
    {"port_security_enabled": False},
    {"port_security_enabled": False, "security_groups": []},
    {"security_groups": []},
    {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []},
    {"port_security_enabled": True},
    {"security_groups": None},
    {"allowed_address_pairs": [PAIR, {"ip_address": "10.0.0.1"}]},
    {"mac_address": "fa:16:3e:77:00:03"},
    {"allowed_address_pairs": None},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}]},
    {"extra_dhcp_opts": [{"opt_name": "tftp-server", "opt_value": "1.1.1.1"}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": None}]},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]},
    {"extra_dhcp_opts": [{"opt_name": "nothere", "opt_value": None}]},
    {"extra_dhcp_opts": []},
    {"extra_dhcp_opts": None},
    {"binding:host_id": "host1"},
    {"binding:host_id": "nowhere"},
    {"binding:host_id": "host2"},
    {"device_owner": "compute:nova", "device_id": "vm"},
    {"binding:vnic_type": "direct"},
    {"mac_address": "fa:16:3e:77:00:04"},
    {"binding:host_id": ""},
    {"binding:host_id": None},
    {"mac_address": "fa:16:3e:77:00:05"},
    {"mac_address": "fa:16:3e:00:00:01"},
    {"mac_address": None},
    {"binding:profile": {"x": "y"}},
    {"binding:profile": None},
    {"dns_name": "z"},
    {"dns_name": ""},
    {"dns_name": None},
    {"admin_state_up": False},
    {"status": "ACTIVE"},
    {"network_id": NOWHERE},
    {"device_owner": ""},
    {"device_id": ""},
    {"id": NOWHERE},
    {"nonsense": 1},
    {"project_id": "blue"},
    {"description": "d"},
    {},
]


def named(value: Any, names: dict[str, str]) -> Any:
    """Return a value with the ids of what it names."""
    if isinstance(value, dict):
        return {key: named(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


async def ports(pair: Pair) -> None:
    """Create ports in every way, and change some in every way."""
    network = await pair.make("network", name="ports")
    on = {"network_id": network["id"]}
    four = await pair.make("subnet", **on, cidr="10.50.0.0/24", ip_version=4)
    slaac = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    outer = await pair.make("network", name="outer")
    other = await pair.make("subnet", network_id=outer["id"], cidr="10.51.0.0/24", ip_version=4)
    names = {"FOUR": four["id"], "OTHER": other["id"]}
    for name, more in {
        "GROUP": {},
        "GROUP2": {},
        "STATELESS": {"stateful": False},
        "BLUE": {"project_id": "blue"},
    }.items():
        names[name] = (await pair.make("security_group", name=name, **more))["id"]
    mixed = await pair.make("network", name="mixed")
    await pair.make("subnet", network_id=mixed["id"], cidr="10.52.0.0/24", ip_version=4)
    await pair.make("subnet", network_id=mixed["id"], cidr="fd52::/64", ip_version=6, **slaac)
    await pair.make("subnet", network_id=mixed["id"], cidr="fd53::/64", ip_version=6)
    await pair.make("port", network_id=mixed["id"], fixed_ips=[{"ip_address": "10.52.0.5"}])
    both = await pair.make("port", network_id=mixed["id"], mac_address="fa:16:3e:55:00:01")
    await pair.ask("PUT", f"ports/{both['id']}", {"port": {"mac_address": "fa:16:3e:55:00:02"}})
    names["SIX"] = (await pair.make("subnet", **on, cidr="fd50::/64", ip_version=6))["id"]
    names["SLAAC"] = (await pair.make("subnet", **on, cidr="fd51::/64", ip_version=6, **slaac))["id"]
    made = []
    for values in PORTS:
        status, body = await pair.ask("POST", "ports", {"port": on | named(values, names)})
        if status == 201:
            made.append(body["port"]["id"])
            await pair.ask("GET", f"ports/{made[-1]}")
    for name in (NOWHERE, "x", None, 5):
        await pair.ask("POST", "ports", {"port": {"network_id": name}})
    await pair.ask("POST", "ports", {"port": {}})
    for owner in ("compute:nova", ""):
        start = {"fixed_ips": [{"ip_address": "10.50.0.200"}], "device_owner": owner}
        changing = await pair.make("port", **on, **start, mac_address="fa:16:3e:77:00:00")
        for values in PORT_CHANGES:
            await pair.ask("PUT", f"ports/{changing['id']}", {"port": named(values, names)})
        await pair.ask("GET", f"ports/{changing['id']}")
        await pair.ask("DELETE", f"ports/{changing['id']}")
    await pair.ask("POST", "ports", {"ports": [on | {"name": "b1"}, on | {"name": "b2"}]})
    await pair.ask("POST", "ports", {"ports": [on | {"name": "b3"}, {"network_id": NOWHERE}]})
    address = {"fixed_ips": [{"ip_address": "10.50.0.220"}]}
    await pair.ask("POST", "ports", {"ports": [on | address, on | address]})
    same = {"mac_address": "fa:16:3e:88:00:00"}
    await pair.ask("POST", "ports", {"ports": [on | same, on | same]})
    await pair.ask("PUT", f"ports/{NOWHERE}", {"port": {"name": "x"}})
    await pair.ask("GET", f"ports/{NOWHERE}")
    await pair.ask("DELETE", f"ports/{NOWHERE}")
    for query in (
        "fixed_ips=ip_address%3D10.50.0.7",
        f"fixed_ips=subnet_id%3D{names['SIX']}",
        "fixed_ips=ip_address_substr%3D10.50.0.1",
        f"security_groups={names['GROUP']}&fields=id",
        "mac_address=fa:16:3e:00:00:01",
        "device_owner=compute:nova&fields=id&fields=device_owner",
        "admin_state_up=False&fields=id",
        "binding:host_id=host1&fields=id&fields=binding:host_id",
        "port_security_enabled=False&fields=id",
        "allowed_address_pairs=x",
        "binding:profile=x",
        "dns_name=a&fields=dns_name",
    ):
        await pair.ask("GET", f"ports?network_id={network['id']}&{query}")
    for uuid in made:
        await pair.ask("DELETE", f"ports/{uuid}")
    full = await pair.make("network", name="full")
    await pair.make("subnet", network_id=full["id"], cidr="10.54.0.0/30", ip_version=4)
    for _ in range(2):
        await pair.ask("POST", "ports", {"port": {"network_id": full["id"]}})
    for kind, more in (("flat", "portsflat"), ("flat", "public"), ("vlan", "public"), ("local", None)):
        where = {} if more is None else {"provider:physical_network": more}
        net = await pair.make("network", **{"provider:network_type": kind}, **where)
        for host in ("host1", "host2"):
            for vnic in ("normal", "direct"):
                binding = {"binding:host_id": host, "binding:vnic_type": vnic}
                await pair.ask("POST", "ports", {"port": {"network_id": net["id"]} | binding})
    insecure = await pair.make("network", name="insecure", port_security_enabled=False)
    for values in (
        {},
        {"port_security_enabled": True},
        {"security_groups": [names["GROUP"]]},
        {"device_owner": "network:dhcp"},
    ):
        await pair.ask("POST", "ports", {"port": {"network_id": insecure["id"]} | values})
