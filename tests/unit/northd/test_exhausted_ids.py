"""A row for which no number is left costs itself alone: it is left out with a finding until a number is released."""

import asyncio

import pytest

from ovenbird.driver.engine_driver import EngineDriver
from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.northd.findings import CompilerFindings
from ovenbird.northd.ir.queues import LOCALNET_QUEUES, QUEUES
from ovenbird.northd.ir.southbound_rows import PORT_KEYS
from ovenbird.northd.router.bfd import SOURCE_PORTS
from ovenbird.northd.router.router_policies import POLICY_GROUPS
from ovenbird.northd.router.routing import ROUTE_GROUPS
from ovenbird.northd.shared.binding import DATAPATH_KEYS, VLAN_TAGS
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support.northd.networks import Networks
from support.northd.one_router import world
from support.waiting import until_async

LEFT = 2
"""The ids that each pool has in these tests."""


@pytest.fixture(autouse=True)
def _scarce(monkeypatch, request):
    pool = request.param
    monkeypatch.setattr(pool, "high", pool.low + LEFT - 1)
    monkeypatch.setattr(pool, "limit", pool.high)


def only(pool):
    """Make ids of a pool scarce in a test."""
    return pytest.mark.parametrize("_scarce", [pool], indirect=True)


def lacking(made):
    """Return the one finding."""
    (text,) = made.findings()
    return text


def names(made, row_class, column="name"):
    return sorted(row[column] for row in made.rows(row_class))


@only(PORT_KEYS)
def test_tunnel_keys_of_ports():
    made = Networks()
    net, other = made.switch("net"), made.switch("other")
    ports = [made.port(net, f"p{n}", f"00:00:00:00:00:0{n}") for n in range(LEFT + 1)]
    made.port(other, "q", "00:00:00:00:00:09")
    made.settle()
    (lost,) = {"p0", "p1", "p2"} - {*names(made, sb.PortBinding, "logical_port")}
    assert "q" in names(made, sb.PortBinding, "logical_port")
    assert lacking(made) == (
        f"Logical_Switch_Port {lost}: no tunnel key of a port from 1 to 2 is free; what needs one is left out"
    )
    made.delete(next(port for port in ports if port.name != lost), (net, "ports"))
    made.settle()
    assert not made.findings()
    assert lost in names(made, sb.PortBinding, "logical_port")


@only(DATAPATH_KEYS)
async def test_tunnel_keys_of_datapaths():
    """What belongs to a network without a key is refused by Southbound, and costs no other network anything."""
    northbound, southbound = (Server().add(Database(model.schema(), model.ROWS)) for model in (nb, sb))
    found = CompilerFindings()
    edits = northbound.transaction()
    nets = {name: network(edits, name) for name in ("a", "b", "c")}
    northbound.commit_now(edits)
    driver = EngineDriver(
        "northd", lambda: build(northbound.store, sb_store=southbound.store, findings=found), [southbound, northbound]
    )

    def bound() -> set[str]:
        return {row.logical_port for row in southbound.store.table(sb.PortBinding).rows.values()}

    def matches() -> set[str]:
        rows = southbound.store.table(sb.LogicalFlow).rows.values()
        return {row.match for row in rows if row.match.startswith("ip.ttl")}

    running = asyncio.create_task(driver.run())
    try:
        await until_async(lambda: len(bound()) == len(matches()) == LEFT and driver.engine.idle and not driver.busy)
        (lost,) = {"a", "b", "c"} - bound()
        text = f"Logical_Switch {lost}: no tunnel key of a datapath from 1 to 2 is free; what needs one is left out"
        assert list(found) == [text]
        edits = northbound.transaction()
        edits.delete(northbound.store.table(nb.LogicalSwitch).rows[next(nets[each] for each in nets if each != lost)])
        northbound.commit_now(edits)
        await until_async(lambda: lost in bound() and len(bound()) == len(matches()) == LEFT)
        assert not list(found)
    finally:
        running.cancel()
        await asyncio.wait([running])


def network(edits, name):
    """Insert a switch with a port and an ACL of that name; return its UUID."""
    port = edits.insert(nb.LogicalSwitchPort, {"name": name, "addresses": frozenset(["00:00:00:00:00:01"])})
    drop = {"direction": "from-lport", "match": f"ip.ttl == {ord(name)}", "action": "drop", "priority": 1}
    acl = edits.insert(nb.ACL, drop)
    ports, acls = frozenset([port]), frozenset([acl])
    return edits.insert(nb.LogicalSwitch, {"name": name, "ports": ports, "acls": acls})


