"""Agents and availability zones: what chassis say of themselves, and who is alive."""

from __future__ import annotations

import time

import httpx
import pytest

from ovenbird.api.http.app import create_app
from ovenbird.api.resources.agent import Heartbeat
from ovenbird.metadata.agent import report
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.server import Server


def commit(client, change):
    transaction = client.transaction()
    result = change(transaction)
    client.database.commit(transaction)
    return result


def head(neutron, number, asked):
    """Have the compiler pass on a sequence number that came at a time."""
    there = neutron.northbound.store.table(nb.NBGlobal).all()
    values = {"nb_cfg": number, "nb_cfg_timestamp": int(asked * 1000)}
    if there:
        commit(neutron.northbound, lambda t: t.update(there[0], values))
        south = neutron.southbound.store.table(sb.SBGlobal).all()
        commit(neutron.southbound, lambda t: t.update(south[0], {"nb_cfg": number}))
    else:
        commit(neutron.northbound, lambda t: t.insert(nb.NBGlobal, values))
        commit(neutron.southbound, lambda t: t.insert(sb.SBGlobal, {"nb_cfg": number}))


GATEWAY = {"ovn-cms-options": "enable-chassis-as-gw,availability-zones=az1:az2", "ovn-bridge-mappings": "public:br-ex"}
METADATA = {"neutron:ovn-metadata-id": "11111111-2222-3333-4444-555555555555", "neutron:ovn-metadata-sb-cfg": "3"}


async def test_agents_of_chassis(neutron):
    head(neutron, 3, time.time())
    neutron.chassis("c1", "host1", GATEWAY, answered=3)
    neutron.chassis("c22", "host2", {}, METADATA, answered=3)
    found = {(a["host"], a["agent_type"]): a for a in await neutron.list("agents")}
    assert sorted(found) == [
        ("host1", "OVN Controller Gateway agent"),
        ("host2", "OVN Controller agent"),
        ("host2", "OVN Metadata agent"),
    ]
    assert found["host1", "OVN Controller Gateway agent"] == {
        "id": "c1",
        "host": "host1",
        "agent_type": "OVN Controller Gateway agent",
        "binary": "ovn-controller",
        "topic": "n/a",
        "alive": True,
        "admin_state_up": True,
        "availability_zone": "az1, az2",
        "heartbeat_timestamp": "2023-11-14 22:13:20",
        "configurations": {"chassis_name": "c1", "bridge-mappings": "public:br-ex"},
        "description": "",
    }
    assert all(agent["alive"] for agent in found.values())
    assert [a["id"] for a in await neutron.list("agents?agent_type=OVN+Metadata+agent&fields=id")] == [
        METADATA["neutron:ovn-metadata-id"]
    ]
    assert (await neutron.ask("GET", "agents/c1"))[1]["agent"]["host"] == "host1"
    await neutron.refused(404, "AgentNotFound", "GET", "agents/nobody")


async def test_a_chassis_that_does_not_answer_is_dead(neutron):
    head(neutron, 3, time.time() - 80)
    neutron.chassis("c1", answered=3)
    neutron.chassis("c22", ids=METADATA, answered=2)
    alive = {a["id"]: a["alive"] for a in await neutron.list("agents")}
    assert alive == {"c1": True, "c22": False, METADATA["neutron:ovn-metadata-id"]: False}
    # The list has asked again; whoever answers that is alive at once, and nobody else dies of not having answered yet.
    north = neutron.northbound.store.table(nb.NBGlobal).all()[0]
    assert north.nb_cfg == 4
    head(neutron, 4, time.time())
    private = neutron.southbound.store.find(sb.ChassisPrivate.name, "c22")
    commit(neutron.southbound, lambda t: t.update(private, {"nb_cfg": 4}))
    alive = {a["id"]: a["alive"] for a in await neutron.list("agents")}
    assert alive == {"c1": True, "c22": True, METADATA["neutron:ovn-metadata-id"]: True}
    assert north.nb_cfg == 4


async def test_listing_agents_increments_nb_cfg(neutron):
    head(neutron, 0, 0)
    neutron.chassis("c1")
    assert [a["alive"] for a in await neutron.list("agents")] == [True]
    assert neutron.northbound.store.table(nb.NBGlobal).all()[0].nb_cfg == 1
    head(neutron, 1, time.time() - 76)
    assert [a["alive"] for a in await neutron.list("agents")] == [False]


async def test_patience_is_a_setting(neutron):
    head(neutron, 3, time.time() - 5)
    neutron.chassis("c1", answered=2)
    assert [a["alive"] for a in await neutron.list("agents")] == [True]
    commit(neutron.cloud, lambda t: t.insert(cloud.CloudGlobal, {"options": {"agent_down_time": "2"}}))
    assert [a["alive"] for a in await neutron.list("agents")] == [False]


