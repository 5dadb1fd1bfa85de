"""The walk through logs of security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import MEMBER, NOWHERE

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

LOGS = "log/logs"


async def logs(pair: Pair) -> None:
    """Make logs in every way, change them, and delete what they are about."""
    group = await pair.make("security_group", name="logged")
    other = await pair.make("security_group", name="other")
    network = await pair.make("network", name="logged")
    port = await pair.make("port", network_id=network["id"], security_groups=[group["id"]])
    given: list[dict[str, Any]] = [
        {},
        {"resource_id": group["id"]},
        {"resource_id": group["id"], "event": "ACCEPT", "name": "n", "description": "d"},
        {"resource_id": group["id"], "event": "DROP", "enabled": False},
        {"resource_id": group["id"], "target_id": port["id"]},
        {"resource_id": other["id"], "target_id": port["id"]},
        {"target_id": port["id"]},
        {"resource_id": NOWHERE},
        {"target_id": NOWHERE},
        {"resource_id": "x"},
        {"resource_id": None, "target_id": None},
        {"event": "SOME"},
        {"event": None},
        {"event": "drop"},
        {"enabled": "x"},
        {"enabled": "no"},
        {"name": None},
        {"project_id": "blue"},
        {"resource_type": "router"},
        {"resource_type": None},
        {"id": NOWHERE},
        {"nonsense": 1},
    ]
    made = []
    for values in given:
        body = {"log": {"resource_type": "security_group"} | values}
        status, answer = await pair.ask("POST", LOGS, body)
        if status == 201:
            made.append(answer["log"]["id"])
            await pair.ask("GET", f"{LOGS}/{made[-1]}")
    await pair.ask("POST", LOGS, {"log": {"name": "x"}})
    await pair.ask("POST", LOGS, {"log": {"resource_type": "security_group"}}, **MEMBER)
    for query in ("", "?event=DROP", "?enabled=false", f"?resource_id={group['id']}", "?name=n", "?fields=id",
                  "?resource_type=security_group", "?nonsense=1"):  # fmt: skip
        await pair.ask("GET", LOGS + query)
    await pair.ask("GET", LOGS, **MEMBER)
    await pair.ask("GET", "log/loggable-resources")
    for values in ({}, {"enabled": False}, {"enabled": True}, {"name": "m", "description": "e"}, {"event": "DROP"},
                   {"resource_id": other["id"]}, {"enabled": "x"}, {"nonsense": 1}):  # fmt: skip
        await pair.ask("PUT", f"{LOGS}/{made[0]}", {"log": values})
    await pair.ask("DELETE", f"ports/{port['id']}")
    await pair.ask("GET", LOGS)
    await pair.ask("DELETE", f"security-groups/{group['id']}")
    await pair.ask("GET", LOGS)
    for uuid in made:
        await pair.ask("DELETE", f"{LOGS}/{uuid}")
