"""Tunnels: one port of the integration bridge for each encapsulation address of each other chassis.

Ports are named like the original's, `ovn-<six letters of the chassis>-<number>`, and recognised by Port.external_ids:
ovn-chassis-id, `<chassis>@<address>`; they carry any logical network (`key=flow`). The registers of a packet travel as
ovn-architecture(7), "Tunnel Encapsulations", says.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from ovenbird.controller.chassis import ENCAP_PREFERENCE, best_encap
from ovenbird.controller.facts import ADD_PORT, DROP_PORT
from ovenbird.controller.gateway import chassis_id
from ovenbird.controller.own import progress
from ovenbird.controller.settings import Settings, integration_bridge, settings
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Chassis, Encap
from ovenbird.model.vswitch import Bridge, Port
from ovenbird.ovsdb.errors import OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)

_HEXADECIMAL = re.compile("[0-9a-f]{1,4}")

NUMBERS = Pool("tunnel number", 0, 0xFFFF)
"""The numbers at the end of tunnel ports' names, by chassis and address, within the six letters before."""


@view
def tunnel_ports() -> dict[str, UUID]:
    """Return the tunnel ports of the integration bridge by their remote end."""
    bridge = integration_bridge()
    return {end: port.uuid for port in (bridge.ports if bridge is not None else ()) if (end := chassis_id(port))}


@view
def tunnel_port(end: str) -> UUID | None:
    """Return the tunnel port to a remote end."""
    return tunnel_ports().get(end)


def joined_zones(mine: Settings, theirs: frozenset[str]) -> bool:
    """Return whether tunnels are made between chassis of these transport zones: in one together, or in none at all."""
    return bool(mine.transport_zones & theirs) if mine.transport_zones or theirs else True


@view
def reachable(chassis: Chassis) -> bool:
    """Return whether the chassis is another one to which tunnels are made."""
    mine = settings()
    return mine.chassis not in ("", chassis.name) and joined_zones(mine, chassis.transport_zones)


@rule(Chassis)
def tunnels(chassis: Chassis) -> Iterator[Fact]:
    """Make the tunnel ports to a chassis."""
    bridge = integration_bridge()
    mine = settings()
    if bridge is None or not reachable(chassis) or progress().stopping:
        return
    for encap in chassis.encaps:
        if encap.type not in mine.encap_types or encap.type not in ENCAP_PREFERENCE:
            continue
        name, ip = chassis.name, encap.ip
        end = f"{name}@{ip}"
        number = NUMBERS.get(end, name[:6])
        options = tunnel_options(mine, encap)
        uuid = tunnel_port(end)
        port = get(Port, uuid) if uuid is not None else None
        if port is not None:
            right = any(i.type == encap.type and i.options == dict(options) for i in port.interfaces)
            if right:
                continue
            yield DROP_PORT(bridge.uuid, port.uuid)
        ids = (("ovn-chassis-id", end),)
        yield ADD_PORT(bridge.uuid, f"ovn-{name[:6]}-{number:x}", encap.type, options, ids)


def tunnel_options(mine: Settings, encap: Encap) -> tuple[tuple[str, str], ...]:
    """Return the options of the interface that reaches an encap."""
    options = {**dict(mine.tunnel_options), "key": "flow", "remote_ip": encap.ip}
    options["csum"] = encap.options.get("csum", options["csum"])
    if mine.set_local_ip and mine.encap_ips:
        options["local_ip"] = mine.encap_ips[0]
    return tuple(sorted(options.items()))


@rule(Port)
def stale_tunnel(port: Port) -> Iterator[Fact]:
    """Remove a tunnel port whose remote end is no longer a chassis's encap."""
    end = chassis_id(port)
    if not end or not progress().settled:
        return
    name, _, ip = end.partition("@")
    chassis = find(Chassis.name, name)
    if chassis is None or not reachable(chassis) or not any(e.ip == ip for e in chassis.encaps):
        bridge = integration_bridge()
        if bridge is not None and port in bridge.ports:
            yield DROP_PORT(bridge.uuid, port.uuid)


@view
def tunnel_to(chassis: UUID, encap: UUID | None) -> tuple[str, int] | None:
    """Return the encapsulation and the OpenFlow port by which a chassis is reached; None while there is no way.

    Arguments:
        chassis: the remote chassis.
        encap: its encap that the port at the other end asks for, if any.
    """
    row = get(Chassis, chassis)
    if row is None or not reachable(row):
        return None
    wanted = get(Encap, encap) if encap is not None else None
    chosen = wanted if wanted is not None and wanted.type in settings().encap_types else best_encap(row)
    uuid = tunnel_port(f"{row.name}@{chosen.ip}") if chosen is not None else None
    port = get(Port, uuid) if uuid is not None else None
    ofports = [i.ofport or 0 for i in port.interfaces] if port is not None else []
    return (chosen.type, ofports[0]) if chosen is not None and ofports and ofports[0] > 0 else None


def seed_numbers(engine: Engine, store: Store) -> None:
    """Give every remote end the number that its tunnel port's name ends with."""
    for port in store.table(Port).rows.values():
        end = port.external_ids.get("ovn-chassis-id", "")
        number = port.name.rpartition("-")[2]
        if end and port.name.startswith("ovn-") and _HEXADECIMAL.fullmatch(number):
            seed(engine, NUMBERS, end, int(number, 16), end.partition("@")[0][:6])


async def remove_all(vswitch: Replica, bridge: str) -> None:
    """Take the tunnel ports out of a bridge; what cannot be taken out is said and stays."""
    row = vswitch.store.find(Bridge.name, bridge)
    ports = [port.uuid for port in row.ports if "ovn-chassis-id" in port.external_ids] if row is not None else []
    if row is None or not ports:
        return
    transaction = vswitch.transaction()
    transaction.mutate(row, "ports", delete=ports)
    try:
        await vswitch.commit(transaction)
    except OvsdbError as error:
        log.warning("the tunnels of %s stay: %s", bridge, error)
