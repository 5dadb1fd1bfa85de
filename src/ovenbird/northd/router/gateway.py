"""Router ports in the Southbound database, and gateways: where a router is connected to a physical network.

ovn-architecture(7), "Distributed Gateway Ports"; ovn-nb(5), Gateway_Chassis and HA_Chassis_Group. A gateway router is
on one chassis as a whole: its ports and the switch ports connected to them are `l3gateway`. A distributed gateway port
has a chassisredirect port, which is active on one chassis of a group; packets that leave by the former are sent to the
latter ("Ingress Table 20" of ovn-northd(8)). The active chassis announces the addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find, get, select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import parse_addresses, parse_mac, quote
from ovenbird.northd.ir.datapath_groups import named_uuid
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import (
    LRP,
    RouterPort,
    distributed_gateway_ports,
    enabled,
    gateway_chassis,
    has_gateways,
    peer_switch_port,
    physical,
    router_port_by_name,
    router_port_of,
    subnet,
    translates_at_hosts,
)
from ovenbird.northd.ir.southbound_rows import IN_NAT_ADDRESSES, PORT_BINDING, PORT_KEYS, northbound_uuid
from ovenbird.northd.router.load_balancer_addresses import balances_at_hosts
from ovenbird.northd.router.redistribution import exchange_options
from ovenbird.northd.router.router_advertisement import delegated, periodic
from ovenbird.northd.shared.binding import requested_key
from ovenbird.northd.shared.ha_chassis import (
    HA_CHASSIS,
    HA_CHASSIS_GROUP,
    REF_CHASSIS,
    dependents,
    group_facts,
    member_fact,
    surroundings,
)
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.switch_port import SwitchPort

REDIRECT = stage("lr_in_gw_redirect")


class PortPrefix(NamedTuple):
    """The IPv6 prefix that was delegated to a router port."""

    relation: Relation
    uuid: UUID
    ipv6_prefix: frozenset[str]


class PortHost(NamedTuple):
    """The chassis that a distributed gateway port is on."""

    relation: Relation
    uuid: UUID
    status: Pairs


HOSTING_CHASSIS = "hosting-chassis"
PORT_PREFIX = NamedRows(nb.LogicalRouterPort, PortPrefix, update_only=True)
PORT_HOST = NamedRows(LRP, PortHost, update_only=True, keys={LRP.status: (HOSTING_CHASSIS,)})

flow = flow_builder("gateway")


@rule(LRP)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Make a router port's binding, and the chassisredirect port of a distributed gateway port."""
    port = router_port_of(lrp)
    yield from _left_out(lrp)
    yield from _host(lrp, port)
    if port is None:
        return
    mac = frozenset([" ".join([lrp.mac, *sorted(lrp.networks)])])
    kind, options = "patch", periodic(lrp, port)
    if port.chassis:
        kind = "l3gateway"
        options["l3gateway-chassis"] = port.chassis
    if port.is_distributed_gateway:
        options["chassis-redirect-port"] = port.redirect
    if peer := lrp.peer or _peer(port.name):
        options["peer"] = peer
    options |= exchange_options(lrp, port, gateway=bool(port.chassis))
    yield from _prefixes(lrp, port, options)
    yield _binding(port, port.name, kind, options, mac, tuple(sorted(lrp.external_ids.items())), None)
    if port.is_distributed_gateway:
        yield from _redirect(lrp, port, mac)


@view
def host(redirect: str, router: UUID) -> str:
    """Return the name of the chassis that has a router's chassisredirect port; empty while none has."""
    for binding in select(sb.PortBinding.logical_port, redirect):
        if binding.chassis is not None and northbound_uuid(binding.datapath) == router:
            return str(binding.chassis.name)
    return ""


def _host(lrp: nb.LogicalRouterPort, port: RouterPort | None) -> Iterator[Fact]:
    """Tell Northbound where a distributed gateway port is; take back what a former northd said of another port."""
    if port is not None and port.is_distributed_gateway:
        name = host(port.redirect, port.router)
        yield PORT_HOST(lrp.uuid, ((HOSTING_CHASSIS, name),) if name else ())
    elif HOSTING_CHASSIS in lrp.status:
        yield PORT_HOST(lrp.uuid, ())


