"""Flows with address sets: one template from the rules, one flow for each member of the set.

A rule yields the template and depends on the existence of the set, not on its members. Templates are combined with
members here, between the rules and the flow table, from the exact changes of Southbound's Address_Set table: adding or
removing a member costs one flow for each template of its set, however large the set is. Adding or removing a template
or a set costs the whole set once.

Invariants: the flow table holds, for every template and every row of its set's name, the facts of the row's members,
with the multiplicity that templates and members give them. A member that is not an address, or too wide for the field,
is reported once and yields no flow.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from ovenbird.controller.facts import PART
from ovenbird.lang.errors import LexError
from ovenbird.lang.lexer import parse_constant
from ovenbird.model.sb import AddressSet
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import encode_oxm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.controller.facts import AddressSetFlow
    from ovenbird.controller.ofctrl.flow_table import FlowTable
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import SetDeltas, Store, Table

log = logging.getLogger(__name__)

_NAME = AddressSet.name.index
_ADDRESSES = AddressSet.addresses.index
_MAX_MEMBERS = 16384
_PADDING = [b"\0" * (-n % 8) for n in range(8)]


@lru_cache(maxsize=_MAX_MEMBERS)
def _entry(member: str, field_name: str) -> bytes | None:
    """Encode a member as an OXM entry of a field; empty for 0.0.0.0/0, None for an invalid value."""
    field = FIELDS[field_name]
    try:
        value, mask, _ = parse_constant(member)
    except LexError as error:
        log.warning("address set: element %r is left out: %s", member, error.message)
        return None
    if mask is None:
        mask = field.mask
    if (value | mask) & ~field.mask:
        log.warning("address set: element %r is left out: %s has %d bits", member, field_name, field.mask.bit_length())
        return None
    return encode_oxm({field_name: (value & mask, mask)}) if mask else b""


def facts(fact: AddressSetFlow, members: Iterable[str]) -> list[Fact]:
    """Return the facts of a template for some members."""
    _, _, field, before, after, head, tail = fact
    fixed = len(before) + len(after) + 4
    made = []
    for member in members:
        entry = _entry(member, field)
        if entry is None:
            continue
        length = fixed + len(entry)
        match = (0x10000 | length).to_bytes(4, "big") + before + entry + after + _PADDING[length & 7]
        made.append((*head, match, *tail))
    return made


class AddressSetFlows:
    """Instantiates flow templates for the members of their address sets, in a flow table.

    Arguments:
        table: where the flows go.
    """

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._patterns: dict[str, dict[AddressSetFlow, None]] = {}
        self._rows: dict[str, dict[AddressSet, frozenset[str]]] = {}
        self._names: dict[AddressSet, str] = {}
        self._followed: Table[AddressSet] | None = None

    def follow(self, store: Store) -> None:
        """Use the address sets of this store from now on; forget those of another store, and their templates."""
        if self._followed is not None:
            self._followed.watchers.remove(self)
            for row in list(self._names):
                self.deleted(row)
            self._patterns.clear()
        self._followed = store.table(AddressSet)
        self.inserted(self._followed.rows.values())
        self._followed.watchers.append(self)

    def absorb(self, *, added: Iterable[AddressSetFlow], removed: Iterable[AddressSetFlow]) -> None:
        """Process a wave's templates."""
        for fact in removed:
            name = fact.address_set
            patterns = self._patterns[name]
            del patterns[fact]
            if not patterns:
                del self._patterns[name]
            for members in self._rows.get(name, {}).values():
                self._change([fact], (), members)
        for fact in added:
            name = fact.address_set
            self._patterns.setdefault(name, {})[fact] = None
            for members in self._rows.get(name, {}).values():
                self._change([fact], members, ())

    # -- the sets' table: engine.rows.Watcher ---------------------------------------------------------------------

    def inserted(self, rows: Iterable[AddressSet]) -> None:
        """Instantiate templates for the members of new sets."""
        for row in rows:
            name, members = row.values[_NAME], row.values[_ADDRESSES]
            self._names[row] = name
            self._rows.setdefault(name, {})[row] = members
            self._change(self._patterns.get(name, ()), members, ())

    def modified(self, row: AddressSet, mask: int, deltas: SetDeltas | None) -> None:
        """Instantiate templates for new members of a set, and remove the flows of removed members.

        Arguments:
            row: the address set.
            mask: which columns have changed, by their bits.
            deltas: members added and removed, by column; None where they are not known.
        """
        name = self._names[row]
        if row.values[_NAME] != name:
            self.deleted(row)
            self.inserted((row,))
            return
        if not mask & AddressSet.addresses.bit:
            return
        rows, members = self._rows[name], row.values[_ADDRESSES]
        known, rows[row] = rows[row], members
        patterns = self._patterns.get(name)
        if not patterns:
            return
        delta = deltas.get(_ADDRESSES) if deltas is not None else None
        added, removed = delta if delta is not None else (members - known, known - members)
        self._change(patterns, added, removed)

    def deleted(self, row: AddressSet) -> None:
        """Remove the flows of all members of a set."""
        name = self._names.pop(row)
        rows = self._rows[name]
        members = rows.pop(row)
        if not rows:
            del self._rows[name]
        self._change(self._patterns.get(name, ()), (), members)

    def _change(self, patterns: Iterable[AddressSetFlow], added: Iterable[str], removed: Iterable[str]) -> None:
        for fact in patterns:
            absorb = self._table.absorb_parts if fact.head[0] is PART else self._table.absorb
            absorb(added=facts(fact, added), removed=facts(fact, removed))
