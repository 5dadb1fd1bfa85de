"""Actions that make the switch learn flows: commit_ecmp_nh, commit_lb_aff (ovs-actions(7), learn)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.action import Noted
from ovenbird.lang.actions.conntrack import format_address
from ovenbird.lang.errors import LangError, LexError, ParseError
from ovenbird.lang.lexer import Format, parse_constant
from ovenbird.net.ethernet import IPV4, IPV6
from ovenbird.openflow.actions import Learn, LearnLoad, LearnMatch
from ovenbird.openflow.fields import Subfield
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.lang.actions.context import Context
    from ovenbird.lang.actions.cursor import Cursor
    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.openflow.actions import LearnSpec

_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_ECMP_IDLE, _ECMP_HARD = 20, 30  # seconds, as OVN 23.03


def _same(name: str, src: str = "") -> LearnMatch:
    return LearnMatch(dst=Subfield.of(name), src=Subfield.of(src or name))


def _exactly(name: str, value: int) -> LearnMatch:
    return LearnMatch(dst=Subfield.of(name), src=value)


@dataclass(frozen=True, slots=True)
class CommitEcmpNextHop(Noted):
    """`commit_ecmp_nh(ipv6 = B, proto = P);`: learn the next hop from which a connection came."""

    ipv6: bool
    protocol: str

    @classmethod
    def parse(cls, cursor: Cursor) -> CommitEcmpNextHop:
        """Parse the arguments.

        Raises:
            LangError: they are not `ipv6`, `proto` and their values.
        """
        cursor.expect("(")
        if not cursor.take_name("ipv6"):
            raise cursor.syntax_error("expecting ipv6")
        cursor.expect("=")
        if cursor.token.name not in ("true", "false"):
            raise cursor.syntax_error("expecting true or false")
        ipv6 = cursor.advance().name == "true"
        cursor.expect(",")
        if not cursor.take_name("proto"):
            raise cursor.syntax_error("expecting proto")
        cursor.expect("=")
        protocol = _protocol(cursor)
        cursor.expect(")")
        return cls(ipv6, protocol)

    def format(self) -> str:
        """Write the action."""
        return f"commit_ecmp_nh(ipv6 = {'true' if self.ipv6 else 'false'}, proto = {self.protocol});"

    def requires(self) -> tuple[str, ...]:
        """Require packets with the fields that the learned flow is made from."""
        return ("ip6" if self.ipv6 else "ip4", self.protocol)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:  # noqa: ARG002 - the same everywhere
        """Return two learn actions: for packets of the connection from this next hop, and for the replies to it."""
        src, dst = ("ipv6_src", "ipv6_dst") if self.ipv6 else ("ip_src", "ip_dst")
        port_src, port_dst = f"{self.protocol}_src", f"{self.protocol}_dst"
        kind = _exactly("eth_type", IPV6 if self.ipv6 else IPV4)
        protocol = _exactly("nw_proto", _PROTOCOLS[self.protocol])
        found = LearnLoad(dst=FlagBit.ECMP_NH_FOUND.bits, src=1)
        same = (
            _same("metadata"),
            _same("eth_src"),
            kind,
            _same(src),
            _same(dst),
            protocol,
            _same(port_src),
            _same(port_dst),
        )
        back = (
            _same("metadata"), kind, _same(src, dst), _same(dst, src), protocol, _same(port_src, port_dst),
            _same(port_dst, port_src),
        )  # fmt: skip
        return [_ecmp(OFTable.ECMP_NH_MAC, (*same, found)), _ecmp(OFTable.ECMP_NH, (*back, found))]


def _ecmp(table: int, specs: Iterable[LearnSpec]) -> Learn:
    return Learn(table, tuple(specs), idle_timeout=_ECMP_IDLE, hard_timeout=_ECMP_HARD, delete_learned=True)


def _protocol(cursor: Cursor) -> str:
    if cursor.token.kind != "id" or cursor.token.name not in _PROTOCOLS:
        raise cursor.syntax_error("invalid protocol")
    return cursor.advance().name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port (0: none)."""

    address: int
    ipv6: bool
    port: int = 0

    @classmethod
    def of(cls, text: str) -> Endpoint:
        """Read `10.0.0.1`, `10.0.0.1:80`, `fd00::1` or `[fd00::1]:80`.

        Raises:
            LexError: the text has none of these forms.
        """
        if text.startswith("["):
            host, _, port = text[1:].partition("]:")
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        else:
            host, port = text, ""
        value, mask, form = parse_constant(host)
        number = parse_constant(port)[0] if port else 0
        if mask is not None or form not in (Format.IPV4, Format.IPV6) or number >= 1 << 16:
            raise LexError("Invalid address.", text=text, span=(0, len(text)))
        return cls(value, form is Format.IPV6, number)

    def __str__(self) -> str:
        return format_address(self.address, ipv6=self.ipv6, port=self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitLbAffinity(Noted):
    """`commit_lb_aff(vip = "V", backend = "B", proto = P, timeout = T);`: learn the backend of a client (affinity)."""

    vip: Endpoint
    backend: Endpoint
    protocol: str
    timeout: int

    @classmethod
    def parse(cls, cursor: Cursor) -> CommitLbAffinity:
        """Parse the arguments; there is a protocol exactly when the VIP has a port.

        Raises:
            LangError: one is missing or malformed, or VIP and backend have different IP versions.
        """
        cursor.expect("(")
        vip = _endpoint(cursor, "vip")
        cursor.expect(",")
        start = cursor.token.start
        backend = _endpoint(cursor, "backend")
        cursor.expect(",")
        protocol = ""
        if backend.ipv6 != vip.ipv6:
            raise ParseError(
                "vip and backend are of different IP versions.", text=cursor.text, span=(start, cursor.token.start)
            )
        if vip.port:
            _key(cursor, "proto")
            protocol = _protocol(cursor)
            cursor.expect(",")
        _key(cursor, "timeout")
        timeout = cursor.expect_int(1 << 16)
        cursor.expect(")")
        return cls(vip=vip, backend=backend, protocol=protocol, timeout=timeout)

    def format(self) -> str:
        """Write the action."""
        protocol = f"proto = {self.protocol}, " if self.protocol else ""
        return f'commit_lb_aff(vip = "{self.vip}", backend = "{self.backend}", {protocol}timeout = {self.timeout});'

    def requires(self) -> tuple[str, ...]:
        """Require packets with the fields that the learned flow is made from."""
        family = "ip6" if self.vip.ipv6 else "ip4"
        return (family, self.protocol) if self.protocol else (family,)

    def encode(self, ctx: Context) -> list[OpenFlowAction]:
        """Return one learn action: the learned flow loads the backend into registers for this client's packets.

        The address is in reg4 and the port in reg8; for IPv6 the address is in xxreg0 in a switch and in xxreg1 in a
        router. For flows of OVN 25.03 the port is in reg2, and the address in xxreg1 in both.
        """
        six = self.vip.ipv6
        old = not ctx.consolidates_registers
        found = ("xxreg0" if ctx.is_switch and old else "xxreg1") if six else "reg4"
        specs: list[LearnSpec] = [
            _same("metadata"),
            _exactly("eth_type", IPV6 if six else IPV4),
            _same("ipv6_src" if six else "ip_src"),
            _exactly("ipv6_dst" if six else "ip_dst", self.vip.address),
        ]
        if self.protocol:
            specs.append(_exactly("nw_proto", _PROTOCOLS[self.protocol]))
            specs.append(_exactly(f"{self.protocol}_dst", self.vip.port))
        specs.append(LearnLoad(dst=FlagBit.LB_AFFINITY.bits, src=1))
        specs.append(LearnLoad(dst=Subfield.of(found), src=self.backend.address))
        if self.backend.port:
            specs.append(LearnLoad(dst=Subfield.of("reg8" if old else "reg2", ofs=0, n_bits=16), src=self.backend.port))
        return [Learn(OFTable.CHK_LB_AFFINITY, tuple(specs), idle_timeout=self.timeout, delete_learned=True)]


def _key(cursor: Cursor, name: str) -> None:
    if not cursor.take_name(name):
        raise cursor.syntax_error("invalid parameter")
    cursor.expect("=")


def _endpoint(cursor: Cursor, name: str) -> Endpoint:
    _key(cursor, name)
    if cursor.token.kind != "string":
        raise cursor.syntax_error("invalid parameter")
    token = cursor.advance()
    try:
        return Endpoint.of(token.name)
    except LangError as error:
        raise ParseError(error.message, text=cursor.text, span=(token.start, token.end)) from None
