"""No packet falls out of a stage: what nothing matched meets the flow that the stage, or its feature, has for it."""

from ovenbird.model import nb, sb
from ovenbird.pipeline.stages import OWN_STAGES, STAGES, Miss, stage


def test_every_stage_has_one_last_flow_and_it_does_what_the_stage_says(networks):
    networks.insert(nb.LogicalSwitch, name="s")
    networks.insert(nb.LogicalRouter, name="r")
    networks.settle()
    last = {}
    for flow in networks.rows(sb.LogicalFlow):
        if flow.match == "1":
            last.setdefault(flow.external_ids["stage-name"], []).append(flow.actions)
    assert set(last) == set(STAGES) - set(OWN_STAGES), "these have flows, and packets, where their feature is used"
    for name, actions in last.items():
        miss = stage(name).miss
        if miss is not Miss.OWN:
            assert actions == [f"{miss};"], name


def test_a_stage_passes_packets_on_by_default():
    assert stage("ls_in_acl").miss is Miss.NEXT
    assert stage("lr_in_admission").miss is Miss.DROP
    assert stage("ls_in_l2_lkup").miss is Miss.OWN
