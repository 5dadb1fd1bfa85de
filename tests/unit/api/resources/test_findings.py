"""What compilers find is a list of the API, which names the resources that it is about."""

from __future__ import annotations

import json

import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.resources.finding import OF_NORTHBOUND
from ovenbird.model import cloud, nb
from ovenbird.model.chassis_findings import KEY, LONGEST_TEXT, MOST_TEXTS


def found(neutron, reporter, row_table, row_uuid, text="is left out"):
    transaction = neutron.cloud.transaction()
    values = {"reporter": reporter, "row_table": row_table, "row_uuid": row_uuid, "text": text}
    row = transaction.insert(cloud.Finding, values)
    transaction.commit()
    return row


def stored(neutron, row_class, **values):
    transaction = neutron.northbound.transaction()
    row = transaction.insert(row_class, values)
    transaction.commit()
    return row


async def test_a_finding_about_a_row_of_cloud_is_about_that_resource(neutron):
    router = await neutron.create("router", name="r")
    uuid = found(neutron, "cloud", "Router", router["id"], "router r: no chassis")
    (shown,) = await neutron.list("findings?resource_type=router")
    assert shown == {
        "id": uuid,
        "project_id": router["project_id"],
        "tenant_id": router["project_id"],
        "reporter": "cloud",
        "description": "router r: no chassis",
        "resource_type": "router",
        "resource_id": router["id"],
        "row_table": "Router",
        "row_uuid": router["id"],
    }
    assert await neutron.ask("GET", f"findings/{uuid}") == (200, {"finding": shown})
    assert not await neutron.list("findings?resource_type=port")
    await neutron.refused(404, "FindingNotFound", "GET", f"findings/{router['id']}")


ID = "11111111-1111-4111-8111-111111111111"
ROUTER = {"neutron:router_name": f"neutron-{ID}"}
NORTHBOUND = [
    (nb.LogicalSwitch, {"name": f"neutron-{ID}"}, "network"),
    (nb.LogicalSwitch, {"name": "sw0"}, None),
    (nb.LogicalRouter, {"name": f"neutron-{ID}"}, "router"),
    (nb.DHCPOptions, {"cidr": "10.0.0.0/24", "external_ids": {"subnet_id": ID}}, "subnet"),
    (nb.DHCPOptions, {"cidr": "10.0.0.0/24", "external_ids": {"subnet_id": "other", "port_id": ID}}, "port"),
    (nb.DHCPOptions, {"cidr": "10.0.0.0/24"}, None),
]
PARTS = [
    (nb.LogicalSwitchPort, "ports", {"name": ID, "external_ids": {"neutron:port_name": ""}}, "port"),
    (nb.LogicalSwitchPort, "ports", {"name": "provnet-x", "type": "localnet"}, "network"),
    (nb.LogicalSwitchPort, "ports", {"name": "vm1"}, None),
    (nb.LogicalRouterPort, "ports", {"name": f"lrp-{ID}", "mac": "x", "networks": frozenset(("10.0.0.1/24",))}, "port"),
    (nb.LogicalRouterStaticRoute, "static_routes", {"external_ids": ROUTER}, "router"),
    (nb.NAT, "nat", {"type": "snat", "external_ids": ROUTER}, "router"),
    (nb.NAT, "nat", {"type": "dnat_and_snat", "external_ids": {**ROUTER, "neutron:fip_id": ID}}, "floatingip"),
    (nb.NAT, "nat", {"type": "snat"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("row_class", "values", "kind"), NORTHBOUND)
async def test_rows_of_northbound_name_their_resource(neutron, row_class, values, kind):
    found(neutron, "northd", row_class.TABLE, stored(neutron, row_class, **values))
    (shown,) = await neutron.list("findings")
    assert (shown["resource_type"], shown["resource_id"]) == (kind, kind and ID)


@pytest.mark.parametrize(("row_class", "column", "values", "kind"), PARTS)
async def test_ports_and_rows_of_switches_and_routers_name_their_resource(neutron, row_class, column, values, kind):
    whole = nb.LogicalSwitch if row_class is nb.LogicalSwitchPort else nb.LogicalRouter
    transaction = neutron.northbound.transaction()
    row = transaction.insert(row_class, values)
    transaction.insert(whole, {"name": f"neutron-{ID}", column: frozenset((row,))})
    transaction.commit()
    found(neutron, "northd", row_class.TABLE, row)
    (shown,) = await neutron.list("findings")
    assert (shown["resource_type"], shown["resource_id"]) == (kind, kind and ID)


async def test_a_segment_is_about_its_network_and_what_is_gone_about_nothing(neutron):
    network = await neutron.network(**{"provider:network_type": "vlan", "provider:physical_network": "public",
                                       "provider:segmentation_id": 7})  # fmt: skip
    (segment,) = neutron.cloud.store.table(cloud.NetworkSegment).rows
    found(neutron, "cloud", "Network_Segment", segment)
    for table in ("Network_Segment", "Setting", *OF_NORTHBOUND, ""):
        found(neutron, "northd" if table in OF_NORTHBOUND else "cloud", table, "", "gone")
    shown = await neutron.list("findings")
    assert {one["resource_id"] for one in shown if one["description"] == "gone"} == {None}
    assert [one["resource_id"] for one in shown if one["description"] != "gone"] == [network["id"]]


@pytest.mark.parametrize(
    ("told", "shown"),
    [('["no tunnel", "no bridge"]', ["hv1.example: no bridge", "hv1.example: no tunnel"]),
     ('["a", 7, null]', ["hv1.example: a"]),
     ('["a", "a", "\\ud800"]', ["hv1.example: ?", "hv1.example: a"]),  # half of a pair is no character
     (json.dumps(["€" * 10_000]), ["hv1.example: " + "€" * LONGEST_TEXT]),
     (json.dumps([f"{n:03}" for n in range(900)]), [f"hv1.example: {n:03}" for n in range(MOST_TEXTS + 1)]),
     (json.dumps(["x" * 1_000_000]), []),
     ("[]", []), ("{}", []), ("junk", []), ("[" * 100_000, []), ("null", [])],
)  # fmt: skip
async def test_findings_of_controllers_name_their_host(neutron, told, shown):
    neutron.chassis("hv1", "hv1.example", ids={KEY: told})
    neutron.chassis("hv2")
    found = await neutron.list("findings?sort_key=description&reporter=controller")
    assert [one["description"] for one in found] == shown
    for one in found:
        assert (one["resource_type"], one["resource_id"]) == ("agent", "hv1")
        assert await neutron.ask("GET", f"findings/{one['id']}") == (200, {"finding": one})


def test_findings_are_for_administrators():
    policy = Policy(RULES)
    for role in ("reader", "member", "manager", "service", "admin"):
        access = policy.access(Caller(project="p", user="u", roles=frozenset((role,))))
        assert access.allows("get_finding", {}.__getitem__) == (role == "admin")
