"""The walk goes on: security groups, their rules, and address groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import NOWHERE
from support.beside_neutron.neutron_walk_ports import named

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

RULES: list[dict[str, Any]] = [
    {"direction": "ingress"},
    {"direction": "ingress"},
    {"direction": "egress"},
    {"direction": "egress", "ethertype": "IPv6"},
    {"direction": "sideways"},
    {"direction": None},
    {"direction": "INGRESS"},
    {},
    {"direction": "ingress", "ethertype": "ipv6"},
    {"direction": "ingress", "ethertype": "IPv5"},
    {"direction": "ingress", "ethertype": None},
    {"direction": "ingress", "ethertype": 4},
    *(
        {"direction": "ingress", "protocol": protocol, "description": str(protocol)}
        for protocol in (
            "tcp",
            "TCP",
            "udp",
            "icmp",
            "icmpv6",
            "ipv6-icmp",
            "ICMP",
            "any",
            "ah",
            "esp",
            "gre",
            "sctp",
            "dccp",
            "egp",
            "igmp",
            "ospf",
            "pgm",
            "rsvp",
            "udplite",
            "vrrp",
            "ipip",
            "ipv6-encap",
            "ipv6-frag",
            "ipv6-opts",
            "ipv6-route",
            "ipv6-nonxt",
            "hopopt",
            "nonsense",
            "",
            None,
            1,
            6,
            "6",
            58,
            255,
            256,
            -1,
            "-1",
            "132",
            "4",
            "94",
            "115",
            41,
            "41",
        )
    ),
    *(
        {"direction": "ingress", "ethertype": "IPv6", "protocol": protocol}
        for protocol in ("tcp", "icmp", "icmpv6", "ipv6-icmp", "ipv6-frag", "ipip", "igmp", 1, 58, "58", 44, "any")
    ),
    *(
        {"direction": "ingress", "protocol": protocol, "port_range_min": low, "port_range_max": high}
        for protocol in (
            "tcp",
            "udp",
            "sctp",
            "icmp",
            "gre",
            "any",
            None,
            "17",
            "ah",
            "dccp",
            "udplite",
            33,
            "1",
            "icmpv6",
        )
        for low, high in ((80, 90), (90, 80), (80, None), (None, 80), (0, 0), (1, 65535), (300, 0), (0, 65536), (8, 0))
    ),
    *(
        {"direction": "egress", "protocol": "tcp", "port_range_min": low, "port_range_max": high}
        for low, high in (("22", "23"), ("", ""), ("x", "y"), (-1, -1), (0, 80), ("22", 22), (None, None))
    ),
    *(
        {"direction": "egress", "protocol": "icmp", "port_range_min": low, "port_range_max": high}
        for low, high in ((8, None), (8, 0), (None, 0), (256, None), (8, 256), (0, 0), (-1, None), (255, 255))
    ),
    *(
        {
            "direction": "egress",
            "ethertype": "IPv6",
            "protocol": "icmpv6",
            "port_range_min": low,
            "port_range_max": high,
        }
        for low, high in ((128, None), (128, 0), (None, 0), (256, None))
    ),
    *(
        {
            "direction": "ingress",
            "protocol": "tcp",
            "port_range_min": 7,
            "port_range_max": 7,
            "remote_ip_prefix": prefix,
        }
        for prefix in (
            "10.0.0.0/8",
            "10.0.0.1/8",
            "10.0.0.1",
            "10.0.0.1/32",
            "0.0.0.0/0",
            "0.0.0.0",
            "fd00::/8",
            "::/0",
            "x",
            "",
            None,
            5,
            "10.0.0.0/33",
            "10.0.0",
            "10.0.0.0/255.0.0.0",
        )
    ),
    *(
        {"direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": prefix}
        for prefix in ("fd00::/8", "fd00::1", "fd00::1/8", "10.0.0.0/8", "::/0", "FD00::2")
    ),
    {"direction": "ingress", "remote_group_id": "GROUP"},
    {"direction": "ingress", "remote_group_id": "GROUP", "protocol": "tcp"},
    {"direction": "ingress", "remote_group_id": "OTHER"},
    {"direction": "ingress", "remote_group_id": NOWHERE},
    {"direction": "ingress", "remote_group_id": "GROUP", "remote_ip_prefix": "10.0.0.0/8"},
    {"direction": "ingress", "remote_address_group_id": "ADDRESSES"},
    {"direction": "ingress", "remote_address_group_id": "ADDRESSES"},
    {"direction": "ingress", "remote_address_group_id": NOWHERE},
    {"direction": "ingress", "remote_address_group_id": "ADDRESSES", "remote_group_id": "GROUP"},
    {"direction": "ingress", "remote_address_group_id": "ADDRESSES", "remote_ip_prefix": "10.0.0.0/8"},
    {"direction": "ingress", "protocol": "tcp", "description": "x" * 256},
    {"direction": "ingress", "protocol": "udp", "port_range_min": 5, "port_range_max": 5, "description": "one"},
    {"direction": "ingress", "protocol": "udp", "port_range_min": 5, "port_range_max": 5, "description": "two"},
    {"direction": "ingress", "protocol": "17", "port_range_min": 5, "port_range_max": 5},
    {"direction": "ingress", "protocol": 17, "port_range_min": 5, "port_range_max": 5},
    {"direction": "egress", "protocol": "tcp", "project_id": "blue"},
    {"direction": "ingress", "nonsense": 1},
    {"direction": "ingress", "id": NOWHERE},
    {"direction": "ingress", "normalized_cidr": "10.0.0.0/8"},
    {"direction": "ingress", "protocol": "sctp", "tags": ["a"]},
]


async def security_groups(pair: Pair) -> None:  # noqa: PLR0915 (a walk is long)
    """Create groups and rules in every way."""
    await pair.ask("GET", "security-groups")
    await pair.ask("GET", "security-group-rules")
    for values in (
        {},
        {"name": "a"},
        {"name": "default"},
        {"name": "Default"},
        {"name": ""},
        {"name": None},
        {"name": 5},
        {"name": "x" * 256},
        {"name": "s", "stateful": False},
        {"name": "s", "stateful": "x"},
        {"name": "s", "stateful": None},
        {"name": "s", "shared": True},
        {"name": "s", "security_group_rules": []},
        {"name": "s", "description": "x" * 256},
        {"name": "s", "tags": ["a"]},
        {"name": "s", "nonsense": 1},
        {"name": "s", "project_id": "green"},
    ):
        await pair.ask("POST", "security-groups", {"security_group": values})
    await pair.ask("GET", "security-groups?project_id=green")
    group = await pair.make("security_group", name="rules")
    other = await pair.make("security_group", name="other")
    await pair.ask("GET", f"security-groups/{group['id']}")
    for values in (
        {},
        {"name": "a"},
        {"name": "a", "addresses": ["10.0.0.0/8", "fd00::/8"]},
        {"name": "a", "addresses": ["10.0.0.1/8"]},
        {"name": "a", "addresses": ["10.0.0.1/32", "10.0.0.1"]},
        {"name": "a", "addresses": ["x"]},
        {"name": "a", "addresses": "x"},
        {"name": "a", "addresses": None},
        {"name": "a", "shared": True},
        {"name": "x" * 256},
        {"name": "a", "project_id": "blue"},
    ):
        await pair.ask("POST", "address-groups", {"address_group": values})
    addresses = await pair.make("address_group", name="addresses", addresses=["10.9.0.0/16"])
    names = {"GROUP": group["id"], "OTHER": other["id"], "ADDRESSES": addresses["id"]}
    for values in RULES:
        body = {"security_group_rule": {"security_group_id": group["id"]} | named(values, names)}
        status, answer = await pair.ask("POST", "security-group-rules", body)
        if status == 201:
            await pair.ask("GET", f"security-group-rules/{answer['security_group_rule']['id']}")
    for name in (NOWHERE, "x", None, 5):
        await pair.ask(
            "POST", "security-group-rules", {"security_group_rule": {"security_group_id": name, "direction": "ingress"}}
        )
    await pair.ask("GET", f"security-groups/{group['id']}")
    await pair.ask("GET", f"security-group-rules?security_group_id={group['id']}")
    for query in (
        "protocol=tcp",
        "direction=egress",
        "ethertype=IPv6",
        "port_range_min=80",
        "remote_ip_prefix=10.0.0.0/8",
        f"remote_group_id={group['id']}",
        "description=udp",
        "nonsense=1",
        "belongs_to_default_sg=False&fields=id",
    ):
        await pair.ask("GET", f"security-group-rules?security_group_id={group['id']}&{query}")
    fresh = {"security_group_id": other["id"], "direction": "ingress"}
    two = [fresh | {"protocol": "tcp"}, fresh | {"protocol": "udp"}]
    await pair.ask("POST", "security-group-rules", {"security_group_rules": two})
    await pair.ask("POST", "security-group-rules", {"security_group_rules": [fresh | {"protocol": "sctp"}] * 2})
    await pair.ask("POST", "security-group-rules", {"security_group_rules": [fresh | {"protocol": "esp"}, two[0]]})
    rule = await pair.make("security_group_rule", security_group_id=other["id"], direction="ingress", protocol="egp")
    for values in ({"protocol": "tcp"}, {"direction": "ingress"}, {"nonsense": 1}):
        await pair.ask("PUT", f"security-group-rules/{rule['id']}", {"security_group_rule": values})
    for _ in range(2):
        await pair.ask("DELETE", f"security-group-rules/{rule['id']}")
    await pair.ask("GET", f"security-group-rules/{rule['id']}")
    for values in (
        {"name": "renamed"},
        {"name": "default"},
        {"description": "d"},
        {"stateful": False},
        {"stateful": True},
        {"nonsense": 1},
        {"shared": True},
        {"project_id": "blue"},
        {"security_group_rules": []},
        {},
    ):
        await pair.ask("PUT", f"security-groups/{group['id']}", {"security_group": values})
    _, listed = await pair.ask("GET", f"security-groups?name=default&project_id={pair.project}")
    default = listed["security_groups"][0]["id"]
    for values in ({"name": "x"}, {"name": "default"}, {"description": "x"}, {"stateful": False}):
        await pair.ask("PUT", f"security-groups/{default}", {"security_group": values})
    for roles in ("admin,member,reader", "member,reader"):
        await pair.ask("DELETE", f"security-groups/{default}", roles=roles)
        await pair.ask("PUT", f"security-groups/{default}", {"security_group": {"name": "y"}}, roles=roles)
    network = await pair.make("network", name="groups")
    await pair.make("subnet", network_id=network["id"], cidr="10.59.0.0/24", ip_version=4)
    port = await pair.make("port", network_id=network["id"], security_groups=[other["id"]])
    await pair.ask("PUT", f"security-groups/{other['id']}", {"security_group": {"stateful": False}})
    await pair.ask("DELETE", f"security-groups/{other['id']}")
    await pair.ask("DELETE", f"ports/{port['id']}")
    for values in ({"name": "b"}, {"addresses": ["10.0.0.0/8"]}, {"description": "d"}, {"shared": True}, {}):
        await pair.ask("PUT", f"address-groups/{addresses['id']}", {"address_group": values})
    for action, given in (
        ("add_addresses", ["10.1.1.1"]),
        ("add_addresses", ["10.1.1.1/32"]),
        ("add_addresses", ["10.9.0.0/16", "10.8.0.0/16"]),
        ("add_addresses", []),
        ("add_addresses", ["fd00::1"]),
        ("remove_addresses", ["10.1.1.1"]),
        ("remove_addresses", ["10.1.1.1"]),
        ("remove_addresses", []),
        ("remove_addresses", ["fd00::1/128", "1.1.1.1"]),
        ("nonsense", ["10.1.1.1"]),
    ):
        await pair.ask("PUT", f"address-groups/{addresses['id']}/{action}", {"addresses": given})
        await pair.ask("GET", f"address-groups/{addresses['id']}")
    await pair.ask(
        "PUT", f"address-groups/{addresses['id']}/add_addresses", {"address_group": {"addresses": ["2.2.2.2"]}}
    )
    await pair.ask("PUT", f"address-groups/{addresses['id']}/add_addresses", {})
    await pair.ask("DELETE", f"address-groups/{addresses['id']}")
    await pair.ask("DELETE", f"security-groups/{other['id']}")
    await pair.ask("GET", f"security-groups/{group['id']}")
    await pair.ask("DELETE", f"security-groups/{group['id']}")
    await pair.ask("DELETE", f"address-groups/{addresses['id']}")
    await pair.ask("DELETE", f"security-groups/{NOWHERE}")
    await pair.ask("GET", f"security-groups/{NOWHERE}")
