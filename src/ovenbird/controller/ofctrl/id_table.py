"""Objects with a number (groups, meters) that the integration bridge should have, and those that it has.

An object must exist before a flow that refers to it, and may be removed only after the flow: with a group the switch
removes the flows that refer to it. Numbers are assigned by the rules; an object with the number of another one is
modified in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from ovenbird.controller.facts import SwitchGroup, SwitchMeter
from ovenbird.openflow.messages import ModCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.openflow.messages import Message

Wanted = TypeVar("Wanted", SwitchGroup, SwitchMeter)
"""The facts of groups or meters."""

Thing = TypeVar("Thing")
"""A group or meter, in the form in which the switch reports it."""


class IdTable(ABC, Generic[Wanted, Thing]):
    """Desired groups or meters, compared with the installed ones."""

    def __init__(self) -> None:
        self.desired: dict[int, Thing] = {}
        self.installed: dict[int, Thing] = {}
        self._dirty: dict[int, None] = {}  # what may have to be sent

    @abstractmethod
    def made_of(self, fact: Wanted) -> Thing:
        """Return the group or meter of a fact."""

    @abstractmethod
    def change(self, command: ModCommand, number: int, thing: Thing | None) -> Message:
        """Return the message that adds, modifies or deletes a thing.

        Arguments:
            command: which of these.
            number: the thing's id.
            thing: what it is then; None for one that goes.
        """

    def absorb(self, *, added: Iterable[Wanted], removed: Iterable[Wanted]) -> None:
        """Take in a wave's facts."""
        for fact in removed:
            self.desired.pop(fact.number, None)
            self._dirty[fact.number] = None
        for fact in added:
            self.desired[fact.number] = self.made_of(fact)
            self._dirty[fact.number] = None

    def recall(self, installed: Mapping[int, Thing]) -> None:
        """Take what the switch holds for true, by number, and compare everything with it."""
        self.installed = dict(installed)
        self._dirty = dict.fromkeys((*self.desired, *self.installed))

    def before(self) -> list[Message]:
        """Return the messages to send before the flows, and record them as sent."""
        messages = []
        for number in [number for number in self._dirty if number in self.desired]:
            del self._dirty[number]
            thing, there = self.desired[number], self.installed.get(number)
            if there != thing:
                messages.append(self.change(ModCommand.ADD if there is None else ModCommand.MODIFY, number, thing))
                self.installed[number] = thing
        return messages

    def after(self) -> list[Message]:
        """Return the deletions to send when no flow refers to the objects any more, and record them as sent."""
        gone = [number for number in self._dirty if number not in self.desired]
        for number in gone:
            del self._dirty[number]
        there = [number for number in gone if self.installed.pop(number, None) is not None]
        return [self.change(ModCommand.DELETE, number, None) for number in there]
