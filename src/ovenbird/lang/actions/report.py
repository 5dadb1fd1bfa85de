"""Actions that report a packet to the controller and leave the packet unchanged."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lang.actions.action import Keyword, Noted, field_requires, parse_typed_field
from ovenbird.lang.actions.layout import INPORT
from ovenbird.lang.actions.lookup import with_arguments
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.lang.ast import String
from ovenbird.openflow.actions import Controller
from ovenbird.openflow.errors import DecodeError

if TYPE_CHECKING:
    from typing import Self

    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.lang.ast import FieldRef
    from ovenbird.openflow.actions import Action as OpenFlowAction


class Verdict(IntEnum):
    """The fate of the logged packet."""

    ALLOW = 0
    DROP = 1
    REJECT = 2


class Severity(IntEnum):
    """The severity of the log message (RFC 5424, section 6.2.1)."""

    ALERT = 1
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True, slots=True)
class Log(Noted):
    """`log(name="N", verdict=V, severity=S, meter="M");`: a name or meter of None is absent, unlike an empty one."""

    verdict: Verdict
    severity: Severity = Severity.INFO
    _: KW_ONLY
    name: str | None = None
    meter: str | None = None

    @classmethod
    def parse(cls, cursor: Cursor) -> Log:
        """Parse the arguments; the verdict is required.

        Raises:
            LangError: one is unknown or malformed, or the verdict is missing.
        """
        verdict: Verdict | None = None
        severity, name, meter = Severity.INFO, None, None
        cursor.expect("(")
        while not cursor.take(")"):
            key = cursor.expect("id").name
            cursor.expect("=")
            word = cursor.token.name.upper() if cursor.token.kind == "id" else ""
            if key == "verdict":
                if word not in Verdict.__members__:
                    raise cursor.syntax_error("unknown verdict")
                cursor.advance()
                verdict = Verdict[word]
            elif key == "severity":
                if word not in Severity.__members__:
                    raise cursor.syntax_error("expecting severity")
                cursor.advance()
                severity = Severity[word]
            elif key == "name":
                name = cursor.expect("string").name
            elif key == "meter":
                meter = cursor.expect("string").name
            else:
                raise cursor.syntax_error("expecting verdict, severity, name or meter before this value")
            cursor.take(",")
        if verdict is None:
            raise cursor.syntax_error("expecting verdict")
        return cls(verdict, severity, name=name, meter=meter)

    def format(self) -> str:
        """Write the arguments that differ from their defaults."""
        out = [f"name={String(self.name)}"] if self.name is not None else []
        out += [f"verdict={self.verdict.name.lower()}", f"severity={self.severity.name.lower()}"]
        if self.meter is not None:
            out.append(f"meter={String(self.meter)}")
        return f"log({', '.join(out)});"

    @property
    def payload(self) -> bytes:
        """Return the data from which the controller writes the message."""
        return bytes([self.verdict, self.severity]) + (self.name or "").encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the payload of LOG, where an empty name and an absent one are equal.

        Raises:
            DecodeError: it is malformed.
        """
        try:
            return cls(Verdict(payload[0]), Severity(payload[1]), name=payload[2:].decode() or None)
        except (ValueError, IndexError) as error:
            raise DecodeError(f"log userdata {payload.hex()}: {error}") from None

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in, through the log's meter and never the flow's."""
        meter_id = ctx.meter(self.meter) if self.meter is not None else 0
        return [Controller(Userdata(Opcode.LOG, None, self.payload).encode(), meter_id=meter_id)]


@dataclass(frozen=True, slots=True)
class TriggerEvent(Noted):
    """`trigger_event(event = "E", name = "value", ...);`: a row of Southbound's Controller_Event."""

    event: str
    options: tuple[tuple[str, str], ...]

    FATE = "dropped; the chassis reports an event to the cloud"
    EVENTS: ClassVar = ("empty_lb_backends",)
    NAMES: ClassVar = {"vip": 1, "protocol": 2, "load_balancer": 3}

    @classmethod
    def parse(cls, cursor: Cursor) -> TriggerEvent:
        """Parse the event and its options.

        Raises:
            LangError: the event is unknown, or an option is missing.
        """
        cursor.expect("(")
        if not cursor.take_name("event"):
            raise cursor.syntax_error("expecting event")
        cursor.expect("=")
        if cursor.token.kind != "string" or cursor.token.name not in cls.EVENTS:
            raise cursor.syntax_error("unknown event")
        event = cursor.advance().name
        options = []
        while cursor.take(","):
            if cursor.token.kind != "id" or cursor.token.name not in cls.NAMES:
                raise cursor.syntax_error(f"expecting {event} option name")
            name = cursor.advance().name
            cursor.expect("=")
            options.append((name, cursor.expect("string").name))
        cursor.expect(")")
        return cls(event, tuple(options))

    def format(self) -> str:
        """Write the action."""
        options = "".join([f", {name} = {String(value)}" for name, value in self.options])
        return f"trigger_event(event = {String(self.event)}{options});"

    @property
    def payload(self) -> bytes:
        """Return the event's number, then its options as code, length and text."""
        out = self.EVENTS.index(self.event).to_bytes(4, "big")
        for name, value in self.options:
            text = value.encode()
            out += struct.pack(">HH", self.NAMES[name], len(text)) + text
        return out

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read the payload of EVENT.

        Raises:
            DecodeError: it is malformed.
        """
        names = {code: name for name, code in cls.NAMES.items()}
        options = []
        try:
            event = cls.EVENTS[int.from_bytes(payload[:4], "big")]
            offset = 4
            while offset < len(payload):
                code, length = struct.unpack_from(">HH", payload, offset)
                offset += 4 + length
                if offset > len(payload):
                    raise DecodeError("truncated event userdata")
                options.append((names[code], payload[offset - length : offset].decode()))
        except (IndexError, KeyError, ValueError, struct.error) as error:
            raise DecodeError(f"event userdata {payload.hex()}: {error}") from None
        return cls(event, tuple(options))

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in."""
        return [Userdata(Opcode.EVENT, None, self.payload).controller(ctx)]


