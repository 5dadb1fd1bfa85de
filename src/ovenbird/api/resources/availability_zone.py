"""Availability zones, as chassis report them.

A zone is available for networks if some chassis is in it, and for routers if that chassis is a gateway: the hints of a
router restrict where its gateway may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.other import AvailabilityZoneNotFound
from ovenbird.api.read_only_resource import ReadOnlyResource
from ovenbird.model.chassis import availability_zones, offers_gateway
from ovenbird.model.sb import Chassis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases

NETWORK, ROUTER = "network", "router"


def zones(databases: Databases, resource: str) -> frozenset[str]:
    """Return the zones that are available for a kind of resource."""
    southbound = databases.southbound
    chassis = southbound.store.table(Chassis).all() if southbound is not None else []
    found = [availability_zones(one) for one in chassis if resource == NETWORK or offers_gateway(one)]
    return frozenset().union(*found)


def check_hints(databases: Databases, resource: str, hints: Iterable[str]) -> frozenset[str]:
    """Check that the availability zones of a request exist, and return them.

    Arguments:
        databases: the databases with the chassis and their zones.
        resource: the kind of the resource, such as `router`.
        hints: the zones' names.

    Raises:
        AvailabilityZoneNotFound: a zone does not exist for this kind.
    """
    wanted = frozenset(hints)
    missing = wanted - zones(databases, resource) if wanted else ()
    if missing:
        raise AvailabilityZoneNotFound(availability_zone=", ".join(sorted(missing)))
    return wanted


class AvailabilityZones(ReadOnlyResource):
    """``/v2.0/availability_zones``."""

    member = "availability_zone"
    collection = "availability_zones"
    identity = "name"
    extensions: ClassVar[Mapping[str, str]] = {
        "availability_zone": "Availability Zone",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "get_availability_zone": "role:reader",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {"name": shown(), "resource": shown(), "state": shown()}

    def values(self) -> list[dict[str, Any]]:
        """Return every zone, once for each kind of resource that it is available for."""
        return [
            {"name": name, "resource": resource, "state": "available"}
            for resource in (NETWORK, ROUTER)
            for name in sorted(zones(self.databases, resource))
        ]