@only(VLAN_TAGS)
def test_vlan_tags_behind_one_parent():
    made = Networks()
    net = made.switch("net")
    made.port(net, "parent", "00:00:00:00:00:09")
    inner = [
        made.port(net, f"p{n}", f"00:00:00:00:00:0{n}", parent_name="parent", tag_request=0) for n in range(LEFT + 1)
    ]
    made.settle()
    (lost,) = {"p0", "p1", "p2"} - {*names(made, sb.PortBinding, "logical_port")}
    assert lacking(made).startswith(f"Logical_Switch_Port {lost}: no VLAN tag of a port behind its parent from 1 to 2")
    made.delete(next(port for port in inner if port.name != lost), (net, "ports"))
    made.settle()
    assert not made.findings()


@only(LOCALNET_QUEUES)
def test_queues_of_localnet_ports():
    made = Networks()
    net = made.switch("net")
    ports = [made.port(net, f"p{n}", type="localnet", options={"qos_max_rate": "1000"}) for n in range(LEFT + 1)]
    made.settle()
    assert len(made.rows(sb.PortBinding)) == LEFT + 1  # a port without a queue works, without its rates
    (lost,) = (row.logical_port for row in made.rows(sb.PortBinding) if "qdisc_queue_id" not in row.options)
    first = LOCALNET_QUEUES.low
    assert lacking(made) == (
        f"port {lost}: it has no queue, so that its rates are not limited: "
        f"no queue of a localnet port from {first} to {first + 1} is free"
    )
    made.update(next(port for port in ports if port.name != lost), options={})
    made.settle()
    assert not made.findings()


@only(QUEUES)
def test_queues_of_ports_on_one_chassis():
    made = Networks()
    net = made.switch("net")
    txn = made.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv"})
    chassis = txn.insert(sb.Chassis, {"name": "hv", "encaps": frozenset([encap])})
    txn.commit()
    for n in range(LEFT + 1):
        made.port(net, f"p{n}", f"00:00:00:00:00:0{n}", options={"qos_max_rate": "1000"})
    made.settle()
    assert not made.findings()
    for row in made.rows(sb.PortBinding):
        made.update(row, chassis=chassis)
    made.settle()
    assert "it has no queue" in lacking(made)
    made.update(next(row for row in made.rows(sb.PortBinding) if "qdisc_queue_id" in row.options), chassis=None)
    made.settle()
    assert not made.findings()


@only(POLICY_GROUPS)
def test_groups_of_policies():
    made = world()
    hops = frozenset(["10.0.0.8", "10.0.0.9"])
    rows = [
        made.insert(
            nb.LogicalRouterPolicy, (made.router, "policies"), priority=n, match="ip4", action="reroute", nexthops=hops
        )
        for n in range(1, LEFT + 2)
    ]
    made.settle()
    assert "no group of a policy's next hops from 1 to 2 is free" in lacking(made)
    made.delete(rows[0], (made.router, "policies"))
    made.settle()
    assert not made.findings()


@only(ROUTE_GROUPS)
def test_groups_of_equal_routes():
    made = world()
    for n in range(LEFT + 1):
        for hop in ("10.0.0.8", "10.0.0.9"):
            made.insert(
                nb.LogicalRouterStaticRoute, (made.router, "static_routes"), ip_prefix=f"{n + 1}.0.0.0/8", nexthop=hop
            )
    made.settle()
    assert len(made.findings()) == 2  # for each route of the prefix
    assert all("no group of equal routes from 1 to 2 is free" in text for text in made.findings())
    made.mutate(made.router, "static_routes", delete=made.router.static_routes[:2])
    made.settle()
    assert not [text for text in made.findings() if "group of equal routes" in text]


@only(SOURCE_PORTS)
def test_source_ports_of_bfd_sessions():
    made = world()
    port = made.router.ports[0].name
    rows = [made.insert(nb.BFD, logical_port=port, dst_ip=f"10.0.0.{n}") for n in range(8, LEFT + 9)]
    made.settle()
    assert len(made.rows(sb.BFD)) == LEFT
    assert "no BFD source port from 49152 to 49153 is free" in lacking(made)
    made.delete(rows[0])
    made.settle()
    assert not made.findings()
    assert len(made.rows(sb.BFD)) == LEFT