@dataclass(frozen=True, slots=True)
class Igmp(Noted, Keyword):
    """`igmp;`: punt an IGMP or MLD packet for multicast snooping."""

    NAME = "igmp"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in."""
        return [Userdata(Opcode.IGMP).controller(ctx)]


@dataclass(frozen=True, slots=True)
class HandleDhcp6Reply(Noted, Keyword):
    """`handle_dhcpv6_reply;`: punt the answer of a delegating router (prefix delegation)."""

    NAME = "handle_dhcpv6_reply"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in."""
        return [Userdata(Opcode.HANDLE_DHCPV6_REPLY).controller(ctx)]


@dataclass(frozen=True, slots=True)
class BindVport(Noted):
    """`bind_vport("V", P);`: bind the virtual port V to its parent, port P."""

    vport: str
    parent: FieldRef

    @classmethod
    def parse(cls, cursor: Cursor) -> BindVport:
        """Parse the virtual port's name and the field that holds its parent.

        Raises:
            LangError: one is missing or malformed.
        """
        cursor.expect("(")
        if cursor.token.kind != "string":
            raise cursor.syntax_error("expecting port name string")
        vport = cursor.advance().name
        cursor.expect(",")
        parent = parse_typed_field(cursor, 0)
        cursor.expect(")")
        return cls(vport, parent)

    def format(self) -> str:
        """Write the action."""
        return f"bind_vport({String(self.vport)}, {self.parent});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.parent)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in with the virtual port's key, and the parent in inport; nothing for an unknown port."""
        key = ctx.port_key(self.vport)
        if not key:
            return []
        message = Userdata(Opcode.BIND_VPORT, None, key.to_bytes(4, "big"))
        return with_arguments(((self.parent, INPORT),), [message.controller(ctx)])


@dataclass(frozen=True, slots=True)
class HandleServiceCheck(Noted):
    """`handle_svc_check(P);`: punt the answer to a health check, which arrived on port P."""

    port: FieldRef

    FATE = "taken by the chassis as the answer to a probe of a load balancer's backend"

    @classmethod
    def parse(cls, cursor: Cursor) -> HandleServiceCheck:
        """Parse the field that holds the port."""
        cursor.expect("(")
        port = parse_typed_field(cursor, 0)
        cursor.expect(")")
        return cls(port)

    def format(self) -> str:
        """Write the action."""
        return f"handle_svc_check({self.port});"

    def requires(self) -> tuple[str, ...]:
        """Return the field's prerequisite."""
        return field_requires(self.port)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in with the port in inport."""
        return with_arguments(((self.port, INPORT),), [Userdata(Opcode.HANDLE_SVC_CHECK).controller(ctx)])


@dataclass(frozen=True, slots=True)
class HandleBfdMessage(Noted):
    """`handle_bfd_msg();`: punt a BFD control packet sent to a router's address."""

    @classmethod
    def parse(cls, cursor: Cursor) -> HandleBfdMessage:
        """Parse empty parentheses."""
        cursor.no_arguments("handle_bfd_msg")
        return cls()

    def format(self) -> str:
        """Write the action."""
        return "handle_bfd_msg();"

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one packet-in."""
        return [Userdata(Opcode.BFD_MSG).controller(ctx)]
