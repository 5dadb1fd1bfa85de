"""Which chassis carry gateways: valid, even, and stable."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovenbird.cloud import compiler
from ovenbird.model import cloud, nb
from ovenbird.northd.findings import CompilerFindings
from support.cloud.world import World


def add_gateways(world, count, **router):
    outside = world.cloud.store.table(cloud.Subnet).all()
    subnet = outside[0] if outside else world.outside()[1]
    first = len(world.cloud.store.table(cloud.Port)) + 2
    return [
        world.gateway(world.router(**router), [(subnet, f"203.0.113.{i}")], mac_address=f"fa:16:3e:00:02:{i:02x}")
        for i in range(first, first + count)
    ]


def placed(world):
    """The chassis of each gateway port that has any, the first one first."""
    return {
        port.name: [g.chassis_name for g in sorted(port.gateway_chassis, key=lambda g: -g.priority)]
        for port in world.all(nb.LogicalRouterPort)
    }


def firsts(world):
    return Counter(chassis[0] for chassis in placed(world).values())


def test_candidates(world):
    add_gateways(world, 1)
    world.chassis("no-mapping", mappings="other:br-x")
    world.chassis("no-gateway", options="")
    world.chassis("gw1", options="enable-chassis-as-gw,availability-zones=az1:az2")
    old = world.chassis("gw2", external_ids={"ovn-bridge-mappings": "public:br-ex"}, mappings="")
    world.settle()
    [chassis] = placed(world).values()
    assert sorted(chassis) == ["gw1", "gw2"]
    [first, second] = sorted(world.all(nb.GatewayChassis), key=lambda g: -g.priority)
    assert first.priority > second.priority
    assert first.name == f"{world.one(nb.LogicalRouterPort).name}_{chassis[0]}"
    world.fell(old)
    world.settle()
    assert list(placed(world).values()) == [["gw1"]]


def test_a_gateway_that_no_chassis_can_host_is_reported_with_what_is_missing(world):
    found = CompilerFindings()
    found.observe(world.engine)
    [outside] = add_gateways(world, 1, name="edge", availability_zone_hints=frozenset(["az1"]))
    world.chassis("no-zone")
    world.settle()
    [text] = found
    assert f"(edge): no chassis can host its gateway lrp-{outside.port.uuid}, and no traffic passes through it" in text
    assert text.endswith("enable-chassis-as-gw in ovn-cms-options, one of the availability zones az1, "
                         "public in ovn-bridge-mappings")  # fmt: skip
    world.chassis("gw1", options="enable-chassis-as-gw,availability-zones=az1")
    world.settle()
    assert list(found) == []


def test_availability_zones(world):
    add_gateways(world, 1, availability_zone_hints=frozenset(["az2"]))
    world.chassis("gw1", options="enable-chassis-as-gw,availability-zones=az1:az2")
    world.chassis("gw2", options="enable-chassis-as-gw,availability-zones=az3")
    world.settle()
    assert list(placed(world).values()) == [["gw1"]]


def test_the_least_loaded_is_first_and_five_are_enough(world):
    for i in range(6):
        world.chassis(f"gw{i}")
    add_gateways(world, 12)
    world.settle()
    assert set(firsts(world).values()) == {2}
    assert {len(chassis) for chassis in placed(world).values()} == {5}


def test_gateways_move_with_cause_alone(world):
    one, two = world.chassis("gw1"), world.chassis("gw2")
    add_gateways(world, 4)
    world.settle()
    before = placed(world)
    assert firsts(world) == {"gw1": 2, "gw2": 2}
    world.fell(two)
    world.settle()
    assert firsts(world) == {"gw1": 4}
    two = world.chassis("gw2")
    world.settle()
    assert firsts(world) == {"gw1": 2, "gw2": 2}
    before = placed(world)
    extra = add_gateways(world, 1)[0]
    world.settle()
    world.drop(extra, extra.port, *extra.port.referrers(cloud.FixedAddress.port))
    transaction = world.sb.transaction()
    transaction.update(one, {"nb_cfg": 7, "hostname": "other"})
    transaction.commit()
    world.settle()
    assert placed(world) == before


def test_gateways_move_when_their_chassis_stops_offering_itself(world):
    """A chassis loses its way to the physical network, its will to be a gateway, its zone; and has them again."""
    one, two = world.chassis("gw1"), world.chassis("gw2")
    add_gateways(world, 4)
    world.settle()
    usual = dict(two.other_config)
    for change in ({"ovn-bridge-mappings": "other:br-x"}, {"ovn-cms-options": ""}, {}):
        transaction = world.sb.transaction()
        transaction.update(two, {"other_config": {**usual, **change} if change else {}})
        transaction.commit()
        world.settle()
        assert firsts(world) == {"gw1": 4}
        assert {len(chassis) for chassis in placed(world).values()} == {1}
        transaction = world.sb.transaction()
        transaction.update(two, {"other_config": usual})
        transaction.commit()
        world.settle()
        assert firsts(world) == {"gw1": 2, "gw2": 2}
    world.fell(one)
    world.settle()
    assert firsts(world) == {"gw2": 4}


def test_few_gateways_move(world):
    """One of four gateways' chassis goes and comes back: only a quarter of the routers notice, each time."""
    chassis = [world.chassis(f"gw{i}") for i in range(4)]
    add_gateways(world, 20)
    world.settle()
    before = placed(world)
    world.fell(chassis[1])
    world.settle()
    between = placed(world)
    moved = [port for port in before if before[port][0] != between[port][0]]
    assert sorted(moved) == sorted(port for port in before if before[port][0] == "gw1")
    world.chassis("gw1")
    world.settle()
    after = placed(world)
    assert sum(between[port][0] != after[port][0] for port in after) == 5
    assert set(firsts(world).values()) == {5}


