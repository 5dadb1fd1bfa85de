"""Address sets: a change costs its members, and the flows are always those that match what the plain compiler's do."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import ConjunctionClause, compile_match
from ovenbird.lang.microflow import Microflow
from ovenbird.model import sb
from ovenbird.openflow.actions import Conjunction
from ovenbird.openflow.match import Match
from support.controller.world import World, actions_of

V4 = ("10.0.0.1", "10.0.0.1/32", "10.0.0.2", "10.0.0.3", "10.0.0.0/30", "10.0.1.0/24", "0.0.0.0/0", "no address")
V6 = ("fd00::1", "fd00::2", "fd00::/120", "fd01::7", "::/0")
FLOWS = (
    "outport == @pg && ip4 && ip4.src == $a",
    "outport == @pg && ip4.src == $a && tcp.dst == {22, 80, 443}",
    "ip4.src == $a && ip4.dst == $b",
    "ip6.src == $six && tcp",
    "ip4 && (ip4.src == $a || tcp.dst == 80)",
    "ip4.src != $a",
    "ip4.src == {$a, 10.9.9.9}",
    "(ip4.src == $a && tcp.dst == 22) || (ip4.src == $b && tcp.dst == 80)",
    "outport == @pg && ip4.src == $a && ip4.dst == $b && tcp",
)
HOLDERS = {"a": V4, "b": V4, "six": V6}


def network() -> tuple[World, Any]:
    """One switch with p1, p2 here and p3 elsewhere, all in a group."""
    world = World()
    switch = world.switch(7)
    for key in (1, 2, 3):
        world.lport(switch, f"p{key}", key)
    for key in (1, 2):
        world.port_on_bridge(f"tap{key}", key + 4, iface_id=f"p{key}")
    world.add(sb.PortGroup, name="7_pg", ports=frozenset(["p1", "p2", "p3"]))
    return world, switch


def listed(world: World) -> dict[int, list[tuple[Match, tuple[ConjunctionClause, ...]]]]:
    """Return the flows by logical flow's priority, in the form that the compiler gives them."""
    found: dict[int, list[tuple[Match, tuple[ConjunctionClause, ...]]]] = {}
    for (table, priority, encoded), content in world.desired().items():
        if table != 42 + 9:
            continue
        actions = actions_of(content[0])
        clauses = tuple(
            ConjunctionClause(a.conj_id, a.clause, a.n_clauses) for a in actions if isinstance(a, Conjunction)
        )
        found.setdefault(priority, []).append((Match.decode(encoded)[0], clauses))
    return found


def normal(flows: list[tuple[Match, tuple[ConjunctionClause, ...]]]) -> set[Any]:
    """Return flows with conjunctions numbered from 0, as ids depend on who asked first."""
    ids = {match["conj_id"][0] for match, _ in flows if "conj_id" in match} | {c[0] for _, cs in flows for c in cs}
    place = {id_: n for n, id_ in enumerate(sorted(ids))}
    return {
        (
            tuple(sorted((k, place[v[0]] if k == "conj_id" else v) for k, v in match.items())),
            tuple(sorted((place[c.conjunction], c.dimension, c.dimensions) for c in clauses)),
        )
        for match, clauses in flows
    }


def holds(flows: Any, packet: Microflow) -> bool:
    """Say whether some flow without clauses applies, conj_id being that of a conjunction all of whose clauses do."""
    satisfied: dict[int, set[int]] = {}
    sizes: dict[int, int] = {}
    for match, clauses in flows:
        if clauses and packet.matches(match):
            for clause in clauses:
                satisfied.setdefault(clause.conjunction, set()).add(clause.dimension)
                sizes[clause.conjunction] = clause.dimensions
    complete = [0, *(id_ for id_, found in satisfied.items() if len(found) == sizes[id_])]
    for id_ in complete:
        whole = packet.copy()
        whole["conj_id"] = id_
        if any(not clauses and whole.matches(match) for match, clauses in flows):
            return True
    return False


def packets(choose: random.Random) -> list[Microflow]:
    made = []
    for _ in range(40):
        four = choose.random() < 0.7
        values = {"metadata": 7, "reg15": choose.randint(1, 2), "nw_proto": 6, "tcp_dst": choose.choice([22, 80, 5])}
        if four:
            values |= {"eth_type": 0x800, "ip_src": _near(choose), "ip_dst": _near(choose)}
        else:
            prefix = choose.choice([0xFD00, 0xFD01]) << 112
            values |= {"eth_type": 0x86DD, "ipv6_src": prefix + choose.randint(0, 8)}
        made.append(Microflow(values))
    return made


def _near(choose: random.Random) -> int:
    return 0x0A000000 + choose.choice([0, 0x100, 0x90908 - 0xA]) + choose.randint(0, 11)


