"""Addresses for ports that ask for `dynamic` ones: an Ethernet address, one of the switch's subnet, one of its prefix.

ovn-nb(5), Logical_Switch, "IP Address Assignment", and Logical_Switch_Port, `addresses`. What a port was given is in
its `dynamic_addresses` and stays as long as it asks; a port, or a router, that has an address by configuration takes it
from whoever was given it. Every port of a switch that assigns addresses claims its own, so nothing is given twice.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.logical.addresses import link_local, parse_addresses
from ovenbird.logical.feature import Feature
from ovenbird.logical.ports import assigns, manners, setting
from ovenbird.logical.routers import attached
from ovenbird.logical.tables import PORT_ADDRESSES
from ovenbird.model import nb
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ipv4_address, ipv4_network, ipv6_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Network

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Store
    from ovenbird.logical.addresses import Addresses
    from ovenbird.logical.ports import SwitchPort

log = logging.getLogger(__name__)

MACS = Pool("Ethernet addresses", 1, 0xFF_FFFF)
"""The last three octets of made-up Ethernet addresses, behind NB_Global's `mac_prefix`; one scope for all switches."""

INTERFACE_ID = (1 << 64) - 1
"""The half of an IPv6 address that an Ethernet address gives (RFC 4291, section 2.5.1)."""


MOST_EXCLUDED = 65_536
"""Addresses in one range of `exclude_ips`: each is taken one by one."""


class Plan(NamedTuple):
    """What a switch assigns.

    Arguments:
        network: its IPv4 subnet, or None.
        excluded: numbers of that subnet that are not for ports.
        prefix: the first half of IPv6 addresses as a number, or None.
    """

    network: IPv4Network | None
    excluded: tuple[int, ...]
    prefix: int | None


@cache
def addresses_of(network: IPv4Network) -> Pool:
    """Return the pool of a subnet's addresses: neither its first nor its last, nor the one that a router mostly has.

    One scope for each switch.
    """
    first, last = int(network.network_address) + 2, int(network.broadcast_address) - 1
    return Pool(f"addresses of {network}", first, last)


@view
def plan(switch: nb.LogicalSwitch) -> Plan:
    """Return what a switch assigns; parts that do not parse are left out."""
    config = switch.other_config
    network = _network(config.get("subnet", ""))
    prefix = _number6(config.get("ipv6_prefix", ""))
    excluded = tuple(_excluded(config.get("exclude_ips", ""), network))
    return Plan(network, excluded, prefix & ~INTERFACE_ID if prefix is not None else None)


def _number6(text: str) -> int | None:
    try:
        return int(ipv6_address(text))
    except PacketError:
        return None


def _network(text: str) -> IPv4Network | None:
    try:
        network = ipv4_network(text, strict=False)
    except ValueError:
        return None
    return network if network.prefixlen <= 30 else None


def _excluded(text: str, network: IPv4Network | None) -> Iterator[int]:
    """Yield the numbers of `exclude_ips`, single ones and ranges with `..`, as far as they are in the network."""
    if network is None:
        return
    low, high = int(network.network_address), int(network.broadcast_address)
    for word in text.split():
        begin, _, end = word.partition("..")
        try:
            first = int(ipv4_address(begin))
            last = int(ipv4_address(end)) if end else first
        except PacketError:
            continue
        numbers = range(max(first, low), min(last, high) + 1)
        if len(numbers) > MOST_EXCLUDED:
            log.warning("exclude_ips: %s is too large; choose a smaller subnet instead", word)
        else:
            yield from numbers


@view
def mac_prefix() -> str:
    """Return the first three octets of made-up Ethernet addresses, with colons; empty if nobody has chosen them yet."""
    return setting("mac_prefix").lower()


@rule(nb.LogicalSwitch)
def reserved(switch: nb.LogicalSwitch) -> Iterable[Fact]:
    """Take what is not for ports: excluded addresses, and those of the routers on the switch."""
    if manners(switch).assigns and (made := plan(switch)).network is not None:
        for number in made.excluded:
            _claim4(switch, made.network, number)
        for _, router in attached(switch):
            for subnet in router.ipv4:
                _claim4(switch, made.network, int(ipv4_address(subnet.ip)))
    return ()


