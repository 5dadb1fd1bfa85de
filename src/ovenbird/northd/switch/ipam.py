"""IPAM for ports with `dynamic` addresses: an Ethernet address, one of the switch's subnet, one of its IPv6 prefix.

ovn-nb(5), Logical_Switch, "IP Address Assignment", and Logical_Switch_Port, `addresses`. An assigned address is stored
in `dynamic_addresses` and kept as long as the port requests one; a port or router with the same configured address
takes it from the port that it was assigned to. Every port of a switch with IPAM claims its own addresses, so none is
assigned twice.
"""

from __future__ import annotations

import re
from functools import cache
from ipaddress import IPv4Network
from os import urandom
from typing import TYPE_CHECKING

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.addresses import ipv4_text, ipv6_text
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ipv4_address, ipv6_address
from ovenbird.northd.ir.addresses import (
    link_local,
    mac_prefix,
    parse_addresses,
    parse_interface,
    parse_ip,
    parse_mac,
    parse_network,
)
from ovenbird.northd.ir.feature import Feature, Setting
from ovenbird.northd.ir.router_port import router_peers
from ovenbird.northd.ir.switch_port import has_ipam, setting, switch_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.northd.ir.addresses import Addresses
    from ovenbird.northd.ir.switch_port import SwitchPort

MACS = Pool("Ethernet address", 1, 0xFF_FFFF)
"""The last three octets of generated MAC addresses, behind NB_Global's `mac_prefix`; one scope for all switches."""


class PortAddresses(NamedTuple):
    """The addresses that a port asked for by `dynamic`."""

    relation: Relation
    uuid: UUID
    dynamic_addresses: str | None


PORT_ADDRESSES = NamedRows(nb.LogicalSwitchPort, PortAddresses, update_only=True)

INTERFACE_ID = (1 << 64) - 1
"""The lower half of IPv6 addresses: an interface identifier made from a MAC (RFC 4291, section 2.5.1)."""


_AROUND = re.compile(r"\s*\.\.\s*")

MOST_EXCLUDED = 131_072
"""How many addresses `exclude_ips` may exclude altogether, since each is allocated singly."""


class Plan(NamedTuple):
    """The address plan of a switch.

    Arguments:
        network: its IPv4 subnet, or None.
        excluded: addresses of that subnet, as numbers, that are not assigned.
        prefix: the first half of IPv6 addresses as a number, or None.
        troubles: the parts of its configuration that are left out, and why.
    """

    network: IPv4Network | None
    excluded: tuple[int, ...]
    prefix: int | None
    troubles: tuple[str, ...]


@cache
def addresses_of(network: IPv4Network) -> Pool:
    """Return the pool of a subnet's addresses, without the network, the broadcast and the first host address.

    One scope for each switch.
    """
    first, last = int(network.network_address) + 2, int(network.broadcast_address) - 1
    return Pool(f"address of {network}", first, last)


@view
def plan(switch: nb.LogicalSwitch) -> Plan:
    """Parse a switch's address plan; only the parts that do not parse are left out."""
    config, troubles = switch.other_config, []
    network, prefix = _network(config.get("subnet", "")), _prefix(config.get("ipv6_prefix", ""))
    for name, part, wants in (("subnet", network, "an IPv4 network"), ("ipv6_prefix", prefix, "an IPv6 prefix of /64")):
        if part is None and name in config:
            troubles.append(f"{name} {config[name]!r} is not {wants}: ports are given no such addresses")
    excluded: list[int] = []
    for word, numbers in _ranges(config.get("exclude_ips", "")):
        if numbers is None or network is None:
            troubles.append(f"exclude_ips {word!r} is not a range of IPv4 addresses")
            continue
        low, high = int(network.network_address), int(network.broadcast_address)
        inside = range(max(numbers.start, low), min(numbers.stop, high + 1))
        if not inside:
            troubles.append(f"exclude_ips {word} is not in {network}")
        elif len(excluded) + len(inside) > MOST_EXCLUDED:
            troubles.append(f"exclude_ips {word} is left out: more than {MOST_EXCLUDED} addresses would be excluded")
        else:
            excluded += inside
    return Plan(network, tuple(excluded), prefix, tuple(troubles))


