"""ovn-trace of 23.03 reads our flows of tiers as they are meant, and a newer OVN decides as we do."""

import os
import random

import pytest

from support.northd import tiered_acls

SEEDS = range(int(os.environ.get("OVENBIRD_SEEDS", "6")))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_original_s_trace_finds_what_the_manual_says(newer, seed):
    dice = random.Random(seed)
    acls, drops = tiered_acls.make(dice, stateful=dice.random() < 0.6), dice.random() < 0.4
    newer.edit(f"set NB_Global . options:default_acl_drop={str(drops).lower()}")
    newer.edit(tiered_acls.commands(dice, acls))
    newer.settle()
    newer.sync()
    for port in tiered_acls.PORTS:
        expected = tiered_acls.permitted(acls, port, drops=drops)
        for state in ("new", "est"):
            for whose in newer.everyone:
                told = newer.trace(whose, "s0", tiered_acls.microflow(port), f"--ct={state}", f"--ct={state}")
                assert ('output("p2");' in "".join(told)) == expected, (acls, port, state, whose, told)
