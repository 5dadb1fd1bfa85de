"""Tunnels: a port of the integration bridge for each address of the best encapsulation of each other chassis.

Ports are named like the original's, `ovn-<six letters of the chassis>-<number>`, and identified by Port.external_ids:
ovn-chassis-id, `<chassis>@<address>`; they carry all logical networks (`key=flow`). ovn-architecture(7), "Tunnel
Encapsulations", defines how a packet's registers are carried.

Two chassis with several encapsulations in common use the best of them only (ovn-sb(5), Encap), with all addresses that
the remote chassis offers for it. An address leads to one chassis. Its port is kept as long as the address is wanted:
another chassis name, another encapsulation or other options are changed in place, since a switch that sees one tunnel
replaced by another to the same address refuses the new one as a duplicate.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, keys, to
from ovenbird.controller.local.bridge import ADD_PORT, DROP_PORT
from ovenbird.controller.local.chassis import DEFAULT_ENCAP, ENCAP_PREFERENCE
from ovenbird.controller.local.gateway import address_of, chassis_id
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import Settings, former_bridge, integration_bridge, own_chassis, settings
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, get, rows, select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.model.sb import Chassis, Encap, SBGlobal
from ovenbird.model.vswitch import Bridge, Interface, Port
from ovenbird.ovsdb.errors import OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 256
"""How many names may be taken before a new port is given up."""
IPSEC_OPTIONS = ("ipsec_encapsulation", "ipsec_forceencaps")
"""Options of SB_Global that become those of tunnels where `ipsec` is on."""
_HEXADECIMAL = re.compile("[0-9a-f]{1,4}")

TUNNEL_NUMBERS = Pool("tunnel number", 0, 0xFFFF)
"""The numbers at the end of tunnel ports' names, by chassis and address, within the six letters before."""


@view
def tunnel_ports() -> dict[str, UUID]:
    """Return the tunnel ports of the integration bridge by the address of their remote end."""
    bridge = integration_bridge()
    ends = [(end, port) for port in (bridge.ports if bridge is not None else ()) if (end := chassis_id(port))]
    found: dict[str, UUID] = {}
    for end, port in sorted(ends, key=lambda each: each[1].name):
        found.setdefault(address_of(end), port.uuid)
    return found


@view
def tunnel_port(address: str) -> UUID | None:
    """Return the tunnel port to an address."""
    return tunnel_ports().get(address)


@view
def is_moving() -> bool:
    """Return whether a former integration bridge still has tunnels."""
    former = former_bridge()
    return former is not None and any(chassis_id(port) for port in former.ports)


def joined_zones(mine: Settings, theirs: frozenset[str]) -> bool:
    """Return whether chassis of these transport zones have tunnels: they share a zone, or neither is in any."""
    return bool(mine.transport_zones & theirs) if mine.transport_zones or theirs else True


@view
def reachable(chassis: Chassis) -> bool:
    """Return whether this chassis makes a tunnel to another chassis: to other availability zones, gateways alone do."""
    mine = settings()
    if not mine.chassis or chassis.uuid == own_chassis() or not joined_zones(mine, chassis.transport_zones):
        return False
    return mine.interconnects or not flag(chassis.other_config, "is-remote")


@view
def usable(chassis: Chassis) -> tuple[Encap, ...]:
    """Return the encaps by which a chassis is reached: all those of the best type that both have, its default first."""
    mine = settings().encap_types
    common = [e for e in chassis.encaps if e.type in mine and e.type in ENCAP_PREFERENCE]
    best = max([ENCAP_PREFERENCE[e.type] for e in common], default=0)
    best_ones = [e for e in common if ENCAP_PREFERENCE[e.type] == best]
    return tuple(sorted(best_ones, key=lambda e: (flag(e.options, DEFAULT_ENCAP), e.ip), reverse=True))


@view
def owner(address: str) -> UUID | None:
    """Return the chassis to which the tunnel to an address leads; of several with that address, one."""
    found = [
        (ENCAP_PREFERENCE[encap.type], chassis.name, chassis.uuid)
        for encap in select(Encap.ip, address)
        for chassis in encap.referrers(Chassis.encaps)
        if reachable(chassis) and encap in usable(chassis)
    ]
    return max(found)[2] if found else None


@rule(Chassis)
def tunnels(chassis: Chassis) -> Iterator[Fact]:
    """Create the tunnel ports to a chassis, and keep them up to date."""
    bridge = integration_bridge()
    if bridge is None or not reachable(chassis) or progress().stopping or is_moving():
        return
    if chassis.encaps and not usable(chassis):
        yield warning(f"No supported encaps for '{chassis.name}': there is no tunnel to it")
    for encap in usable(chassis):
        if owner(encap.ip) == chassis.uuid:
            yield from _tunnel(bridge, chassis.name, encap)
        else:
            yield warning(
                f"{encap.ip} of '{chassis.name}' is also the address of another chassis, which has the tunnel"
            )


