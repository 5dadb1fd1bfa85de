"""A tap mirror becomes a mirror of Northbound for each of its tunnels, which its port refers to."""

from __future__ import annotations

from ovenbird.model import cloud, nb


def test_each_tunnel_is_a_mirror_of_the_port(world):
    network = world.network()
    port = world.port(network)
    mirror = world.add(cloud.TapMirror, port=port.uuid, remote_ip="192.0.2.9", mirror_type="erspanv1")
    world.settle()
    assert world.all(nb.Mirror) == []
    tunnels = [
        world.add(cloud.TapMirrorTunnel, mirror=mirror.uuid, direction=direction, tunnel_id=number)
        for direction, number in (("IN", 1), ("OUT", 2), ("BOTH", 3))
    ]
    world.settle()
    assert {(row.filter, row.index, row.type, row.sink) for row in world.all(nb.Mirror)} == {
        ("to-lport", 1, "erspan", "192.0.2.9"),
        ("from-lport", 2, "erspan", "192.0.2.9"),
        ("both", 3, "erspan", "192.0.2.9"),
    }
    assert {row.name for row in world.all(nb.Mirror)} == {f"tm_{d}_{mirror.uuid}" for d in ("in", "out", "both")}
    switch_port = world.one(nb.LogicalSwitchPort)
    assert set(switch_port.mirror_rules) == set(world.all(nb.Mirror))
    world.drop(tunnels[0])
    world.settle()
    assert {row.index for row in switch_port.mirror_rules} == {2, 3}


def test_mirrors_of_others_stay(world):
    port = world.port(world.network())
    world.settle()
    transaction = world.nb.transaction()
    theirs = transaction.insert(
        nb.Mirror, {"name": "tm_in_123456", "filter": "both", "sink": "192.0.2.1", "type": "gre", "index": 5}
    )
    transaction.update(world.one(nb.LogicalSwitchPort), {"mirror_rules": frozenset((theirs,))})
    transaction.commit()
    mirror = world.add(cloud.TapMirror, port=port.uuid, remote_ip="192.0.2.9", mirror_type="gre")
    tunnel = world.add(cloud.TapMirrorTunnel, mirror=mirror.uuid, direction="IN", tunnel_id=4)
    world.settle()
    assert {row.index for row in world.one(nb.LogicalSwitchPort).mirror_rules} == {4, 5}
    world.drop(tunnel)
    world.settle()
    assert {row.name for row in world.one(nb.LogicalSwitchPort).mirror_rules} == {"tm_in_123456"}
