"""Compiles a match to OpenFlow matches that together match exactly the packets for which the expression is true.

The list is a disjunction; all its flows have the same priority and actions, so overlaps are harmless, and ranges and
complements of one field are disjoint. If sets of several fields would multiply, the list is a sum instead of a product,
by conjunctive matches (ovs-fields(7), "Conjunctive Match Fields"): flows with `clauses` mean "one dimension is
satisfied", and one flow that matches `conj_id` has the actions.

Invariants: the result depends on the match and on the values of its names, never on the order of a set's members;
registers appear as reg0-reg9 of 32 bits, never as xreg or xxreg; every match satisfies Open vSwitch's prerequisites
because the symbols' prerequisites do; no two flows of a result have the same match.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.dnf import Conjunction, conjunctions
from ovenbird.lang.errors import CompileError, LangError
from ovenbird.lang.passes import annotated
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.bindings import Bindings
    from ovenbird.lang.ternary import MaskedValue, MaskSet

_CONJ_ID_MASK = FIELDS["conj_id"].mask
_MAX_CLAUSES = 64  # Open vSwitch's limit of dimensions, ovs-actions(7)

# Wide register -> its 32-bit parts from the most significant down, which is how Open vSwitch stores all of them.
_PARTS = {
    "xxreg0": ("reg0", "reg1", "reg2", "reg3"),
    "xxreg1": ("reg4", "reg5", "reg6", "reg7"),
    "xreg4": ("reg8", "reg9"),
}


class ConjunctionClause(NamedTuple):
    """The flow satisfies one dimension, counted from 1, of a conjunctive match that has `dimensions` of them."""

    conjunction: int
    dimension: int
    dimensions: int


class CompiledFlow(NamedTuple):
    """One OpenFlow match of an expression; with `clauses` its actions are those conjunctions, else the flow's own."""

    match: Match
    clauses: tuple[ConjunctionClause, ...] = ()


class Compiled(NamedTuple):
    """All flows of an expression; conjunctions are numbered 1 to `n_conjunctions`, also in the matches of conj_id."""

    flows: tuple[CompiledFlow, ...]
    n_conjunctions: int = 0


def compile_match(text: str, bindings: Bindings) -> Compiled:
    """Compile a match; the result has no flows if the match can never hold.

    Raises:
        LangError: the text is malformed, a set or group is unknown, or OpenFlow cannot express the match.
    """
    try:
        return compile_conjunctions(conjunctions(annotated(text), bindings))
    except LangError as error:
        raise error.within(text) from None


def compile_conjunctions(disjunction: list[Conjunction]) -> Compiled:
    """Turn the normal form into flows; raise `CompileError` for single bits of a field that cannot be masked."""
    plain: dict[Match, None] = {}
    clauses: dict[Match, list[ConjunctionClause]] = {}
    n_conjunctions = 0
    for conjunction in disjunction:
        for fixed, dimensions in _products(conjunction):
            if not dimensions:
                plain[Match(fixed)] = None
                continue
            n_conjunctions += 1
            for number, (name, values) in enumerate(dimensions, 1):
                clause = ConjunctionClause(conjunction=n_conjunctions, dimension=number, dimensions=len(dimensions))
                for masked in values:
                    clauses.setdefault(Match({**fixed, **narrow(name, masked)}), []).append(clause)
            plain[Match({**fixed, "conj_id": (n_conjunctions, _CONJ_ID_MASK)})] = None
    flows = [CompiledFlow(match) for match in plain]
    # A clause is redundant if its match has the actions already; a switch holds only one flow per match.
    flows += [CompiledFlow(match, tuple(members)) for match, members in clauses.items() if match not in plain]
    return Compiled(tuple(flows), n_conjunctions)


def _products(conjunction: Conjunction) -> Iterator[tuple[dict[str, MaskedValue], list[tuple[str, MaskSet]]]]:
    """Split a conjunction into products of single masked values; those with dimensions become conjunctive matches.

    Fields that cannot be masked are always multiplied out: they are prerequisites of other fields.
    """
    fixed: dict[str, MaskedValue] = {}
    multiplied: list[tuple[str, MaskSet]] = []
    open_: list[tuple[str, MaskSet]] = []
    for name, values in conjunction.items():
        field = FIELDS[name]
        if not field.maskable and any(mask != field.mask for _, mask in values):
            raise CompileError(
                f"The match depends on single bits of {name}, which Open vSwitch matches only as a whole."
            )
        if len(values) == 1:
            fixed.update(narrow(name, values[0]))
        elif field.maskable:
            open_.append((name, values))
        else:
            multiplied.append((name, values))
    flows = 1
    for _, values in open_:
        flows *= len(values)
    conjunctive = 2 <= len(open_) <= _MAX_CLAUSES and flows > sum(len(values) for _, values in open_) + 1
    if not conjunctive:
        multiplied += open_
        open_ = []
    names = [name for name, _ in multiplied]
    for combination in product(*(values for _, values in multiplied)):
        chosen = dict(fixed)
        for name, masked in zip(names, combination, strict=True):
            chosen.update(narrow(name, masked))
        yield chosen, open_


def narrow(name: str, masked: MaskedValue) -> dict[str, MaskedValue]:
    """Return a masked value by field; a wide register is split into the 32-bit parts in use, lowest first."""
    parts = _PARTS.get(name)
    if parts is None:
        return {name: masked}
    value, mask = masked
    found = {}
    for index, part in enumerate(reversed(parts)):
        bits = mask >> 32 * index & 0xFFFFFFFF
        if bits:
            found[part] = (value >> 32 * index & 0xFFFFFFFF, bits)
    return found
