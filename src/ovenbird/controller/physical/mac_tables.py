"""Learned addresses: MAC addresses behind ports (FDB), and neighbours (MAC_Binding).

Tables 71 and 72 implement `get_fdb` and `lookup_fdb`; 66 and 67 implement `get_arp`/`get_nd` and
`lookup_arp`/`lookup_nd`. Table 79 counts the packets of neighbours, for `mac_cache_use`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import AGED, cookie_of, flow
from ovenbird.controller.local.local_data import hosted_row, is_hosted
from ovenbird.engine.lookups import find, table
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.options import number
from ovenbird.model.sb import FDB, DatapathBinding, MACBinding, PortBinding, StaticMACBinding
from ovenbird.model.southbound_lookup import datapath_by_key
from ovenbird.net.addresses import is_mac, mac_number
from ovenbird.net.ethernet import ARP, IPV4, IPV6
from ovenbird.net.ip import ip_address, is_address
from ovenbird.net.numbers import integer
from ovenbird.openflow.actions import SetField
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action

_M32, _M48, _M64 = ((1 << n) - 1 for n in (32, 48, 64))


@rule(FDB)
def fdb(row: FDB) -> Iterator[Fact]:
    """Yield the `get_fdb` and `lookup_fdb` flows of a learned MAC address."""
    datapath = datapath_by_key(table(DatapathBinding).store, row.dp_key)
    if datapath is None or not is_mac(row.mac) or hosted_row(datapath.uuid) is None:
        return
    mac = mac_number(row.mac)
    here = {"metadata": (row.dp_key, _M64)}
    cookie = cookie_of(row)
    found: tuple[Action, ...] = (SetField.of("reg15", row.port_key),)
    yield flow(OFTable.GET_FDB, 100, {**here, "eth_dst": (mac, _M48)}, found, cookie)
    known: tuple[Action, ...] = (SetField.bits(FlagBit.FDB_FOUND.bits, 1),)
    source = {**here, "reg14": (row.port_key, _M32), "eth_src": (mac, _M48)}
    yield flow(OFTable.LOOKUP_FDB, 100, source, known, cookie)


@rule(DatapathBinding)
def aged_switch(datapath: DatapathBinding) -> Iterator[Fact]:
    """Watch which learned MAC addresses are used in a switch where they expire."""
    if is_hosted(datapath.uuid) and (seconds := number(datapath.external_ids, "fdb_age_threshold", 0, high=_M32)):
        yield AGED(key=datapath.tunnel_key, threshold=seconds * 1000)


@rule(DatapathBinding)
def aged_router(datapath: DatapathBinding) -> Iterator[Fact]:
    """Watch which learned neighbours are used by a router where they expire, if northd says so as that of 25.03."""
    if is_hosted(datapath.uuid) and (seconds := _neighbour_threshold(datapath)):
        yield AGED(key=datapath.tunnel_key, threshold=seconds * 1000, neighbours=True)


@view
def _neighbour_threshold(datapath: DatapathBinding) -> int:
    """Return after how many seconds a router's learned neighbours expire, the first of them; 0 for never."""
    times = datapath.external_ids.get("mac_binding_age_threshold", "").split(";")  # of networks, and of the others
    seconds = [integer(each.rpartition(":")[2].strip(), low=1, high=_M32) for each in times]
    return min((each for each in seconds if each is not None), default=0)


@rule(MACBinding)
def mac_binding(row: MACBinding) -> Iterator[Fact]:
    """Yield the `get_arp`, `get_nd` and lookup flows of a learned neighbour; where it expires, those that count."""
    yield from _neighbour(row, 100)


@rule(StaticMACBinding)
def static_mac_binding(row: StaticMACBinding) -> Iterator[Fact]:
    """Yield the flows of a static neighbour, above or below those of learned ones."""
    yield from _neighbour(row, 150 if row.override_dynamic_mac else 50)


def _neighbour(row: MACBinding | StaticMACBinding, priority: int) -> Iterator[Fact]:
    port = find(PortBinding.logical_port, row.logical_port)
    if port is None or not (is_mac(row.mac) and is_address(row.ip)):
        return
    mac, ip = mac_number(row.mac), ip_address(row.ip)
    datapath = hosted_row(PortBinding.datapath.raw(port))
    if datapath is None:
        return
    base = {"metadata": (datapath.tunnel_key, _M64), **_address(ip)}
    cookie, bit = cookie_of(row), FlagBit.MAC_FOUND.bits
    yes: tuple[Action, ...] = (SetField.of("eth_dst", mac), SetField.bits(bit, 1))
    yield flow(OFTable.MAC_BINDING, priority, {**base, "reg15": (port.tunnel_key, _M32)}, yes, cookie)
    version = (0x0806, 0xFFFF) if ip.version == 4 else (0x86DD, 0xFFFF)
    asked = {**base, "reg14": (port.tunnel_key, _M32), "eth_src": (mac, _M48), "eth_type": version}
    if ip.version == 6:
        asked |= {"nw_proto": (58, 0xFF), "icmpv6_code": (0, 0xFF)}
    yield flow(OFTable.MAC_LOOKUP, priority, asked, (SetField.bits(bit, 1),), cookie)
    if isinstance(row, MACBinding) and _neighbour_threshold(datapath):
        here = {name: asked[name] for name in ("reg14", "eth_src")} | {"metadata": base["metadata"]}
        for match in _from_neighbour(ip):
            yield flow(OFTable.MAC_CACHE_USE, priority, here | match, (), cookie)


def _from_neighbour(ip: IPv4Address | IPv6Address) -> Iterator[dict[str, tuple[int, int]]]:
    """Yield the matches of packets from a neighbour: its answers about its own address, and what it sends."""
    number, ones = int(ip), (1 << ip.max_prefixlen) - 1
    if ip.version == 4:
        yield {"eth_type": (ARP, 0xFFFF), "arp_op": (2, 0xFFFF), "arp_spa": (number, ones)}
        yield {"eth_type": (IPV4, 0xFFFF), "ip_src": (number, ones)}
    else:
        advertised = {"nw_proto": (58, 0xFF), "icmpv6_type": (136, 0xFF), "icmpv6_code": (0, 0xFF)}
        yield {"eth_type": (IPV6, 0xFFFF), **advertised, "nd_target": (number, ones)}
        yield {"eth_type": (IPV6, 0xFFFF), "ipv6_src": (number, ones)}


def _address(ip: IPv4Address | IPv6Address) -> dict[str, tuple[int, int]]:
    """Return the registers that hold the address to look up: reg0, or reg0-3 from the most significant down."""
    number = int(ip)
    if ip.version == 4:
        return {"reg0": (number, _M32)}
    return {f"reg{n}": (number >> 32 * (3 - n) & _M32, _M32) for n in range(4)}
