"""The default flow of each stage of a switch; those of routers are in their admission feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import singleton
from ovenbird.northd.ir.datapath_groups import SWITCHES
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.table_miss import table_misses
from ovenbird.pipeline.stages import SWITCH_EGRESS, SWITCH_INGRESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

flow = flow_builder("table_miss")


@singleton
def every_switch() -> Iterator[Fact]:
    """Install the default flow of every switch stage."""
    yield SWITCHES.row
    yield from table_misses(flow, (*SWITCH_INGRESS, *SWITCH_EGRESS), SWITCHES)


FEATURE = Feature("table_miss", rules=(every_switch,))
