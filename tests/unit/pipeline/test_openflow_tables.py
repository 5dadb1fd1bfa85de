"""OpenFlow's tables: OVN's numbers, and room for every stage."""

import pytest

from ovenbird.pipeline.openflow_tables import LONGEST_EGRESS, LONGEST_PIPELINE, OFTable, is_egress, openflow_table
from ovenbird.pipeline.stages import ROUTER_EGRESS, ROUTER_INGRESS, SWITCH_EGRESS, SWITCH_INGRESS


def test_numbers_are_those_of_ovn():
    shown = (OFTable.OUTPUT_LARGE_PKT_DETECT, OFTable.LOG_EGRESS_PIPELINE, OFTable.LOG_TO_PHY, OFTable.CHK_LB_AFFINITY)
    assert shown == (37, 42, 65, 78)


def test_no_stage_has_the_table_of_something_else():
    longest = {"ingress": LONGEST_PIPELINE, "egress": LONGEST_EGRESS}
    assert max(len(SWITCH_INGRESS), len(ROUTER_INGRESS)) <= LONGEST_PIPELINE
    assert max(len(SWITCH_EGRESS), len(ROUTER_EGRESS)) <= LONGEST_EGRESS
    stages = {(name, n): openflow_table(name, n) for name, length in longest.items() for n in range(length)}
    first = {OFTable.LOG_INGRESS_PIPELINE, OFTable.LOG_INGRESS_REST, OFTable.LOG_EGRESS_PIPELINE}
    taken = [*stages.values(), *(table for table in OFTable if table not in first)]
    assert len(taken) == len(set(taken))
    assert max(taken) < 255
    assert all(is_egress(number) == (name == "egress") for (name, _), number in stages.items())
    for name, length in longest.items():
        with pytest.raises(ValueError, match="has no table"):
            openflow_table(name, length)
