"""Four answers to what happens to a packet in random routed networks: see ``verify_bout``.

OVENBIRD_SEEDS and OVENBIRD_PACKETS make it as long as one likes; each seed is a network, each of its packets is
followed with its reply, and sent again with a connection state out of the air; with OVENBIRD_EVERY_CT=1, with each.
"""

import os
import random
from collections import Counter

import pytest

from support.northd.newer_oracle import DIRECTORY
from support.verify import routed_topology
from support.verify import topology as verify_topology
from support.verify.bout import ENOUGH, EVERY, STATES, Bout

PACKETS = int(os.environ.get("OVENBIRD_PACKETS", "15"))
MULTICAST = max(PACKETS // 5, 1)
"""How many packets for multicast groups come after the others."""
SEEDS = int(os.environ.get("OVENBIRD_SEEDS", "20"))
FIRST = int(os.environ.get("OVENBIRD_FIRST_SEED", "0"))


@pytest.fixture(scope="module")
def counts():
    return Counter()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_routed_packets_fare_the_same_by_every_account(world, counts, seed):
    dice = random.Random(seed)
    made = routed_topology.make(dice, newer=bool(DIRECTORY))
    world.build(made.commands, made.net.joined)
    counts["topologies"] += 1
    networks = world.networks()
    bout = Bout(world, networks, counts, original=not made.whole_networks, sources=made.sources)
    for _ in range(PACKETS):
        datapath, microflow = routed_topology.packet(dice, made)
        if DIRECTORY:
            bout.forced(datapath, microflow, [dice.choice(["new", "est", "est,rpl"])] * ENOUGH)
            continue
        bout.followed(datapath, microflow)
        if EVERY:
            bout.every(datapath, microflow)
        else:
            bout.forced(datapath, microflow, [dice.choice(STATES)] * ENOUGH)
    for _ in range(MULTICAST):  # with little time to live: routers may relay in circles
        datapath, microflow = verify_topology.multicast_packet(dice, made.net.ports, ttl=2)
        if not DIRECTORY:
            bout.followed(datapath, microflow)
        bout.forced(datapath, microflow, [verify_topology.dice_of(dice).choice(["new", "est"])] * ENOUGH)
    bout.settle()
    counts["asked of an ovn-trace of its own"] = world.alone


def test_some_compared_packets_were_delivered_and_some_dropped(counts):
    """Run after the others, over all their packets: a comparison of nothing with nothing shows nothing."""
    assert counts["delivered"] > counts["compared"] // 10
    assert counts["dropped"] > counts["compared"] // 10
    assert counts["ovn-trace and ours"] > counts["compared"] // 2
    assert counts["ovn-trace by itself: a state carried over"] < counts["compared"] // 20
    print(dict(counts))  # noqa: T201 - the figures of a long run, shown by -s