def _left_out(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Return the finding about the parts of a router port that are left out."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    if router is None or not enabled(router):
        return
    where = f"port {lrp.name} of router {router.name}"
    if find(nb.LogicalSwitchPort.name, lrp.name) is not None:
        yield finding(lrp, f"{where} is left out: there is a switch port of that name")
    elif not parse_mac(lrp.mac):
        yield finding(lrp, f"{where} is left out: {lrp.mac!r} is not an Ethernet address")
    for text in sorted(lrp.networks):
        if subnet(text) is None:
            yield finding(lrp, f"{where}: {text!r} is left out: it is not an IP address in a network")
    if len(lrp.referrers(nb.LogicalRouter.ports)) > 1:
        yield finding(lrp, f"{where} is in other routers too, and is left out there")
    if gateway_chassis(router) and (lrp.gateway_chassis or lrp.ha_chassis_group is not None):
        yield finding(lrp, f"{where}: its gateway chassis are left out, since the router as a whole is on one chassis")


def _prefixes(lrp: nb.LogicalRouterPort, port: RouterPort, options: dict[str, str]) -> Iterator[Fact]:
    """Have a chassis request IPv6 prefixes for ports with `prefix`, and copy the delegated ones to Northbound.

    The chassis writes the prefix into the binding's options, whose other keys are ours.
    """
    if port.enabled and flag(port.options, "prefix_delegation"):
        router = lrp.referrer(nb.LogicalRouter.ports)
        if port.chassis or (router is not None and distributed_gateway_ports(router)):
            options["ipv6_prefix_delegation"] = "true"
    if not port.enabled or not flag(port.options, "prefix"):
        return
    options["ipv6_prefix"] = "true"
    if given := delegated(lrp):
        options["ipv6_ra_pd_list"] = given
        yield PORT_PREFIX(port.uuid, frozenset([given.partition(":")[2]]))


def _peer(name: str) -> str | None:
    met = peer_switch_port(name)
    return met.lsp.name if met is not None else None


def _binding(
    port: RouterPort,
    name: str,
    kind: str,
    options: dict[str, str],
    mac: frozenset[str],
    external_ids: Pairs,
    group: UUID | None,
) -> Fact:
    wanted = requested_key(port.options) if name == port.name else None
    return PORT_BINDING(
        logical_port=name,
        datapath=port.datapath,
        type=kind,
        tunnel_key=PORT_KEYS.get(name, scope=port.router, want=wanted),
        options=tuple(sorted(options.items())),
        mac=mac,
        external_ids=external_ids,
        ha_chassis_group=group,
    )


def _redirect(lrp: nb.LogicalRouterPort, port: RouterPort, mac: frozenset[str]) -> Iterator[Fact]:
    """Yield the chassisredirect port, its chassis, and the flow that redirects to it."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    met = peer_switch_port(port.name)
    everywhere = met is not None and has_gateways(met.switch)  # hosts behind VTEP gateways are reached from any chassis
    options = {"distributed-port": port.name}
    how = port.options.get("redirect-type")
    if how is not None:
        options["redirect-type"] = how
    at_hosts = everywhere or router is None or translates_at_hosts(router) or balances_at_hosts(router)
    if how != "bridged" and not at_hosts:
        options["always-redirect"] = "true"
    options |= exchange_options(lrp, port, gateway=True)
    ids = tuple(sorted(lrp.external_ids.items()))
    name = port.name
    group = lrp.ha_chassis_group
    if group is not None:
        name, candidates = group.name, len(group.ha_chassis)
        yield from group_facts(group)
    else:
        candidates = len(lrp.gateway_chassis)
        yield from _candidates(lrp, name)
    if candidates > 1 and router is not None:  # a single candidate never gives way to another
        yield from dependents(router, name)
    yield _binding(port, port.redirect, "chassisredirect", options, mac, ids, HA_CHASSIS_GROUP.uuid(name))
    if not everywhere:
        act = f"outport = {quote(port.redirect)}; next;"
        yield flow(REDIRECT, port.datapath, 50, f"outport == {port.quoted}", act, hint=port.uuid)


def _candidates(lrp: nb.LogicalRouterPort, name: str) -> Iterator[Fact]:
    """Make a group, named after the port, of the chassis that its Gateway_Chassis rows name."""
    members = []
    for candidate in lrp.gateway_chassis:
        chassis = find(sb.Chassis.name, candidate.chassis_name)
        uuid = named_uuid("ha chassis", lrp.uuid, candidate.uuid)
        yield member_fact(uuid, chassis, name=candidate.chassis_name, priority=candidate.priority)
        members.append(uuid)
    yield HA_CHASSIS_GROUP(name, ha_chassis=frozenset(members), external_ids=())


def port(port: SwitchPort) -> Iterator[Fact]:
    """Announce a router's addresses in the physical network that its port leads to."""
    peer = router_port_by_name(port.options.get("router-port", ""))
    router = get(nb.LogicalRouter, peer.router) if peer is not None else None
    if peer is None or router is None:
        return
    given = port.options.get("nat-addresses", "")
    resides = flag(peer.options, "reside-on-redirect-chassis")
    if given in ("", "router") and not (resides or peer.is_distributed_gateway or peer.chassis):
        return  # even if the router has gateways elsewhere
    key = (port.name, port.datapath)
    names = distributed_gateway_ports(router)
    if given not in ("", "router") and (names or peer.chassis) and parse_addresses(given) is not None:
        redirect = peer.redirect if peer.is_distributed_gateway else f"cr-{names[0]}" if names else ""
        at = f" is_chassis_resident({quote(redirect)})" if names else ""
        yield IN_NAT_ADDRESSES(key, f"{given}{at}")
    own = " ".join([peer.mac, *(subnet.ip for subnet in peer.ipv4)])
    if names:
        redirect = (
            peer.redirect if peer.is_distributed_gateway else f"cr-{names[0]}" if resides and len(names) == 1 else ""
        )
        if redirect:
            yield IN_NAT_ADDRESSES(key, f"{own} is_chassis_resident({quote(redirect)})")
    elif peer.chassis and physical(port.switch):
        yield IN_NAT_ADDRESSES(key, own)


FEATURE = Feature(
    "gateway",
    rules=(surroundings, router_port),
    port=port,
    types=frozenset({"router"}),
    outputs=(HA_CHASSIS, HA_CHASSIS_GROUP, REF_CHASSIS, PORT_BINDING, IN_NAT_ADDRESSES, PORT_PREFIX, PORT_HOST),
    hints=(HintedTable(LRP),),
)