def _tunnel(bridge: Bridge, chassis: str, encap: Encap) -> Iterator[Fact]:
    """Yield the creation of the tunnel port to an encap of a chassis, or the changes to it."""
    end = f"{chassis}@{encap.ip}"
    options = tunnel_options(settings(), encap)
    number = TUNNEL_NUMBERS.get(end, scope=chassis[:6])
    uuid = tunnel_port(encap.ip)
    port = get(Port, uuid) if uuid is not None else None
    if port is None:
        name = _free_name(end, chassis[:6], number)
        ids = (("ovn-chassis-id", end),)
        yield ADD_PORT(bridge=bridge.uuid, name=name, kind=encap.type, options=options, ids=ids)
        return
    if chassis_id(port) != end:
        yield EDIT(port, keys(Port.external_ids, ("ovn-chassis-id", end)))
    for interface in port.interfaces:
        changes = [to(Interface.type, encap.type)] if interface.type != encap.type else []
        there, wanted = interface.options, dict(options)
        if there != wanted:
            names = sorted(there.keys() | wanted.keys())
            differing = [(name, wanted.get(name)) for name in names if there.get(name) != wanted.get(name)]
            changes.append(keys(Interface.options, *differing))
        if changes:
            yield EDIT(interface, *changes)


def _free_name(end: str, letters: str, number: int) -> str:
    """Return the name of a new tunnel port, which no other port of the switch has.

    Arguments:
        end: the remote end, whose number is to be kept.
        letters: the first letters of the chassis's name.
        number: the number to begin with.
    """
    for attempt in range(1, _MAX_ATTEMPTS):
        if find(Port.name, f"ovn-{letters}-{number:x}") is None:
            break
        number = TUNNEL_NUMBERS.get((end, attempt), scope=letters)
    return f"ovn-{letters}-{number:x}"


def tunnel_options(mine: Settings, encap: Encap) -> tuple[tuple[str, str], ...]:
    """Return the options of the interface that reaches an encap."""
    options = {**dict(mine.tunnel_options), "key": "flow", "remote_ip": encap.ip}
    options["csum"] = encap.options.get("csum", options["csum"])
    head = rows(SBGlobal)
    encrypted = bool(head) and head[0].ipsec
    if encrypted:
        options["remote_name"] = encap.chassis_name
        told = [key for key in IPSEC_OPTIONS if flag(head[0].options, key)]
        options |= dict.fromkeys(told, "yes")
    if (mine.set_local_ip or encrypted) and mine.encap_ips:
        options["local_ip"] = mine.default_encap_ip or mine.encap_ips[0]
    return tuple(sorted(options.items()))


@rule(Port)
def stale_tunnel(port: Port) -> Iterator[Fact]:
    """Remove a tunnel port to an address that no chassis has any more, or to which there is another port.

    All tunnel ports of a former integration bridge are removed, since the switch can have one tunnel to an address.
    """
    end = chassis_id(port)
    bridge, former = integration_bridge(), former_bridge()
    if not end or bridge is None:
        return
    places = port.referrers(Bridge.ports)  # a bridge's own list changes with every port that is plugged
    if former is not None and former in places:
        yield DROP_PORT(bridge=former.uuid, port=port.uuid)
    if bridge not in places:
        return
    address = address_of(end)
    if (owner(address) is None or tunnel_port(address) != port.uuid) and progress().settled:
        yield DROP_PORT(bridge=bridge.uuid, port=port.uuid)


def tunnel_to(chassis: UUID, *, encap: UUID | None) -> tuple[str, int] | None:
    """Return the encapsulation and the OpenFlow port by which a chassis is reached; None while there is no tunnel.

    Arguments:
        chassis: the remote chassis.
        encap: the encap that the logical port requests, if any; another is used while it has no tunnel.
    """
    return _tunnel_to(chassis, encap)


@view
def _tunnel_to(chassis: UUID, encap: UUID | None) -> tuple[str, int] | None:
    row = get(Chassis, chassis)
    if row is None or not reachable(row):
        return None
    wanted = get(Encap, encap) if encap is not None else None
    for choice in sorted(usable(row), key=lambda each: wanted is None or each.ip != wanted.ip):
        uuid = tunnel_port(choice.ip) if owner(choice.ip) == chassis else None
        port = get(Port, uuid) if uuid is not None else None
        for interface in port.interfaces if port is not None else ():
            if interface.type == choice.type and (interface.ofport or 0) > 0:
                return choice.type, interface.ofport or 0
    return None


def seed_numbers(engine: Engine, store: Store) -> None:
    """Reserve for each remote end the number at the end of its tunnel port's name."""
    for port in store.table(Port).rows.values():
        end = port.external_ids.get("ovn-chassis-id", "")
        letters, _, number = port.name.removeprefix("ovn-").rpartition("-")
        if end and port.name.startswith("ovn-") and _HEXADECIMAL.fullmatch(number):
            seed(engine, TUNNEL_NUMBERS, end, int(number, 16), letters)


async def remove_all(vswitch: Replica, bridge: str) -> None:
    """Remove the tunnel ports of a bridge; those that cannot be removed are logged and stay."""
    row = vswitch.store.find(Bridge.name, bridge)
    ports = [port.uuid for port in row.ports if "ovn-chassis-id" in port.external_ids] if row is not None else []
    if row is None or not ports:
        return
    transaction = vswitch.transaction()
    transaction.mutate(row, "ports", delete=ports)
    try:
        await vswitch.commit(transaction)
    except OvsdbError as error:
        log.warning("the tunnels of bridge %s could not be removed: %s", bridge, error)
