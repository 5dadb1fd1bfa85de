"""Mirrors of ports that are here, as rows of the switch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import NOTICE
from ovenbird.controller.physical.mirrors import DROP_MIRROR, NEW_MIRROR
from ovenbird.model import sb, vswitch
from support.controller.world import World


@pytest.fixture
def net():
    world = World()
    world.facts |= {NEW_MIRROR: set(), DROP_MIRROR: set(), NOTICE: set()}
    world.rows = {name: world.add(sb.Mirror, name=name, **values) for name, values in MIRRORS.items()}
    datapath = world.switch(7)
    for number, (name, rules) in enumerate(RULES.items(), 1):
        uuids = frozenset(world.rows[each].uuid for each in rules)
        setattr(world, name, world.lport(datapath, name, number, mirror_rules=uuids))
    world.taps = {
        name: world.port_on_bridge(f"tap-{name}", number, iface_id=name) for number, name in enumerate("ab", 5)
    }
    world.run()
    return world


MIRRORS = {
    "out": {"type": "gre", "filter": "from-lport", "sink": "192.0.2.9", "index": 5},
    "in": {"type": "erspan", "filter": "to-lport", "sink": "fd00::9", "index": 26},
    "here": {"type": "local", "filter": "both", "sink": "probe"},
    "wrong": {"type": "gre", "filter": "from-lport", "sink": "nowhere"},
    "away": {"type": "gre", "filter": "from-lport", "sink": "192.0.2.9"},
}
RULES = {"a": ("out", "in", "here", "wrong"), "b": ("in",), "elsewhere": ("away",)}


def port(net, name):
    return net.vs.find(vswitch.Port.name, name)


def made(net):
    return {fact.name: fact.mirror for fact in net.facts[NEW_MIRROR]}


def test_mirrors_are_made_for_ports_that_are_here(net):
    found, a, b = made(net), port(net, "tap-a").uuid, port(net, "tap-b").uuid
    assert found.keys() == {"out", "in"}
    assert (found["out"].sources, found["out"].targets) == ({a}, frozenset())
    assert (found["in"].sources, found["in"].targets) == (frozenset(), {a, b})
    assert found["out"].tunnel == ("ovn-out", "gre", (("key", "5"), ("remote_ip", "192.0.2.9")))
    assert found["in"].tunnel[1] == "ip6erspan"
    assert dict(found["in"].tunnel[2])["erspan_idx"] == "26"
    assert [fact.text for fact in net.facts[NOTICE]] == [
        "mirror wrong: 'nowhere' is not an IP address, and nothing is copied"
    ]
    net.set(net.port_on_bridge("probe0", 9), external_ids={"mirror-id": "probe"})
    net.run()
    local = made(net)["here"]
    assert (local.sources, local.targets, local.output) == ({a}, {a}, port(net, "probe0").uuid)


def switch_mirror(net, name, **values):
    """Give the bridge a mirror, as the switch's database has it then."""
    net.port_on_bridge(f"ovn-{name}", 20, kind="")
    interface = net.vs.find(vswitch.Interface.name, f"ovn-{name}")
    want = made(net)[name]
    net.set(interface, type=want.tunnel.kind, options=dict(want.tunnel.options))
    content = {"select_src_port": want.sources, "select_dst_port": want.targets,
               "output_port": port(net, f"ovn-{name}").uuid, "external_ids": {"ovn-owned": "true"}}  # fmt: skip
    mirror = net.add(vswitch.Mirror, name=name, **content | values)
    net.set(net.bridge, mirrors=net.bridge["mirrors"] | {mirror.uuid})
    net.run()
    return mirror


def changes(net, row):
    return {fact.changes for fact in net.facts[EDIT] if fact.uuid == row.uuid}


def test_a_mirror_follows_its_row_and_its_ports(net):
    there = switch_mirror(net, "out")
    assert "out" not in made(net)
    assert not changes(net, there) | net.facts[DROP_MIRROR]
    net.set(net.rows["out"], filter="to-lport", sink="192.0.2.10")
    net.set(net.b, mirror_rules=frozenset([net.rows["out"].uuid]))
    net.run()
    a, b = port(net, "tap-a").uuid, port(net, "tap-b").uuid
    both = tuple((uuid, True) for uuid in sorted((a, b)))
    assert changes(net, there) == {(("select_src_port", ((a, False),)),), (("select_dst_port", both),)}
    tunnel = net.vs.find(vswitch.Interface.name, "ovn-out")
    assert changes(net, tunnel) == {(("options", (("key", "5"), ("remote_ip", "192.0.2.10"))),)}
    for each in ("a", "b"):
        net.unplug(net.taps[each])
    net.run()
    assert {fact.mirror for fact in net.facts[DROP_MIRROR]} == {there.uuid}


def test_rows_of_other_programs_stay(net):
    switch_mirror(net, "out", external_ids={})
    assert not net.facts[DROP_MIRROR]
    net.set(net.vs.find(vswitch.Interface.name, "ovn-out"), type="internal")
    net.run()
    assert "out" not in made(net)
    assert any("is a port of another kind" in fact.text for fact in net.facts[NOTICE])


def test_a_mirror_that_has_gone_is_removed(net):
    there = switch_mirror(net, "out")
    row = net.rows["out"]
    net.set(net.a, mirror_rules=net.a["mirror_rules"] - {row.uuid})
    net.delete(row)
    net.run()
    assert {fact.mirror for fact in net.facts[DROP_MIRROR]} == {there.uuid}


def staged(net, fact):
    """Return what an edit would take out of the bridge."""
    taken = []
    fact.stage(net.vs, SimpleNamespace(mutate=lambda _, column, delete: taken.append((column, *delete))))
    return taken


def test_a_mirror_that_shares_its_name_with_a_tunnel_to_a_chassis_leaves_that_alone(net):
    row = net.add(sb.Mirror, name="hv2-0", type="local", filter="both", sink="probe")
    net.set(net.port_on_bridge("probe0", 9), external_ids={"mirror-id": "probe"})
    net.set(net.a, mirror_rules=frozenset([row.uuid]))
    values = {"output_port": port(net, "probe0").uuid, "external_ids": {"ovn-owned": "true"}}
    there = net.add(vswitch.Mirror, name="hv2-0", **values)
    net.set(net.bridge, mirrors=net.bridge["mirrors"] | {there.uuid})
    net.set(net.a, mirror_rules=frozenset())
    net.run()
    (dropped,) = net.facts[DROP_MIRROR]
    assert staged(net, dropped) == [("mirrors", there.uuid)]


def test_a_mirror_that_becomes_local_loses_its_tunnel(net):
    there = switch_mirror(net, "out")
    net.set(net.port_on_bridge("probe0", 9), external_ids={"mirror-id": "probe"})
    net.set(net.rows["out"], type="local", sink="probe")
    net.run()
    (dropped,) = net.facts[DROP_MIRROR]
    assert staged(net, dropped) == [("mirrors", there.uuid), ("ports", port(net, "ovn-out").uuid)]
