"""A long walk through the API: what people ask, what they get wrong, and what they ask for in lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

CHASSIS = {
    "host1": {
        "datapath-type": "system",
        "ovn-bridge-mappings": "public:br-ex,other:br-other",
        "ovn-cms-options": "enable-chassis-as-gw,availability-zones=az1:az2",
    },
    "host2": {"datapath-type": "system", "ovn-bridge-mappings": "", "ovn-cms-options": "availability-zones=az3"},
}
NOWHERE = "11111111-2222-3333-4444-555555555555"
MEMBER = {"roles": "member,reader"}


def flat(physical: str, **more: Any) -> dict[str, Any]:
    """Return what makes a network a flat one."""
    return {"provider:network_type": "flat", "provider:physical_network": physical} | more


def vlan(physical: str | None, number: int | None, **more: Any) -> dict[str, Any]:
    """Return what makes a network a VLAN."""
    values: dict[str, Any] = {"provider:network_type": "vlan"}
    if physical is not None:
        values["provider:physical_network"] = physical
    if number is not None:
        values["provider:segmentation_id"] = number
    return values | more


NETWORKS: list[dict[str, Any]] = [
    {},
    {"name": "a"},
    {"name": "x" * 255},
    {"name": "x" * 256},
    {"name": None},
    {"name": 5},
    {"name": "é"},
    {"description": "x" * 256},
    {"description": "d"},
    {"admin_state_up": False},
    {"admin_state_up": "no"},
    {"admin_state_up": "maybe"},
    {"admin_state_up": None},
    {"admin_state_up": 2},
    {"shared": True},
    {"shared": "x"},
    {"mtu": 1400},
    {"mtu": "1400"},
    {"mtu": 9000},
    {"mtu": 1442},
    {"mtu": 1443},
    {"mtu": 67},
    {"mtu": 0},
    {"mtu": -1},
    {"mtu": "x"},
    {"mtu": None},
    {"mtu": 68},
    {"port_security_enabled": False},
    {"port_security_enabled": None},
    {"port_security_enabled": "off"},
    {"dns_domain": "example.org."},
    {"dns_domain": "example.org"},
    {"dns_domain": "-x.org."},
    {"dns_domain": "a..b."},
    {"dns_domain": ""},
    {"dns_domain": None},
    {"vlan_transparent": True},
    {"vlan_transparent": "x"},
    {"qinq": True},
    {"qinq": None},
    {"qinq": True, "provider:network_type": "vlan", "provider:physical_network": "public"},
    {"qinq": True, "vlan_transparent": True},
    {"vlan_transparent": True, "provider:network_type": "flat", "provider:physical_network": "other"},
    {"dns_domain": "x" * 64 + ".org."},
    {"availability_zone_hints": ["az1"]},
    {"availability_zone_hints": ["az1", "az3"]},
    {"availability_zone_hints": ["nowhere"]},
    {"availability_zone_hints": "az1"},
    {"availability_zone_hints": []},
    {"availability_zone_hints": ["az1", "az1"]},
    {"availability_zone_hints": None},
    {"availability_zone_hints": [1]},
    {"router:external": True},
    {"router:external": "true", "shared": True},
    {"router:external": None},
    {"provider:network_type": "local"},
    {"provider:network_type": "local", "provider:segmentation_id": 4},
    {"provider:network_type": "local", "provider:physical_network": "p"},
    {"provider:network_type": "geneve"},
    {"provider:network_type": "geneve", "provider:segmentation_id": 77},
    {"provider:network_type": "geneve", "provider:segmentation_id": 77},
    {"provider:network_type": "geneve", "provider:segmentation_id": 70000},
    {"provider:network_type": "geneve", "provider:segmentation_id": "x"},
    {"provider:network_type": "geneve", "provider:physical_network": "public"},
    {"provider:network_type": "nothing"},
    {"provider:network_type": ""},
    {"provider:network_type": None},
    {"provider:network_type": 5},
    {"provider:physical_network": "public"},
    {"provider:segmentation_id": 7},
    flat("flat1"),
    flat("flat1"),
    flat("flat2", mtu=1501),
    flat("flat2", mtu=1500),
    flat(""),
    flat("flat3", **{"provider:segmentation_id": 4}),
    {"provider:network_type": "flat"},
    vlan("public", 100),
    vlan("public", 100),
    vlan("other", 100),
    vlan("public", "101"),  # type: ignore[arg-type]  # people send that
    vlan("public", 0),
    vlan("public", 4095),
    vlan("public", 4094),
    vlan("unknown", 5),
    vlan(None, 5),
    vlan(None, None),
    vlan("unknown", None),
    {"id": NOWHERE},
    {"status": "DOWN"},
    {"subnets": []},
    {"nonsense": 1},
    {"nonsense": 1, "other": 2},
    {"tenant_id": "blue"},
    {"project_id": "blue"},
    {"project_id": "blue", "tenant_id": "red"},
    {"project_id": None},
    {"project_id": ""},
    {"project_id": 5},
    {"tags": ["a", "b"]},
    {"tags": ["a", "a"]},
    {"tags": "a"},
    {"tags": ["x" * 256]},
    {"qos_policy_id": NOWHERE},
    {"revision_number": 4},
    {"created_at": "2020-01-01T00:00:00Z"},
]


async def networks(pair: Pair) -> None:
    """Create networks in every way, and change one in every way."""
    for values in NETWORKS:
        await pair.ask("POST", "networks", {"network": values})
    for body in (
        None,
        {},
        {"network": None},
        {"network": []},
        {"network": "x"},
        {"net": {}},
        [],
        "x",
        {"networks": []},
    ):
        await pair.ask("POST", "networks", body)
    await pair.ask("POST", "networks", {"networks": [{"name": "b1"}, {"name": "b2"}]})
    await pair.ask("POST", "networks", {"networks": [{"network": {"name": "b3"}}]})
    await pair.ask("POST", "networks", {"networks": [{"name": "b4"}, {"mtu": "x"}]})
    await pair.ask("POST", "networks", {"networks": [{"name": "b5"}, {"availability_zone_hints": ["nowhere"]}]})
    await pair.ask("POST", "networks", {"networks": "x"})
    await pair.ask("POST", "networks", {"networks": ["x"]})
    network = await pair.make("network", name="changing")
    path = f"networks/{network['id']}"
    for values in NETWORKS:
        await pair.ask("PUT", path, {"network": values})
    await pair.ask("PUT", path, {})
    await pair.ask("PUT", path, {"network": {}})
    await pair.ask("PUT", f"networks/{NOWHERE}", {"network": {"name": "x"}})
    await pair.ask("PUT", f"networks/{NOWHERE}", {"network": {"nonsense": "x"}})
    await pair.ask("PUT", "networks/x", {"network": {"name": "x"}})
    await pair.ask("GET", f"networks/{NOWHERE}")
    await pair.ask("GET", "networks/nonsense")
    await pair.ask("DELETE", f"networks/{NOWHERE}")
    await pair.ask("DELETE", path)
    await pair.ask("DELETE", path)
    await pair.ask("GET", path)
    await pair.ask("POST", path, {"network": {}})
    await pair.ask("PATCH", path, {"network": {}})
    await pair.ask("PUT", "networks", {"network": {}})
    await pair.ask("DELETE", "networks")
    await pair.ask("GET", "nonsense")
    await pair.ask("GET", f"nonsense/{NOWHERE}")
    await pair.ask("GET", f"networks/{NOWHERE}/nonsense")


SUBNETS: list[dict[str, Any]] = [
    {"cidr": "10.1.0.0/24", "ip_version": 4},
    {"cidr": "10.1.0.128/25", "ip_version": 4},
    {"cidr": "10.1.0.0/16", "ip_version": 4},
    {"cidr": "10.2.0.1/24", "ip_version": 4},
    {"cidr": "10.2.0.0", "ip_version": 4},
    {"cidr": "10.2.0.0/33", "ip_version": 4},
    {"cidr": "10.2.0.0/32", "ip_version": 4},
    {"cidr": "10.2.1.0/31", "ip_version": 4},
    {"cidr": "10.2.2.0/30", "ip_version": 4},
    {"cidr": "10.2.3.0/32", "ip_version": 4, "gateway_ip": None},
    {"cidr": "10.2.3.4/31", "ip_version": 4, "gateway_ip": None},
    {"cidr": "0.0.0.0/0", "ip_version": 4},
    {"cidr": "0.0.0.0/8", "ip_version": 4},
    {"cidr": "224.0.0.0/24", "ip_version": 4},
    {"cidr": "127.0.0.0/24", "ip_version": 4},
    {"cidr": "169.254.0.0/24", "ip_version": 4},
    {"cidr": "x", "ip_version": 4},
    {"cidr": None, "ip_version": 4},
    {"cidr": "", "ip_version": 4},
    {"cidr": 5, "ip_version": 4},
    {"ip_version": 4},
    {"ip_version": 6},
    {"cidr": "10.3.0.0/24", "ip_version": 6},
    {"cidr": "fd00::/64", "ip_version": 4},
    {"cidr": "10.3.0.0/24", "ip_version": 5},
    {"cidr": "10.3.0.0/24", "ip_version": "4"},
    {"cidr": "10.3.1.0/24", "ip_version": "x"},
    {"cidr": "10.3.1.0/24", "ip_version": None},
    {"cidr": "10.4.0.0/24", "ip_version": 4, "gateway_ip": "10.4.0.254"},
    {"cidr": "10.4.1.0/24", "ip_version": 4, "gateway_ip": "10.4.0.254"},
    {"cidr": "10.4.2.0/24", "ip_version": 4, "gateway_ip": "10.4.2.0"},
    {"cidr": "10.4.3.0/24", "ip_version": 4, "gateway_ip": "10.4.3.255"},
    {"cidr": "10.4.4.0/24", "ip_version": 4, "gateway_ip": None},
    {"cidr": "10.4.5.0/24", "ip_version": 4, "gateway_ip": "x"},
    {"cidr": "10.4.5.0/24", "ip_version": 4, "gateway_ip": ""},
    {"cidr": "10.4.6.0/24", "ip_version": 4, "gateway_ip": "fd00::1"},
    {"cidr": "10.4.7.0/24", "ip_version": 4, "gateway_ip": "0.0.0.0"},
    {"cidr": "10.5.0.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.0.10", "end": "10.5.0.20"}]},
    {"cidr": "10.5.1.0/24", "ip_version": 4, "allocation_pools": []},
    {"cidr": "10.5.2.0/24", "ip_version": 4, "allocation_pools": None},
    {"cidr": "10.5.3.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.3.20", "end": "10.5.3.10"}]},
    {"cidr": "10.5.3.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.4.20", "end": "10.5.4.30"}]},
    {"cidr": "10.5.3.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.3.0", "end": "10.5.3.30"}]},
    {"cidr": "10.5.3.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.3.1", "end": "10.5.3.30"}]},
    {
        "cidr": "10.5.3.0/24",
        "ip_version": 4,
        "gateway_ip": "10.5.3.15",
        "allocation_pools": [{"start": "10.5.3.10", "end": "10.5.3.30"}],
    },
    {"cidr": "10.5.4.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.4.200", "end": "10.5.4.255"}]},
    {
        "cidr": "10.5.5.0/24",
        "ip_version": 4,
        "allocation_pools": [
            {"start": "10.5.5.10", "end": "10.5.5.20"},
            {"start": "10.5.5.20", "end": "10.5.5.30"},
        ],
    },
    {
        "cidr": "10.5.6.0/24",
        "ip_version": 4,
        "allocation_pools": [
            {"start": "10.5.6.21", "end": "10.5.6.30"},
            {"start": "10.5.6.10", "end": "10.5.6.20"},
        ],
    },
    {"cidr": "10.5.7.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.7.10"}]},
    {"cidr": "10.5.7.0/24", "ip_version": 4, "allocation_pools": [{"start": "10.5.7.10", "end": "x"}]},
    {"cidr": "10.5.7.0/24", "ip_version": 4, "allocation_pools": "x"},
    {"cidr": "10.5.7.0/24", "ip_version": 4, "allocation_pools": [{"start": "fd00::1", "end": "fd00::2"}]},
    {"cidr": "10.6.0.0/24", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "10.6.1.0/24", "ip_version": 4, "enable_dhcp": "x"},
    {"cidr": "10.6.2.0/24", "ip_version": 4, "enable_dhcp": None},
    {"cidr": "10.7.0.0/24", "ip_version": 4, "dns_nameservers": ["8.8.8.8", "1.1.1.1"]},
    {"cidr": "10.7.1.0/24", "ip_version": 4, "dns_nameservers": ["8.8.8.8", "8.8.8.8"]},
    {"cidr": "10.7.2.0/24", "ip_version": 4, "dns_nameservers": ["x"]},
    {"cidr": "10.7.3.0/24", "ip_version": 4, "dns_nameservers": ["fd00::1"]},
    {"cidr": "10.7.4.0/24", "ip_version": 4, "dns_nameservers": [f"8.8.8.{i}" for i in range(6)]},
    {"cidr": "10.7.5.0/24", "ip_version": 4, "dns_nameservers": None},
    {"cidr": "10.7.6.0/24", "ip_version": 4, "dns_nameservers": ["0.0.0.0"]},
    {"cidr": "10.7.7.0/24", "ip_version": 4, "dns_nameservers": "8.8.8.8"},
    {"cidr": "10.8.0.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.8.0.7"}]},
    {"cidr": "10.8.1.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.1/8", "nexthop": "10.8.1.7"}]},
    {"cidr": "10.8.2.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "fd00::1"}]},
    {"cidr": "10.8.3.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "9.9.9.9"}]},
    {"cidr": "10.8.4.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.1", "nexthop": "10.8.4.7"}]},
    {"cidr": "10.8.5.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.0/8"}]},
    {"cidr": "10.8.5.0/24", "ip_version": 4, "host_routes": [{"nexthop": "10.8.5.1"}]},
    {"cidr": "10.8.5.0/24", "ip_version": 4, "host_routes": [{}]},
    {"cidr": "10.8.5.0/24", "ip_version": 4, "host_routes": "x"},
    {"cidr": "10.8.6.0/24", "ip_version": 4, "host_routes": None},
    {"cidr": "10.8.7.0/24", "ip_version": 4, "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "x"}]},
    {
        "cidr": "10.8.8.0/24",
        "ip_version": 4,
        "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.8.8.7"}] * 2,
    },
    {
        "cidr": "10.8.9.0/24",
        "ip_version": 4,
        "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.8.9.7", "more": "x"}],
    },
    {"cidr": "10.9.0.0/24", "ip_version": 4, "service_types": ["compute:nova", "network:router_gateway"]},
    {"cidr": "10.9.1.0/24", "ip_version": 4, "service_types": ["nonsense"]},
    {"cidr": "10.9.2.0/24", "ip_version": 4, "service_types": "compute:nova"},
    {"cidr": "10.9.4.0/24", "ip_version": 4, "service_types": [5]},
    {"cidr": "10.9.5.0/24", "ip_version": 4, "service_types": None},
    {"cidr": "10.10.0.0/24", "ip_version": 4, "ipv6_ra_mode": "slaac"},
    {"cidr": "10.10.0.0/24", "ip_version": 4, "ipv6_address_mode": "slaac"},
    {"cidr": "10.10.1.0/24", "ip_version": 4, "ipv6_address_mode": None},
    {"cidr": "10.11.1.0/24", "ip_version": 4, "subnetpool_id": None},
    {"cidr": "10.11.3.0/24", "ip_version": 4, "use_default_subnetpool": False},
    {"cidr": "10.11.5.0/24", "ip_version": 4, "segment_id": None},
    {"cidr": "10.11.6.0/24", "ip_version": 4, "name": "n", "description": "d"},
    {"cidr": "10.11.7.0/24", "ip_version": 4, "dns_publish_fixed_ip": False},
    {"cidr": "10.11.8.0/24", "ip_version": 4, "project_id": "blue"},
    {"cidr": "10.11.9.0/24", "ip_version": 4, "tags": ["t"]},
    {"cidr": "10.11.10.0/24", "ip_version": 4, "nonsense": 1},
    {"cidr": "10.12.0.0/31", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "10.12.0.0/31", "ip_version": 4, "enable_dhcp": False, "gateway_ip": "10.12.0.0"},
    {"cidr": "10.12.0.5/32", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "10.12.0.5/32", "ip_version": 4, "enable_dhcp": False, "gateway_ip": None},
    {"cidr": "10.12.0.5/32", "ip_version": 4, "enable_dhcp": False, "gateway_ip": "10.12.0.5"},
    {"cidr": "10.12.0.5/32", "ip_version": 4, "enable_dhcp": False, "gateway_ip": "10.12.0.6"},
    {"cidr": "255.255.255.255/32", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "0.0.0.0/0", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "0.0.0.0/0", "ip_version": 4},
    {"cidr": "128.0.0.0/1", "ip_version": 4, "enable_dhcp": False},
    {"cidr": "::/0", "ip_version": 6, "enable_dhcp": False},
    {"cidr": "fd00::/127", "ip_version": 6, "enable_dhcp": False},
    {"cidr": "fd00::5/128", "ip_version": 6, "enable_dhcp": False},
    {"cidr": "fd00::5/128", "ip_version": 6, "enable_dhcp": False, "gateway_ip": "fd00::5"},
    {"cidr": "fd00:1::/64", "ip_version": 6},
    {"cidr": "fd00:2::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
    {
        "cidr": "fd00:3::/64",
        "ip_version": 6,
        "ipv6_ra_mode": "dhcpv6-stateful",
        "ipv6_address_mode": "dhcpv6-stateful",
    },
    {"cidr": "fd00:4::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
    {"cidr": "fd00:5::/64", "ip_version": 6, "ipv6_address_mode": "dhcpv6-stateless"},
    {"cidr": "fd00:6::/64", "ip_version": 6, "ipv6_ra_mode": "dhcpv6-stateless"},
    {"cidr": "fd00:7::/96", "ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
    {"cidr": "fd00:7::/56", "ip_version": 6, "ipv6_address_mode": "slaac"},
    {
        "cidr": "fd00:8::/96",
        "ip_version": 6,
        "ipv6_ra_mode": "dhcpv6-stateful",
        "ipv6_address_mode": "dhcpv6-stateful",
    },
    {"cidr": "fd00:9::/64", "ip_version": 6, "ipv6_ra_mode": "nonsense"},
    {"cidr": "fd00:9::/64", "ip_version": 6, "ipv6_ra_mode": "slaac", "enable_dhcp": False},
    {"cidr": "fd00:a::/64", "ip_version": 6, "ipv6_ra_mode": None, "ipv6_address_mode": None, "enable_dhcp": False},
    {"cidr": "fd00:b::/64", "ip_version": 6, "gateway_ip": "fe80::1"},
    {"cidr": "fd00:c::/64", "ip_version": 6, "gateway_ip": "fd00:c::"},
    {"cidr": "fd00:d::/64", "ip_version": 6, "gateway_ip": "fd00:d::ffff"},
    {"cidr": "fd00:e::/64", "ip_version": 6, "gateway_ip": None},
    {"cidr": "fd00:f::/127", "ip_version": 6},
    {"cidr": "fd00:f:1::/128", "ip_version": 6},
    {"cidr": "FD00:10::/64", "ip_version": 6},
    {"cidr": "fd00:11:0::/64", "ip_version": 6, "gateway_ip": "fd00:11::0001"},
    {"cidr": "fd00:12::/64", "ip_version": 6, "allocation_pools": [{"start": "fd00:12::10", "end": "fd00:12::20"}]},
    {"cidr": "fe80::/64", "ip_version": 6},
    {"cidr": "ff00::/64", "ip_version": 6},
    {"cidr": "::/0", "ip_version": 6},
]

SUBNET_CHANGES: list[dict[str, Any]] = [
    {"name": "n"},
    {"gateway_ip": "10.20.0.9"},
    {"gateway_ip": None},
    {"gateway_ip": "10.20.0.100"},
    {"gateway_ip": "10.21.0.1"},
    {"gateway_ip": "10.20.0.0"},
    {"gateway_ip": "10.20.0.255"},
    {"gateway_ip": "10.20.0.1"},
    {"allocation_pools": [{"start": "10.20.0.50", "end": "10.20.0.60"}]},
    {"allocation_pools": [{"start": "10.20.0.1", "end": "10.20.0.60"}]},
    {"allocation_pools": [{"start": "10.20.1.50", "end": "10.20.1.60"}]},
    {"allocation_pools": []},
    {"allocation_pools": None},
    {"allocation_pools": [{"start": "10.20.0.2", "end": "10.20.0.254"}], "gateway_ip": "10.20.0.77"},
    {"allocation_pools": [{"start": "10.20.0.100", "end": "10.20.0.254"}], "gateway_ip": "10.20.0.77"},
    {"gateway_ip": "10.20.0.110"},
    {"dns_nameservers": ["1.1.1.1", "8.8.8.8"]},
    {"dns_nameservers": ["8.8.8.8", "1.1.1.1"]},
    {"dns_nameservers": []},
    {"dns_nameservers": None},
    {"host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.20.0.7"}]},
    {"host_routes": []},
    {"enable_dhcp": False},
    {"enable_dhcp": None},
    {"enable_dhcp": "x"},
    {"enable_dhcp": True},
    {"cidr": "10.20.0.0/24"},
    {"ip_version": 4},
    {"network_id": NOWHERE},
    {"ipv6_ra_mode": "slaac"},
    {"ipv6_address_mode": None},
    {"project_id": "blue"},
    {"service_types": ["compute:nova"]},
    {"service_types": []},
    {"description": "d"},
    {"id": NOWHERE},
    {"nonsense": 1},
    {"segment_id": None},
    {"subnetpool_id": None},
    {"tags": ["a"]},
    {},
]


async def subnets(pair: Pair) -> None:
    """Create subnets in every way, and change one in every way."""
    network = await pair.make("network", name="subnets")
    for values in SUBNETS:
        status, body = await pair.ask("POST", "subnets", {"subnet": {"network_id": network["id"]} | values})
        if status == 201:
            await pair.ask("GET", f"subnets/{body['subnet']['id']}")
            await pair.ask("DELETE", f"subnets/{body['subnet']['id']}")
    for name in (NOWHERE, "x", None, 5):
        await pair.ask("POST", "subnets", {"subnet": {"network_id": name, "cidr": "10.0.0.0/24", "ip_version": 4}})
    await pair.ask("POST", "subnets", {"subnet": {"cidr": "10.0.0.0/24", "ip_version": 4}})
    first = await pair.make("subnet", network_id=network["id"], cidr="10.20.0.0/24", ip_version=4)
    for cidr in ("10.20.0.0/24", "10.20.0.0/25", "10.20.0.0/16", "10.20.1.0/24"):
        await pair.ask("POST", "subnets", {"subnet": {"network_id": network["id"], "cidr": cidr, "ip_version": 4}})
    for values in SUBNET_CHANGES:
        await pair.ask("PUT", f"subnets/{first['id']}", {"subnet": values})
    six = await pair.make("subnet", network_id=network["id"], cidr="fd00::/64", ip_version=6)
    for values in (
        {"enable_dhcp": False},
        {"enable_dhcp": True},
        {"ipv6_ra_mode": "slaac"},
        {"gateway_ip": "10.20.0.1"},
        {"gateway_ip": "fe80::5"},
        {"gateway_ip": "fd00::"},
        {"gateway_ip": None},
        {"dns_nameservers": ["fd00::53", "8.8.8.8"]},
        {"host_routes": [{"destination": "fd01::/64", "nexthop": "fd00::9"}]},
        {"host_routes": [{"destination": "1.0.0.0/8", "nexthop": "fd00::9"}]},
    ):
        await pair.ask("PUT", f"subnets/{six['id']}", {"subnet": values})
    one = {"network_id": network["id"], "ip_version": 4}
    await pair.ask("POST", "subnets", {"subnets": [one | {"cidr": "10.30.0.0/24"}, one | {"cidr": "10.31.0.0/24"}]})
    await pair.ask("POST", "subnets", {"subnets": [one | {"cidr": "10.32.0.0/24"}, one | {"cidr": "10.32.0.0/25"}]})
    await pair.ask("GET", f"networks/{network['id']}")
    await pair.ask("GET", f"subnets?network_id={network['id']}")
    await pair.ask("GET", f"subnets?network_id={network['id']}&ip_version=6")
    await pair.ask("GET", f"subnets?network_id={network['id']}&enable_dhcp=True&cidr=10.30.0.0/24")
    await pair.ask("PUT", f"networks/{network['id']}", {"network": {"mtu": 1000}})
    small = await pair.make("network", mtu=1000)
    for values in ({"cidr": "fd00::/64", "ip_version": 6}, {"cidr": "10.0.0.0/24", "ip_version": 4}):
        await pair.ask("POST", "subnets", {"subnet": {"network_id": small["id"]} | values})
    await pair.ask("PUT", f"networks/{small['id']}", {"network": {"mtu": 100}})
    await pair.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.1.5"}])
    await pair.ask("DELETE", f"subnets/{first['id']}")
    used = await pair.make("subnet", network_id=network["id"], cidr="10.40.0.0/24", ip_version=4)
    await pair.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.40.0.5"}])
    await pair.ask("DELETE", f"subnets/{used['id']}")
    await pair.ask("PUT", f"subnets/{used['id']}", {"subnet": {"gateway_ip": "10.40.0.5"}})
    await pair.ask("DELETE", f"networks/{network['id']}")
    await pair.ask("DELETE", f"subnets/{NOWHERE}")
    await pair.ask("GET", f"subnets/{NOWHERE}")
    await pair.ask("DELETE", f"networks/{small['id']}")
