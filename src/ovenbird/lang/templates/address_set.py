"""Templates of address sets: a match with address sets is compiled once, independently of the sets' members.

The match is compiled with the numbers from 1 to `N_STAND_INS` in place of a set's members: enough of them that the
flows get the form that many members need, which is conjunctive where several dimensions have several values. The flows
with the first number are the template, with a slot in place of the number; the flows with the other numbers are copies
of them and are dropped.

Filling the slot gives what `compile_match` gives, because a set qualifies only if, after annotation, it is the only
constant of an equality of a whole field, and no other comparison uses that field. Then no intersection, union or count
depends on the members. The results differ only where it has no effect: a member inside another one has flows of its
own, and a set with one member gets a conjunction that it does not need. Every other match has no template.
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
"""Stand-ins for a set's members; with eight, even two ports times the members take more flows than a conjunction."""

_STAND_INS = tuple(str(number) for number in range(1, N_STAND_INS + 1))


class AddressSetTemplate(NamedTuple):
    """A compiled match with slots: `slots` maps an Open vSwitch field to the address set that fills it."""

    compiled: Compiled
    slots: dict[str, str]

    def slot(self, match: Match) -> tuple[str, str] | None:
        """Return the field of a flow that a set's members fill, and the set; None for a flow without a slot."""
        for name, address_set in self.slots.items():
            if name in match:
                return name, address_set
        return None


class _StandIns:
    """The existing address sets, with stand-ins for their members."""

    __slots__ = ("_exists",)

    def __init__(self, exists: Lookup[object]) -> None:
        self._exists = exists

    def get(self, name: str) -> tuple[str, ...] | None:
        """Return the stand-ins, or None if the set does not exist."""
        return _STAND_INS if self._exists.get(name) is not None else None


def address_set_template(text: str, bindings: Bindings, exists: Lookup[object]) -> AddressSetTemplate | None:
    """Compile a match into a template.

    Arguments:
        text: the match.
        bindings: what names other than address sets stand for.
        exists: returns something other than None for the name of an existing address set.

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
    """Return the set that fills each field; None if the form of the flows depends on the members of a set."""
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
