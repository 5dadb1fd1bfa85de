"""Prefix delegation: router ports that receive their IPv6 prefix from an external delegating router.

On the chassis that hosts a router's gateway port with option `ipv6_prefix_delegation`, a prefix is requested for each
port of the router with option `ipv6_prefix`. The result is written to that port's option `ipv6_ra_pd_list` as
`NUMBER:PREFIX/LENGTH` (ovn-sb(5), handle_dhcpv6_reply), and copied to Northbound from there. The number belongs to the
port, so that another gateway that takes over requests the same prefix.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, keys
from ovenbird.controller.facts import DELEGATION
from ovenbird.controller.inject import inject_actions
from ovenbird.controller.local.local_data import hosted_row, is_relevant, peer_of
from ovenbird.controller.local.local_store import outcome, record, recorded
from ovenbird.controller.protocols.bfd_sessions import is_at_home, own_addresses
from ovenbird.controller.protocols.prefix_client import PrefixClient
from ovenbird.engine.lookups import table
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import PortBinding
from ovenbird.model.southbound_lookup import ports_of_types
from ovenbird.net import dhcp6, ethernet
from ovenbird.net.addresses import ipv6_bytes, ipv6_text, link_local, mac_bytes, multicast_mac
from ovenbird.net.dhcp6 import Dhcp6, IaPrefix
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import UDP
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.udp import Udp
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.controller.facts import Delegation
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.openflow.messages import Message, PacketIn

LIST = "ipv6_ra_pd_list"
_ALL_SERVERS = ipv6_bytes("ff02::1:2")
_SUBJECT = "prefix of "


@view
def upstream(datapath: UUID) -> PortBinding | None:
    """Return the port through which a router requests prefixes from this chassis."""
    ports = ports_of_types(table(PortBinding), datapath, "patch", "l3gateway")
    return min(filter(asks, ports), key=lambda port: port.logical_port, default=None)


@view
def asks(port: PortBinding) -> bool:
    """Return whether this chassis requests prefixes through a port."""
    return port.options.get("ipv6_prefix_delegation") == "true" and is_at_home(port)


@rule(PortBinding, when=is_relevant)
def delegations(port: PortBinding) -> Iterator[Fact]:
    """Yield the request of a port with `prefix`, and write its delegated prefix to Southbound."""
    if port.options.get("ipv6_prefix") != "true":
        return
    told = port.options.get(LIST)
    given = outcome(_SUBJECT + port.logical_port)
    if given is not None and (given or None) != told:
        yield EDIT(port, keys(PortBinding.options, (LIST, given or None)))
    outer = upstream(PortBinding.datapath.raw(port))
    peer = peer_of(outer) if outer is not None else None
    switch = hosted_row(PortBinding.datapath.raw(peer)) if peer is not None else None
    if outer is not None and peer is not None and switch is not None:
        mac, _ = own_addresses(outer)
        yield DELEGATION(port=port.logical_port, datapath=switch.tunnel_key, key=peer.tunnel_key, mac=mac)


def number_of(port: str) -> int:
    """Return the number of a port's association: the same on every chassis."""
    return zlib.crc32(port.encode()) & 0x7FFFFFFF or 1


def parse_list(text: str) -> IaPrefix | None:
    """Return the prefix that `ipv6_ra_pd_list` has; None for none."""
    prefix, _, length = text.partition(":")[2].partition("/")
    try:
        return IaPrefix(prefix=ipv6_bytes(prefix), length=int(length))
    except (PacketError, ValueError):
        return None


class _Asking:
    """A client, the fact that wants it, and its timer."""

    __slots__ = ("client", "fact", "timer")

    def __init__(self, fact: Delegation, client: PrefixClient) -> None:
        self.fact = fact
        self.client = client
        self.timer: asyncio.TimerHandle | None = None


class Delegations:
    """Requests the prefixes of one chassis's router ports.

    Arguments:
        send: sends a message to the switch.
        own: the controller's own rows, where prefixes are recorded.
        wake: is called when a prefix has changed.
    """

    def __init__(self, send: Callable[[Message], None], own: Store, wake: Callable[[], None]) -> None:
        self._send = send
        self._own = own
        self._wake = wake
        self._asking: dict[str, _Asking] = {}
        self._southbound: Store | None = None

    def attach(self, southbound: Store) -> None:
        """Use these rows, from now on, for the prefixes that ports had before."""
        self._southbound = southbound

    def absorb(self, *, added: Iterable[Delegation], removed: Iterable[Delegation]) -> None:
        """Take in a wave's facts."""
        for fact in removed:
            self._end(fact.port)
        for fact in added:
            self._begin(fact)

    def close(self) -> None:
        """Stop all requests."""
        for port in list(self._asking):
            self._end(port)

    def receive(self, packet_in: PacketIn) -> None:
        """Process a server's message received by a router.

        Raises:
            PacketError: it is none, or answers no question of ours.
        """
        packet = IPv6.decode(Ethernet.decode(packet_in.packet).payload)
        message = Dhcp6.decode(Udp.decode(packet.upper()[1]).payload)
        now = asyncio.get_running_loop().time()
        asking = next((one for one in self._asking.values() if one.client.receive(message, now)), None)
        if asking is None:
            raise PacketError(f"DHCPv6 message {message.type} that answers no question")
        self._follow(asking)

    def _begin(self, fact: Delegation) -> None:
        _, port, _datapath, _key, mac = fact
        row = self._southbound.find(PortBinding.logical_port, port) if self._southbound is not None else None
        known = parse_list(row.options.get(LIST, "")) if row is not None else None
        client = PrefixClient(mac_bytes(mac), iaid=number_of(port), now=asyncio.get_running_loop().time(), known=known)
        self._asking[port] = asking = _Asking(fact, client)
        self._follow(asking)

    def _end(self, port: str) -> None:
        asking = self._asking.pop(port, None)
        if asking is not None and asking.timer is not None:
            asking.timer.cancel()
        record(self._own, _SUBJECT + port, value=None)

    def _follow(self, asking: _Asking) -> None:
        """Record a client's prefix, and restart its timer."""
        client, port = asking.client, asking.fact.port
        prefix = client.prefix
        text = f"{client.iaid}:{ipv6_text(prefix.prefix)}/{prefix.length}" if prefix is not None else ""
        lapsed = prefix is None and recorded(self._own, _SUBJECT + port)
        if (prefix is not None or lapsed) and record(self._own, _SUBJECT + port, value=text):
            self._wake()
        if asking.timer is not None:
            asking.timer.cancel()
            asking.timer = None
        if client.due != float("inf"):
            asking.timer = asyncio.get_running_loop().call_at(client.due, self._tick, asking)

    def _tick(self, asking: _Asking) -> None:
        message = asking.client.tick(asyncio.get_running_loop().time())
        if message is not None:
            self._send(
                PacketOut(
                    packet=framed(mac_bytes(asking.fact.mac), message),
                    actions=inject_actions(datapath=asking.fact.datapath, port=asking.fact.key),
                )
            )
        self._follow(asking)


def framed(mac: bytes, message: Dhcp6) -> bytes:
    """Return the frame of a client's message to all servers."""
    source = link_local(mac)
    segment = Udp(sport=dhcp6.CLIENT_PORT, dport=dhcp6.SERVER_PORT, payload=message.encode()).encode(
        src=source, dst=_ALL_SERVERS
    )
    packet = IPv6(src=source, dst=_ALL_SERVERS, next_header=UDP, payload=segment, hop_limit=1)
    return Ethernet(dst=multicast_mac(_ALL_SERVERS), src=mac, ethertype=ethernet.IPV6, payload=packet.encode()).encode()
