"""Templates of matches: what matches that differ only in their literals share is compiled once.

A compiler of logical networks writes the same few hundred sentences again and again with other addresses and ports.
`Templates` cuts a text at its literals, looks up the template of what is left, and puts the literals' values into the
flows compiled before, or into their bytes (`encoded`).

Why the result equals `compile_match`'s: a literal is a *slot* only when its comparison stays an equality after
annotation, of a field, not a predicate, that no other comparison of the annotated match touches. Then every conjunction
either has exactly the slot's one value for that field or leaves it open, so that no intersection, union, order or count
depends on the value. Nor does it on the values of a set as long as they differ, but for the order of flows; hence sets
are for bytes alone, which a switch takes in any order. All other literals are *fixed*: there is a variant for each, as
for each port's residence. A name is never a fixed literal nor a part of the text's key: what it stands for changes.
What is left, such as names elsewhere, address sets, whose members may change, unknown ports, values too wide, or text
that does not parse, is compiled by itself.
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
_MAX_VARIANTS = 1024  # variants of a template; more means that its fixed literals vary, and that it is no gain
_MAX_TEXT = 1 << 20
"""Characters of the texts of which templates and variants are remembered; with more than that, all are forgotten."""


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
class _TextTemplate:
    """What texts that agree between their literals share.

    `sets` has the numbers of the slots of each field that a set fills. A port group is a set too; its members' numbers
    come last, and how many there are tells variants apart.
    """

    slots: tuple[_Slot, ...]
    fixed: tuple[int, ...]
    residents: tuple[int, ...]
    sets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    group: _Slot | None = None
    compiled: dict[tuple[object, ...], Compiled] = field(default_factory=dict)
    encoded: dict[tuple[object, ...], tuple[MatchTemplate, ...] | None] = field(default_factory=dict)


class Templates:
    """A memory of templates; one serves any number of datapaths, because names are looked up on every use."""

    __slots__ = ("_length", "_templates")

    def __init__(self) -> None:
        self._templates: dict[tuple[str, ...], _TextTemplate | None] = {}
        self._length = 0

    def compile(self, text: str, bindings: Bindings) -> Compiled:
        """Compile a match as `compile.compile_match` does, faster when a text of the same template came before."""
        if "$" in text or "@" in text:
            return compile_match(text, bindings)
        parts = _LITERAL.split(text)
        template = self._template_of(text, parts)
        if template is None or template.sets or template.group is not None:
            return compile_match(text, bindings)
        return self._instantiate(template, text, parts[1::2], bindings)

    def encoded(self, text: str, bindings: Bindings) -> tuple[tuple[MatchTemplate, ...], list[bytes]] | None:
        """Return a match's flows as bytes with slots, and what fills the slots from the second on.

        Returns:
            The bytes (none for a match that never holds) and the values, whose first the caller puts in; None for a
            match that has to be compiled and encoded, such as one that is conjunctive or has address sets.

        Raises:
            LangError: as `compile_match`, for some of the matches that are wrong; the others give None.
        """
        if "$" in text:
            return None
        parts = _LITERAL.split(text)
        template = self._template_of(text, parts)
        if template is None:
            return None
        literals = parts[1::2]
        values = _values(template, literals, bindings)
        if values is None:
            return None
        variant = _variant(template, literals, bindings) if template.fixed or template.residents else ()
        if template.group is not None:
            variant = (*variant, len(values))
        found = template.encoded.get(variant, ())
        if found == () and variant not in template.encoded:
            ordered = not template.sets and template.group is None
            plain = self._instantiate(template, text, literals, bindings) if ordered else compile_match(text, bindings)
            found = _encodings(template, plain, values)
            if len(template.encoded) < _MAX_VARIANTS:
                template.encoded[variant] = found
                self._remember(text)
        return None if found is None else (found, values)

    def _template_of(self, text: str, parts: list[str]) -> _TextTemplate | None:
        key = tuple(parts[::2])
        template = self._templates.get(key, _UNSEEN)
        if template is _UNSEEN:
            template = self._templates[key] = _text_template(text, parts)
            self._remember(text)
        return template

    def _remember(self, text: str) -> None:
        """Count the text of which something new is remembered; forget everything when that is too much."""
        self._length += len(text)
        if self._length > _MAX_TEXT:
            self._templates.clear()
            self._length = 0

    def _instantiate(self, template: _TextTemplate, text: str, literals: list[str], bindings: Bindings) -> Compiled:
        masked_values = _masked_values(template, literals, bindings)
        if masked_values is None:
            return compile_match(text, bindings)
        variant: tuple[object, ...] = ()
        if template.fixed or template.residents:
            variant = _variant(template, literals, bindings)
        compiled = template.compiled.get(variant)
        if compiled is None:
            compiled = compile_match(text, bindings)
            if len(template.compiled) < _MAX_VARIANTS:
                template.compiled[variant] = compiled
                self._remember(text)
            return compiled
        return _filled(compiled, masked_values) if masked_values else compiled


_UNSEEN = _TextTemplate((), (), ())


def _filled(compiled: Compiled, masked_values: dict[str, tuple[int, int]]) -> Compiled:
    """Return flows with the values of their slots."""
    flows = []
    for match, clauses in compiled.flows:
        fields = dict(match)
        for name in fields:
            masked = masked_values.get(name)
            if masked is not None:
                fields[name] = masked
        flows.append(CompiledFlow(Match(fields), clauses))
    return Compiled(tuple(flows), compiled.n_conjunctions)


def _masked_values(
    template: _TextTemplate, literals: list[str], bindings: Bindings
) -> dict[str, tuple[int, int]] | None:
    """Return what the slots' literals put into the flows; None for a literal that is not as the template expects."""
    masked_values: dict[str, tuple[int, int]] = {}
    for slot in template.slots:
        value = slot.value(literals, bindings)
        if value is None:
            return None
        for name, shift, mask, _ in slot.masks:
            masked_values[name] = (value >> shift & mask, mask)
    return masked_values


