"""Unsolicited router advertisements: for every router port that sends them, on every chassis.

Their contents are in the options of the router port's binding (`ipv6_ra_*`; ovn-nb(5), Logical_Router_Port,
`ipv6_ra_configs`). An advertisement enters the switch as if it came from the router, and stays on this chassis, since
the others send their own. Intervals are those of RFC 4861 (section 6.2.4): random between the minimum and the maximum,
for the first three at most 16 seconds.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from ovenbird.controller.facts import ADVERTISED, Advertisement
from ovenbird.controller.inject import inject_actions
from ovenbird.controller.local.local_data import hosted_row, is_crossed, is_relevant, is_resident, peer_of
from ovenbird.controller.protocols.periodic import Periodic
from ovenbird.engine.rules import rule
from ovenbird.lang.actions.registry import parse_actions
from ovenbird.lang.actions.services import PutNdRaOpts
from ovenbird.lang.errors import LangError
from ovenbird.model.sb import PortBinding
from ovenbird.net import ethernet
from ovenbird.net.addresses import ALL_NODES, ipv6_bytes, mac_bytes, multicast_mac
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.numbers import integer
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovenbird.engine.facts import Fact
    from ovenbird.net.icmp import Icmp

log = logging.getLogger(__name__)

INITIAL, INITIAL_INTERVAL = 3, 16.0
"""How many initial advertisements there are, and the maximum seconds between them (MAX_INITIAL_RTR_ADVERTISEMENTS)."""

LONGEST = 600
"""Default maximum interval in seconds."""

_NUMBERS = (("mtu", "mtu"), ("rdnss", "rdnss"))
_TEXTS = (("route_info", "route_info"), ("dnssl", "dnssl"), ("prf", "router_preference"))


@rule(PortBinding, when=is_relevant)
def advertisements(port: PortBinding) -> Iterator[Fact]:
    """Yield what a router port advertises."""
    options = port.options
    if options.get("ipv6_ra_send_periodic") != "true" or port.type not in ("patch", "l3gateway"):
        return
    if port.type == "l3gateway" and not is_resident(port):
        return
    peer = peer_of(port)
    if peer is None or hosted_row(PortBinding.datapath.raw(port)) is None or not is_crossed(port):
        return
    switch = hosted_row(PortBinding.datapath.raw(peer))
    if switch is None:
        return
    try:
        frame = advertisement(options)
    except (LangError, PacketError, KeyError) as error:
        log.warning("port %s sends no router advertisements: %s", port.logical_port, error)
        return
    longest = _seconds(options, "ipv6_ra_max_interval", LONGEST)
    shortest = min(_seconds(options, "ipv6_ra_min_interval", max(longest // 3, 3)), longest)
    yield ADVERTISED(datapath=switch.tunnel_key, port=peer.tunnel_key, shortest=shortest, longest=longest, frame=frame)


def _seconds(options: Mapping[str, str], name: str, default: int) -> int:
    return integer(options.get(name, "")) or default


def advertisement(options: Mapping[str, str]) -> bytes:
    """Return the advertisement's frame, made from a port's options.

    Raises:
        LangError, PacketError, KeyError: the options are no advertisement's.
    """
    message = _message(options)
    source = ipv6_bytes(options["ipv6_ra_src_addr"])
    packet = IPv6(
        src=source,
        dst=ALL_NODES,
        next_header=ICMPV6,
        payload=message.encode_v6(src=source, dst=ALL_NODES),
        hop_limit=255,
    )
    mac = mac_bytes(options["ipv6_ra_src_eth"])
    return Ethernet(dst=multicast_mac(ALL_NODES), src=mac, ethertype=ethernet.IPV6, payload=packet.encode()).encode()


def _message(options: Mapping[str, str]) -> Icmp:
    """Return the ICMPv6 message, made like that of a solicited advertisement."""
    says = [f'addr_mode = "{options.get("ipv6_ra_address_mode", "slaac")}"', f"slla = {options['ipv6_ra_src_eth']}"]
    for names, form in ((_NUMBERS, "{} = {}"), (_TEXTS, '{} = "{}"')):
        says += [form.format(option, text) for name, option in names if (text := options.get(f"ipv6_ra_{name}"))]
    says += [f"prefix = {prefix}" for prefix in options.get("ipv6_ra_prefixes", "").split()]
    (action,) = parse_actions(f"reg0[0] = put_nd_ra_opts({', '.join(says)});").actions
    assert isinstance(action, PutNdRaOpts)  # noqa: S101 - what was written above is read
    return action.advertisement()


class Advertiser(Periodic[Advertisement]):
    """Sends the advertisements of one chassis."""

    def say(self, fact: Advertisement, done: int) -> float:
        """Advertise a router port."""
        _, datapath, port, shortest, longest, frame = fact
        self.send(PacketOut(packet=frame, actions=inject_actions(datapath=datapath, port=port, local=True)))
        pause = random.uniform(shortest, longest)  # noqa: S311 - to be spread is enough
        return min(pause, INITIAL_INTERVAL) if done < INITIAL else pause
