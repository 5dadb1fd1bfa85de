"""Actions that read where the first packet of a tracked connection was sent: ct_nw_dst, ct_ip6_dst, ct_tp_dst.

OVN 25.03 has them (ovn-sb(5)). Only packets of an established connection have such a destination; for others the result
is 0. Each has a table that writes the destination to a register of its own (reg1, xxreg1, the lower half of reg2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Action, check_result, field_requires
from ovenbird.lang.actions.layout import bits_of, register
from ovenbird.openflow.actions import CopyField, Resubmit, SetField
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.actions.machine import Machine
    from ovenbird.lang.ast import FieldRef
    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.openflow.fields import Subfield


@dataclass(frozen=True, slots=True)
class _OriginalDestination(Action):
    """`R = NAME();`."""

    NAME: ClassVar[str]
    FIELD: ClassVar[str]
    WIDTH: ClassVar[int]
    TABLE: ClassVar[OFTable]
    RESULT: ClassVar[Subfield]

    dst: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor, dst: FieldRef) -> Self:
        """Parse empty parentheses.

        Raises:
            LangError: they are not empty, or the result does not fit the field.
        """
        cursor.no_arguments(cls.NAME)
        return cls(check_result(cursor, dst, cls.WIDTH))

    def format(self) -> str:
        """Write the action."""
        return f"{self.dst} = {self.NAME}();"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.dst)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return the call of the table, and the move of its result."""
        call: list[OpenFlowAction] = [SetField.bits(self.RESULT, 0), Resubmit(self.TABLE)]
        dst = bits_of(self.dst)
        return call if dst == self.RESULT else [*call, CopyField(src=self.RESULT, dst=dst)]

    def evaluate(self, machine: Machine) -> bool:
        """Store the destination."""
        machine.packet.set(self.dst, machine.packet[self.FIELD])
        return True


class OriginalIp4Destination(_OriginalDestination):
    """`R = ct_nw_dst();`."""

    __slots__ = ()
    NAME, FIELD, WIDTH = "ct_nw_dst", "ct_nw_dst", 32
    TABLE, RESULT = OFTable.ORIGINAL_IP4_DST, register("reg1")


class OriginalIp6Destination(_OriginalDestination):
    """`R = ct_ip6_dst();`."""

    __slots__ = ()
    NAME, FIELD, WIDTH = "ct_ip6_dst", "ct_ipv6_dst", 128
    TABLE, RESULT = OFTable.ORIGINAL_IP6_DST, register("xxreg1")


class OriginalPort(_OriginalDestination):
    """`R = ct_tp_dst();`."""

    __slots__ = ()
    NAME, FIELD, WIDTH = "ct_tp_dst", "ct_tp_dst", 16
    TABLE, RESULT = OFTable.ORIGINAL_PORT_DST, replace(register("reg2"), n_bits=16)
