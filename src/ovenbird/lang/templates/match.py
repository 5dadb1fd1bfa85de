"""Compiled shapes of matches: what matches that differ only in their literals share is compiled once.

A compiler of logical networks writes the same few hundred sentences again and again with other addresses and ports.
`Templates` cuts a text at its literals, looks up what is left, the *shape*, and puts the literals' values into the
flows compiled before, or into their bytes (`stencils`).

Why the result equals `compile_match`'s: a literal is a *slot* only when its comparison stays an equality after
annotation, of a field, not a predicate, that no other comparison of the annotated match touches. Then every box either
has exactly the slot's one value for that field or leaves it open, so that no intersection, union, order or count
depends on the value. Nor does it on the values of a set as long as they differ, but for the order of flows; hence sets
are for stencils alone, which a switch takes in any order. All other literals are *fixed*: they are part of the key, as
is each port's residence. A name is never a fixed literal nor a part of the shape: what it stands for changes. What is
left, such as names in other places, address sets, whose members may change, unknown ports, values too wide, or text
that does not parse, goes the plain way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.ast import Compare, Integer, PortGroup, Relop, Resident, String, leaves
from ovenbird.lang.compile import Compiled, CompiledFlow, compile_match, narrow
from ovenbird.lang.errors import LangError, LexError
from ovenbird.lang.lexer import Format, parse_constant
from ovenbird.lang.parser import parse
from ovenbird.lang.passes import annotate
from ovenbird.lang.templates.bytes import MatchTemplate, match_template
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match

if TYPE_CHECKING:
    from ovenbird.lang.bindings import Bindings

_LITERAL = re.compile(
    r"""(?<=[=({,\ ])
    ("[^"\\]*" | @[A-Za-z_.][A-Za-z0-9_.]* | [0-9][0-9A-Fa-fx.:]* | [0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]+)
    (?:(?![0-9A-Za-z:./]) | (?=/[0-9]{1,3}(?![0-9A-Za-z:./])))""",
    re.VERBOSE,
)
_BEFORE = re.compile(r"==\s*(?:\{([^{}\"]*))?\Z")
_MAX_MEMBERS = 64  # of a port group; of more a conjunctive match is made sooner or later
_MAX_TEMPLATES = 1024  # per shape; more means that its fixed literals vary, and that a template is no gain
_MAX_TEXT = 1 << 20
"""Characters of the texts of which shapes and templates are remembered; with more than that, all are forgotten."""


class _Slot(NamedTuple):
    """A literal that is put into the flows: which one (`literal`), and where its bits go."""

    literal: int
    is_string: bool
    width: int  # what the symbol holds
    ones: int  # what the comparison looks at
    ofs: int
    masks: tuple[tuple[str, int, int, int], ...]  # narrow field, shift of its bits, mask there, bytes of the field
    form: Format | None  # how it is to be written, where a mask behind it depends on that

    def value(self, literals: list[str], bindings: Bindings) -> int | None:
        """Return the field's value; None for a literal that is not as the template expects."""
        literal = literals[self.literal]
        if (literal[0] == '"') is not self.is_string:
            return None
        if self.is_string:
            return bindings.ports.get(literal[1:-1])
        try:
            value, _, form = parse_constant(literal)
        except LexError:
            return None
        if value >> self.width or (self.form is not None and form is not self.form):
            return None
        return (value & self.ones) << self.ofs


@dataclass(slots=True)
class _Shape:
    """What texts that agree between their literals share.

    `sets` has the holes of each field that a set fills. A port group is a set too; its members' holes come last, and
    how many there are tells templates apart.
    """

    slots: tuple[_Slot, ...]
    fixed: tuple[int, ...]
    residents: tuple[int, ...]
    sets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    group: _Slot | None = None
    templates: dict[tuple[object, ...], Compiled] = field(default_factory=dict)
    stencils: dict[tuple[object, ...], tuple[MatchTemplate, ...] | None] = field(default_factory=dict)


class Templates:
    """A cache of compiled shapes; one serves any number of datapaths, because names are looked up on every use."""

    __slots__ = ("_length", "_shapes")

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], _Shape | None] = {}
        self._length = 0

    def compile(self, text: str, bindings: Bindings) -> Compiled:
        """Compile a match as `compile.compile_match` does, faster when a text of the same shape came before."""
        if "$" in text or "@" in text:
            return compile_match(text, bindings)
        parts = _LITERAL.split(text)
        shape = self._shape_of(text, parts)
        if shape is None or shape.sets or shape.group is not None:
            return compile_match(text, bindings)
        return self._instantiate(shape, text, parts[1::2], bindings)

    def stencils(self, text: str, bindings: Bindings) -> tuple[tuple[MatchTemplate, ...], list[bytes]] | None:
        """Return a match's flows as bytes with holes, and what fills the holes from the second on.

        Returns:
            The stencils (none for a match that never holds) and the values, whose first the caller puts in; None for a
            match that has to be compiled and encoded, such as one that is conjunctive or has address sets.

        Raises:
            LangError: as `compile_match`, for some of the matches that are wrong; the others give None.
        """
        if "$" in text:
            return None
        parts = _LITERAL.split(text)
        shape = self._shape_of(text, parts)
        if shape is None:
            return None
        literals = parts[1::2]
        values = _values(shape, literals, bindings)
        if values is None:
            return None
        variant = _variant(shape, literals, bindings) if shape.fixed or shape.residents else ()
        if shape.group is not None:
            variant = (*variant, len(values))
        found = shape.stencils.get(variant, ())
        if found == () and variant not in shape.stencils:
            ordered = not shape.sets and shape.group is None
            plain = self._instantiate(shape, text, literals, bindings) if ordered else compile_match(text, bindings)
            found = _stencils(shape, plain, values)
            if len(shape.stencils) < _MAX_TEMPLATES:
                shape.stencils[variant] = found
                self._remember(text)
        return None if found is None else (found, values)

    def _shape_of(self, text: str, parts: list[str]) -> _Shape | None:
        key = tuple(parts[::2])
        shape = self._shapes.get(key, _UNSEEN)
        if shape is _UNSEEN:
            shape = self._shapes[key] = _shape(text, parts)
            self._remember(text)
        return shape

    def _remember(self, text: str) -> None:
        """Count the text of which something new is remembered; forget everything when that is too much."""
        self._length += len(text)
        if self._length > _MAX_TEXT:
            self._shapes.clear()
            self._length = 0

    def _instantiate(self, shape: _Shape, text: str, literals: list[str], bindings: Bindings) -> Compiled:
        cubes = _cubes(shape, literals, bindings)
        if cubes is None:
            return compile_match(text, bindings)
        variant: tuple[object, ...] = ()
        if shape.fixed or shape.residents:
            variant = _variant(shape, literals, bindings)
        template = shape.templates.get(variant)
        if template is None:
            template = compile_match(text, bindings)
            if len(shape.templates) < _MAX_TEMPLATES:
                shape.templates[variant] = template
                self._remember(text)
            return template
        return _filled(template, cubes) if cubes else template


