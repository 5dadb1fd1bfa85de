"""Which jumps between chains of policies never end: those by which packets can come back to where they were."""

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.model import nb
from ovenbird.northd.router import policy_chains

CHAINS = st.sampled_from(["", "a", "b", "c", "d", "e"])


def come_back(jumps, chain, there):
    reached, new = {there}, [there]
    while new:
        here = new.pop()
        found = {to for start, to in jumps if start == here} - reached
        reached |= found
        new += found
    return chain in reached


@given(st.frozensets(st.tuples(CHAINS, CHAINS), max_size=12))
def test_jumps_that_come_back_are_found(jumps):
    original = policy_chains.jumps
    policy_chains.jumps = lambda _router: jumps
    try:
        for chain, there in jumps:
            assert policy_chains.returns(None, (chain, there)) == come_back(jumps, chain, there)
    finally:
        policy_chains.jumps = original


def test_another_jump_costs_itself(networks):
    router = networks.insert(nb.LogicalRouter, name="r")

    def add(number):
        values = {"chain": f"c{number}", "jump_chain": f"c{number + 1}", "priority": 100, "match": "ip4"}
        networks.insert(nb.LogicalRouterPolicy, (router, "policies"), action="jump", **values)

    for number in range(30):
        add(number)
    networks.settle()
    add(30)
    assert networks.wave()["policy"] == 1
