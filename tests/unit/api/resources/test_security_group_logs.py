"""Logs of security groups over HTTP."""

from __future__ import annotations

NOWHERE = "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f"
LOGS = "log/logs"


async def log(neutron, **values):
    status, body = await neutron.ask("POST", LOGS, {"log": {"resource_type": "security_group"} | values})
    assert status == 201, body
    return body["log"]


async def test_a_log_can_be_made_changed_and_deleted(neutron):
    group = await neutron.create("security_group", name="web")
    made = await log(neutron, name="l", resource_id=group["id"], project_id="red")
    assert (made["event"], made["enabled"], made["target_id"]) == ("ALL", True, None)
    path = f"{LOGS}/{made['id']}"
    status, body = await neutron.ask("PUT", path, {"log": {"enabled": False, "description": "d"}})
    assert (status, body["log"]["enabled"], body["log"]["revision_number"]) == (200, False, 2)
    assert [one["id"] for one in await neutron.list(f"{LOGS}?resource_id={group['id']}")] == [made["id"]]
    assert (await neutron.ask("DELETE", path))[0] == 204
    await neutron.refused(404, "LogResourceNotFound", "GET", path)
    assert await neutron.list("log/loggable-resources") == [{"type": "security_group"}]


async def test_a_log_goes_with_what_it_is_about(neutron):
    group = await neutron.create("security_group", name="web")
    port = await neutron.port(await neutron.network(), security_groups=[group["id"]])
    both = await log(neutron, resource_id=group["id"], target_id=port["id"])
    one = await log(neutron, resource_id=group["id"])
    await neutron.ask("DELETE", f"ports/{port['id']}")
    assert [row["id"] for row in await neutron.list(LOGS)] == [one["id"]]
    assert both["target_id"] == port["id"]
    await neutron.ask("DELETE", f"security-groups/{group['id']}")
    assert await neutron.list(LOGS) == []


async def test_what_cannot_be_logged_is_refused(neutron):
    group = await neutron.create("security_group", name="web")
    port = await neutron.port(await neutron.network())
    for status, kind, values in (
        (400, "InvalidLogResourceType", {"resource_type": "router"}),
        (404, "ResourceNotFound", {"resource_id": NOWHERE}),
        (404, "TargetResourceNotFound", {"target_id": NOWHERE}),
        (400, "InvalidResourceConstraint", {"resource_id": group["id"], "target_id": port["id"]}),
        (400, "HTTPBadRequest", {"event": "SOME"}),
    ):
        await neutron.refused(status, kind, "POST", LOGS, {"log": {"resource_type": "security_group"} | values})
    await neutron.refused(400, "HTTPBadRequest", "POST", LOGS, {"log": {"name": "x"}})
