"""The flows for packets that match no other flow of a stage, as each stage defines (``pipeline.stages``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.pipeline.stages import Miss

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.datapath_groups import DatapathGroup
    from ovenbird.northd.ir.flow import FlowBuilder
    from ovenbird.pipeline.stages import Stage

_ACTIONS = {Miss.NEXT: "next;", Miss.DROP: "drop;"}


def table_misses(flow: FlowBuilder, stages: Iterable[Stage], group: DatapathGroup) -> Iterator[Fact]:
    """Yield each stage's flow of lowest priority, unless a feature makes it (`Miss.OWN`).

    Arguments:
        flow: makes the flows.
        stages: the stages of a pipeline.
        group: the datapaths.
    """
    for stage in stages:
        if stage.miss in _ACTIONS:
            yield flow(stage, group, 0, "1", _ACTIONS[stage.miss])
