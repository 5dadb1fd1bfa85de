"""The flows that the integration bridge should have, and those that it has.

The rules yield the former as facts; the switch reports the latter at each connection. The difference is sent in
bundles, so that no packet meets half of a change, and a restarted controller does not touch flows that are right. The
content of a bundle counts as installed; if the switch refuses it, `put_back` reverts this. Wanted flows are kept by key
(table, priority, match), since a switch has one flow for each: of two complete flows in conflict the one with the lower
cookie is used as long as it exists; a complete flow hides parts under the same key. If rules and members of address
sets yield the same flow or part, it stays until the last of them withdraws it. A flow that is too long for a message,
or that the switch refuses, is omitted until it changes; a flow that the switch has under its key stays.

The entries of some tables belong to the switch: what it has learned by `learn` actions (ovs-actions(7)) about the way
of a connection or the backend of a client is not touched, also after a restart; it is removed with the flows that
learn.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.lang.text_cache import cached_by_text
from ovenbird.openflow.actions import SetField, encode_actions
from ovenbird.openflow.errors import DecodeError, EncodeError
from ovenbird.openflow.instructions import ApplyActions, decode_instructions, encode_apply
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action
    from ovenbird.openflow.messages import FlowChange, FlowStats

log = logging.getLogger(__name__)

_LEARNED = frozenset((OFTable.CHK_LB_HAIRPIN_REPLY, OFTable.ECMP_NH_MAC, OFTable.ECMP_NH, OFTable.CHK_LB_AFFINITY))
"""The tables that only the switch itself writes to (`learn`)."""

Key = tuple[int, int, bytes]
"""Table, priority, encoded match."""

Content = tuple[bytes, int]
"""Encoded instructions, cookie."""

_ROOM = 0xFFFF - 72
"""Octets of match and instructions that a flow_mod has room for, in the message that puts it into a bundle."""


class FlowTable:
    """Desired flows against installed ones."""

    def __init__(self) -> None:
        self.installed: dict[Key, Content] = {}
        self._whole: dict[Key, Fact | list[Fact]] = {}
        self._parts: dict[Key, dict[Fact, int]] = {}
        self._dirty: dict[Key, None] = {}
        self._refused: dict[Key, Content] = {}
        self._taken: list[dict[Key, Content | None]] = []  # changes on their way
        self._before: dict[Key, Content] = {}  # what the switch holds where they change or remove it

    def __len__(self) -> int:
        return len(self._whole.keys() | self._parts.keys()) if self._parts else len(self._whole)

    @property
    def dirty(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._dirty)

    # -- what should be -----------------------------------------------------------------------------------------------

    def absorb(self, *, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's whole flows."""
        whole, dirty = self._whole, self._dirty
        for fact in removed:
            key = fact[1:4]
            held = whole[key]
            if type(held) is list:
                held.remove(fact)
                if len(held) == 1:
                    whole[key] = held[0]
            else:
                del whole[key]
            dirty[key] = None
        for fact in added:
            key = fact[1:4]
            held = whole.setdefault(key, fact)
            if held is not fact:
                if type(held) is list:
                    held.append(fact)
                else:
                    whole[key] = [held, fact]  # type: ignore[list-item]  # mypy loses the union at type(...)
            dirty[key] = None

    def absorb_parts(self, *, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's parts of flows."""
        for fact in removed:
            key = fact[1:4]
            parts = self._parts[key]
            parts[fact] -= 1
            if not parts[fact]:
                del parts[fact]
                if not parts:
                    del self._parts[key]
            self._dirty[key] = None
        for fact in added:
            key = fact[1:4]
            parts = self._parts.setdefault(key, {})
            parts[fact] = parts.get(fact, 0) + 1
            self._dirty[key] = None

    def desired(self, key: Key) -> Content | None:
        """Return the desired flow of a key, or None."""
        held = self._whole.get(key)
        if held is not None:
            fact = min(held, key=_by_cookie) if type(held) is list else held
            return _applied(fact[4]), fact[5]  # type: ignore[arg-type,return-value]  # a fact's elements are of any type
        parts = self._parts.get(key)
        if parts is None:
            return None
        ordered = sorted(parts, key=_by_order) if len(parts) > 1 else [*parts]
        return _applied(b"".join([fact[6] for fact in ordered])), ordered[0][4]

    # -- what is ------------------------------------------------------------------------------------------------------

    def recall(self, flows: Iterable[FlowStats]) -> None:
        """Record the switch's present contents, and compare everything with it."""
        self.installed = {}
        for flow in flows:
            if flow.table in _LEARNED:
                continue
            key = (flow.table, flow.priority, flow.match.encode())
            self.installed[key] = (flow.instructions, flow.cookie)
        self._refused, self._taken, self._before = {}, [], {}
        self._dirty = dict.fromkeys((*self._whole, *self._parts, *self.installed))

    def take(self) -> dict[Key, Content | None]:
        """Return the changes to make in the switch by key (None removes a flow), and record them as in progress."""
        changes: dict[Key, Content | None] = {}
        desired, whole, installed, before = self.desired, self._whole, self.installed, self._before
        applied: dict[object, bytes] = {}  # flows by the thousand do the same
        for key in self._dirty:
            held = whole.get(key)
            if type(held) is tuple:  # as `desired` has it, for what nearly all are at a cold start
                actions = held[4]
                instructions = applied.get(actions)
                if instructions is None:
                    instructions = applied[actions] = _applied(actions)
                content: Content | None = (instructions, held[5])
            else:
                content = desired(key)
            if self._refused and self._refused.get(key) != content:
                self._refused.pop(key, None)
            elif self._refused and content is not None:
                continue
            there = installed.get(key)
            if there != content and not (there and content and _alike(there, content)):
                if content is not None and len(key[2]) + len(content[0]) > _ROOM:
                    log.error("flow %#x, table %d priority %d is left out: it is too long", content[1], key[0], key[1])
                    self.refuse(key, content)
                    continue
                changes[key] = content
                if there is not None and not any(key in taken for taken in self._taken):
                    before[key] = there
                if content is None:
                    del installed[key]
                else:
                    installed[key] = content
        self._dirty = {}
        if changes:
            self._taken.append(changes)
        return changes

    def confirm(self) -> None:
        """Note that the switch has made all changes that were taken."""
        self._taken, self._before = [], {}

    def put_back(self) -> None:
        """Note that the switch has made none of them."""
        for changes in self._taken:
            for key in changes:
                self.installed.pop(key, None)
            self._dirty.update(dict.fromkeys(changes))
        self.installed.update(self._before)
        self.confirm()

    def refuse(self, key: Key, content: Content) -> None:
        """Leave out a flow that the switch refuses, until it changes."""
        self._refused[key] = content


def _applied(actions: bytes) -> bytes:
    """Return the apply-actions instruction; actions too long for any message as they are, which `take` then refuses."""
    return encode_apply(actions) if len(actions) <= _ROOM else actions


def _by_cookie(fact: Fact) -> tuple[int, bytes]:
    return fact[5], fact[4]


def _by_order(fact: Fact) -> tuple[tuple[int, ...], bytes]:
    return fact[5], fact[6]


def _alike(there: Content, wanted: Content) -> bool:
    """Return whether a flow in the switch equals the desired one, though the switch encodes it differently."""
    return there[1] == wanted[1] and _canonical(there[0]) == wanted[0]


@cached_by_text
def _canonical(instructions: bytes) -> bytes:
    """Return instructions as we encode them."""
    try:
        decoded = decode_instructions(instructions)
        return b"".join(
            [
                encode_apply(encode_actions([_trimmed(action) for action in instruction.actions]))
                if isinstance(instruction, ApplyActions)
                else instruction.encode()
                for instruction in decoded
            ]
        )
    except (DecodeError, EncodeError):
        return instructions


def _trimmed(action: Action) -> Action:
    """Return the set-field of a Geneve option in our encoding; the switch adds the option's length."""
    if isinstance(action, SetField) and action.field.variable and action.mask == action.field.mask:
        return SetField(action.field, action.value, mask=0xFFFFFFFF)
    return action


def in_order(changes: dict[Key, Content | None]) -> list[FlowChange]:
    """Return the changes as the switch is to make them, removals first."""
    removals: list[FlowChange] = [change for change in changes.items() if change[1] is None]
    if not removals:
        return [*changes.items()]
    return removals + [change for change in changes.items() if change[1] is not None]