class Sets:
    """Sets that come, change and go at random."""

    def __init__(self, world: World, choose: random.Random) -> None:
        self.world = world
        self.random = choose
        self.rows: dict[str, Any] = {}

    def edit(self) -> None:
        name = self.random.choice(list(HOLDERS))
        row = self.rows.get(name)
        members = frozenset(self.random.sample(HOLDERS[name], self.random.randint(0, 4)))
        if row is None:
            self.rows[name] = self.world.add(sb.AddressSet, name=name, addresses=members)
        elif self.random.random() < 0.25:
            self.world.delete(self.rows.pop(name))
            if self.random.random() < 0.5:
                self.rows[name] = self.world.add(sb.AddressSet, name=name, addresses=members)
        elif self.random.random() < 0.5:
            self.world.set(row, addresses=members)
        else:
            before = row.values[sb.AddressSet.addresses.index]
            if before != members:  # as a replica says it: with what has changed
                place = sb.AddressSet.addresses.index
                row.home.modify(row, {place: members}, {place: (members - before, before - members)})

    def members(self) -> dict[str, frozenset[str]]:
        return {name: row.values[sb.AddressSet.addresses.index] for name, row in self.rows.items()}


@pytest.mark.parametrize("seed", range(6))
def test_after_any_edits_the_flows_match_what_the_plain_compilers_do(seed):
    choose = random.Random(seed)
    world, switch = network()
    sets = Sets(world, choose)
    flows: dict[int, tuple[str, Any]] = {}
    for _ in range(25):
        for _ in range(choose.randint(1, 3)):
            sets.edit()
        number = choose.randrange(len(FLOWS))
        if number in flows:
            if choose.random() < 0.3:
                world.delete(flows.pop(number)[1])
        else:
            text = FLOWS[number]
            row = world.flow(switch, text, "next;", pipeline="egress", table_id=9, priority=number)
            flows[number] = (text, row)
        world.run()
        found = listed(world)
        fresh, fresh_switch = network()
        for name, members in sets.members().items():
            fresh.add(sb.AddressSet, name=name, addresses=members)
        for n, (text, _) in flows.items():
            fresh.flow(fresh_switch, text, "next;", pipeline="egress", table_id=9, priority=n)
        fresh.run()
        again = listed(fresh)
        bindings = Bindings(sets.members(), port_groups={"pg": ["p1", "p2"]}, ports={"p1": 1, "p2": 2})
        for n in range(len(FLOWS)):
            mine = found.get(n, [])
            assert normal(mine) == normal(again.get(n, []))
            names = [name for name in HOLDERS if f"${name}" in FLOWS[n]]
            there = n in flows and all(name in sets.rows for name in names)
            plain = compile_match(FLOWS[n], bindings).flows if there else ()
            for packet in packets(choose):
                assert holds(mine, packet) == holds(plain, packet), (FLOWS[n], sets.members())


def test_a_member_costs_its_flow_and_runs_no_rule():
    world, switch = network()
    row = world.add(sb.AddressSet, name="a", addresses=frozenset(f"10.0.{n >> 8}.{n & 255}" for n in range(2000)))
    world.flow(switch, FLOWS[0], "next;", pipeline="egress", table_id=9)
    world.run()
    world.table.take()
    world.set(row, addresses=row["addresses"] | {"10.1.0.1"})
    assert world.engine.idle
    (key,) = world.table.take()
    assert str(Match.decode(key[2])[0]) == "metadata=0x7,eth_type=0x800,ip_src=0xa010001"


def test_two_members_that_are_one_address_share_a_flow():
    world, switch = network()
    row = world.add(sb.AddressSet, name="a", addresses=frozenset(["10.0.0.1", "10.0.0.1/32"]))
    for n in (0, 4):
        world.flow(switch, FLOWS[n], "next;", pipeline="egress", table_id=9, priority=n)
    world.run()
    before = world.desired()
    world.set(row, addresses=frozenset(["10.0.0.1"]))
    assert world.desired() == before
    world.set(row, addresses=frozenset())
    assert len(world.desired()) == len(before) - 2


def test_a_member_too_wide_is_left_out_alone():
    world, switch = network()
    world.add(sb.AddressSet, name="a", addresses=frozenset(["fd00::1", "10.0.0.1"]))
    world.flow(switch, "ip4.src == $a", "next;", pipeline="egress", table_id=9)
    world.run()
    assert set(world.flows(51)) == {"metadata=0x7,eth_type=0x800,ip_src=0xa000001"}


def test_removed_templates_and_sets_leave_nothing():
    world, switch = network()
    world.run()
    before = world.desired()
    row = world.add(sb.AddressSet, name="a", addresses=frozenset(["10.0.0.1", "10.0.0.0/8"]))
    flow = world.flow(switch, FLOWS[0], "next;", pipeline="egress", table_id=9)
    world.run()
    world.delete(row)
    world.delete(flow)
    world.run()
    assert world.desired() == before
    assert not world.sets._patterns
    assert not world.sets._rows
    assert not world.sets._names
