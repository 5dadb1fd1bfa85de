"""BFD sessions to next hops: who says what about them, and which routes are there meanwhile."""

import pytest

from ovenbird.model import nb, sb

NEIGHBOUR = "10.0.0.9"


@pytest.fixture
def routed(networks):
    """A router with a session to a neighbour that no route names yet."""
    networks.router = networks.insert(nb.LogicalRouter, name="r")
    networks.insert(
        nb.LogicalRouterPort, (networks.router, "ports"), name="rp", mac="00:00:00:00:ff:01",
        networks=frozenset(["10.0.0.254/24"]),
    )  # fmt: skip
    networks.session = networks.insert(nb.BFD, logical_port="rp", dst_ip=NEIGHBOUR)
    networks.settle()
    return networks


def route(made, prefix="1.0.0.0/8", nexthop=NEIGHBOUR):
    return made.insert(
        nb.LogicalRouterStaticRoute, (made.router, "static_routes"), ip_prefix=prefix, nexthop=nexthop,
        bfd=made.session.uuid,
    )  # fmt: skip


def chassis_says(made, status):
    (row,) = made.rows(sb.BFD)
    made.update(row, status=status)


def statuses(made):
    """Return what Northbound and Southbound say."""
    (row,) = made.rows(sb.BFD)
    return made.session.status, row.status


def prefixes(made):
    return [match for _, _, match, _ in made.flows("lr_in_ip_routing") if "1.0.0.0/8" in match and "udp" not in match]


def test_a_session_that_no_route_names_is_not_wanted(routed):
    assert statuses(routed) == ("admin_down", "admin_down")
    mine = route(routed)
    routed.settle()
    assert statuses(routed) == ("down", "down")
    routed.delete(mine, (routed.router, "static_routes"))
    routed.settle()
    assert statuses(routed) == ("admin_down", "admin_down")


def test_a_route_to_another_next_hop_does_not_use_the_session(routed):
    route(routed, nexthop="10.0.0.8")
    routed.settle()
    assert statuses(routed) == ("admin_down", "admin_down")
    assert prefixes(routed)


@pytest.mark.parametrize(("status", "there"), [("down", False), ("init", True), ("up", True)])
def test_a_route_exists_unless_its_bfd_session_is_down(routed, status, there):
    route(routed)
    routed.settle()
    chassis_says(routed, status)
    routed.settle()
    assert statuses(routed) == (status, status)
    assert bool(prefixes(routed)) is there
    chassis_says(routed, "down")
    routed.settle()
    assert not prefixes(routed)


def test_among_equal_ways_only_those_whose_session_is_up_count(routed):
    route(routed)
    routed.insert(
        nb.LogicalRouterStaticRoute, (routed.router, "static_routes"), ip_prefix="1.0.0.0/8", nexthop="10.0.0.7"
    )
    routed.settle()
    (alone,) = [f for f in routed.flows("lr_in_ip_routing") if "1.0.0.0/8" in f[2] and "udp" not in f[2]]
    assert "reg0 = 10.0.0.7" in alone[3]
    chassis_says(routed, "up")
    routed.settle()
    (shared,) = [f for f in routed.flows("lr_in_ip_routing") if "1.0.0.0/8" in f[2]]
    assert "select(1, 2)" in shared[3]


def test_a_change_of_state_concerns_its_own_routes(routed):
    route(routed)
    for n in range(20):
        routed.insert(
            nb.LogicalRouterStaticRoute, (routed.router, "static_routes"), ip_prefix=f"2.{n}.0.0/16", nexthop="10.0.0.7"
        )
    routed.settle()
    chassis_says(routed, "up")
    assert routed.wave() == {"session": 1}
    assert routed.wave() == {"static": 1, "group": 1, "resolve_next_hop": 1}


def test_the_bfd_sessions_of_a_deleted_port_are_removed(routed):
    (port,) = routed.nb.store.table(nb.LogicalRouterPort).rows.values()
    routed.delete(port, (routed.router, "ports"))
    routed.settle()
    assert not routed.rows(sb.BFD)
