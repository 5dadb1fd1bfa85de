"""Templates of actions: texts that differ only in the constants that they assign are encoded once.

A text is split at the constants of its assignments (`field = constant;`, at any depth); the remaining text, with the
stage of the flow, identifies its *template*. The first text of a template is parsed and encoded, then encoded again
with each constant replaced by all zeros and by all ones. If the two encodings differ in exactly the bytes of the
constant, these bytes become a slot, and another text of the template is encoded by putting its own constants into the
slots. A constant without a slot (its bits share a byte with others) is *fixed*: a template has one variant per
combination of fixed constants. A text has no template if its encoding depends on more of the context than the stage and
the keys of ports, or if it is invalid.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.lang.actions.layout import bits_of
from ovenbird.lang.actions.registry import parse_actions
from ovenbird.lang.errors import LangError, LexError
from ovenbird.lang.lexer import Tokens, parse_constant
from ovenbird.lang.parser import parse_field
from ovenbird.lang.templates.bytes import ByteTemplate, escaped
from ovenbird.openflow.actions import encode_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from ovenbird.lang.actions.context import Context, GroupSpec, OptionType
    from ovenbird.pipeline.stages import Pipeline

_CONSTANT = re.compile(
    r"""=\ ?("[^"\\]*" | [0-9][0-9A-Fa-fx.:]* | [0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]+)(?=\s*;)""", re.VERBOSE
)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?:\[\s*\d+\s*(?:\.\.\s*\d+\s*)?\])?\s*\Z")
_MAX_VARIANTS = 256  # cached per template; with more than that, the fixed constants vary and caching saves nothing
_MAX_TEXT = 1 << 20
"""Total characters of the texts whose templates and variants are cached; when it is exceeded, the cache is cleared."""
_PORT_BITS = 32


class Filled(NamedTuple):
    """Encoded actions, and their prerequisites."""

    actions: bytes
    prerequisites: tuple[str, ...]


class _Slot(NamedTuple):
    """A slot: the index of its constant in the text, its width in bits, and whether the constant is a port's name."""

    constant: int
    n_bits: int
    is_port: bool


class _Variant(NamedTuple):
    encoding: ByteTemplate
    prerequisites: tuple[str, ...]


class _TextTemplate:
    """What texts that differ only in their constants share: slots, fixed constants, and variants by fixed constants."""

    __slots__ = ("fixed", "slots", "variants")

    def __init__(self, slots: tuple[_Slot, ...], fixed: tuple[int, ...]) -> None:
        self.slots = slots
        self.fixed = fixed
        self.variants: dict[tuple[str, ...], _Variant | None] = {}


class ActionTemplates:
    """A cache of templates; it serves any number of datapaths, because ports are looked up on every use."""

    __slots__ = ("_length", "_templates")

    def __init__(self) -> None:
        self._length = 0
        self._templates: dict[tuple[Hashable, ...], _TextTemplate | None] = {}

    def fill(
        self, text: str, stage: Hashable, port_key: Callable[[str], int | None], context: Callable[[], Context]
    ) -> Filled | None:
        """Encode actions as `parse_actions(text).encode(context())` does, faster when the template is cached.

        Arguments:
            text: the actions.
            stage: pipeline, table and kind of datapath: the whole context except for the names.
            port_key: returns the key of a port or multicast group, 0 or None if there is none by that name.
            context: makes the context; called only for the first text of a template or variant.

        Returns:
            The actions; None if they have no template and must be encoded individually.
        """
        parts = _CONSTANT.split(text)
        key = (stage, *parts[::2])
        constants = parts[1::2]
        template = self._templates.get(key, _UNSEEN)
        if template is _UNSEEN:
            template = self._templates[key] = _text_template(text, context())
            self._remember(text)
        if template is None:
            return None
        fixed = tuple([constants[index] for index in template.fixed])
        variant = template.variants.get(fixed, _UNSEEN)
        if variant is _UNSEEN:
            variant = _variant(text, template, context())
            if len(template.variants) < _MAX_VARIANTS:
                template.variants[fixed] = variant
                self._remember(text)
        values = _values(template, constants, port_key)
        if variant is None or values is None:
            return None
        encoding, prerequisites = variant
        return Filled(encoding.form % encoding.picked(values), prerequisites)

    def _remember(self, text: str) -> None:
        """Count the characters of a text that was cached; clear the cache when there are too many."""
        self._length += len(text)
        if self._length > _MAX_TEXT:
            self._templates.clear()
            self._length = 0


_UNSEEN: Any = object()


def _values(template: _TextTemplate, constants: list[str], port_key: Callable[[str], int | None]) -> list[bytes] | None:
    values = []
    for index, n_bits, is_port in template.slots:
        constant = constants[index]
        if (constant[0] == '"') is not is_port:
            return None
        if is_port:
            value = (port_key(constant[1:-1]) or 0) if len(constant) > 2 else 0
        else:
            try:
                value = parse_constant(constant)[0]
            except LexError:
                return None
        if value >> n_bits:
            return None
        values.append(value.to_bytes(n_bits >> 3, "big"))
    return values


def _text_template(text: str, context: Context) -> _TextTemplate | None:
    """Analyse the first text of a template; return None if it must be encoded individually."""
    if _encoded(text, context, {}) is None:
        return None
    slots, fixed = [], []
    for index, found in enumerate(_CONSTANT.finditer(text)):
        is_port = found[1][0] == '"'
        n_bits = _PORT_BITS if is_port else _width(text[: found.start()])
        if n_bits and _position(text, context, found.span(1), n_bits, is_port=is_port) is not None:
            slots.append(_Slot(index, n_bits, is_port))
        else:
            fixed.append(index)
    return _TextTemplate(tuple(slots), tuple(fixed))


