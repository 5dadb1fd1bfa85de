"""Routers in our Southbound against Debian's: the same packets, the same changes, outputs and drops."""

import os
import random
import subprocess

import pytest
import router_topology as topology

PACKETS = int(os.environ.get("OVENBIRD_PACKETS", "20"))
SEEDS = range(int(os.environ.get("OVENBIRD_SEEDS", "3")))


@pytest.mark.parametrize("seed", SEEDS)
def test_packets_fare_the_same(oracle, seed):
    made = topology.make(seed)
    oracle.nbctl(*made.commands)
    oracle.compile()
    dice = random.Random(seed)
    outputs = 0
    for _ in range(PACKETS):
        datapath, microflow, options = topology.packet(dice, made)
        for choice in ("1", "2") if made.equal_ways else ("1",):
            theirs, ours = (
                sorted(oracle.trace(whose, datapath, microflow, *options, f"--select-id={choice}"))
                for whose in ("theirs", "ours")
            )
            assert ours == theirs, (seed, datapath, microflow, options, choice)
            outputs += any("output(" in line for line in ours)
    assert outputs, "no packet got anywhere: the test shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_bindings_are_the_same(oracle, seed):
    """Router ports, chassisredirect ports and what is announced for them, in type, options and addresses."""
    made = topology.make(seed)
    oracle.nbctl(*made.commands)
    oracle.compile()
    theirs, ours = (bindings(client) for client in (oracle.theirs, oracle.ours))
    assert ours == theirs
    assert any(name.startswith("r0-") for name in ours)


def bindings(client):
    columns = ("logical_port", "type", "options", "mac", "nat_addresses", "external_ids")
    return {
        row["logical_port"]: tuple(str(row[column]) for column in columns[1:])
        for row in client.select("Port_Binding", *columns)
    }


def test_a_second_compilation_changes_nothing(oracle):
    made = topology.make(1)
    oracle.nbctl(*made.commands)
    _, edits = oracle.compile()
    assert edits > 100
    assert oracle.compile()[1] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_original_parses_every_flow(oracle, seed):
    """ovn-trace warns about each match and each action that it cannot read."""
    made = topology.make(seed)
    oracle.nbctl(*made.commands)
    oracle.compile()
    command = ["ovn-trace", f"--db={oracle.remote('ours')}", "-vconsole:warn", "--minimal", "s1", 'inport == "h1-1"']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "parsing" not in done.stderr
    assert done.returncode == 0
