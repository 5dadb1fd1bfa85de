"""The walk through templates of security group rules, and through the default of whether groups are stateful."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE
from support.beside_neutron.neutron_walk_groups import RULES

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

PATH = "default-security-group-rules"
STATEFULNESS = "security-groups-default-statefulness"
BOTH = {"used_in_default_sg": True, "used_in_non_default_sg": True}

TEMPLATES: list[dict[str, Any]] = [
    {},
    {"direction": "ingress"},
    {"direction": "ingress", "used_in_default_sg": True},
    {"direction": "ingress", "protocol": "tcp"} | BOTH,
    {"direction": "ingress", "protocol": "6"} | BOTH,
    {"direction": "ingress", "protocol": "tcp", "used_in_default_sg": True, "used_in_non_default_sg": False},
    {"direction": "ingress", "protocol": "udp", "used_in_default_sg": True, "used_in_non_default_sg": False},
    {"direction": "ingress", "protocol": "udp", "used_in_default_sg": False, "used_in_non_default_sg": True},
    {"direction": "ingress", "protocol": "sctp", "used_in_default_sg": False, "used_in_non_default_sg": False},
    {"direction": "ingress", "protocol": "ah", "used_in_default_sg": "yes", "used_in_non_default_sg": "x"},
    {"direction": "ingress", "protocol": "ah", "used_in_default_sg": None, "used_in_non_default_sg": True},
    {"direction": "ingress", "remote_group_id": "PARENT", "protocol": "tcp"} | BOTH,
    {"direction": "ingress", "remote_group_id": "PARENT", "protocol": "tcp", "remote_ip_prefix": "10.0.0.0/8"} | BOTH,
    {"direction": "egress"} | BOTH,
    {"direction": "egress", "remote_ip_prefix": "0.0.0.0/0"} | BOTH,
    {"direction": "ingress", "project_id": "blue", "protocol": "esp"} | BOTH,
    {"direction": "ingress", "description": "d", "protocol": "icmp", "port_range_min": 8} | BOTH,
    {"direction": "ingress", "id": NOWHERE, "protocol": "vrrp"} | BOTH,
    {"direction": "ingress", "tags": ["t"]} | BOTH,
]


async def templates(pair: Pair) -> None:
    """Create templates in every way, and groups that receive some of them."""
    await pair.ask("GET", PATH)
    made = []
    for values in TEMPLATES:
        status, body = await pair.ask("POST", PATH, {"default_security_group_rule": values})
        if status == 201:
            made.append(body["default_security_group_rule"]["id"])
            await pair.ask("GET", f"{PATH}/{made[-1]}")
    by_direction = "sort_key=direction&sort_dir=asc&sort_key=id&sort_dir=asc&fields=direction"
    for asked in ("used_in_default_sg=true", "used_in_non_default_sg=True", "protocol=tcp", "remote_group_id=PARENT",
                  by_direction, "fields=id", "nonsense=1", "description=d"):  # fmt: skip
        await pair.ask("GET", f"{PATH}?{asked}")
    await pair.ask("GET", PATH, **MEMBER)
    for method, one in (("POST", PATH), ("DELETE", f"{PATH}/{made[0]}")):
        body = {"default_security_group_rule": {"direction": "ingress", "protocol": "gre"} | BOTH}
        await pair.ask(method, one, body if method == "POST" else None, **MEMBER)
    await pair.ask("PUT", f"{PATH}/{made[0]}", {"default_security_group_rule": {"description": "x"}})
    for project in ("red", "templated"):
        await pair.ask("POST", "security-groups", {"security_group": {"name": "g"}}, project=project)
        await pair.ask("GET", f"security-groups?project_id={project}", project=project)
    for uuid in made:
        await pair.ask("DELETE", f"{PATH}/{uuid}")
    await pair.ask("GET", f"{PATH}/{made[0]}")
    await pair.ask("DELETE", f"{PATH}/{NOWHERE}")
    for values in RULES:
        body = {"default_security_group_rule": values | {"used_in_default_sg": False, "used_in_non_default_sg": False}}
        status, body = await pair.ask("POST", PATH, body)
        if status == 201:
            await pair.ask("DELETE", f"{PATH}/{body['default_security_group_rule']['id']}")
    await _statefulness(pair)


async def _statefulness(pair: Pair) -> None:
    name = "security_groups_default_statefulness"
    manager = {"roles": "manager,member,reader"}
    await pair.ask("GET", STATEFULNESS)
    made = []
    for values, asking in (
        ({"project_id": "red", "stateful": False}, {}),
        ({"project_id": "red"}, {}),
        ({"tenant_id": "other"}, {}),
        ({"stateful": "x"}, {}),
        ({"stateful": False}, {}),
        ({"stateful": False}, {}),
        ({"stateful": False}, manager),
        ({"project_id": "mine", "stateful": False}, manager | {"project": "mine"}),
        ({"project_id": "red"}, manager | {"project": "mine"}),
        ({"project_id": "mine"}, MEMBER | {"project": "mine"}),
        ({"nonsense": 1}, {}),
        ({"description": "d"}, {}),
    ):
        status, body = await pair.ask("POST", STATEFULNESS, {name: values}, **asking)
        if status == 201:
            made.append(body[name]["id"])
    await pair.ask("GET", STATEFULNESS)
    await pair.ask("GET", f"{STATEFULNESS}?project_id=red")
    await pair.ask("GET", STATEFULNESS, **MEMBER)
    for uuid in made:
        await pair.ask("GET", f"{STATEFULNESS}/{uuid}")
        await pair.ask("GET", f"{STATEFULNESS}/{uuid}", **MEMBER)
    for project in ("red", "mine", "another"):
        for values in ({}, {"stateful": True}, {"stateful": False}):
            await pair.ask("POST", "security-groups", {"security_group": {"name": "g"} | values}, project=project)
    for uuid in made:
        for values in ({"stateful": True}, {"stateful": None}, {"project_id": "blue"}):
            await pair.ask("PUT", f"{STATEFULNESS}/{uuid}", {name: values})
        await pair.ask("PUT", f"{STATEFULNESS}/{uuid}", {name: {"stateful": True}}, **MEMBER)
        await pair.ask("DELETE", f"{STATEFULNESS}/{uuid}", **MEMBER)
        await pair.ask("DELETE", f"{STATEFULNESS}/{uuid}")
        await pair.ask("GET", f"{STATEFULNESS}/{uuid}")
