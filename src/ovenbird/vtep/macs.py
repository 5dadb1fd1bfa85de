"""Remote MACs of hardware_vtep: the endpoints behind which a network's MACs are, and those that get copies.

Each port of the network that is on a chassis with a VXLAN endpoint is a MAC behind that endpoint; broadcast, unknown
unicast and multicast packets go to every such chassis. A logical switch and a network are associated by their tunnel
key, as the databases have it. Locators and sets of them have no owner: the server removes those without a reference, so
each is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.engine.facts import NamedRows, Rows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find, get, select
from ovenbird.engine.rules import rule
from ovenbird.engine.value_counts import ValueCounts
from ovenbird.engine.views import view
from ovenbird.model import sb
from ovenbird.model.vtep import (
    LogicalSwitch,
    McastMacsRemote,
    PhysicalLocator,
    PhysicalLocatorSet,
    UcastMacsRemote,
)
from ovenbird.net.addresses import is_mac, mac_bytes, mac_text
from ovenbird.vtep.gateways import ENCAPSULATION, IS_VTEP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID

UNKNOWN = "unknown-dst"
"""In the place of a MAC: packets to many, and to MACs that are not known (vtep(5), Mcast_Macs_Remote)."""

OVER_IPV4 = "vxlan_over_ipv4"
"""The one encapsulation type of the schema."""

HOSTS: ValueCounts[UUID] = ValueCounts(sb.PortBinding.datapath, value=sb.PortBinding.chassis)
"""The chassis that have ports of a datapath."""

_PL = PhysicalLocator
LOCATOR: Rows[tuple[str, str, int | None]] = Rows(_PL, (_PL.encapsulation_type, _PL.dst_ip, _PL.tunnel_key))
LOCATOR_SET: Rows[frozenset[UUID]] = Rows(PhysicalLocatorSet, (PhysicalLocatorSet.locators,))


class UnicastMac(NamedTuple):
    """A MAC behind an endpoint; the columns are those of vtep(5)."""

    relation: Relation
    MAC: str
    logical_switch: UUID
    locator: UUID


class MulticastMac(NamedTuple):
    """The endpoints that get copies; the columns are those of vtep(5)."""

    relation: Relation
    MAC: str
    logical_switch: UUID
    locator_set: UUID


UNICAST = NamedRows(UcastMacsRemote, UnicastMac, key=(UcastMacsRemote.MAC, UcastMacsRemote.logical_switch))
MULTICAST = NamedRows(McastMacsRemote, MulticastMac, key=(McastMacsRemote.MAC, McastMacsRemote.logical_switch))


@view
def endpoint(chassis: UUID) -> str:
    """Return the address of a hypervisor's VXLAN endpoint; empty if it has none, and for a gateway."""
    row = get(sb.Chassis, chassis)
    if row is None or IS_VTEP in row.other_config:
        return ""
    return min((encap.ip for encap in row.encaps if encap.type == ENCAPSULATION), default="")


def locator(address: str) -> UUID:
    """Return the UUID of the locator of an address."""
    return LOCATOR.uuid((OVER_IPV4, address, None))


@rule(_PL)
def present_locator(row: PhysicalLocator) -> Iterator[Fact]:
    """Leave a locator as it is."""
    yield LOCATOR(row.encapsulation_type, row.dst_ip, row.tunnel_key)


@rule(PhysicalLocatorSet)
def present_set(row: PhysicalLocatorSet) -> Iterator[Fact]:
    """Leave a set of locators as it is."""
    yield LOCATOR_SET(PhysicalLocatorSet.locators.raw(row))


@rule(sb.PortBinding)
def unicast(port: sb.PortBinding) -> Iterator[Fact]:
    """Yield the remote MACs of a port, for the logical switches of its network."""
    chassis = sb.PortBinding.chassis.raw(port)
    if chassis is None or port.type == "vtep":
        return
    switches = select(LogicalSwitch.tunnel_key, port.datapath.tunnel_key)
    if not switches:
        return
    address = endpoint(chassis)
    if not address:
        row = get(sb.Chassis, chassis)
        if row is not None and IS_VTEP not in row.other_config:
            yield finding(row, f"chassis {row.name} has no encap of type vxlan: VTEP gateways do not reach its ports")
        return
    macs = {mac_text(mac_bytes(words[0])) for text in port.mac if (words := text.split()) and is_mac(words[0])}
    if macs:
        yield LOCATOR(OVER_IPV4, address, None)
    for mac in sorted(macs):
        for switch in switches:
            yield UNICAST(MAC=mac, logical_switch=switch.uuid, locator=locator(address))


@rule(LogicalSwitch)
def multicast(switch: LogicalSwitch) -> Iterator[Fact]:
    """Yield the endpoints that get copies of a network's packets: those of every chassis that has ports of it."""
    datapath = find(sb.DatapathBinding.tunnel_key, switch.tunnel_key) if switch.tunnel_key else None
    if datapath is None:
        return
    addresses = sorted({address for chassis in HOSTS.values(datapath.uuid) if (address := endpoint(chassis))})
    if not addresses:
        return
    for address in addresses:
        yield LOCATOR(OVER_IPV4, address, None)
    locators = frozenset(locator(address) for address in addresses)
    yield LOCATOR_SET(locators)
    yield MULTICAST(MAC=UNKNOWN, logical_switch=switch.uuid, locator_set=LOCATOR_SET.uuid(locators))