def test_frequent_lists_do_not_delay_the_detection_of_dead_agents():
    heartbeat = Heartbeat()
    for number in range(1, 100):
        heartbeat.note(number, when=float(number), patience=75.0, now=float(number))
    assert heartbeat.answers(99, patience=75.0, now=99.0)
    assert heartbeat.answers(24, patience=75.0, now=99.0)
    assert not heartbeat.answers(23, patience=75.0, now=99.0)
    assert len(heartbeat.asked) < 80
    heartbeat.note(5, when=99.0, patience=75.0, now=99.0)  # a database started over
    assert heartbeat.answers(0, patience=75.0, now=99.0)


def test_an_agent_is_not_late_by_a_timestamp_that_is_not_written_yet():
    heartbeat = Heartbeat()
    heartbeat.note(1, when=0.0, patience=75.0, now=10.0)
    heartbeat.note(2, when=0.0, patience=75.0, now=500.0)  # the number is there, its time still that of the one before
    assert heartbeat.answers(1, patience=75.0, now=510.0)
    assert not heartbeat.answers(1, patience=75.0, now=576.0)


async def test_descriptions_can_be_changed_and_agents_cannot_be_disabled(neutron):
    head(neutron, 3, time.time())
    neutron.chassis("c1", ids=METADATA, answered=3)
    for uuid in ("c1", METADATA["neutron:ovn-metadata-id"]):
        got, body = await neutron.ask("PUT", f"agents/{uuid}", {"agent": {"description": f"about {uuid}"}})
        assert (got, body["agent"]["description"]) == (200, f"about {uuid}")
    assert {a["description"] for a in await neutron.list("agents")} == {
        "about c1",
        f"about {METADATA['neutron:ovn-metadata-id']}",
    }
    assert (await neutron.ask("PUT", "agents/c1", {"agent": {"admin_state_up": True}}))[0] == 200
    why = await neutron.refused(400, "HTTPBadRequest", "PUT", "agents/c1", {"agent": {"admin_state_up": False}})
    assert "cannot be updated" in why
    await neutron.refused(400, "HTTPBadRequest", "PUT", "agents/c1", {"agent": {"host": "other"}})
    await neutron.refused(405, "HTTPMethodNotAllowed", "POST", "agents", {"agent": {}})


async def test_dead_agents_can_be_deleted_and_live_ones_cannot(neutron):
    head(neutron, 3, time.time() - 80)
    neutron.chassis("c1", answered=3)
    neutron.chassis("c22", ids=METADATA, answered=1)
    assert "alive" in await neutron.refused(400, "HTTPBadRequest", "DELETE", "agents/c1")
    assert (await neutron.ask("DELETE", f"agents/{METADATA['neutron:ovn-metadata-id']}"))[0] == 204
    assert [a["id"] for a in await neutron.list("agents")] == ["c1", "c22"]
    assert (await neutron.ask("DELETE", "agents/c22"))[0] == 204
    assert [a["id"] for a in await neutron.list("agents")] == ["c1"]
    assert [row.name for row in neutron.southbound.store.table(sb.Chassis)] == ["c1"]
    assert [row.chassis_name for row in neutron.southbound.store.table(sb.Encap)] == ["c1"]


async def test_a_controller_that_removed_its_chassis_is_dead(neutron):
    head(neutron, 3, time.time())
    neutron.chassis("c1", answered=3)
    commit(neutron.southbound, lambda t: t.delete(neutron.southbound.store.find(sb.Chassis.name, "c1")))
    [agent] = await neutron.list("agents")
    assert (agent["alive"], agent["host"]) == (False, "c1")
    assert (await neutron.ask("DELETE", "agents/c1"))[0] == 204
    assert await neutron.list("agents") == []


async def test_availability_zones(neutron):
    neutron.chassis("c1", config=GATEWAY)
    neutron.chassis("c22", config={"ovn-cms-options": "availability-zones=az3"})
    zones = {(z["name"], z["resource"], z["state"]) for z in await neutron.list("availability_zones")}
    networks = {(name, "network", "available") for name in ("az1", "az2", "az3")}
    assert zones == networks | {(name, "router", "available") for name in ("az1", "az2")}
    assert [
        z["name"] for z in await neutron.list("availability_zones?resource=router&sort_key=name&sort_dir=desc")
    ] == [
        "az2",
        "az1",
    ]


@pytest.mark.parametrize("member", ["network", "router"])
async def test_hints(neutron, member):
    neutron.chassis("c1", config=GATEWAY)
    neutron.chassis("c22", config={"ovn-cms-options": "availability-zones=az3"})
    made = await neutron.create(member, availability_zone_hints=["az2", "az1"])
    assert made["availability_zone_hints"] == made["availability_zones"] == ["az1", "az2"]
    plain = await neutron.create(member)
    assert plain["availability_zone_hints"] == plain["availability_zones"] == []
    body = {member: {"availability_zone_hints": ["az1", "nowhere"]}}
    why = await neutron.refused(404, "AvailabilityZoneNotFound", "POST", f"{member}s", body)
    assert why == "AvailabilityZone nowhere could not be found."
    got, _ = await neutron.ask("POST", f"{member}s", {member: {"availability_zone_hints": ["az3"]}})
    assert got == (201 if member == "network" else 404)


