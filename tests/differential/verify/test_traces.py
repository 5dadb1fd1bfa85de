"""Four answers to what happens to a packet in random networks of switches: see ``verify_bout``.

The environment as in ``test_routed_traces``.
"""

import os
import random
from collections import Counter

import pytest

from ovenbird.lang.microflow import parse_microflow
from ovenbird.verify.packets import describe, headers
from support.northd.newer_oracle import DIRECTORY
from support.verify import topology as verify_topology
from support.verify.bout import ENOUGH, EVERY, STATES, Bout

PACKETS = int(os.environ.get("OVENBIRD_PACKETS", "30"))
MULTICAST = max(PACKETS // 5, 1)
"""How many packets for multicast groups come after the others."""
SEEDS = int(os.environ.get("OVENBIRD_SEEDS", "30"))
FIRST = int(os.environ.get("OVENBIRD_FIRST_SEED", "0"))


@pytest.fixture(scope="module")
def counts():
    return Counter()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_packets_fare_the_same_by_every_account(world, counts, seed):
    dice = random.Random(seed)
    made = verify_topology.make(dice, newer=bool(DIRECTORY))
    world.build(made.commands, made.joined)
    bout = Bout(world, world.networks(), counts, original=not made.whole_networks)
    for _ in range(PACKETS):
        datapath, microflow = verify_topology.packet(dice, made.ports, made.vips)
        if DIRECTORY:
            for state in ("new", dice.choice(["est", "est,rpl"])):  # of others, releases differ
                bout.forced(datapath, microflow, [state] * ENOUGH)
            continue
        bout.followed(datapath, microflow)
        if EVERY:
            bout.every(datapath, microflow)
        else:
            bout.forced(datapath, microflow, [dice.choice(STATES)] + [dice.choice(STATES)] * ENOUGH)
    for _ in range(MULTICAST):
        datapath, microflow = verify_topology.multicast_packet(dice, made.ports)
        if not DIRECTORY:
            bout.followed(datapath, microflow)
        state = dice.choice(STATES)
        bout.forced(datapath, microflow, ["est" if DIRECTORY else state] * ENOUGH)
    bout.settle()
    counts["asked of an ovn-trace of its own"] = world.alone


def test_some_compared_packets_were_delivered_and_some_dropped(counts):
    """Run after the others, over all their packets: a comparison of nothing with nothing shows nothing."""
    assert counts["delivered"] > counts["compared"] // 10
    assert counts["dropped"] > counts["compared"] // 10
    assert DIRECTORY or counts["replies"] > counts["compared"] // 50
    print(dict(counts))  # noqa: T201 - the figures of a long run, shown by -s


def test_the_text_of_a_packet_reads_back_as_the_packet(world):
    """What describes a packet reads back as that packet, ours and theirs."""
    made = verify_topology.make(random.Random(1))
    world.build(made.commands)
    network = world.network("ours")
    dice = random.Random(7)
    for _ in range(50):
        datapath, microflow = verify_topology.packet(dice, made.ports)
        start = network.datapath(datapath)
        packet = parse_microflow(microflow, start.bindings)
        again = describe(packet, start.port_name(packet["reg14"]))
        assert headers(parse_microflow(again, start.bindings)) == headers(packet)
