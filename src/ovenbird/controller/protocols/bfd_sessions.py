"""BFD sessions of logical routers with their next hops, from Southbound's BFD table.

A session runs on the chassis that hosts its router port. Its packets enter the router as if they came from the port,
and are routed normally; received ones are sent to the controller (`handle_bfd_msg`). The state is written to
BFD.status, unless the session is administratively down in Southbound. (BFD on tunnels is run by the switch: see
`physical.tunnel_bfd`.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, to
from ovenbird.controller.facts import SESSION
from ovenbird.controller.inject import inject_actions
from ovenbird.controller.local.local_data import hosted_row, is_resident
from ovenbird.controller.local.local_store import outcome, record
from ovenbird.controller.protocols.bfd_session import BfdEndpoint
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import BFD, PortBinding
from ovenbird.net import bfd, ethernet
from ovenbird.net.addresses import ip_bytes, ip_text, mac_bytes
from ovenbird.net.bfd import BfdState, Control
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ip import ip_address, ip_interface
from ovenbird.net.ipv4 import UDP, IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.udp import Udp
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.controller.facts import BfdSession
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import Message, PacketIn

_MICROSECONDS = 1000
_HOPS, _CONTROL_TRAFFIC = 255, 0xC0
_WORDS = {state: state.name.lower() for state in BfdState}


@view
def is_disabled(row: BFD) -> bool:
    """Return whether a session is administratively down."""
    return row.status == "admin_down"


@view
def is_at_home(port: PortBinding) -> bool:
    """Return whether this chassis alone hosts a router's port: as its gateway, or as that of a gateway router."""
    if port.type == "l3gateway":
        return is_resident(port)
    redirect = find(PortBinding.logical_port, port.options.get("chassis-redirect-port", ""))
    return redirect is not None and is_resident(redirect)


@view
def own_addresses(port: PortBinding) -> tuple[str, tuple[str, ...]]:
    """Return a router port's MAC address, and its IP addresses with their prefixes' lengths."""
    mac, *networks = (" ".join(sorted(port.mac)) or " ").split(" ")
    return mac, tuple(networks)


def source_for(networks: Iterable[str], address: str) -> str:
    """Return the source address for a peer: one in its network, or else of its IP version; None if there is none."""
    try:
        other = ip_address(address)
        mine = [ip_interface(text) for text in networks]
    except ValueError:
        return ""
    near = [i.ip for i in mine if other in i.network]
    same = [i.ip for i in mine if i.version == other.version and not i.ip.is_link_local]
    return next((str(ip) for ip in (*near, *same)), "")


@rule(BFD)
def sessions(row: BFD) -> Iterator[Fact]:
    """Yield a session that this chassis runs."""
    port = find(PortBinding.logical_port, row.logical_port)
    if port is None or not is_at_home(port):
        return
    datapath = hosted_row(PortBinding.datapath.raw(port))
    mac, networks = own_addresses(port)
    source = source_for(networks, row.dst_ip)
    if datapath is None or not source:
        return
    yield SESSION(
        uuid=row.uuid,
        datapath=datapath.tunnel_key,
        port=port.tunnel_key,
        mac=mac,
        source=source,
        address=str(ip_address(row.dst_ip)),
        numbers=(row.src_port, row.disc),
        times=(row.min_tx, row.min_rx, row.detect_mult),
        enabled=not is_disabled(row),
    )


@rule(BFD)
def session_status(row: BFD) -> Iterator[Fact]:
    """Write a session's state to Southbound."""
    state = outcome(row.uuid)
    if state is not None and row.status not in (state, "admin_down"):
        yield EDIT(row, to(BFD.status, state))


class _Run:
    """A running session: its fact, its state, and its timer."""

    __slots__ = ("fact", "session", "timer")

    def __init__(self, fact: BfdSession, session: BfdEndpoint) -> None:
        self.fact = fact
        self.session = session
        self.timer: asyncio.TimerHandle | None = None