def _values(template: _TextTemplate, literals: list[str], bindings: Bindings) -> list[bytes] | None:
    """Return what the slots' literals put into bytes, as `_masked_values` does for flows; the first is left out."""
    values = [b""]
    for slot in template.slots:
        value = slot.value(literals, bindings)
        if value is None:
            return None
        for _, shift, mask, n_bytes in slot.masks:
            values.append((value >> shift & mask).to_bytes(n_bytes, "big"))
    for numbers in template.sets.values():
        if len({values[number] for number in numbers}) < len(numbers):
            return None
    if template.group is not None:
        names = bindings.port_groups.get(literals[template.group.literal][1:])
        if names is None:
            return None
        keys = {key for name in names if (key := bindings.ports.get(name)) is not None}
        if not 0 < len(keys) <= _MAX_MEMBERS:
            return None
        values += [key.to_bytes(4, "big") for key in sorted(keys)]
    return values


def _encodings(template: _TextTemplate, compiled: Compiled, values: list[bytes]) -> tuple[MatchTemplate, ...] | None:
    """Return a template's flows as bytes, with one number for each part of each slot; None if one of them is unfit."""
    if compiled.n_conjunctions:
        return None
    names = [mask[0] for slot in template.slots for mask in slot.masks]
    sets = template.sets
    if template.group is not None:
        sets = {**sets, template.group.masks[0][0]: tuple(range(len(names) + 1, len(values)))}
    plain = {name: number for number, name in enumerate(names, 1) if name not in sets}
    made = []
    for match, _ in compiled.flows:
        numbers = dict(plain)
        for name, among in sets.items():
            if name in match:
                value = match[name][0].to_bytes(FIELDS[name].n_bytes, "big")
                numbers[name] = next(number for number in among if values[number] == value)
        encoding = match_template(match, numbers)
        if encoding is None:
            return None
        made.append(encoding)
    return tuple(made)


def _variant(template: _TextTemplate, literals: list[str], bindings: Bindings) -> tuple[object, ...]:
    """Return which of a template's variants the literals ask for."""
    ports = [literals[index] for index in template.residents]
    return (
        *[literals[index] for index in template.fixed],
        *[bindings.resident(port[1:-1]) if port[0] == '"' else port for port in ports],
    )


def _text_template(text: str, parts: list[str]) -> _TextTemplate | None:
    """Analyse the first text of a template; None when its texts have to be compiled each by itself."""
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
    return _TextTemplate(tuple(slots), tuple(fixed), tuple(resident_indices), sets, group)


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
    shifts = {part: 32 * number for number, part in enumerate(narrow(name, (0, symbol.field.mask)))}
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
