"""Templates of matches: texts that differ only in their literals are compiled once.

northd writes the same few hundred forms of matches, each many times with different addresses and ports. `Templates`
splits a text at its literals, looks up the template of the remaining text, and puts the literals' values into the flows
that were compiled before, or into their bytes (`encoded`).

The result equals that of `compile_match`, for this reason. A literal gets a *slot* only if its comparison is, after
annotation, an equality of a field (not a predicate) that no other comparison of the match uses. Every conjunction then
has either exactly the slot's value for that field or any value, so no intersection, union, order or count depends on
the value. The same holds for a set of distinct values, except for the order of the flows; therefore sets are used for
bytes only, which a switch takes in any order. All other literals are *fixed*: a template has one variant per
combination of their values, and of whether the ports in `is_chassis_resident` are resident. A name is never a fixed
literal nor part of the template's key, since its value changes. Every other match is compiled individually: names in
other places, address sets (their members change), unknown ports, values that are too wide, and invalid text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.dataclass import KW_ONLY, dataclass, field
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
_MAX_MEMBERS = 64  # of a port group; larger groups are likely to need a conjunctive match
_MAX_VARIANTS = 1024  # cached per template; with more than that, the fixed literals vary and caching saves nothing
_MAX_TEXT = 1 << 20
"""Total characters of the texts whose templates and variants are cached; when it is exceeded, the cache is cleared."""


class _Slot(NamedTuple):
    """A slot: the index of its literal in the text (`literal`), and where the literal's bits go in the flows."""

    literal: int
    is_string: bool
    width: int  # of the symbol, in bits
    ones: int  # the bits that the comparison uses
    ofs: int
    masks: tuple[tuple[str, int, int, int], ...]  # narrow field, offset of its bits, mask within it, length in bytes
    form: Format | None  # the required format, where the literal is followed by a mask; else None

    def value(self, literals: list[str], bindings: Bindings) -> int | None:
        """Return the field's value; None if the literal does not fit the template."""
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
    """What texts that differ only in their literals share.

    `sets` maps each field that is compared with a set to the numbers of its slots. A port group is a set too; the
    numbers of its members come last, and their count is part of the variant's key.
    """

    slots: tuple[_Slot, ...]
    _: KW_ONLY
    fixed: tuple[int, ...]
    residents: tuple[int, ...]
    sets: dict[str, tuple[int, ...]] = field(default_factory=dict)
    group: _Slot | None = None
    compiled: dict[tuple[object, ...], Compiled] = field(default_factory=dict)
    encoded: dict[tuple[object, ...], tuple[MatchTemplate, ...] | None] = field(default_factory=dict)


class Templates:
    """A cache of templates; it serves any number of datapaths, because names are looked up on every use."""

    __slots__ = ("_length", "_templates")

    def __init__(self) -> None:
        self._templates: dict[tuple[str, ...], _TextTemplate | None] = {}
        self._length = 0

    def compile(self, text: str, bindings: Bindings) -> Compiled:
        """Compile a match as `compile.compile_match` does, faster when its template is cached."""
        if "$" in text or "@" in text:
            return compile_match(text, bindings)
        parts = _LITERAL.split(text)
        template = self._template_of(text, parts)
        if template is None or template.sets or template.group is not None:
            return compile_match(text, bindings)
        return self._instantiate(template, text, parts[1::2], bindings)

    def encoded(self, text: str, bindings: Bindings) -> tuple[tuple[MatchTemplate, ...], list[bytes]] | None:
        """Return a match's flows as bytes with slots, and the values of the slots.

        Returns:
            The bytes (no flows for a match that never holds) and the values, of which the caller sets the first, the
            datapath's key; None for a match that must be compiled and encoded individually, such as a conjunctive
            one or one with address sets.

        Raises:
            LangError: as `compile_match`, for some invalid matches; for the others the method returns None.
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
        """Count the characters of a text that was cached; clear the cache when there are too many."""
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


_UNSEEN = _TextTemplate((), fixed=(), residents=())


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
    """Return the slots' values by field, with masks; None if a literal does not fit the template."""
    masked_values: dict[str, tuple[int, int]] = {}
    for slot in template.slots:
        value = slot.value(literals, bindings)
        if value is None:
            return None
        for name, shift, mask, _ in slot.masks:
            masked_values[name] = (value >> shift & mask, mask)
    return masked_values


def _values(template: _TextTemplate, literals: list[str], bindings: Bindings) -> list[bytes] | None:
    """Return the slots' values as bytes, the first one empty; None if a literal does not fit the template."""
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
    """Return a template's flows as bytes with slots; None if a flow cannot be encoded in this way."""
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
    """Return the key of the variant that the literals select."""
    ports = [literals[index] for index in template.residents]
    return (
        *[literals[index] for index in template.fixed],
        *[bindings.resident(port[1:-1]) if port[0] == '"' else port for port in ports],
    )


def _text_template(text: str, parts: list[str]) -> _TextTemplate | None:
    """Analyse the first text of a template; return None if it must be compiled individually."""
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
    return _TextTemplate(tuple(slots), fixed=tuple(fixed), residents=tuple(resident_indices), sets=sets, group=group)


def _slots(indices: list[int], compare: Compare, meant: list[Compare]) -> list[_Slot]:
    """Return the slots of a comparison's literals; none if the form of the flows may depend on their values."""
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
    return [
        _Slot(index, symbol.is_string, width=symbol.width, ones=ones, ofs=ofs, masks=masks, form=form)
        for index in indices
    ]