_UNSEEN = _Shape((), (), ())


def _filled(template: Compiled, cubes: dict[str, tuple[int, int]]) -> Compiled:
    """Return a template with the values of its slots."""
    flows = []
    for match, clauses in template.flows:
        fields = dict(match)
        for name in fields:
            cube = cubes.get(name)
            if cube is not None:
                fields[name] = cube
        flows.append(CompiledFlow(Match(fields), clauses))
    return Compiled(tuple(flows), template.n_conjunctions)


def _cubes(shape: _Shape, literals: list[str], bindings: Bindings) -> dict[str, tuple[int, int]] | None:
    """Return what the slots' literals put into the flows; None for a literal that is not as the template expects."""
    cubes: dict[str, tuple[int, int]] = {}
    for slot in shape.slots:
        value = slot.value(literals, bindings)
        if value is None:
            return None
        for name, shift, mask, _ in slot.masks:
            cubes[name] = (value >> shift & mask, mask)
    return cubes


def _values(shape: _Shape, literals: list[str], bindings: Bindings) -> list[bytes] | None:
    """Return what the slots' literals put into a stencil's holes, as `_cubes` does for flows; the first is left out."""
    values = [b""]
    for slot in shape.slots:
        value = slot.value(literals, bindings)
        if value is None:
            return None
        for _, shift, mask, n_bytes in slot.masks:
            values.append((value >> shift & mask).to_bytes(n_bytes, "big"))
    for holes in shape.sets.values():
        if len({values[hole] for hole in holes}) < len(holes):
            return None
    if shape.group is not None:
        names = bindings.port_groups.get(literals[shape.group.literal][1:])
        if names is None:
            return None
        keys = {key for name in names if (key := bindings.ports.get(name)) is not None}
        if not 0 < len(keys) <= _MAX_MEMBERS:
            return None
        values += [key.to_bytes(4, "big") for key in sorted(keys)]
    return values


