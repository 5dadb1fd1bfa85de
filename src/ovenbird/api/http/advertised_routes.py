"""Requests for the routes that a BGP speaker announces (Networking API v2.0, "BGP dynamic routing")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from ovenbird.api.errors.bgp import BgpSpeakerNotFound
from ovenbird.api.errors.request import PolicyNotAuthorized
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.engine.rows import UUID
from ovenbird.model.bgp import announced_subnets
from ovenbird.model.cloud import (
    BGPSpeaker,
    FixedAddress,
    FloatingIPAssociation,
    Port,
    PortForwarding,
    RouterGateway,
    RouterInterface,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.api.databases import Databases


class AdvertisedRoutes(Endpoint):
    """``/v2.0/bgp-speakers/ID/get_advertised_routes``.

    Arguments:
        databases: where speakers are.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    async def list(self, call: Call) -> bytes:
        """Return the routes, each with its next hop: the gateway of the router that has it.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            BgpSpeakerNotFound: there is no such speaker.
        """
        if not call.may("get_advertised_routes"):
            raise PolicyNotAuthorized(rule="rule:get_advertised_routes")
        speaker = self.databases.store.table(BGPSpeaker).get(UUID(call.parent))
        if speaker is None:
            raise BgpSpeakerNotFound(id=call.parent)
        routes = sorted(set(_routes(speaker)))
        shown = [{"destination": destination, "next_hop": hop} for destination, hop in routes]
        return orjson.dumps({"advertised_routes": shown})


def _routes(speaker: BGPSpeaker) -> Iterator[tuple[str, str]]:
    ports = (port for network in speaker.networks for port in network.referrers(Port.network))
    for outside in (gateway for port in ports for gateway in port.referrers(RouterGateway.port)):
        hop = _address(outside.port, speaker.ip_version)
        if hop is None:
            continue
        if speaker.advertise_floating_ip_host_routes and speaker.ip_version == 4:
            floating = [one.floating_ip for one in outside.referrers(FloatingIPAssociation.gateway)]
            floating += [one.floating_ip for one in outside.referrers(PortForwarding.gateway)]
            held = (_address(one.port, 4) for one in floating)
            yield from ((f"{address}/32", hop) for address in held if address is not None)
        for interface in outside.router.referrers(RouterInterface.router):
            yield from ((subnet.cidr, hop) for subnet in announced_subnets(speaker, outside, interface))


def _address(port: Port, version: int) -> str | None:
    found = sorted(f.address for f in port.referrers(FixedAddress.port) if (":" in f.address) == (version == 6))
    return next(iter(found), None)