def _prefix(text: str) -> int | None:
    """Return the first half of the addresses of an IPv6 prefix; its length is 64, if it says one."""
    found = parse_interface(text)
    if found is None or found.version == 4 or ("/" in text and found.network.prefixlen != 64):
        return None
    return int(found.ip) & ~INTERFACE_ID


def _network(text: str) -> IPv4Network | None:
    found = parse_network(text)
    return found if isinstance(found, IPv4Network) and found.prefixlen <= 30 else None


def _ranges(text: str) -> Iterator[tuple[str, range | None]]:
    """Yield the words of `exclude_ips`, single addresses and ranges with `..`, each with its numbers or None."""
    for word in _AROUND.sub("..", text).split():
        begin, dots, end = word.partition("..")
        try:
            first = int(ipv4_address(begin))
            yield word, range(first, (int(ipv4_address(end)) if dots else first) + 1)
        except PacketError:
            yield word, None


@view
def made_up_prefix() -> str:
    """Return the first three octets of generated MAC addresses, with colons; empty while they are not chosen yet."""
    return mac_prefix(setting("mac_prefix"))


@rule(nb.LogicalSwitch)
def reserved(switch: nb.LogicalSwitch) -> Iterable[Fact]:
    """Allocate the addresses that are not for ports: excluded ones, and those of the routers on the switch."""
    if not switch_options(switch).has_ipam:
        return
    made = plan(switch)
    if made.network is not None:
        for number in made.excluded:
            _claim4(switch, made.network, number)
        for _, router in router_peers(switch):
            for subnet in router.ipv4:
                _claim4(switch, made.network, int(ipv4_address(subnet.ip)))
    for trouble in made.troubles:
        yield finding(switch, f"switch {switch.name}: {trouble}")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Assign addresses to a port with `dynamic`, and allocate those that a port has by configuration."""
    if port.has_ipam and (asks := next((text for text in port.texts if "dynamic" in text.split()), None)):
        request = AddressRequest(port, asks)
        yield PORT_ADDRESSES(port.hint, request.given())
        for trouble in request.troubles:
            yield finding(port.lsp, f"port {port.name} asks for {asks!r}: {trouble}")
        return
    if port.given is not None:
        yield PORT_ADDRESSES(port.hint, None)
    if port.has_ipam and port.type != "router":
        for address in port.addresses:
            _claim(port.switch, address)


class AddressRequest:
    """The request of a port with `dynamic`, and its result; a part that cannot be assigned fails alone.

    Arguments:
        port: the port.
        asks: the entry of its addresses.
    """

    def __init__(self, port: SwitchPort, asks: str) -> None:
        self.port = port
        self.plan = plan(port.switch)
        words = asks.split()
        at = words.index("dynamic")
        self.mac = parse_mac(words[at - 1]) if at else ""
        self.wanted = [parse_ip(word) for word in words[at + 1 :]]
        self.troubles = [f"{word!r} is not an address" for word in words[at + 1 :] if not parse_ip(word)]

    def given(self) -> str | None:
        """Return the addresses; None without an Ethernet address."""
        mac = self.mac or self._made_up()
        if not mac:
            return None
        found = [mac]
        if self.plan.network is not None and (four := self._four(self.plan.network)):
            found.append(four)
        if self.plan.prefix is not None:
            found.append(self._six(self.plan.prefix, mac))
        return " ".join(found)

    def _made_up(self) -> str:
        try:
            return _mac(self.port.hint) or ""
        except IdsExhaustedError:
            self.troubles.append(f"no Ethernet address that begins with {made_up_prefix()} is free")
            return ""

    def _four(self, network: IPv4Network) -> str:
        """Return an address of a subnet: the requested one if it is free, or else any that is free."""
        pool, key, switch = addresses_of(network), self.port.hint, self.port.switch.uuid
        asked = next((ip for ip in self.wanted if ip and ":" not in ip), "")
        want = int(ipv4_address(asked)) if asked else None
        if want is not None and not pool.low <= want <= pool.high:
            want = None
        try:
            number = pool.get(key, scope=switch, want=want, yields=True)
        except IdsExhaustedError:
            self.troubles.append(f"no IPv4 address of {network} is free")
            return ""
        given = ipv4_text(number)
        if asked and given != asked:
            why = "another port has it" if want is not None else f"it is not one of {network} for ports"
            self.troubles.append(f"it has {given} instead of {asked}: {why}")
        return given

    def _six(self, prefix: int, mac: str) -> str:
        """Return an address in a prefix: the requested one if it is free, or else the one made from the MAC."""
        given = ipv6_text(prefix | int(ipv6_address(link_local(mac))) & INTERFACE_ID)
        asked = next((ip for ip in self.wanted if ":" in ip), "")
        if not asked:
            return given
        number = int(ipv6_address(asked))
        if number & ~INTERFACE_ID != prefix:
            why = f"it is not one of {ipv6_text(prefix)}/64"
        elif IPV6_REQUESTS.get(self.port.hint, scope=(self.port.switch.uuid, number), want=1, yields=True) != 1:
            why = "another port has it"
        else:
            return asked
        self.troubles.append(f"it has {given} instead of {asked}: {why}")
        return given


IPV6_REQUESTS = Pool("request for an IPv6 address", 1, 65_535)
"""One scope for each address of each switch: the first port that requests it gets number 1, and the address."""


def _mac(key: str) -> str | None:
    prefix = made_up_prefix()
    if not prefix:
        return None
    number = MACS.get(key)
    return f"{prefix}:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"


def _claim(switch: nb.LogicalSwitch, address: Addresses) -> None:
    """Allocate the addresses that a port has by configuration."""
    if (number := made_up(address.mac, prefix=made_up_prefix())) is not None:
        MACS.get(number, want=number)
    network = plan(switch).network
    if network is not None:
        for ip in address.ipv4:
            _claim4(switch, network, int(ipv4_address(ip)))


def _claim4(switch: nb.LogicalSwitch, network: IPv4Network, number: int) -> None:
    """Allocate an IPv4 address; ports that have the same one by configuration share it."""
    pool = addresses_of(network)
    if pool.low <= number <= pool.high:
        pool.get(number, scope=switch.uuid, want=number)


def made_up(mac: str, *, prefix: str) -> int | None:
    """Return the number of a MAC address that has the prefix of generated ones, or None."""
    if not prefix or not mac.startswith(f"{prefix}:"):
        return None
    return int(mac[9:].replace(":", ""), 16) or None


def random_prefix() -> str:
    """Return the first three octets of random locally administered unicast MAC addresses."""
    octets = urandom(3)
    return f"{octets[0] & 0xFC | 2:02x}:{octets[1]:02x}:{octets[2]:02x}"


def keep_addresses(engine: Engine, northbound: Store, _: Store) -> None:
    """Reserve for ports the addresses that they had been assigned before this process started.

    Arguments:
        engine: whose addresses.
        northbound: the database as it is.
    """
    prefix = next(
        (mac_prefix(row.options.get("mac_prefix", "")) for row in northbound.table(nb.NBGlobal).rows.values()), ""
    )
    ports = northbound.table(nb.LogicalSwitchPort).rows
    for switch in northbound.table(nb.LogicalSwitch).rows.values():
        config = switch.other_config
        if not has_ipam(config):
            continue
        network = _network(config.get("subnet", ""))
        for uuid in nb.LogicalSwitch.ports.raw(switch):
            given = parse_addresses(ports[uuid].dynamic_addresses or "") if uuid in ports else None
            if given is None:
                continue
            if (number := made_up(given.mac, prefix=prefix)) is not None:
                seed(engine, MACS, uuid, number)
            if network is not None and given.ipv4:
                seed(engine, addresses_of(network), uuid, int(ipv4_address(given.ipv4[0])), switch.uuid)


FEATURE = Feature(
    "ipam",
    rules=(reserved,),
    port=port,
    needs=("given", "has_ipam"),
    outputs=(PORT_ADDRESSES,),
    settings=(Setting("mac_prefix", random_prefix, mac_prefix),),
    start=keep_addresses,
)
