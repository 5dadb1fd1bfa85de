"""Templates of address sets: a match with address sets, compiled once for whatever members the sets have.

In place of a set's members stand the numbers from 1 to `N_STAND_INS`, enough of them that the flows are built as many
members need: conjunctive where several dimensions have several values. The flows of the first number are the template,
with a slot where the number is; those of the others are its copies and are left out.

Why filling the slot gives what `compile_match` gives: a set qualifies only when it is all that an equality of a whole
field, after annotation, compares with, and when no other comparison touches that field. Then no intersection, union or
count depends on the members. What differs is only what has no effect: flows of a member inside another one, and a
conjunction where one member would have needed none. Every other match has no template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.ast import AddressSet, Compare, Relop, leaves
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import Compiled, compile_match, narrow
from ovenbird.lang.errors import LangError
from ovenbird.lang.passes import annotated
from ovenbird.lang.text_cache import cached_by_text

if TYPE_CHECKING:
    from ovenbird.lang.bindings import Lookup
    from ovenbird.openflow.match import Match

N_STAND_INS = 8
"""Stand-ins for a set's members: two ports times eight members are more flows than a conjunctive match of them."""

_STAND_INS = tuple(str(number) for number in range(1, N_STAND_INS + 1))


class AddressSetTemplate(NamedTuple):
    """A compiled match with slots: `slots` maps an Open vSwitch field to the address set that fills it."""

    compiled: Compiled
    slots: dict[str, str]

    def slot(self, match: Match) -> tuple[str, str] | None:
        """Return the field that a set fills in a flow, and the set; None for a flow that no set concerns."""
        for name, address_set in self.slots.items():
            if name in match:
                return name, address_set
        return None


class _StandIns:
    """Address sets that are there, with stand-ins for their members."""

    __slots__ = ("_exists",)

    def __init__(self, exists: Lookup[object]) -> None:
        self._exists = exists

    def get(self, name: str) -> tuple[str, ...] | None:
        """Return stand-ins, or None for a set that is not there."""
        return _STAND_INS if self._exists.get(name) is not None else None


def address_set_template(text: str, bindings: Bindings, exists: Lookup[object]) -> AddressSetTemplate | None:
    """Compile a match into a template.

    Arguments:
        text: the match.
        bindings: what names other than address sets stand for.
        exists: answers with anything but None for the name of an address set that is there.

    Returns:
        The template; None for a match that has to be compiled with its sets' members.

    Raises:
        LangError: as `compile_match`.
    """
    slots = _slots(text)
    if slots is None:
        return None
    stand_ins = Bindings(
        _StandIns(exists), port_groups=bindings.port_groups, ports=bindings.ports, resident=bindings.resident
    )
    compiled = compile_match(text, stand_ins)
    kept = []
    for flow in compiled.flows:
        filled = [flow.match[name][0] for name in slots if name in flow.match]
        if len(filled) > 1:
            return None  # a product of two sets
        if not filled or filled[0] == 1:
            kept.append(flow)
    return AddressSetTemplate(Compiled(tuple(kept), compiled.n_conjunctions), slots)


@cached_by_text
def _slots(text: str) -> dict[str, str] | None:
    """Return the set that fills each field; None when a set's members matter to how the match is compiled."""
    try:
        compares = [leaf for leaf in leaves(annotated(text)) if isinstance(leaf, Compare)]
    except LangError:
        return None
    slots: dict[str, str] = {}
    for compare in compares:
        if not any(isinstance(constant, AddressSet) for constant in compare.constants):
            continue
        symbol, ref = compare.ref.symbol, compare.ref
        if symbol.field is None or not symbol.field.maskable:
            return None
        name, mask = symbol.field.name, symbol.field.mask
        whole = symbol.ofs + ref.ofs == 0 and (1 << ref.n_bits) - 1 == mask and name in narrow(name, (0, mask))
        alone = sum(1 for other in compares if other.ref.symbol.field is symbol.field) == 1
        constant = compare.constants[0]
        single = len(compare.constants) == 1 and isinstance(constant, AddressSet)
        if not (whole and alone and single and compare.relation is Relop.EQ):
            return None
        if isinstance(constant, AddressSet):
            slots[name] = constant.name
    return slots or None
