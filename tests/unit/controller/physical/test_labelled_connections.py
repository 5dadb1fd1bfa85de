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
