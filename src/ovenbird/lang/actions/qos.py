"""Actions for queues, rates and samples: set_queue, set_meter, sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import Noted, parse_typed_field
from ovenbird.lang.ast import FieldRef
from ovenbird.lang.errors import FieldError, ParseError
from ovenbird.openflow.actions import Meter as OpenFlowMeter
from ovenbird.openflow.actions import Sample as OpenFlowSample
from ovenbird.openflow.actions import SetQueue as OpenFlowSetQueue

if TYPE_CHECKING:
    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.openflow.actions import Action as OpenFlowAction

_MAX_QUEUE = 61440
_U32 = 1 << 32


@dataclass(frozen=True, slots=True)
class SetQueue(Noted):
    """`set_queue(N);`: the queue of the physical interface that sends the packet; 0 is the default queue."""

    queue: int

    @classmethod
    def parse(cls, cursor: Cursor) -> SetQueue:
        """Parse the queue's number.

        Raises:
            LangError: there is no number, or it is out of range.
        """
        cursor.expect("(")
        token = cursor.token
        queue = cursor.expect_int(_U32)
        if queue > _MAX_QUEUE:
            message = f"Queue ID {queue} for set_queue is not in valid range 0 to {_MAX_QUEUE}."
            raise FieldError(message, text=cursor.text, span=(token.start, token.end))
        cursor.expect(")")
        return cls(queue)

    def format(self) -> str:
        """Write the action."""
        return f"set_queue({self.queue});"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return one set_queue."""
        return [OpenFlowSetQueue(self.queue)]


@dataclass(frozen=True, slots=True)
class SetMeter(Noted):
    """`set_meter(rate);`, `set_meter(rate, burst);`: drop above `rate` kbps, with bursts of `burst` kbit."""

    rate: int
    _: KW_ONLY
    burst: int = 0

    @classmethod
    def parse(cls, cursor: Cursor) -> SetMeter:
        """Parse rate and burst.

        Raises:
            LangError: they are malformed, or the rate is 0.
        """
        if cursor.depth:
            raise cursor.syntax_error("inside braces, where set_meter cannot stand")
        cursor.expect("(")
        if cursor.token.kind != "integer":
            raise cursor.syntax_error("expecting rate")
        token = cursor.token
        rate = cursor.expect_int(_U32)
        if rate == 0:
            raise ParseError("Rate 0 for set_meter is not in valid.", text=cursor.text, span=(token.start, token.end))
        burst = cursor.expect_int(_U32) if cursor.take(",") else 0
        cursor.expect(")")
        return cls(rate, burst=burst)

    def format(self) -> str:
        """Write the action."""
        return f"set_meter({self.rate}, {self.burst});" if self.burst else f"set_meter({self.rate});"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return the meter of this rate and burst; nothing if the context has none."""
        number = ctx.rate_meter(self.rate, burst=self.burst)
        return [OpenFlowMeter(number)] if number else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Noted):
    """`sample(probability=P, collector_set=C, obs_domain=D, obs_point=N);`: P of 65535 packets go to IPFIX.

    An observation point of None is `$cookie`: the first 32 bits of the flow's UUID. A field whose value is the
    observation point (OVN 24.09 and later) is read, but not encoded: Open vSwitch can do it since 3.4.
    """

    probability: int
    collector_set: int = 0
    domain: int = 0
    point: int | FieldRef | None = 0

    @classmethod
    def parse(cls, cursor: Cursor) -> Sample:
        """Parse the arguments.

        Raises:
            LangError: one is unknown or malformed, or the probability is 0.
        """
        values: dict[str, int] = {"probability": 0, "collector_set": 0, "obs_domain": 0}
        point: int | FieldRef | None = 0
        start = cursor.expect("(").start
        while not cursor.take(")"):
            key = cursor.expect("id").name
            if key not in values and key != "obs_point":
                raise cursor.syntax_error("of an unknown argument")
            cursor.expect("=")
            if key == "obs_point":
                point = _observation_point(cursor)
            else:
                values[key] = cursor.expect_int({"probability": 1 << 16, "obs_domain": 1 << 8}.get(key, _U32))
            if not cursor.take(","):
                cursor.expect(")")
                break
        if values["probability"] == 0:
            raise ParseError(
                "probability must be greater than zero", text=cursor.text, span=(start, cursor.token.start)
            )
        return cls(
            probability=values["probability"],
            collector_set=values["collector_set"],
            domain=values["obs_domain"],
            point=point,
        )

    def format(self) -> str:
        """Write the action."""
        point = "$cookie" if self.point is None else self.point
        return (
            f"sample(probability={self.probability},collector_set={self.collector_set},"
            f"obs_domain={self.domain},obs_point={point});"
        )

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one sample action; nothing if this chassis cannot take the sample."""
        if self.collector_set not in ctx.collector_sets or isinstance(self.point, FieldRef):
            return []
        domain = self.domain << 24 | ctx.datapath_key & 0xFF_FFFF
        point = ctx.cookie if self.point is None else self.point
        return [
            OpenFlowSample(
                probability=self.probability,
                collector_set_id=self.collector_set,
                obs_domain_id=domain,
                obs_point_id=point,
            )
        ]


def _observation_point(cursor: Cursor) -> int | FieldRef | None:
    if cursor.token.kind in ("macro", "group") and cursor.token.name == "cookie":
        cursor.advance()
        return None
    return parse_typed_field(cursor, 32) if cursor.token.kind == "id" else cursor.expect_int(_U32)
