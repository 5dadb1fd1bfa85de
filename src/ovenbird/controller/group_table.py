"""The groups that the integration bridge should hold, and those that it does.

A group must be there before a flow that refers to it, and may go only after: with a group the switch removes the flows
that lead to it. Numbers are the rules'; a number that the switch has for something else is changed in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.openflow.messages import GroupDesc, GroupMod, GroupType, ModCommand
from ovenbird.openflow.messages.group import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.lang.actions.context import GroupSpec


class GroupTable:
    """Desired groups against installed ones."""

    def __init__(self) -> None:
        self.desired: dict[int, tuple[Bucket, ...]] = {}
        self.installed: dict[int, tuple[Bucket, ...]] = {}

    @property
    def dirty(self) -> bool:
        """Whether something is to be sent."""
        return self.desired != self.installed

    def absorb(self, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's groups."""
        for _, number, _spec in removed:
            self.desired.pop(number, None)
        for _, number, spec in added:
            self.desired[number] = buckets_of(spec)

    def recall(self, groups: Iterable[GroupDesc]) -> None:
        """Take what the switch holds for true."""
        self.installed = {group.group_id: group.buckets for group in groups}

    def before(self) -> list[GroupMod]:
        """Return the messages to send before the flows, and hold them for sent."""
        messages = []
        for number, buckets in self.desired.items():
            there = self.installed.get(number)
            if there != buckets:
                command = ModCommand.ADD if there is None else ModCommand.MODIFY
                messages.append(GroupMod(command, number, GroupType.SELECT, buckets))
                self.installed[number] = buckets
        return messages

    def after(self) -> list[GroupMod]:
        """Return the messages to send when no flow refers any more to what has to go."""
        gone = [number for number in self.installed if number not in self.desired]
        for number in gone:
            del self.installed[number]
        return [GroupMod(ModCommand.DELETE, number) for number in gone]


def buckets_of(spec: GroupSpec) -> tuple[Bucket, ...]:
    """Return a group's buckets as the switch takes them; it spreads connections over them by the datapath's hash."""
    return tuple([Bucket(bucket.actions, bucket.weight) for bucket in spec.buckets])