async def test_agents_of_a_southbound_without_chassis_private(neutron, tmp_path):
    """Before OVN 20.09 the row Chassis itself had the number."""
    schema = sb.schema().to_json()
    del schema["tables"]["Chassis_Private"]
    server = Server()
    older = server.add(Database(DatabaseSchema.from_json(schema), (sb.Chassis, sb.Encap, sb.SBGlobal)))
    await server.listen(f"punix:{tmp_path}/sb.sock")
    rows = (sb.SBGlobal, sb.Chassis, sb.ChassisPrivate, sb.Encap)
    replica = Replica(f"unix:{tmp_path}/sb.sock", database="OVN_Southbound", row_classes=rows)
    try:
        made = older.transaction()
        made.insert(sb.SBGlobal, {"nb_cfg": 3})
        encap = made.insert(sb.Encap, {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "c1"})
        made.insert(sb.Chassis, {"name": "c1", "hostname": "host1", "nb_cfg": 3, "encaps": frozenset((encap,))})
        older.commit_now(made)
        await replica.start()
        await report(replica, "c1")
        app = create_app(neutron.cloud, northbound=neutron.northbound, southbound=replica)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://neutron") as http:
            agents = (await http.get("/v2.0/agents")).json()["agents"]
            assert {(a["agent_type"], a["host"], a["alive"]) for a in agents} == {
                ("OVN Controller agent", "host1", True), ("OVN Metadata agent", "host1", True),
            }  # fmt: skip
            changed = await http.put("/v2.0/agents/c1", json={"agent": {"description": "old"}})
            assert changed.json()["agent"]["description"] == "old"
            assert (await http.delete("/v2.0/agents/c1")).status_code == 400, "it is alive"
    finally:
        await replica.close()
        await server.close()


async def test_chassis_of_routers_are_chosen_by_hand(neutron):
    head(neutron, 1, time.time())
    for name in ("c1", "c2", "c3"):
        neutron.chassis(name, f"host-{name}", GATEWAY, answered=1)
    neutron.chassis("plain", "host-plain", {}, answered=1)
    outside = await neutron.network(
        **{"router:external": True, "provider:network_type": "flat", "provider:physical_network": "public"}
    )
    await neutron.subnet(outside, cidr="203.0.113.0/24")
    router = await neutron.create("router", external_gateway_info={"network_id": outside["id"]})
    path, gone = f"routers/{router['id']}/l3-agents", f"agents/c2/l3-routers/{router['id']}"

    def scheduled(transaction):
        port = router["external_gateway_info"]["external_fixed_ips"]
        assert port
        [row] = [row for row in neutron.cloud.store.table(cloud.Port) if row.device_owner == "network:router_gateway"]
        chassis = [transaction.insert(nb.GatewayChassis, {"name": n, "chassis_name": n, "priority": p})
                   for n, p in (("c1", 5), ("c2", 4))]  # fmt: skip
        name = {"name": f"lrp-{row.uuid}", "mac": row.mac_address, "networks": frozenset(("203.0.113.2/24",))}
        made = transaction.insert(nb.LogicalRouterPort, name | {"gateway_chassis": frozenset(chassis)})
        transaction.insert(nb.LogicalRouter, {"name": "r", "ports": frozenset((made,))})

    commit(neutron.northbound, scheduled)

    async def hosting():
        _, answer = await neutron.ask("GET", path)
        return {agent["id"]: agent["ha_chassis_priority"] for agent in answer["agents"]}

    assert await hosting() == {"c1": 5, "c2": 4}
    _, answer = await neutron.ask("GET", "agents/c2/l3-routers")
    assert [one["id"] for one in answer["routers"]] == [router["id"]]
    body = {"router_id": router["id"]}
    await neutron.refused(409, "RouterHostedByL3Agent", "POST", "agents/c1/l3-routers", body)
    await neutron.refused(404, "InvalidL3Agent", "POST", "agents/plain/l3-routers", body)
    await neutron.refused(404, "InvalidL3Agent", "POST", "agents/none/l3-routers", body)
    priority = "HAChassisPriorityAlreadyAssigned"
    await neutron.refused(409, priority, "POST", "agents/c3/l3-routers", body | {"ha_chassis_priority": 5})
    await neutron.refused(400, "InvalidHAChassisPriority", "PUT", gone, {"ha_chassis_priority": 40000})
    assert (await neutron.ask("POST", "agents/c3/l3-routers", body))[0] == 201
    assert await hosting() == {"c1": 5, "c2": 4, "c3": 3}
    assert (await neutron.ask("PUT", gone, {"ha_chassis_priority": 10}))[0] == 200
    assert await hosting() == {"c1": 5, "c2": 10, "c3": 3}
    assert (await neutron.ask("DELETE", gone))[0] == 204
    await neutron.refused(409, "RouterNotHostedByL3Agent", "DELETE", gone)
    assert await hosting() == {"c1": 5, "c3": 3}
    await neutron.refused(404, "RouterNotFound", "GET", "routers/00000000-0000-4000-8000-000000000000/l3-agents")
    await neutron.ask("PUT", f"routers/{router['id']}", {"router": {"external_gateway_info": None}})
    assert not neutron.cloud.store.table(cloud.Router).all()[0].has_own_schedule
