"""Ageing and invalidation of the neighbours that chassis learned (MAC_Binding).

A row is kept as long as the router port that learned it exists, until it expires (`mac_binding_age_threshold`), and
unless Northbound contradicts it. Otherwise packets to an address that moves from one router to another, or is no longer
translated, would be sent to its previous location: a chassis does not send requests for addresses that it knows, and
not every chassis receives an announcement. Contradicted is, in the switch of the port that learned it:

- an address of a distributed gateway port or a translation, with another MAC address than theirs;
- a router port's MAC address, for an IP address that its router does not answer for.

Other neighbours are not checked. Each row is compared with the few rows that have its addresses, independent of the
size of the network. Neutron's driver deletes such rows when it creates and deletes floating IPs and gateways.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ovenbird.engine.alarms import due
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import KeyRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.northd.ir.addresses import parse_ip, parse_mac
from ovenbird.northd.ir.ageing import AgeThresholds, parse_thresholds, removal_limit
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.load_balancer import router_groups
from ovenbird.northd.ir.router_port import (
    LRP,
    RouterPort,
    peer_switch_port,
    router_port_by_name,
    router_port_of,
    shared,
    subnets,
)
from ovenbird.northd.ir.southbound_rows import northbound_uuid
from ovenbird.northd.router.nat_precedence import LED_IN, TRANSLATED
from ovenbird.northd.router.nat_rule import nat_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store

AGE_THRESHOLD = "mac_binding_age_threshold"

MAC_LEARNED = KeyRows(sb.MACBinding)
"""Neighbours that chassis learned; rows that no rule wants to keep are removed."""


def _mac(values: list[Any]) -> Iterable[str]:
    return (mac,) if (mac := parse_mac(values[LRP.mac.index])) else ()


def _central_addresses(values: list[Any]) -> Iterable[str]:
    if not values[LRP.gateway_chassis.index] and values[LRP.ha_chassis_group.index] is None:
        return ()
    texts = values[LRP.networks.index]
    return {subnet.ip: None for version in (4, 6) for subnet in subnets(texts, version)}


BY_MAC = ComputedIndex(LRP.mac, keys=_mac)
"""Router ports by MAC address."""

GATEWAYS = ComputedIndex(LRP.networks, LRP.gateway_chassis, LRP.ha_chassis_group, keys=_central_addresses)
"""Distributed gateway ports by address: those of other ports are the same in many networks."""


@rule(sb.MACBinding)
def learned(row: sb.MACBinding) -> Iterator[Fact]:
    """Keep a learned neighbour until its port is gone, it is too old, or Northbound contradicts it."""
    port = router_port_by_name(row.logical_port)
    if (
        port is None
        or northbound_uuid(row.datapath) != port.router
        or contradicted(port, ip_text=row.ip, mac_text=row.mac)
    ):
        return
    age = oldest(port.router, row.ip)
    if not age or not due(row, row.timestamp + age):
        yield MAC_LEARNED(row.uuid)


def oldest(uuid: UUID, ip: str) -> int:
    """Return after how many milliseconds a neighbour that a router learned expires; 0 for never.

    Arguments:
        uuid: the router's.
        ip: the neighbour's address.
    """
    thresholds = router_thresholds(uuid)
    return thresholds.of(ip) * 1000 if thresholds is not None else 0


@view
def router_thresholds(uuid: UUID) -> AgeThresholds | None:
    """Return after how many seconds a router's learned neighbours expire; None if they do not."""
    router = get(nb.LogicalRouter, uuid)
    return parse_thresholds(router.options.get(AGE_THRESHOLD, "")) if router is not None else None


@rule(nb.LogicalRouter)
def invalid_thresholds(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Report thresholds that are invalid."""
    given = router.options.get(AGE_THRESHOLD, "")
    if given and parse_thresholds(given) is None:
        yield finding(router, f"no neighbours of router {router.name} expire: {AGE_THRESHOLD}={given!r} is invalid")


def contradicted(port: RouterPort, *, ip_text: str, mac_text: str) -> bool:
    """Return whether Northbound gives an address another MAC address than the one that was learned at a port.

    Arguments:
        port: the router's port.
        ip_text: the address, as the row of MAC_Binding has it.
        mac_text: the MAC address learned for it, likewise.
    """
    ip, mac = parse_ip(ip_text), parse_mac(mac_text)
    if not ip or not mac:
        return False
    owners = {owner for near, owner in _owners(ip) if _beside(near, port)}
    if owners:
        return mac not in owners
    return any(
        _beside(other, port) and not _answers(other, ip) for lrp in BY_MAC.rows(mac) if (other := router_port_of(lrp))
    )


def _owners(ip: str) -> Iterator[tuple[RouterPort, str]]:
    """Yield the router ports that answer for an address, each with the MAC address that it answers with."""
    for lrp in GATEWAYS.rows(ip):
        port = router_port_of(lrp)
        if port is not None:
            yield port, port.mac
    for row in TRANSLATED.rows(ip):
        made = nat_rule(row)
        if made is not None and made.outside is not None:
            yield made.outside, made.mac or made.outside.mac


def _beside(one: RouterPort, other: RouterPort) -> bool:
    """Return whether two router ports are connected to the same switch."""
    here, there = peer_switch_port(one.name), peer_switch_port(other.name)
    return here is not None and there is not None and here.switch is there.switch


def _answers(port: RouterPort, ip: str) -> bool:
    """Return whether a router port, or the switch on its behalf, answers for an address with this MAC address."""
    router, met = get(nb.LogicalRouter, port.router), peer_switch_port(port.name)
    if router is None or any(subnet.ip == ip for subnet in (*port.ipv4, *port.ipv6)):
        return True
    if router.load_balancer or router_groups(router) or (met is not None and "arp_proxy" in met.lsp.options):
        return True
    return shared(router, ip) or bool(LED_IN.rows(router.uuid, ip))


def limit_removals(engine: Engine, northbound: Store, _: Store) -> None:
    """Limit how many neighbours expire at once (`mac_binding_removal_limit`).

    Arguments:
        engine: the engine whose alarms are limited.
        northbound: has the limit, which may change at any time.
    """
    engine.alarms.limits[sb.MACBinding] = partial(removal_limit, northbound, "mac_binding_removal_limit")


FEATURE = Feature("mac_binding", rules=(learned, invalid_thresholds), outputs=(MAC_LEARNED,), start=limit_removals)