def test_a_restart_moves_nothing(world):
    world.chassis("gw1")
    add_gateways(world, 3)
    world.settle()
    for i in range(2, 5):
        world.chassis(f"gw{i}")
        world.settle()
    before = placed(world)
    world.engine.close()
    world.engine = compiler(world.cloud.store, northbound=world.nb.store, southbound=world.sb.store)
    assert world.settle() == 0
    world.engine.release_unclaimed()
    assert placed(world) == before
    add_gateways(world, 1)
    world.settle()
    assert max(firsts(world).values()) == 1


def test_random_scheduling_is_stable_too(world):
    world.configure(gateway_scheduler="chance")
    world.chassis("gw1")
    world.chassis("gw2")
    add_gateways(world, 20)
    world.settle()
    before = placed(world)
    assert set(firsts(world)) == {"gw1", "gw2"}
    third = world.chassis("gw3")
    world.settle()
    assert "gw3" in firsts(world)
    world.fell(third)
    world.settle()
    assert placed(world) == before


@given(st.lists(st.sampled_from(["come", "go", "gateway", "drop"]), max_size=25), st.randoms(use_true_random=False))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_loads_are_counted_right(steps, random):
    world = World()
    there, gateways = [], []
    _, subnet = world.outside()
    for number, step in enumerate(steps, 1):
        if step == "come":
            there.append(world.chassis(f"gw{number}"))
        elif step == "go" and there:
            world.fell(there.pop(random.randrange(len(there))))
        elif step == "gateway":
            mac = f"fa:16:3e:00:02:{number:02x}"
            gateways.append(world.gateway(world.router(), [(subnet, f"203.0.113.{number + 1}")], mac_address=mac))
        elif step == "drop" and gateways:
            gone = gateways.pop(random.randrange(len(gateways)))
            port = gone.port
            world.drop(gone, port, *port.referrers(cloud.FixedAddress.port))
        before = placed(world)
        world.settle()
        now = placed(world)
        names = {chassis.name for chassis in there}
        assert all(len(c) == min(5, len(names)) and set(c) <= names for c in now.values())
        if step in ("gateway", "drop"):
            assert all(now[port] == before[port] for port in now.keys() & before.keys())
        elif step == "come":
            loads = firsts(world)
            newest = there[-1].name
            assert not loads or max(loads.values()) - loads[newest] <= 1
