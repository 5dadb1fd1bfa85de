"""Microflows: headers, metadata and registers of one packet, which matches read and actions change (ovn-trace(8)).

Invariants: a value is stored under its root Open vSwitch field (reg0 inside xxreg0) and fits it; a field that was never
set is 0; ports are tunnel keys. The tracer's packet and the reference evaluator's are this same type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.dnf import conjunctions
from ovenbird.lang.errors import FieldError, LangError, MicroflowError
from ovenbird.lang.passes import annotated
from ovenbird.lang.symbols import OVERLAYS
from ovenbird.openflow.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.lang.ast import FieldRef
    from ovenbird.lang.bindings import Bindings


class Microflow:
    """The state of one packet: mutable, and copied where a trace branches.

    Attributes:
        values: the values of its fields, by name.
        quoted: for an ICMP error, the packet that caused it, if known.
    """

    __slots__ = ("quoted", "values")

    def __init__(self, values: Mapping[str, int] | None = None) -> None:
        """Start from `values` by Open vSwitch field name; overlaid registers may be given under their narrow names."""
        self.values: dict[str, int] = {}
        self.quoted: Microflow | None = None
        for name, value in (values or {}).items():
            self[name] = value

    def __getitem__(self, name: str) -> int:
        """Return the value of an Open vSwitch field, 0 if it was never set."""
        root, ofs = OVERLAYS.get(name, (name, 0))
        value = self.values.get(root, 0)
        return value >> ofs & FIELDS[name].mask if root != name else value

    def __setitem__(self, name: str, value: int) -> None:
        """Set an Open vSwitch field; raise `FieldError` when the value does not fit."""
        mask = FIELDS[name].mask
        if value & ~mask:
            raise FieldError(f"{value:#x} does not fit field {name}.")
        root, ofs = OVERLAYS.get(name, (name, 0))
        self.values[root] = self.values.get(root, 0) & ~(mask << ofs) | value << ofs

    def get(self, ref: FieldRef) -> int:
        """Return the value of a field or of some bits of it."""
        value = self.values.get(_field(ref).name, 0) >> (ref.symbol.ofs + ref.ofs)
        return value if ref.symbol.is_string else value & ((1 << ref.n_bits) - 1)

    def set(self, ref: FieldRef, value: int) -> None:
        """Set a field or some bits of it.

        Raises:
            FieldError: the value does not fit.
        """
        field = _field(ref)
        ones = field.mask if ref.symbol.is_string else (1 << ref.n_bits) - 1
        if value & ~ones:
            raise FieldError(f"{value:#x} does not fit {ref}.")
        ofs = ref.symbol.ofs + ref.ofs
        self.values[field.name] = self.values.get(field.name, 0) & ~(ones << ofs) | value << ofs

    def matches(self, match: Mapping[str, tuple[int, int]]) -> bool:
        """Return whether an OpenFlow match, a mapping of field name to (value, mask), holds."""
        return all(self[name] & mask == value for name, (value, mask) in match.items())

    def copy(self) -> Microflow:
        """Return an independent copy."""
        twin = Microflow()
        twin.values = dict(self.values)
        twin.quoted = self.quoted.copy() if self.quoted is not None else None
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Microflow):
            return NotImplemented
        return {k: v for k, v in self.values.items() if v} == {k: v for k, v in other.values.items() if v}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Microflow({self.values!r})"


def _field(ref: FieldRef) -> Field:
    field = ref.symbol.field
    if field is None:
        raise FieldError(f"{ref.symbol.name} has no value in a packet.", span=ref.span)
    return field


def parse_microflow(text: str, bindings: Bindings) -> Microflow:
    """Read a microflow such as `inport == "p" && eth.src == 0a:00:00:00:00:01 && icmp4`.

    Bits that the expression does not determine are 0.

    Raises:
        MicroflowError: no packet satisfies the expression (it names an unknown port, for example), or the expression
            has alternatives.
        LangError: as `parse`.
    """
    expr = annotated(text)
    try:
        alternatives = conjunctions(expr, bindings)
    except LangError as error:
        raise error.within(text) from None
    if not alternatives:
        raise MicroflowError("Constraints are contradictory.", text=text, span=(0, len(text)))
    conjunction = alternatives[0]
    if len(alternatives) > 1 or any(len(values) > 1 for values in conjunction.values()):
        raise MicroflowError(f"Constraints are ambiguous: {expr}.", text=text, span=(0, len(text)))
    return Microflow({name: values[0][0] for name, values in conjunction.items()})