class Sessions:
    """Runs the sessions of one chassis.

    Arguments:
        send: sends a message to the switch.
        own: the controller's own rows, where states are recorded.
        wake: is called when a state has changed.
    """

    def __init__(self, send: Callable[[Message], None], own: Store, wake: Callable[[], None]) -> None:
        self.refused = 0
        self._send = send
        self._own = own
        self._wake = wake
        self._runs: dict[str, _Run] = {}
        self._by_number: dict[int, _Run] = {}
        self._by_ends: dict[tuple[str, str], dict[str, _Run]] = {}  # own address and the other's; by UUID

    def absorb(self, *, added: Iterable[BfdSession], removed: Iterable[BfdSession]) -> None:
        """Process a wave's facts; a changed session continues with its new parameters."""
        gone = {fact.uuid: fact for fact in removed}
        for fact in added:
            run = self._runs.get(fact.uuid)
            if run is not None and run.fact[2:8] == fact[2:8]:
                gone.pop(fact.uuid, None)
                run.fact = fact
                self._configure(run)
                continue
            self._end(fact.uuid)
            gone.pop(fact.uuid, None)
            self._begin(fact)
        for uuid in gone:
            self._end(uuid)

    def close(self) -> None:
        """Stop all sessions."""
        for uuid in list(self._runs):
            self._end(uuid)

    def receive(self, packet_in: PacketIn) -> None:
        """Process a control packet received by a router.

        Raises:
            PacketError: it is none, or of no session.
        """
        source, destination, packet = control_of(packet_in.packet)
        known = packet.your_discriminator
        run = self._by_number.get(known) if known else self._between(destination, source)
        if run is None:
            self.refused += 1
            raise PacketError(f"BFD packet from {source} for session {packet.your_discriminator}")
        answer = run.session.receive(packet, asyncio.get_running_loop().time())
        if answer is not None:
            self._out(run, answer)
        self._follow(run)

    def _between(self, mine: str, other: str) -> _Run | None:
        """Return the session between two addresses, for a packet without our discriminator."""
        return next(iter(self._by_ends.get((mine, other), {}).values()), None)

    def _begin(self, fact: BfdSession) -> None:
        (_, number), (min_tx, min_rx, mult) = fact.numbers, fact.times
        now = asyncio.get_running_loop().time()
        session = BfdEndpoint(
            discriminator=number,
            min_tx=min_tx * _MICROSECONDS,
            min_rx=min_rx * _MICROSECONDS,
            detect_mult=mult,
            now=now,
        )
        run = self._runs[fact.uuid] = self._by_number[number] = _Run(fact, session)
        self._by_ends.setdefault((fact.source, fact.address), {})[fact.uuid] = run
        self._configure(run)

    def _configure(self, run: _Run) -> None:
        min_tx, min_rx, mult = run.fact.times
        now = asyncio.get_running_loop().time()
        run.session.configure(min_tx=min_tx * _MICROSECONDS, min_rx=min_rx * _MICROSECONDS, detect_mult=mult)
        if run.fact.enabled:
            run.session.enable(now)
        else:
            run.session.disable(now)
        self._follow(run)

    def _end(self, uuid: str) -> None:
        run = self._runs.pop(uuid, None)
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        if self._by_number.get(run.session.discriminator) is run:
            del self._by_number[run.session.discriminator]
        ends = run.fact.source, run.fact.address
        alike = self._by_ends[ends]
        del alike[uuid]
        if not alike:
            del self._by_ends[ends]
        record(self._own, uuid, value=None)
        self._wake()

    def _follow(self, run: _Run) -> None:
        """Record a session's state, and restart its timer."""
        if record(self._own, run.fact.uuid, value=_WORDS[run.session.state]):
            self._wake()
        if run.timer is not None:
            run.timer.cancel()
        run.timer = asyncio.get_running_loop().call_at(run.session.deadline, self._tick, run)

    def _tick(self, run: _Run) -> None:
        packet = run.session.tick(asyncio.get_running_loop().time())
        if packet is not None:
            self._out(run, packet)
        self._follow(run)

    def _out(self, run: _Run, packet: Control) -> None:
        _, _, datapath, port, mac, source, address, (udp_port, _), *_ = run.fact
        self._send(
            PacketOut(
                packet=framed(mac=mac, source=source, address=address, udp_port=udp_port, packet=packet),
                actions=inject_actions(datapath=datapath, port=port),
            )
        )


def framed(*, mac: str, source: str, address: str, udp_port: int, packet: Control) -> bytes:
    """Return the frame of a control packet, addressed to the router's port, which routes it on.

    Arguments:
        mac: the MAC address of the router's port.
        source: the IP address of the router's port.
        address: the IP address of the other end.
        udp_port: the source port, from 49,152 to 65,535 (RFC 5881, section 4).
        packet: the control packet.
    """
    src, dst, own = ip_bytes(source), ip_bytes(address), mac_bytes(mac)
    segment = Udp(sport=udp_port, dport=bfd.BFD_PORT, payload=packet.encode()).encode(src=src, dst=dst)
    if len(src) == 4:
        body = IPv4(src=src, dst=dst, proto=UDP, payload=segment, ttl=_HOPS, tos=_CONTROL_TRAFFIC).encode()
        return Ethernet(dst=own, src=own, ethertype=ethernet.IPV4, payload=body).encode()
    body = IPv6(
        src=src, dst=dst, next_header=UDP, payload=segment, hop_limit=_HOPS, traffic_class=_CONTROL_TRAFFIC
    ).encode()
    return Ethernet(dst=own, src=own, ethertype=ethernet.IPV6, payload=body).encode()


def control_of(packet: bytes) -> tuple[str, str, Control]:
    """Return source, destination and control packet of a frame.

    Raises:
        PacketError: it has none.
    """
    frame = Ethernet.decode(packet)
    ip = IPv4.decode(frame.payload) if frame.ethertype == ethernet.IPV4 else IPv6.decode(frame.payload)
    protocol, body = (ip.proto, ip.payload) if isinstance(ip, IPv4) else ip.upper()
    udp = Udp.decode(body)
    if protocol != UDP or udp.dport != bfd.BFD_PORT:
        raise PacketError(f"BFD in protocol {protocol}, port {udp.dport}")
    return ip_text(ip.src), ip_text(ip.dst), Control.decode(udp.payload)
