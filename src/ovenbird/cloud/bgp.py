"""What routers announce for BGP speakers: the options of Northbound's dynamic routing (ovn-nb(5), OVN 25.03).

A router with a gateway on a network of a speaker exchanges routes. Its gateway port announces addresses of NAT, which
floating IPs are; a port on a project's network announces that network, if all its subnets of the speaker's IP version
are announced (`model/bgp`). Networks of physical routers that a daemon learns are reached through the gateway as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.views import view
from ovenbird.model import cloud
from ovenbird.model.bgp import announced_subnets, speakers_of

if TYPE_CHECKING:
    from ovenbird.engine.facts import Pairs

DYNAMIC_ROUTING = "dynamic-routing"
REDISTRIBUTE = "dynamic-routing-redistribute"


@view
def is_announced(router: cloud.Router) -> bool:
    """Return whether a router announces routes for any speaker."""
    return any(speakers_of(outside.port.network) for outside in cloud.gateways_of(router))


def gateway_redistribution(outside: cloud.RouterGateway) -> Pairs:
    """Return the options by which a gateway port announces floating IPs."""
    speakers = speakers_of(outside.port.network)
    if any(one.advertise_floating_ip_host_routes and one.ip_version == 4 for one in speakers):
        return ((REDISTRIBUTE, "nat"),)
    return ()


def network_redistribution(interface: cloud.RouterInterface) -> Pairs:
    """Return the options by which a router's port announces its network."""
    for outside in cloud.gateways_of(interface.router):
        for speaker in speakers_of(outside.port.network):
            there = [
                fixed.subnet.uuid
                for fixed in interface.port.referrers(cloud.FixedAddress.port)
                if (":" in fixed.address) == (speaker.ip_version == 6)
            ]
            announced = announced_subnets(speaker, outside, interface)
            if there and len(announced) == len(there):
                return ((REDISTRIBUTE, "connected"),)
    return ()
