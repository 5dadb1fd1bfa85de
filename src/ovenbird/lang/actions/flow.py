"""Actions that move a packet through the pipelines: next, output, clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Action, Keyword, encode_all, format_all
from ovenbird.lang.actions.context import logical_table
from ovenbird.lang.actions.machine import run_on
from ovenbird.openflow.actions import Clone as OpenFlowClone
from ovenbird.openflow.actions import Resubmit
from ovenbird.pipeline.openflow_tables import OFTable
from ovenbird.pipeline.stages import Pipeline

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.openflow.actions import Action as OpenFlowAction


@dataclass(frozen=True, slots=True)
class Next(Action):
    """`next;`, `next(table);`, `next(pipeline=P, table=T);`: None is the flow's pipeline, and the table after it."""

    pipeline: Pipeline | None = None
    table: int | None = None

    @classmethod
    def parse(cls, cursor: Cursor) -> Next:
        """Parse nothing, `(table)`, or key-value pairs in either order.

        Raises:
            LangError: the arguments are malformed.
        """
        if not cursor.take("("):
            return cls()
        pipeline: Pipeline | None = None
        table: int | None = None
        if cursor.token.kind == "integer":
            table = cursor.expect_int()
        else:
            while True:
                if cursor.take_name("pipeline"):
                    cursor.expect("=")
                    pipeline = _pipeline(cursor)
                elif cursor.take_name("table"):
                    cursor.expect("=")
                    table = cursor.expect_int()
                else:
                    raise cursor.syntax_error('expecting "pipeline" or "table"')
                if not cursor.take(","):
                    break
        cursor.expect(")")
        return cls(pipeline, table)

    def format(self) -> str:
        """Write the shortest equivalent form."""
        if self.pipeline is not None:
            return f"next(pipeline={self.pipeline}{'' if self.table is None else f', table={self.table}'});"
        return "next;" if self.table is None else f"next({self.table});"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one resubmit; raise `FieldError` for a table beyond the pipeline."""
        return [Resubmit(logical_table(ctx, self.pipeline, self.table))]

    def evaluate(self, machine: Machine) -> bool:
        """Run the table."""
        machine.next(self.pipeline, self.table)
        return True


def _pipeline(cursor: Cursor) -> Pipeline:
    for pipeline in Pipeline:
        if cursor.take_name(pipeline.value):
            return pipeline
    raise cursor.syntax_error('expecting "ingress" or "egress"')


@dataclass(frozen=True, slots=True)
class Output(Keyword):
    """`output;`."""

    NAME = "output"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return a resubmit to the first output table of this pipeline."""
        return [Resubmit(OFTable.OUTPUT_LARGE_PKT_DETECT if ctx.pipeline == Pipeline.INGRESS else OFTable.SAVE_INPORT)]

    def evaluate(self, machine: Machine) -> bool:
        """Output the packet."""
        machine.output()
        return True


@dataclass(frozen=True, slots=True)
class Clone(Action):
    """`clone { ... };`: actions on a copy."""

    actions: tuple[Action, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Clone:
        """Parse the block."""
        return cls(cursor.block())

    def format(self) -> str:
        """Write the action."""
        return f"clone {{ {format_all(self.actions)} }};"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one clone."""
        return [OpenFlowClone(tuple(encode_all(self.actions, ctx)))]

    def evaluate(self, machine: Machine) -> bool:
        """Run the block on a copy."""
        run_on(machine.packet.copy(), self.actions, machine)
        return True