def port(port: SwitchPort) -> Iterator[Fact]:
    """Give a port what it asks for; claim what it has by configuration."""
    if port.assigns and (asks := next((text for text in port.texts if "dynamic" in text.split()), None)):
        yield PORT_ADDRESSES(port.hint, _given(port, asks))
        return
    if port.given is not None:
        yield PORT_ADDRESSES(port.hint, None)
    if port.assigns and port.type != "router":
        for address in port.addresses:
            _claim(port.switch, address)


def _given(port: SwitchPort, asks: str) -> str | None:
    """Return the addresses of a port that asks for dynamic ones; None if there are none, or it asks for nonsense."""
    try:
        return _give(port, asks)
    except (IdsExhaustedError, PacketError) as error:
        log.warning("%s: %s", port.name, error)
        return None


def _give(port: SwitchPort, asks: str) -> str | None:
    """Make the addresses of a port that asks for dynamic ones."""
    made, words = plan(port.switch), asks.split()
    before, wanted = words[: words.index("dynamic")], words[words.index("dynamic") + 1 :]
    mac = before[0].lower() if before and parse_addresses(before[0]) is not None else _mac(port.hint)
    if mac is None:
        return None
    found = [mac]
    if made.network is not None:
        found.append(_four(port, made.network, next((word for word in wanted if ":" not in word), "")))
    if made.prefix is not None:
        six = next((word for word in wanted if ":" in word), "")
        number = made.prefix | int(ipv6_address(link_local(mac))) & INTERFACE_ID
        found.append(str(ipv6_address(six)) if six else ipv6_text(number))
    return " ".join(found)


def _four(port: SwitchPort, network: IPv4Network, wanted: str) -> str:
    """Return an address of a subnet: the one wanted if it is in there, or else one that nobody has."""
    if wanted and (ip := ipv4_address(wanted)) in network:
        _claim4(port.switch, network, int(ip))
        return str(ip)
    return ipv4_text(addresses_of(network).get(port.hint, port.switch.uuid))


def _mac(key: str) -> str | None:
    prefix = mac_prefix()
    if not prefix:
        return None
    number = MACS.get(key)
    return f"{prefix}:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"


def _claim(switch: nb.LogicalSwitch, address: Addresses) -> None:
    """Take addresses that a port has by configuration."""
    if (number := made_up(address.mac, mac_prefix())) is not None:
        MACS.get(number, want=number)
    network = plan(switch).network
    if network is not None:
        for ip in address.ipv4:
            _claim4(switch, network, int(ipv4_address(ip)))


def _claim4(switch: nb.LogicalSwitch, network: IPv4Network, number: int) -> None:
    """Take an address from those to give; all that have it by configuration hold it together."""
    pool = addresses_of(network)
    if pool.low <= number <= pool.high:
        pool.get(number, switch.uuid, number)


def made_up(mac: str, prefix: str) -> int | None:
    """Return the number of an Ethernet address that begins like those that are made up, or None."""
    if not prefix or not mac.startswith(f"{prefix}:"):
        return None
    return int(mac[9:].replace(":", ""), 16) or None


def keep(engine: Engine, northbound: Store) -> None:
    """Reserve for ports what they were given before this process started."""
    prefix = next(
        (row.options.get("mac_prefix", "") for row in northbound.table(nb.NBGlobal).rows.values()), ""
    ).lower()
    ports = northbound.table(nb.LogicalSwitchPort).rows
    for switch in northbound.table(nb.LogicalSwitch).rows.values():
        config = switch.other_config
        if not assigns(config):
            continue
        network = _network(config.get("subnet", ""))
        for uuid in nb.LogicalSwitch.ports.raw(switch):
            given = parse_addresses(ports[uuid].dynamic_addresses or "") if uuid in ports else None
            if given is None:
                continue
            if (number := made_up(given.mac, prefix)) is not None:
                seed(engine, MACS, uuid, number)
            if network is not None and given.ipv4:
                seed(engine, addresses_of(network), uuid, int(ipv4_address(given.ipv4[0])), switch.uuid)


FEATURE = Feature("addressing", (reserved,), port)
