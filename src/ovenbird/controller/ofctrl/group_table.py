"""The groups that the integration bridge should have, and those that it has."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.controller.facts import SwitchGroup
from ovenbird.controller.ofctrl.id_table import IdTable
from ovenbird.openflow.errors import EncodeError
from ovenbird.openflow.messages import GroupMod, GroupType, ModCommand
from ovenbird.openflow.messages.group import ANY_PORT, Bucket, Selection, fitting

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import GroupSpec

log = logging.getLogger(__name__)

_FEW = 100
"""Buckets that fit into any message."""


class SelectGroup(NamedTuple):
    """What is in a group of type select: the buckets, and how one of them is chosen."""

    buckets: tuple[Bucket, ...]
    selection: Selection


class GroupTable(IdTable[SwitchGroup, SelectGroup]):
    """Desired groups against installed ones, by their buckets and how one of these is chosen."""

    def made_of(self, fact: SwitchGroup) -> SelectGroup:
        """Return the group of a fact."""
        return select_group(fact.spec)

    def change(self, command: ModCommand, number: int, thing: SelectGroup | None) -> GroupMod:
        """Return the message that changes a group.

        Arguments:
            command: what is done.
            number: the group's id.
            thing: what is in it; None for a group that goes.
        """
        return GroupMod(command, number) if thing is None else GroupMod(command, number, GroupType.SELECT, *thing)


def select_group(spec: GroupSpec) -> SelectGroup:
    """Return a group as the switch takes it: with the first buckets, if there are more than fit into a message."""
    buckets = tuple(
        [Bucket(each.actions, weight=each.weight, watch_port=each.watch_port or ANY_PORT) for each in spec.buckets]
    )
    if len(buckets) > _FEW:
        try:
            first = fitting(buckets)
        except EncodeError:  # it is refused when it is sent
            first = buckets
        if len(first) < len(buckets):
            log.warning(
                "of the %d buckets of a group %d fit into a message: others are left out", len(buckets), len(first)
            )
        buckets = first
    return SelectGroup(buckets, Selection.of(*spec.hash_fields, symmetric=spec.symmetric))
