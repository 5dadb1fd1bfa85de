"""Gateway scheduling: which chassis may host a router's gateway port, in what order.

A candidate has a bridge mapping for the external network's physical network (`ovn-bridge-mappings`), is enabled as a
gateway (`ovn-cms-options=enable-chassis-as-gw`), and is in one of the router's availability zones. Up to ``MOST``
candidates are chosen. The first one is active; BFD between them decides when the next takes over, so the failure of a
chassis whose row stays in Southbound does not change the schedule.

If tunnels carry the external network, no chassis is connected to it physically: the whole router is then on the first
candidate, and moves when that is no longer a candidate.

A schedule is stable: it keeps its chassis as long as they are candidates. When one is removed, the others move up; a
new candidate is added, and becomes the first for as many gateways as balance the load. The schedules are read back from
Northbound when the compiler starts.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ovenbird.engine import lookups, tracking
from ovenbird.engine.tracking import Source
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.chassis import availability_zones, offers_gateway, physical_networks

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ovenbird.engine.rows import Store

MOST = 5
"""Maximum chassis of one gateway; Neutron's limit, which bounds the number of BFD sessions."""

HOME = "chassis"
"""The option of a logical router that is on one chassis alone (ovn-nb(5), Logical_Router)."""

IS_GATEWAY = "neutron:is_ext_gw"


@view
def bridge_mappings(chassis: sb.Chassis) -> frozenset[str]:
    """Return the physical networks that a chassis is connected to."""
    return physical_networks(chassis)


@view
def is_gateway(chassis: sb.Chassis) -> bool:
    """Return whether a chassis is enabled as a gateway (`enable-chassis-as-gw`)."""
    return offers_gateway(chassis)


@view
def zones(chassis: sb.Chassis) -> frozenset[str]:
    """Return the availability zones that a chassis is in."""
    return availability_zones(chassis)


@view
def candidates(physical_network: str | None, wanted_zones: frozenset[str]) -> tuple[str, ...]:
    """Return the names of the chassis that can host gateways to an external network.

    Arguments:
        physical_network: its physical network; None for a tunnelled one, which every chassis reaches.
        wanted_zones: availability zones, of which a chassis must be in one; empty for any.
    """
    found = [
        chassis.name
        for chassis in lookups.rows(sb.Chassis)
        if is_gateway(chassis)
        and (physical_network is None or physical_network in bridge_mappings(chassis))
        and (not wanted_zones or wanted_zones & zones(chassis))
    ]
    return tuple(sorted(found))


def by_chance(key: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """Return chassis for a gateway in a random order that is always the same for that gateway."""
    return tuple(sorted(among, key=lambda chassis: sha256(f"{key} {chassis}".encode()).digest())[:MOST])


def least_loaded(key: str, among: tuple[str, ...]) -> tuple[str, ...]:
    """Return chassis for a gateway, least loaded first; they stay allocated while the caller depends on them.

    Arguments:
        key: the gateway.
        among: the candidate chassis.

    Raises:
        LookupError: nothing is being computed.
    """
    node = tracking.reader
    if node is None:
        raise LookupError("chassis are chosen in a computation only")
    return _placements(node.engine).choose(key, among)


def seed(engine: Any, northbound: Store) -> None:
    """Reserve the placements in Northbound, so that a restart moves no gateway."""
    placements = _placements(engine)
    for port in northbound.table(nb.LogicalRouterPort):
        chosen = sorted(port.gateway_chassis, key=lambda gateway: -gateway.priority)
        if chosen and port.name.startswith("lrp-"):
            placements.hold(port.name.removeprefix("lrp-"), tuple(gateway.chassis_name for gateway in chosen))
    for router in northbound.table(nb.LogicalRouter):
        home = router.options.get(HOME, "")
        for port in router.ports if home else ():
            if port.name.startswith("lrp-") and port.external_ids.get(IS_GATEWAY) == str(True):
                placements.hold(port.name.removeprefix("lrp-"), (home,))


def _placements(engine: Any) -> Placements:
    """Return an engine's placements, which are kept with its ids."""
    scope: tuple[Any, Hashable] = (Placements, None)
    found: Placements | None = engine.scopes.get(scope)
    if found is None:
        found = engine.scopes[scope] = Placements(engine)
    return found


class Placement(Source):
    """The chassis of one gateway; it exists while it has readers.

    Arguments:
        placements: all placements of the engine.
        key: the gateway port, by its UUID.
        chosen: the present chassis, the active one first.
    """

    __slots__ = ("among", "chosen", "key", "placements")

    def __init__(self, placements: Placements, key: str, chosen: tuple[str, ...]) -> None:
        super().__init__()
        self.placements = placements
        self.key = key
        self.chosen = chosen
        self.among: frozenset[str] | None = None
        """The candidates at the last decision; None for a placement found in Northbound."""

    def unread(self) -> None:
        """Let the engine release the chassis at the end of the wave, unless they have been read again."""
        self.placements.engine.unread.append(self)

    def dispose(self) -> None:
        """Release the chassis."""
        self.placements.release(self)


class Placements:
    """The placements of one engine, with how often each chassis has each priority.

    Arguments:
        engine: the engine.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.by_key: dict[str, Placement] = {}
        self.load: Counter[tuple[int, str]] = Counter()

    def hold(self, key: str, chosen: tuple[str, ...]) -> None:
        """Reserve the placement that a gateway had before this process started."""
        self.by_key[key] = Placement(self, key, chosen)
        self.load.update(enumerate(chosen))

    def choose(self, key: str, among: tuple[str, ...]) -> tuple[str, ...]:
        """Return the chassis of a gateway, out of the present candidates."""
        found = self.by_key.get(key)
        if found is None:
            found = self.by_key[key] = Placement(self, key, ())
            found.among = frozenset()
        if found.among != frozenset(among):
            self.load.subtract(enumerate(found.chosen))
            found.chosen = self._chosen(found, among)
            found.among = frozenset(among)
            self.load.update(enumerate(found.chosen))
        found.track()
        return found.chosen

    def release(self, placement: Placement) -> None:
        """Release the chassis of a deleted gateway."""
        if self.by_key.get(placement.key) is placement:
            del self.by_key[placement.key]
            self.load.subtract(enumerate(placement.chosen))
            self.load = +self.load

    def release_unclaimed(self) -> None:
        """Release the placements that were found at the start and that no gateway has claimed."""
        for placement in list(self.by_key.values()):
            if not placement.readers:
                self.release(placement)

    def _chosen(self, placement: Placement, among: tuple[str, ...]) -> tuple[str, ...]:
        """Return the chassis that stay, followed by further ones, the least loaded first."""
        chosen = [chassis for chassis in placement.chosen if chassis in among]
        if chosen and placement.among is not None and not placement.among.issuperset(among):
            first = self._least(0, list(among))
            held, share = self.load[0, chosen[0]], (sum(self.load[0, name] for name in among) + 1) // len(among)
            if held > self.load[0, first] and held >= share:  # without this gateway: it is beyond the chassis's share
                chosen = [first, *[chassis for chassis in chosen if chassis != first]][:MOST]
        rest = [chassis for chassis in among if chassis not in chosen]
        while rest and len(chosen) < MOST:
            chosen.append(self._least(len(chosen), rest))
            rest.remove(chosen[-1])
        return tuple(chosen)

    def _least(self, place: int, among: list[str]) -> str:
        return min(among, key=lambda chassis: (self.load[place, chassis], chassis))
