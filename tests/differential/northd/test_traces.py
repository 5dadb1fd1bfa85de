"""Our Southbound against Debian's: the same packets, the same outputs and drops."""

import os
import random
import subprocess

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
        # Sorted: a flood reaches its ports in the order of their UUIDs.
        theirs = sorted(oracle.trace("theirs", datapath, microflow, *options))
        ours = sorted(oracle.trace("ours", datapath, microflow, *options))
        assert ours == theirs, (seed, datapath, microflow, options)
        outputs += any("output(" in line for line in ours)
    assert outputs, "no packet got anywhere: the test shows nothing"


def test_a_second_compilation_changes_nothing(oracle):
    made = topology.make(1)
    oracle.nbctl(*made.commands)
    _, edits = oracle.compile()
    assert edits > 100
    assert oracle.compile()[1] == 0


def test_a_southbound_of_the_originals_is_taken_over(oracle):
    """Tunnel keys and the rows that chassis hold on to stay; flows become ours; nothing is left over."""
    made = topology.make(2)
    oracle.nbctl(*made.commands)
    oracle.stop_northd()
    before = oracle.identities(oracle.theirs)
    assert before
    _, edits = oracle.compile(into=oracle.theirs)
    assert edits
    assert oracle.identities(oracle.theirs) == before
    _, again = oracle.compile(into=oracle.theirs)
    assert again == 0
    sources = {dict(row["external_ids"][1])["source"] for row in oracle.theirs.select("Logical_Flow", "external_ids")}
    assert not any(source.startswith("northd.c") for source in sources)


def test_the_original_parses_every_flow(oracle):
    """ovn-trace warns about each match and each action that it cannot read."""
    made = topology.make(3)
    oracle.nbctl(*made.commands)
    oracle.compile()
    command = ["ovn-trace", f"--db={oracle.remote('ours')}", "-vconsole:warn", "--minimal", "s0", 'inport == "p1"']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "parsing" not in done.stderr
    assert done.returncode == 0
