"""Logical flows as facts: a match and its actions, in a stage of a datapath or of a datapath group.

A flow's row has no other identity, so its whole content is its key; the same flow yielded twice is one row.
`external_ids` has the feature that made it, its stage's name and the Northbound row that it is for (the first eight
digits of the UUID, as in ovn-trace(8) and ovn-northd(8)); `tags:in_out_port` lets a chassis skip flows for ports that
it does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ovenbird.engine.facts import Fact, Rows
from ovenbird.model.sb import LogicalFlow
from ovenbird.northd.ir.datapath_groups import IN_DP_GROUP, DatapathGroup
from ovenbird.northd.ir.drop_sampling import DROP, dropping

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID
    from ovenbird.pipeline.stages import Stage

LOGICAL_FLOW: Rows[Fact] = Rows(
    LogicalFlow,
    key=(
        LogicalFlow.logical_datapath,
        LogicalFlow.logical_dp_group,
        LogicalFlow.pipeline,
        LogicalFlow.table_id,
        LogicalFlow.priority,
        LogicalFlow.match,
        LogicalFlow.actions,
        LogicalFlow.tags,
        LogicalFlow.controller_meter,
        LogicalFlow.external_ids,
    ),
    within=(IN_DP_GROUP, LogicalFlow.logical_dp_group, LogicalFlow.logical_datapath),
)

_NO_TAGS: tuple[tuple[str, str], ...] = ()


class FlowBuilder(Protocol):
    """What makes the flows of one feature."""

    def __call__(
        self,
        stage: Stage,
        where: UUID | DatapathGroup,
        priority: int,
        match: str,
        actions: str,
        *,
        hint: str = "",
        port: str = "",
        meter: str | None = None,
    ) -> Fact:
        """Make a flow.

        Arguments:
            stage: the stage it lives in.
            where: the datapath's UUID, or the group of the datapaths that it is for.
            priority: 0 to 65535; the highest that matches wins.
            match: an expression of ovn-sb(5).
            actions: actions of ovn-sb(5).
            hint: UUID of the Northbound row that the flow is for.
            port: name of the one logical port that the flow is about, if a chassis without it can do without the flow.
            meter: limits the packets that the flow hands to the chassis' controller.
        """


def flow_builder(source: str) -> FlowBuilder:
    """Return what makes the flows of one feature.

    That is a function: calling an object with keywords makes a dictionary of them, and each port has several flows.

    Arguments:
        source: the feature's name, for `external_ids:source`.
    """
    sourced = ("source", source)
    names: dict[Stage, tuple[tuple[str, str], tuple[tuple[str, str], ...]]] = {}

    def flow(
        stage: Stage,
        where: UUID | DatapathGroup,
        priority: int,
        match: str,
        actions: str,
        *,
        hint: str = "",
        port: str = "",
        meter: str | None = None,
    ) -> Fact:
        if DROP in actions and actions.endswith(DROP):  # the first test is the cheaper one, and most often enough
            actions = actions.removesuffix(DROP) + dropping()
        found = names.get(stage)
        if found is None:
            name = ("stage-name", stage.name)
            found = names[stage] = (name, (sourced, name))
        ids = (sourced, ("stage-hint", hint[:8]), found[0]) if hint else found[1]
        tags = (("in_out_port", port),) if port else _NO_TAGS
        if type(where) is DatapathGroup:
            return (
                LOGICAL_FLOW, None, where.uuid, stage.pipeline, stage.table, priority, match, actions, tags, meter, ids,
            )  # fmt: skip
        return (LOGICAL_FLOW, where, None, stage.pipeline, stage.table, priority, match, actions, tags, meter, ids)

    return flow
