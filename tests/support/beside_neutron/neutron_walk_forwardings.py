"""The walk goes on: ports of floating IPs that are forwarded, single and in ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import NOWHERE, flat
from support.beside_neutron.neutron_walk_ports import named

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

TO_ONE = {"internal_port_id": "ONE", "internal_ip_address": "10.80.0.11", "protocol": "tcp"}

FORWARDINGS: list[dict[str, Any]] = [
    TO_ONE | {"internal_port": 22, "external_port": 2222},
    TO_ONE | {"internal_port": 22, "external_port": 2223},
    TO_ONE | {"internal_port": 23, "external_port": 2222},
    TO_ONE | {"internal_port": 22, "external_port": 2222, "protocol": "udp"},
    TO_ONE | {"internal_port": 0, "external_port": 1},
    TO_ONE | {"internal_port": 1, "external_port": 65536},
    TO_ONE | {"internal_port": "x", "external_port": 1},
    TO_ONE | {"internal_port": "80", "external_port": "8080"},
    TO_ONE | {"internal_port_range": "100:110", "external_port_range": "1100:1110"},
    TO_ONE | {"internal_port_range": "105:106", "external_port_range": "1205:1206"},
    TO_ONE | {"internal_port_range": "205:206", "external_port_range": "1105:1106"},
    TO_ONE | {"internal_port_range": "120:121", "external_port_range": "1120:1130"},
    TO_ONE | {"internal_port_range": "120:130", "external_port_range": "1120:1121"},
    TO_ONE | {"internal_port_range": "120", "external_port_range": "1120:1130"},
    TO_ONE | {"internal_port_range": "131:131", "external_port_range": "1131:1135"},
    TO_ONE | {"internal_port": 140, "external_port_range": "1140:1145"},
    TO_ONE | {"internal_port_range": "150:155", "external_port": 1150},
    TO_ONE | {"internal_port_range": "160:160", "external_port_range": "1160"},
    TO_ONE | {"internal_port_range": 170, "external_port_range": 1170},
    TO_ONE | {"internal_port_range": "x", "external_port_range": "1180"},
    TO_ONE | {"internal_port_range": "1:2:3", "external_port_range": "1180"},
    TO_ONE | {"internal_port_range": "180", "external_port_range": "70000"},
    TO_ONE | {"internal_port_range": "180", "external_port_range": "0:5"},
    TO_ONE | {"internal_port_range": "180", "external_port_range": "1190:1180"},
    TO_ONE | {"internal_port_range": "180:", "external_port_range": "1190:"},
    TO_ONE | {"internal_port": 190, "external_port": 1190, "description": "d"},
    TO_ONE | {"internal_port": 193, "external_port": 1193, "protocol": "TCP"},
    TO_ONE | {"internal_port": 195, "external_port": 1195, "nonsense": 1},
    {"internal_port_id": "ONE", "internal_port": 196, "external_port": 1196, "protocol": "tcp"},
    TO_ONE | {"internal_port": 197, "external_port": 1197, "internal_ip_address": "10.80.0.99"},
    TO_ONE | {"internal_port": 198, "external_port": 1198, "internal_ip_address": "x"},
    {"internal_ip_address": "10.80.0.11", "internal_port": 199, "external_port": 1199, "protocol": "tcp"},
    {"internal_port_id": "ONE", "internal_ip_address": "10.80.0.11", "internal_port": 199, "external_port": 1199},
    {
        "internal_port_id": "SIX",
        "internal_ip_address": "10.80.0.11",
        "internal_port": 200,
        "external_port": 1200,
        "protocol": "tcp",
    },
    {
        "internal_port_id": "BOUND",
        "internal_ip_address": "10.80.0.13",
        "internal_port": 201,
        "external_port": 1201,
        "protocol": "tcp",
    },
    {
        "internal_port_id": "APART",
        "internal_ip_address": "10.81.0.2",
        "internal_port": 202,
        "external_port": 1202,
        "protocol": "tcp",
    },
    {
        "internal_port_id": NOWHERE,
        "internal_ip_address": "10.80.0.11",
        "internal_port": 203,
        "external_port": 1203,
        "protocol": "tcp",
    },
    {
        "internal_port_id": "TWO",
        "internal_ip_address": "10.80.0.12",
        "internal_port": 22,
        "external_port": 1204,
        "protocol": "udp",
    },
]

CHANGES: list[dict[str, Any]] = [
    {},
    {"description": "changed"},
    {"external_port": 2224},
    {"external_port": 8080},
    {"internal_port": 24},
    {"internal_port": 80},
    {"internal_port_range": "300:310", "external_port_range": "1300:1310"},
    {"internal_port_range": "100:110"},
    {"external_port_range": "1100:1110"},
    {"internal_port": 320, "external_port": 1320},
    {"protocol": "udp"},
    {"internal_port_id": "TWO", "internal_ip_address": "10.80.0.12"},
    {"internal_ip_address": "10.80.0.99"},
    {"internal_port_id": "APART"},
    {"nonsense": 1},
    {"id": NOWHERE},
]


async def port_forwardings(pair: Pair) -> None:
    """Forward ports in every way, and change one in every way."""
    names: dict[str, str] = {}
    out = await pair.make("network", name="pout", **{"router:external": True}, **flat("pout"))
    await pair.make("subnet", network_id=out["id"], cidr="198.51.100.0/24", ip_version=4)
    inside = await pair.make("network", name="pin")
    subnet = await pair.make("subnet", network_id=inside["id"], cidr="10.80.0.0/24", ip_version=4)
    await pair.make("subnet", network_id=inside["id"], cidr="fd80::/64", ip_version=6)
    apart = await pair.make("network", name="papart")
    await pair.make("subnet", network_id=apart["id"], cidr="10.81.0.0/24", ip_version=4)
    names["APART"] = (await pair.make("port", network_id=apart["id"]))["id"]
    for name, address in {"ONE": "10.80.0.11", "TWO": "10.80.0.12", "BOUND": "10.80.0.13", "SIX": "fd80::6"}.items():
        made = await pair.make("port", network_id=inside["id"], fixed_ips=[{"ip_address": address}])
        names[name] = made["id"]
    router = await pair.make("router", external_gateway_info={"network_id": out["id"]})
    await pair.ask("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    bound = await pair.make("floatingip", floating_network_id=out["id"], port_id=names["BOUND"])
    floating = await pair.make("floatingip", floating_network_id=out["id"])
    path = f"floatingips/{floating['id']}/port_forwardings"
    made = []
    for values in FORWARDINGS:
        status, body = await pair.ask("POST", path, {"port_forwarding": named(values, names)})
        if status == 201:
            made.append(body["port_forwarding"])
            await pair.ask("GET", f"{path}/{made[-1]['id']}")
    await pair.ask("GET", f"floatingips/{floating['id']}")
    for query in ("", "?protocol=udp", "?external_port=2222", "?external_port_range=1100:1110", "?internal_port=22",
                  "?fields=id", "?internal_port_id=" + names["TWO"], "?nonsense=1", "?description=d"):  # fmt: skip
        await pair.ask("GET", path + query)
    await pair.ask("POST", path, {})
    await pair.ask("POST", f"floatingips/{bound['id']}/port_forwardings",
                   {"port_forwarding": named(FORWARDINGS[-1], names)})  # fmt: skip
    for verb in ("GET", "DELETE"):
        await pair.ask(verb, f"floatingips/{bound['id']}/port_forwardings/{made[0]['id']}")
        await pair.ask(verb, f"floatingips/{NOWHERE}/port_forwardings/{made[0]['id']}")
        await pair.ask(verb, f"{path}/{NOWHERE}")
    for values in CHANGES:
        await pair.ask("PUT", f"{path}/{made[0]['id']}", {"port_forwarding": named(values, names)})
        await pair.ask("GET", f"{path}/{made[0]['id']}")
    await pair.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"port_id": names["ONE"]}})
    await pair.ask("PUT", f"floatingips/{floating['id']}", {"floatingip": {"description": "x"}})
    await pair.ask("DELETE", f"floatingips/{floating['id']}")
    await pair.ask("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]})
    await pair.ask("PUT", f"routers/{router['id']}", {"router": {"external_gateway_info": None}})
    await pair.ask("DELETE", f"ports/{names['TWO']}")
    await pair.ask("GET", path)
    for forwarding in made:
        await pair.ask("DELETE", f"{path}/{forwarding['id']}")
    await pair.ask("GET", f"floatingips/{floating['id']}")
    for one in (floating, bound):
        await pair.ask("DELETE", f"floatingips/{one['id']}")
