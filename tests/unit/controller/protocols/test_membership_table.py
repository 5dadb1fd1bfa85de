"""Who has joined which groups: memberships come, go and end, and one port's many take nothing from others."""

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.controller.protocols.membership_table import ROUTER_TIMEOUT, MembershipTable
from ovenbird.pipeline.multicast_groups import MROUTERS


def table(size=10, timeout=100):
    return MembershipTable(size=size, timeout=timeout)


def groups(made):
    return {address: set(ports) for address, ports in made.groups.items()}


def test_memberships_end_unless_they_are_reported_again():
    made = table()
    made.join("g", "p", now=0)
    made.join("g", "q", now=10)
    made.join("h", "p", now=10)
    made.join("g", "p", now=50)
    assert made.next_end == 110
    made.expire(110)
    assert groups(made) == {"g": {"p"}}
    assert set(made.changed) == {"g", "h"}
    made.expire(149)
    assert groups(made) == {"g": {"p"}}
    made.expire(150)
    assert (groups(made), made.next_end) == ({}, None)


def test_a_host_that_leaves_a_group_is_removed_at_once():
    made = table()
    made.join("g", "p", now=0)
    made.changed.clear()
    made.leave("g", "q")
    made.leave("h", "p")
    assert not made.changed
    made.leave("g", "p")
    assert (groups(made), set(made.changed)) == ({}, {"g"})


def test_the_port_with_most_memberships_makes_place():
    made = table(size=4)
    made.join("mine", "modest", now=0)
    for number in range(100):
        made.join(f"g{number}", "greedy", now=number)
    assert groups(made) == {"mine": {"modest"}, "g97": {"greedy"}, "g98": {"greedy"}, "g99": {"greedy"}}
    made.join("more", "modest", now=200)
    assert set(made.groups) == {"mine", "more", "g98", "g99"}
    made.resize(size=1, timeout=5)
    assert len(made.groups) == 1


def test_a_multicast_router_port_expires():
    made = table()
    made.hear_router("p", now=0)
    assert made.routers_changed
    made.routers_changed = False
    made.hear_router("p", now=10)
    assert not made.routers_changed
    made.expire(10 + ROUTER_TIMEOUT - 1)
    assert list(made.routers) == ["p"]
    made.expire(10 + ROUTER_TIMEOUT)
    assert (made.routers, made.routers_changed) == ({}, True)


def test_memberships_from_before_a_restart_are_resumed():
    made = table(size=1)
    made.resume("g", ["p", "q"], now=0)
    made.resume(MROUTERS, ["r"], now=0)
    made.resume("empty", [], now=0)
    assert groups(made) == {"g": {"p", "q"}}
    assert list(made.routers) == ["r"]
    assert set(made.changed) == {"g", "empty"}


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["join", "leave", "expire"]), st.sampled_from("abcdef"), st.sampled_from("pqr"))
    ),
)
def test_the_table_is_bounded_and_agrees_with_itself(size, steps):
    made = table(size, 3)
    for now, (step, address, port) in enumerate(steps):
        if step == "join":
            made.join(address, port, now=now)
            assert port in made.groups[address]
        elif step == "leave":
            made.leave(address, port)
        else:
            made.expire(now)
        assert len(made.groups) <= size
        assert all(made.groups.values())
        ends = [end for mine in made._by_port.values() for end in mine.values()]
        assert len(ends) == sum(len(ports) for ports in made.groups.values())
        assert made.next_end == min(ends, default=None)
    made.clear()
    assert (made.groups, made._by_port) == ({}, {})


def test_the_cost_of_a_flood_does_not_depend_on_the_number_of_ports():
    """To find the port with most, what is looked at are counts of memberships, of which there are few."""
    made = table(size=100)
    for number in range(2000):
        made.join(f"239.0.{number >> 8}.{number & 255}", f"p{number % 1000}", now=number)
    assert len(made.groups) == 100
    assert made._by_count.keys() <= {1, 2}
    assert {port: len(mine) for port, mine in made._by_port.items()} == {
        port: count for count, ports in made._by_count.items() for port in ports
    }
    made.clear()
    assert not made._by_count