def _variant(text: str, template: _TextTemplate, context: Context) -> _Variant | None:
    """Make the bytes of texts with the same fixed constants; None if filling them does not reproduce this encoding."""
    encoded = _encoded(text, context, {})
    found = list(_CONSTANT.finditer(text))
    values = _values(template, [each[1] for each in found], context.port_key)
    if encoded is None or values is None:
        return None
    plain, asked = encoded
    if asked != sum(1 for index, _, is_port in template.slots if is_port and len(found[index][1]) > 2):
        return None  # a port is named outside of assignments
    positions = []
    for number, (index, n_bits, is_port) in enumerate(template.slots):
        position = _position(text, context, found[index].span(1), n_bits, is_port=is_port)
        if position is None:
            return None
        positions.append((position, n_bits >> 3, number))
    form, picks, at = b"", [], 0
    for start, length, number in sorted(positions):
        form += escaped(plain[at:start]) + b"%b"
        picks.append(number)
        at = start + length
    form += escaped(plain[at:])
    encoding = ByteTemplate(form, itemgetter(*picks) if picks else _none)
    if encoding.filled(values) != plain:
        return None
    return _Variant(encoding, parse_actions(text).prerequisites)


def _none(_values: object) -> tuple[()]:
    return ()


def _width(before: str) -> int:
    """Return the width in bits of the field at the end of the text; 0 unless it consists of whole bytes."""
    found = _FIELD.search(before)
    if found is None:
        return 0
    try:
        bits = bits_of(parse_field(Tokens(found[0])))
    except LangError:
        return 0
    return bits.n_bits if bits.ofs % 8 == 0 and bits.n_bits % 8 == 0 else 0


def _position(text: str, context: Context, span: tuple[int, int], n_bits: int, *, is_port: bool) -> int | None:
    """Return the offset of the constant's bytes in the encoding; None if other bytes depend on the constant too."""
    start, end = span
    ones = (1 << n_bits) - 1
    if is_port:
        name = "\N{REPLACEMENT CHARACTER}"  # stands for a port, under a name that no port has
        probe = f'{text[:start]}"{name}"{text[end:]}'
        low, high = _encoded(probe, context, {name: 0}), _encoded(probe, context, {name: ones})
    else:
        low = _encoded(f"{text[:start]}0{text[end:]}", context, {})
        high = _encoded(f"{text[:start]}{ones:#x}{text[end:]}", context, {})
    if low is None or high is None or len(low[0]) != len(high[0]):
        return None
    zeros, filled = low[0], high[0]
    differ = [index for index, (a, b) in enumerate(zip(zeros, filled, strict=True)) if a != b]
    length = n_bits >> 3
    if len(differ) != length or differ[-1] - differ[0] != length - 1:
        return None
    at = differ[0]
    return at if zeros[at : at + length] == bytes(length) and filled[at : at + length] == b"\xff" * length else None


def _encoded(text: str, context: Context, keys: dict[str, int]) -> tuple[bytes, int] | None:
    """Encode actions, and count the lookups of port keys; None if they are invalid or need more of the context."""
    listener = _Prober(context, keys)
    try:
        parsed = parse_actions(text)
        encoded = encode_actions(parsed.encode(listener))
    except LangError:
        return None
    if listener.personal or any(question != "port_key" for question in listener.asked):
        return None
    return encoded, len(listener.asked)


class _Prober:
    """A context that delegates to another and records which lookups an encoding makes.

    `asked` lists the lookups by name; `personal` is true once a property was read that depends on the single flow.
    Ports in `keys` have the keys given there.
    """

    __slots__ = ("_ctx", "_keys", "asked", "personal")

    def __init__(self, ctx: Context, keys: Mapping[str, int]) -> None:
        self._ctx = ctx
        self._keys = keys
        self.asked: list[str] = []
        self.personal = False

    @property
    def pipeline(self) -> Pipeline:
        return self._ctx.pipeline

    @property
    def table(self) -> int:
        return self._ctx.table

    @property
    def is_switch(self) -> bool:
        return self._ctx.is_switch

    @property
    def zero_snat(self) -> bool:
        return self._ctx.zero_snat

    @property
    def consolidates_registers(self) -> bool:
        return self._ctx.consolidates_registers

    @property
    def controller_meter(self) -> int:
        return self._ctx.controller_meter

    @property
    def datapath_key(self) -> int:
        self.personal = True
        return self._ctx.datapath_key

    @property
    def cookie(self) -> int:
        self.personal = True
        return self._ctx.cookie

    @property
    def dhcp_options(self) -> Mapping[str, OptionType]:
        self.personal = True
        return self._ctx.dhcp_options

    @property
    def dhcpv6_options(self) -> Mapping[str, OptionType]:
        self.personal = True
        return self._ctx.dhcpv6_options

    @property
    def collector_sets(self) -> frozenset[int]:
        self.personal = True
        return self._ctx.collector_sets

    def port_key(self, name: str) -> int:
        self.asked.append("port_key")
        return self._keys[name] if name in self._keys else self._ctx.port_key(name)

    def is_local(self, name: str) -> bool:
        self.asked.append("is_local")
        return self._ctx.is_local(name)

    def meter(self, name: str) -> int:
        self.asked.append("meter")
        return self._ctx.meter(name)

    def rate_meter(self, rate: int, *, burst: int) -> int:
        self.asked.append("rate_meter")
        return self._ctx.rate_meter(rate, burst=burst)

    def group(self, spec: GroupSpec) -> int:
        self.asked.append("group")
        return self._ctx.group(spec)
