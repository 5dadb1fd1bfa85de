"""The compiler between zones: one engine over Northbound, Southbound and the two Interconnection databases.

It reads and writes all four: Interconnection Southbound (this zone's rows, and the tunnel keys of transit switches),
Northbound (transit switches, remote ports, learned routes), Southbound (remote chassis, and the bindings of remote
ports) and Interconnection Northbound (the number of the last changes that all zones have applied). It does no I/O: a
driver runs waves, has each output plan its edits, and commits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.engine.engine import Engine
from ovenbird.ic.availability_zone import ZONES, ZoneRows, availability_zone
from ovenbird.ic.bounds import gateways, ports, routes, too_many, too_many_zones, zones
from ovenbird.ic.gateway import (
    ENCAPS,
    ENCAPS_OF_CHASSIS,
    ENCAPS_OF_GATEWAY,
    GATEWAYS,
    REMOTE_CHASSIS,
    REMOTE_ENCAPS,
    gateway,
    remote_gateway,
)
from ovenbird.ic.port_binding import (
    PORTS_OF_SWITCH,
    REMOTE_PLACES,
    REMOTE_PORTS,
    REQUESTED_KEYS,
    ZONE_PORTS,
    keep_keys,
    remote_place,
    remote_port,
    zone_port,
    zone_port_key,
)
from ovenbird.ic.route import (
    ADVERTISED,
    LEARNED,
    ROUTERS,
    ROUTES_OF_ROUTER,
    bad_addresses,
    connected_makers,
    connected_route,
    learned_makers,
    learned_route,
    learning_router,
    own_routes,
    static_makers,
    static_route,
    transit_ports,
    transit_routers,
)
from ovenbird.ic.route_exchange import bad_prefixes
from ovenbird.ic.sequence import REACHED, TOLD, all_applied, applied, tell
from ovenbird.ic.transit_switch import (
    DATAPATHS,
    SWITCHES,
    datapath_key,
    kept_keys,
    stored_keys,
    too_many_keys,
    transit_switch,
    unused,
)
from ovenbird.model import ic_sb, nb

if TYPE_CHECKING:
    from ovenbird.engine.facts import Members, Rows
    from ovenbird.engine.rows import Store

RULES = (
    availability_zone,
    zones,
    gateways,
    ports,
    routes,
    too_many,
    too_many_zones,
    stored_keys,
    kept_keys,
    unused,
    datapath_key,
    too_many_keys,
    transit_switch,
    gateway,
    remote_gateway,
    zone_port,
    zone_port_key,
    remote_port,
    remote_place,
    bad_prefixes,
    bad_addresses,
    transit_ports,
    transit_routers,
    static_makers,
    connected_makers,
    static_route,
    connected_route,
    learning_router,
    own_routes,
    learned_makers,
    learned_route,
    applied,
    all_applied,
    tell,
)
"""Every rule between zones."""

OUTPUTS: dict[Rows[Any], tuple[Members[Any, Any], ...]] = {
    ZONES: (),
    DATAPATHS: (),
    GATEWAYS: (ENCAPS_OF_GATEWAY,),
    ENCAPS: (),
    ZONE_PORTS: (),
    ADVERTISED: (),
    SWITCHES: (PORTS_OF_SWITCH,),
    REQUESTED_KEYS: (),
    REMOTE_PORTS: (),
    ROUTERS: (ROUTES_OF_ROUTER,),
    LEARNED: (),
    REMOTE_CHASSIS: (ENCAPS_OF_CHASSIS,),
    REMOTE_ENCAPS: (),
    REMOTE_PLACES: (),
    REACHED: (),
    TOLD: (),
}
"""What the rules own: rows, and which of their set columns."""


class Stores:
    """The four databases that the compiler is between.

    Arguments:
        northbound: this zone's Northbound.
        southbound: this zone's Southbound.
        ic_northbound: Interconnection Northbound.
        ic_southbound: Interconnection Southbound.
    """

    def __init__(self, *, northbound: Store, southbound: Store, ic_northbound: Store, ic_southbound: Store) -> None:
        self.northbound = northbound
        self.southbound = southbound
        self.ic_northbound = ic_northbound
        self.ic_southbound = ic_southbound

    def all(self) -> tuple[Store, ...]:
        """Return the four."""
        return (self.northbound, self.southbound, self.ic_northbound, self.ic_southbound)

    def zone_name(self) -> str:
        """Return the name of this zone; empty if it has none."""
        return next((row.name for row in self.northbound.table(nb.NBGlobal).rows.values()), "")


def build(stores: Stores, mine: ZoneRows) -> Engine:
    """Make the compiler.

    Arguments:
        stores: the databases, filled with what is there.
        mine: which rows of Interconnection Southbound are this zone's.
    """
    engine = Engine((*stores.all(), mine.own), RULES)
    keep_keys(engine, stores.ic_southbound)
    for rows, members in OUTPUTS.items():
        store = next(store for store in stores.all() if store.has(rows.row_class))
        if rows.row_class in ic_sb.ROWS:
            engine.bind(rows, store, *members, mine=mine.holds)
        else:
            engine.bind(rows, store, *members)
    return engine
