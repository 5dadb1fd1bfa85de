"""OpenFlow's tables: OVN's numbers, and room for every stage."""

from ovenbird.pipeline.openflow_tables import PIPELINE_LENGTH, OFTable
from ovenbird.pipeline.stages import ROUTER_EGRESS, ROUTER_INGRESS, SWITCH_EGRESS, SWITCH_INGRESS


def test_numbers_are_those_of_ovn():
    shown = (OFTable.OUTPUT_LARGE_PKT_DETECT, OFTable.LOG_EGRESS_PIPELINE, OFTable.LOG_TO_PHY, OFTable.CHK_LB_AFFINITY)
    assert shown == (37, 42, 65, 78)


def test_no_stage_has_the_table_of_something_else():
    longest = {
        OFTable.LOG_INGRESS_PIPELINE: max(len(SWITCH_INGRESS), len(ROUTER_INGRESS), PIPELINE_LENGTH),
        OFTable.LOG_EGRESS_PIPELINE: max(len(SWITCH_EGRESS), len(ROUTER_EGRESS)),
    }
    taken = [number for first, length in longest.items() for number in range(first, first + length)]
    taken += [table for table in OFTable if table not in longest]
    assert len(taken) == len(set(taken))
    assert max(taken) < 255
