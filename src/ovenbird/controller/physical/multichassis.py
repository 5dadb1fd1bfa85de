"""Ports on several chassis at once, as those of an instance that moves while it runs (ovn-nb(5), `requested-chassis`).

The first chassis that the option names holds the port, the others are its additional ones. What goes to the port goes
to all of them. With `activation-strategy=rarp` an additional chassis lets nothing in or out until the instance has
said by RARP that it runs there now. On a switch with a physical network such a port is reached through tunnels, since
the network would deliver to one place only; what no tunnel can carry is answered with the size that one can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.controller.facts import cookie_of, flow
from ovenbird.controller.local.local_data import (
    carrier,
    interface_of,
    is_additional,
    is_concerned,
    localnet_key,
    resident,
)
from ovenbird.controller.local.settings import own_chassis, settings
from ovenbird.controller.physical.encaps import tunnel_to
from ovenbird.controller.pinctrl.learning import register
from ovenbird.engine.derived import Derived
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.lang.actions.layout import FlagBit, Tables
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model.sb import DatapathBinding, PortBinding
from ovenbird.model.vswitch import Interface
from ovenbird.net import ethernet
from ovenbird.net.errors import PacketError
from ovenbird.openflow.actions import (
    CheckPktLarger,
    Controller,
    Resubmit,
    SetField,
    SetTtl,
    StackPop,
    StackPush,
    encode_actions,
)
from ovenbird.openflow.fields import Subfield

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.openflow.actions import Action
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.transaction import Transaction

ACTIVATED = "additional-chassis-activated"
"""The key of Port_Binding.options that names the additional chassis where the instance has been heard."""

LARGE_PACKETS, LARGE_REPLIES = 37, 38

_TABLES = Tables()
_PB = PortBinding
_SPREAD = Derived(
    _PB.additional_chassis,
    _PB.datapath,
    keys=lambda values: (values[_PB.datapath.index],) if values[_PB.additional_chassis.index] else (),
)
"""The ports that have additional chassis, by datapath."""

_OVERHEAD = {"geneve": 38, "stt": 18, "vxlan": 30}
"""Bytes that an encapsulation adds to an Ethernet frame, besides the outer IP header: as the original counts them."""
_ETHERNET = 18
"""Bytes of an Ethernet header with a VLAN tag."""

_TOO_LARGE = Subfield.of("reg9", 1, 1)
_LOOPBACK = FlagBit.LOOPBACK.mask
_ONES = 0xFFFFFFFF
_METADATA_ONES = (1 << 64) - 1


def locations(port: PortBinding) -> list[tuple[UUID, UUID | None]]:
    """Return the chassis that a port is on, the main one first, each with the encap that it asks for."""
    main = _PB.chassis.raw(port)
    found = [(main, _PB.encap.raw(port))] if main is not None else []
    if not _PB.additional_chassis.raw(port):
        return found
    encaps = {encap.chassis_name: encap.uuid for encap in port.additional_encap}
    return found + [(chassis.uuid, encaps.get(chassis.name)) for chassis in port.additional_chassis]


def elsewhere(port: PortBinding, *, to_many: bool = False) -> list[tuple[str, int]]:
    """Return the encapsulations and OpenFlow ports by which the other chassis that a port is on are reached.

    Arguments:
        port: the port.
        to_many: whether it is for what goes to many ports at once, for which each chassis has one way.
    """
    me = own_chassis()
    others = {chassis: None if to_many else encap for chassis, encap in locations(port) if chassis != me}
    return [way for chassis, encap in others.items() if (way := tunnel_to(chassis, encap))]


@view
def spread_here(datapath: UUID) -> tuple[int, ...]:
    """Return the keys of a datapath's ports that are here and on other chassis as well."""
    return tuple([port.tunnel_key for port in _SPREAD.rows(datapath) if resident(port)])


def claimed_encaps(port: PortBinding, wanted: UUID | None) -> tuple[tuple[UUID, bool], ...]:
    """Return which encaps of this chassis a port's `additional_encap` gains (True) and loses (False)."""
    mine = settings().chassis
    there = {encap.uuid for encap in port.additional_encap if encap.chassis_name == mine}
    gained = {wanted} - there if wanted is not None else set()
    return (*((uuid, True) for uuid in sorted(gained)), *((uuid, False) for uuid in sorted(there - {wanted})))


# Activation.


@view
def is_blocked(port: PortBinding) -> bool:
    """Return whether this additional chassis waits for the instance to say that it runs here."""
    host = carrier(port)
    if host is None or not is_additional(port) or host.options.get("activation-strategy") != "rarp":
        return False
    return settings().chassis not in host.options.get(ACTIVATED, "").split(",")


def blocking(port: PortBinding, ofport: int, there: dict[str, tuple[int, int]], enter: tuple[Action, ...],
             deliver: int) -> Iterator[Fact]:  # fmt: skip
    """Yield the flows that let nothing through but the instance's RARP, of which the controller wants to know.

    Arguments:
        port: a blocked port.
        ofport: its OpenFlow port.
        there: the match of packets to it.
        enter: what puts a packet of it into the logical ingress pipeline.
        deliver: the table that delivers.
    """
    cookie = cookie_of(port)
    match = {"in_port_oxm": (ofport, _ONES)}
    yield flow(deliver, 1000, there, (), cookie)
    if port.parent_port:  # what comes from a container comes by its parent's interface
        return
    told = Controller(Userdata(Opcode.ACTIVATION_STRATEGY_RARP, None, settings().chassis.encode()).encode())
    yield flow(0, 1010, {**match, "eth_type": (ethernet.RARP, 0xFFFF)}, (*enter[:-1], told, enter[-1]), cookie)
    yield flow(0, 1000, match, (), cookie)


