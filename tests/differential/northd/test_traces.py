"""Our Southbound against Debian's: the same packets, the same outputs and drops."""

import os
import random

import pytest
import topology

PACKETS = int(os.environ.get("OVENBIRD_PACKETS", "25"))
SEEDS = range(int(os.environ.get("OVENBIRD_SEEDS", "3")))


@pytest.mark.parametrize("seed", SEEDS)
def test_packets_fare_the_same(oracle, seed):
    made = topology.make(seed)
    oracle.nbctl(*made.commands)
    oracle.compile()
    dice = random.Random(seed)
    outputs = 0
    for _ in range(PACKETS):
        datapath, microflow, options = topology.packet(dice, made.ports)
        theirs = oracle.trace("theirs", datapath, microflow, *options)
        ours = oracle.trace("ours", datapath, microflow, *options)
        assert ours == theirs, (seed, datapath, microflow, options)
        outputs += any("output(" in line for line in ours)
    assert outputs, "no packet got anywhere: the test shows nothing"


def test_a_second_compilation_changes_nothing(oracle):
    made = topology.make(1)
    oracle.nbctl(*made.commands)
    _, edits = oracle.compile()
    assert edits > 100
    assert oracle.compile()[1] == 0
