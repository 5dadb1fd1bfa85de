"""Load balancing back to the sender: a client that is itself one of the backends (ovn-sb(5), chk_lb_hairpin).

Table 68 matches packets whose load-balanced destination is their own source, and learns flows for their replies into
table 69; table 70 replaces the source by the virtual address, so that the reply returns this way. Logical flows keep
the virtual address in reg1 or xxreg1, and its port in reg2, before load balancing; flows of OVN 25.03
keep the IPv4 address in reg4.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ovenbird.controller.facts import BALANCED, FLOW, cookie_of, flow
from ovenbird.controller.local.local_data import hosted, hosted_members
from ovenbird.controller.local.northd_dialect import consolidates_registers
from ovenbird.controller.local.template_variables import expanded
from ovenbird.engine.lookups import get, rows
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.lang.actions.learn import Endpoint
from ovenbird.lang.errors import LexError
from ovenbird.lang.templates.bytes import fields_template
from ovenbird.model.options import flag
from ovenbird.model.sb import DatapathBinding, LoadBalancer, SBGlobal
from ovenbird.openflow.actions import Ct, Learn, LearnLoad, LearnMatch, Nat, SetField, encode_actions
from ovenbird.openflow.fields import Subfield
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.lang.templates.bytes import ByteTemplate
    from ovenbird.openflow.actions import Action

    Fields = dict[str, tuple[int, int]]

_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_NATTED = 0x2  # the bit of ct_mark or ct_label by which northd knows balanced connections
_FOUND = FlagBit.HAIRPIN.bits
_SNAT_ZONE = Subfield.of("reg12", ofs=0, n_bits=16)
_M8, _M16, _M32 = 0xFF, 0xFFFF, 0xFFFFFFFF


@view
def natted() -> Fields:
    """Return the match of balanced connections: by their mark, or by their label for older releases of northd."""
    found = rows(SBGlobal)
    by_mark = not found or found[0].options.get("lb_hairpin_use_ct_mark", "true") == "true"
    return {"ct_mark" if by_mark else "ct_label": (_NATTED, _NATTED)}


@view
def hosted_datapaths(balancer: LoadBalancer) -> tuple[UUID, ...]:
    """Return the hosted datapaths that a load balancer is for, in order."""
    found = set(hosted() & LoadBalancer.datapaths.raw(balancer))
    for group in (balancer.datapath_group, balancer.ls_datapath_group, balancer.lr_datapath_group):
        found.update(hosted_members(group) if group is not None else ())
    return tuple(sorted(found))


@rule(LoadBalancer)
def hairpin(balancer: LoadBalancer) -> Iterator[Fact]:
    """Yield a load balancer's hairpin flows; with `ct_flush`, also the connections that live as long as its backends.

    ovn-nb(5), Load_Balancer, `options:ct_flush`.
    """
    datapaths = hosted_datapaths(balancer)
    if not datapaths:
        return
    protocol, cookie = balancer.protocol or "tcp", cookie_of(balancer)
    flushes = flag(balancer.options, "ct_flush")
    sources = [vip for text in balancer.options.get("hairpin_snat_ip", "").split() if (vip := _endpoint(text))]
    fill = _filled if flag(balancer.options, "template") else str
    for text, behind in sorted((fill(text), fill(behind)) for text, behind in balancer.vips.items()):
        vip = _endpoint(text)
        if vip is None:
            continue
        own = next((source for source in sources if source.ipv6 is vip.ipv6), None)
        source = own or vip
        endpoints = (_endpoint(each.strip()) for each in behind.split(","))
        backends = dict.fromkeys(each for each in endpoints if each and each.ipv6 is vip.ipv6)
        yield from _recognitions(vip, backends, source, protocol, cookie)
        if flushes:
            yield from (_connections(vip, backend, protocol) for backend in backends)
        yield from _translation(vip, source, protocol, cookie, () if own is None else datapaths)


def _filled(text: str) -> str:
    """Return a text with the values of its variables; nothing if they are too long."""
    try:
        return expanded(text)
    except LexError:
        return ""


def _endpoint(text: str) -> Endpoint | None:
    """Parse an address and port; None if that fails, which northd has reported unless variables are at fault."""
    try:
        return Endpoint.of(text)
    except LexError:
        return None


def _connections(vip: Endpoint, backend: Endpoint, protocol: str) -> Fact:
    """Return the connections to a backend by a virtual address."""
    return BALANCED(
        protocol=_NUMBERS[protocol] if vip.port else 0,
        vip=_address(vip),
        vip_port=vip.port,
        backend=_address(backend),
        backend_port=backend.port,
    )


def _address(endpoint: Endpoint) -> bytes:
    return endpoint.address.to_bytes(16 if endpoint.ipv6 else 4, "big")


def _asked_for(vip: Endpoint, protocol: str) -> Fields:
    """Return the match of packets to a virtual address, which registers hold."""
    match: Fields = {"eth_type": (0x86DD if vip.ipv6 else 0x0800, _M16)}
    if vip.ipv6:
        for number in range(4):
            match[f"reg{4 + number}"] = (vip.address >> 96 - 32 * number & _M32, _M32)
    else:
        match["reg4" if consolidates_registers() else "reg1"] = (vip.address, _M32)
    if vip.port:
        match |= {"nw_proto": (_NUMBERS[protocol], _M8), "reg2": (vip.port, _M16)}
    return match


def _recognitions(
    vip: Endpoint, backends: Iterable[Endpoint], source: Endpoint, protocol: str, cookie: int
) -> Iterator[Fact]:
    """Yield the flows that recognise packets of backends to themselves; they differ in the backend alone."""
    forms: dict[bool, tuple[ByteTemplate, bytes]] = {}
    for backend in backends:
        with_port = backend.port != 0
        if with_port not in forms:
            actions = _learned(source, protocol, cookie, with_port=with_port)
            forms[with_port] = _recognised(vip, protocol, with_port=with_port), encode_actions(actions)
        match, encoded = forms[with_port]
        values = _address(backend), backend.port.to_bytes(2, "big")
        yield (FLOW, OFTable.CHK_LB_HAIRPIN, 100, match.filled(values), encoded, cookie)


def _recognised(vip: Endpoint, protocol: str, *, with_port: bool) -> ByteTemplate:
    """Return the match of packets of a backend to itself, with slots for its address and, where it has one, port."""
    ones = (1 << (128 if vip.ipv6 else 32)) - 1
    src, dst = ("ipv6_src", "ipv6_dst") if vip.ipv6 else ("ip_src", "ip_dst")
    fields = {**_asked_for(vip, protocol), **natted(), src: (0, ones), dst: (0, ones)}
    slots = {src: 0, dst: 0}
    if with_port:
        port = f"{protocol}_dst"
        fields |= {"nw_proto": (_NUMBERS[protocol], _M8), port: (0, _M16)}
        slots[port] = 1
    return fields_template(fields, slots)


def _learned(source: Endpoint, protocol: str, cookie: int, *, with_port: bool) -> tuple[Action, ...]:
    """Return the actions on such packets: the flow is learned that recognises the replies."""
    kind = 0x86DD if source.ipv6 else 0x0800
    src, dst = ("ipv6_src", "ipv6_dst") if source.ipv6 else ("ip_src", "ip_dst")
    specs = [_same("metadata"), LearnMatch(dst=Subfield.of("eth_type"), src=kind), _same(src)]
    specs.append(LearnMatch(dst=Subfield.of(dst), src=source.address))
    if with_port:
        specs.append(LearnMatch(dst=Subfield.of("nw_proto"), src=_NUMBERS[protocol]))
        specs.append(LearnMatch(dst=Subfield.of(f"{protocol}_src"), src=Subfield.of(f"{protocol}_dst")))
    else:
        specs.append(_same("nw_proto"))
    replies = Learn(
        OFTable.CHK_LB_HAIRPIN_REPLY, (*specs, LearnLoad(dst=_FOUND, src=1)), cookie=cookie, delete_learned=True
    )  # fmt: skip
    return (SetField.bits(_FOUND, 1), replies)


@cache
def _same(name: str) -> LearnMatch:
    return LearnMatch(dst=Subfield.of(name), src=Subfield.of(name))


def _translation(
    vip: Endpoint, source: Endpoint, protocol: str, cookie: int, datapaths: tuple[UUID, ...]
) -> Iterator[Fact]:
    """Yield the flows that translate the source of hairpin packets, to the virtual address or `hairpin_snat_ip`."""
    action = Ct(_SNAT_ZONE, commit=True, actions=(Nat(src=True, addr_min=_address(source)),))
    match = _asked_for(vip, protocol)
    priority = (200 if datapaths else 100) - (0 if vip.port else 10)
    if not datapaths:
        yield flow(OFTable.CT_SNAT_HAIRPIN, priority, match, (action,), cookie)
    for uuid in datapaths:
        row = get(DatapathBinding, uuid)
        if row is not None:
            here = {**match, "metadata": (row.tunnel_key, (1 << 64) - 1)}
            yield flow(OFTable.CT_SNAT_HAIRPIN, priority, here, (action,), cookie)
