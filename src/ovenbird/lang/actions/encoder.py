"""From text to OpenFlow bytes, each text compiled once per place: a controller's fast path.

An encoding depends on the place of its flow (pipeline, table, kind of datapath, meter) and on what the context
answers about names. The place is the key; the answers are kept beside the bytes and asked again before the bytes are
used again, so that a memory can never be stale, and a context that counts who asks (for groups, or to recompile when
a port's key changes) hears every question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.actions.registry import parse_actions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.lang.actions.context import Context, GroupSpec, OptionType
    from ovenbird.lang.actions.layout import Pipeline, Tables


class _Listener:
    """A context that passes questions on and notes the answers; `personal` when one belongs to a single flow."""

    __slots__ = ("_ctx", "answers", "personal")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.answers: list[tuple[str, tuple[object, ...], int]] = []
        self.personal = False

    @property
    def pipeline(self) -> Pipeline:
        return self._ctx.pipeline

    @property
    def table(self) -> int:
        return self._ctx.table

    @property
    def tables(self) -> Tables:
        return self._ctx.tables

    @property
    def is_switch(self) -> bool:
        return self._ctx.is_switch

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
        return self._ask("port_key", self._ctx.port_key(name), name)

    def meter(self, name: str) -> int:
        return self._ask("meter", self._ctx.meter(name), name)

    def rate_meter(self, rate: int, burst: int) -> int:
        return self._ask("rate_meter", self._ctx.rate_meter(rate, burst), rate, burst)

    def group(self, spec: GroupSpec) -> int:
        return self._ask("group", self._ctx.group(spec), spec)

    def _ask(self, question: str, answer: int, *arguments: object) -> int:
        self.answers.append((question, arguments, answer))
        return answer


class Encoded(NamedTuple):
    """A flow's instructions as OpenFlow 1.3 bytes, and what its actions require of packets."""

    instructions: bytes
    prerequisites: tuple[str, ...]


_Memory = tuple[Encoded, tuple[tuple[str, tuple[object, ...], int], ...]]


class Encoder:
    """Encodes texts of actions; one per switch, because contexts of one switch share `Tables`.

    At most `limit` encodings are remembered; when there are more, all are forgotten.
    """

    __slots__ = ("_known", "limit")

    def __init__(self, limit: int = 65536) -> None:
        self.limit = limit
        self._known: dict[tuple[str, str, int, bool, int], _Memory] = {}

    def __call__(self, text: str, ctx: Context) -> Encoded:
        """Return the encoding of `text` in `ctx`; raise `LangError` as `parse_actions` and `Actions.encode` do."""
        key = (text, ctx.pipeline.value, ctx.table, ctx.is_switch, ctx.controller_meter)
        known = self._known.get(key)
        if known is not None:
            encoded, answers = known
            if all(getattr(ctx, question)(*arguments) == answer for question, arguments, answer in answers):
                return encoded
        actions = parse_actions(text)
        listener = _Listener(ctx)
        instructions = b"".join([instruction.encode() for instruction in actions.instructions(listener)])
        encoded = Encoded(instructions, actions.prerequisites)
        if not listener.personal:
            if len(self._known) >= self.limit:
                self._known.clear()
            self._known[key] = (encoded, tuple(listener.answers))
        return encoded
