"""The groups that the integration bridge should have, and those that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import SwitchGroup
from ovenbird.controller.ofctrl.id_table import IdTable
from ovenbird.openflow.messages import GroupMod, GroupType, ModCommand
from ovenbird.openflow.messages.group import ANY_PORT, Bucket

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import GroupSpec


class GroupTable(IdTable[SwitchGroup, tuple[Bucket, ...]]):
    """Desired groups against installed ones, by their buckets."""

    def made_of(self, fact: SwitchGroup) -> tuple[Bucket, ...]:
        """Return the buckets of a fact."""
        return buckets_of(fact.spec)

    def change(self, command: ModCommand, number: int, thing: tuple[Bucket, ...] | None) -> GroupMod:
        """Return the message that changes a group.

        Arguments:
            command: what is done.
            number: the group's id.
            thing: its buckets; None for a group that goes.
        """
        return GroupMod(command, number) if thing is None else GroupMod(command, number, GroupType.SELECT, thing)


def buckets_of(spec: GroupSpec) -> tuple[Bucket, ...]:
    """Return a group's buckets as the switch takes them; it spreads connections over them by the datapath's hash."""
    return tuple(
        [Bucket(each.actions, weight=each.weight, watch_port=each.watch_port or ANY_PORT) for each in spec.buckets]
    )
