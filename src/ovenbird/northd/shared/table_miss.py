"""What happens to a packet that no feature holds: each stage hands it to the next one.

Stages whose last word is a feature's own (port security's verdict, the destination's) are that feature's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import singleton
from ovenbird.northd.ir.datapath_groups import SWITCHES
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import FlowBuilder
from ovenbird.pipeline.stages import SWITCH_EGRESS, SWITCH_INGRESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

flow = FlowBuilder("table_miss")

DECIDED_ELSEWHERE = frozenset(
    ["ls_in_check_port_sec", "ls_in_l2_lkup", "ls_in_l2_unknown", "ls_out_check_port_sec", "ls_out_apply_port_sec"]
)


@singleton
def next_stage() -> Iterator[Fact]:
    """Advance in every stage of a switch."""
    yield SWITCHES.row
    for stage in (*SWITCH_INGRESS, *SWITCH_EGRESS):
        if stage.name not in DECIDED_ELSEWHERE:
            yield flow(stage, SWITCHES, 0, "1", "next;")


FEATURE = Feature("table_miss", (next_stage,))