def _stencils(shape: _Shape, compiled: Compiled, values: list[bytes]) -> tuple[MatchTemplate, ...] | None:
    """Return a template's flows as stencils, with a hole for each part of each slot; None if one of them is unfit."""
    if compiled.n_conjunctions:
        return None
    names = [mask[0] for slot in shape.slots for mask in slot.masks]
    sets = shape.sets
    if shape.group is not None:
        sets = {**sets, shape.group.masks[0][0]: tuple(range(len(names) + 1, len(values)))}
    plain = {name: number for number, name in enumerate(names, 1) if name not in sets}
    stencils = []
    for match, _ in compiled.flows:
        holes = dict(plain)
        for name, among in sets.items():
            if name in match:
                value = match[name][0].to_bytes(FIELDS[name].n_bytes, "big")
                holes[name] = next(hole for hole in among if values[hole] == value)
        stencil = match_template(match, holes)
        if stencil is None:
            return None
        stencils.append(stencil)
    return tuple(stencils)


def _variant(shape: _Shape, literals: list[str], bindings: Bindings) -> tuple[object, ...]:
    """Return which of a shape's templates the literals ask for."""
    ports = [literals[index] for index in shape.residents]
    return (
        *[literals[index] for index in shape.fixed],
        *[bindings.resident(port[1:-1]) if port[0] == '"' else port for port in ports],
    )


def _shape(text: str, parts: list[str]) -> _Shape | None:
    """Analyse the first text of a shape; None when its texts must go the plain way."""
    if any(sign in between for between in parts[::2] for sign in '"@'):
        return None
    try:
        expr = parse(text)
    except LangError:
        return None
    compares = {compare.span[1]: compare for compare in leaves(expr) if isinstance(compare, Compare)}
    residents = {leaf.span[0] for leaf in leaves(expr) if isinstance(leaf, Resident)}
    meant = [leaf for leaf in leaves(annotate(expr)) if isinstance(leaf, Compare)]
    fixed: list[int] = []
    resident_indices: list[int] = []
    found: dict[int, tuple[Compare, list[int]]] = {}
    position = 0
    for index, literal in enumerate(parts[1::2]):
        position += len(parts[2 * index])
        before = _BEFORE.search(text, 0, position)
        compare = compares.get(len(text[: before.start()].rstrip())) if before is not None else None
        if position in residents:
            resident_indices.append(index)
        elif (
            before is None
            or compare is None
            or (before[1] or "").count(",") != len(found.get(id(compare), ((), ()))[1])
        ):
            fixed.append(index)
        else:
            found.setdefault(id(compare), (compare, []))[1].append(index)
        position += len(literal)
    slots: list[_Slot] = []
    sets: dict[str, tuple[int, ...]] = {}
    group: _Slot | None = None
    for compare, indices in found.values():
        made = _slots(indices, compare, meant)
        if isinstance(compare.constants[0], PortGroup):
            if not made or group is not None:
                return None
            group = made.pop()
            continue
        if not made:
            fixed += indices
        elif len(made) > 1:
            first = 1 + sum(len(slot.masks) for slot in slots)
            sets[made[0].masks[0][0]] = tuple(range(first, first + len(made)))
        slots += made
    if any(parts[1::2][index][0] in '"@' for index in fixed):
        return None
    return _Shape(tuple(slots), tuple(fixed), tuple(resident_indices), sets, group)


def _slots(indices: list[int], compare: Compare, meant: list[Compare]) -> list[_Slot]:
    """Return the slots of a comparison's literals, or none when flows may depend on their values in another way."""
    symbol, constants = compare.ref.symbol, compare.constants
    if symbol.field is None or len(constants) != len(indices):
        return []
    same = [leaf for leaf in meant if leaf.ref.symbol.field is symbol.field]
    if len(same) != 1 or same[0].constants is not constants or same[0].relation is not Relop.EQ:
        return []
    ofs = symbol.ofs + compare.ref.ofs
    ones = symbol.field.mask if symbol.is_string else (1 << compare.ref.n_bits) - 1
    form = None
    first = constants[0]
    if isinstance(first, Integer) and first.mask is not None:
        ones, form = ones & first.mask, first.format
    elif not isinstance(first, (Integer, String, PortGroup)):
        return []
    name, mask = symbol.field.name, ones << ofs
    shifts = {part: 32 * place for place, part in enumerate(narrow(name, (0, symbol.field.mask)))}
    masks = tuple(
        (part, shifts[part], bits, FIELDS[part].n_bytes) for part, (_, bits) in narrow(name, (0, mask)).items()
    )
    if not masks or not ones:
        return []
    if len(indices) > 1:
        exact = [constant for constant in constants if isinstance(constant, Integer) and constant.mask is None]
        if len(exact) < len(indices) or len(masks) > 1:
            return []
    return [_Slot(index, symbol.is_string, symbol.width, ones, ofs, masks, form) for index in indices]