@dataclass(frozen=True, slots=True)
class Activated:
    """A port, by key, that has been heard on a chassis, by name."""

    datapath: int
    port: int
    chassis: str
    heard_by_many: bool = False


def activated(packet_in: PacketIn) -> Activated:
    """Return which port was heard.

    Raises:
        PacketError: the flow does not say.
    """
    chassis = Userdata.decode(packet_in.userdata).payload.rstrip(b"\0").decode(errors="replace")
    datapath, port = register(packet_in, "metadata"), register(packet_in, "reg14")
    if not chassis or not datapath or not port:
        raise PacketError("an activation without chassis or port")
    return Activated(datapath, port, chassis)


def stage_activated(store: Store, transaction: Transaction, what: Activated) -> None:
    """Write down where a port was heard, unless that is known.

    Arguments:
        store: Southbound's.
        transaction: on it.
        what: which port, and where.
    """
    datapath = store.find(DatapathBinding.tunnel_key, what.datapath)
    index = store.table(_PB).index(_PB.datapath, _PB.tunnel_key)
    for port in index.rows((datapath.uuid, what.port)) if datapath is not None else ():
        names = [name for name in port.options.get(ACTIVATED, "").split(",") if name]
        if what.chassis not in names:
            told = {ACTIVATED: ",".join([*names, what.chassis])}
            transaction.wait(port, {"options": port.options})  # another chassis may say the same of itself
            transaction.mutate(port, "options", delete=[ACTIVATED], insert=told)


# Packets that fit the physical network and no tunnel.


@rule(PortBinding, when=is_concerned)
def large_packets(port: PortBinding) -> Iterator[Fact]:
    """Answer packets from and to a port that is on several chassis, if they are too large for the way there."""
    if not _PB.additional_chassis.raw(port) or not resident(port) or not localnet_key(_PB.datapath.raw(port)):
        return
    datapath = get(DatapathBinding, _PB.datapath.raw(port))
    limit = _largest(port)
    if datapath is None or limit <= _ETHERNET:
        return
    cookie = cookie_of(port)
    measure = (CheckPktLarger(limit, _TOO_LARGE), Resubmit(LARGE_REPLIES))
    for register_ in ("reg14", "reg15"):
        match = {"metadata": (datapath.tunnel_key, _METADATA_ONES), register_: (port.tunnel_key, _ONES)}
        for ethertype, answer in ((ethernet.IPV4, _too_large4), (ethernet.IPV6, _too_large6)):
            of_version = {**match, "eth_type": (ethertype, 0xFFFF)}
            yield flow(LARGE_PACKETS, 100, of_version, measure, cookie)
            yield flow(LARGE_REPLIES, 100, {**of_version, "reg9": (2, 2)}, answer(limit - _ETHERNET), cookie)


def _largest(port: PortBinding) -> int:
    """Return the largest frame of a port's interface that still fits when it has been put into a tunnel."""
    uuid = interface_of(port.logical_port)
    interface = get(Interface, uuid) if uuid is not None else None
    mtu = interface.mtu or 0 if interface is not None else 0
    overheads = [_OVERHEAD[encapsulation] for encapsulation, _ in elsewhere(port)]
    outer = 40 if any(":" in ip for ip in settings().encap_ips) else 20
    return mtu - max(overheads) - outer if overheads else 0


def _swapped(one: str, other: str) -> tuple[Action, ...]:
    a, b = Subfield.of(one), Subfield.of(other)
    return StackPush(a), StackPush(b), StackPop(a), StackPop(b)


def _answer(version: tuple[Action, ...], icmp: tuple[Action, ...], told: Userdata) -> tuple[Action, ...]:
    """Return what sends an ICMP error back to who sent the packet, through the pipeline from its start.

    It enters by the port that the packet was for, or the switch would learn that port's addresses at the sender's.
    """
    again = (
        SetField.of("reg9", 0, 2), SetField.of("reg10", _LOOPBACK, _LOOPBACK),
        *_swapped("reg14", "reg15"), *_swapped("eth_src", "eth_dst"), *version, SetTtl(255), *icmp,
        Controller(told.encode(), pause=True), Resubmit(_TABLES.ingress),
    )  # fmt: skip
    return (Controller(Userdata(Opcode.ICMP, None, encode_actions(again)).encode()),)


def _too_large4(mtu: int) -> tuple[Action, ...]:
    """Return the answer of RFC 1191."""
    icmp = (SetField.of("icmp_type", 3), SetField.of("icmp_code", 4))
    told = Userdata(Opcode.PUT_ICMP4_FRAG_MTU, None, mtu.to_bytes(2, "big"))
    return _answer(_swapped("ip_src", "ip_dst"), icmp, told)


def _too_large6(mtu: int) -> tuple[Action, ...]:
    """Return the answer of RFC 4443, section 3.2."""
    icmp = (SetField.of("icmpv6_type", 2), SetField.of("icmpv6_code", 0))
    told = Userdata(Opcode.PUT_ICMP6_FRAG_MTU, None, mtu.to_bytes(4, "big"))
    return _answer(_swapped("ipv6_src", "ipv6_dst"), icmp, told)
