"""Connections that are known by a label end with the row that stands for them."""

from ovenbird.controller.facts import LABELLED
from ovenbird.model import sb


def test_the_connections_of_a_persistent_acl_end_with_its_number(world):
    world.facts[LABELLED] = set()
    row = world.add(sb.ACLID, id=7)
    world.run()
    assert {fact[1:] for fact in world.facts[LABELLED]} == {(None, 80, 16, 7)}
    world.delete(row)
    world.run()
    assert not world.facts[LABELLED]


def test_the_connections_of_a_next_hop_end_when_it_goes_or_has_another_address(world):
    world.facts[LABELLED] = set()
    router, far = world.switch(1), world.switch(2)
    port = world.lport(router, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    row = world.add(sb.ECMPNexthop, nexthop="172.16.0.10", port=port.uuid, datapath=router.uuid, mac="")
    for mac, nexthop in (("nonsense", "172.16.0.11"), ("00:00:00:00:00:0b", "172.16.0.12")):
        datapath = far if nexthop.endswith("12") else router
        world.add(sb.ECMPNexthop, nexthop=nexthop, port=port.uuid, datapath=datapath.uuid, mac=mac)
    world.run()
    assert not world.facts[LABELLED], "unknown addresses, and routers that are not here"
    world.set(row, mac="00:00:00:00:00:0a")
    world.run()
    ((_, zone, low, width, value),) = world.facts[LABELLED]
    assert (low, width, value) == (32, 48, 10)
    assert zone
    world.set(row, mac="00:00:00:00:00:0c")
    world.run()
    assert {fact[1:] for fact in world.facts[LABELLED]} == {(zone, 32, 48, 12)}
    world.delete(row)
    world.run()
    assert not world.facts[LABELLED]
