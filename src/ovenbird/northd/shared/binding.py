"""Datapaths and ports in the Southbound database: identity, tunnel keys, and what chassis need to bind a port.

ovn-sb(5), Datapath_Binding and Port_Binding. A switch or router requests a tunnel key by `requested-tnl-key` in
`other_config` or `options`, a port in `options`; other keys are allocated, and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import flag, number
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.ageing import FDB_AGE_THRESHOLD, fdb_age_threshold
from ovenbird.northd.ir.datapath_groups import SWITCHES
from ovenbird.northd.ir.feature import Feature, Setting
from ovenbird.northd.ir.queues import QUEUE, queue_of
from ovenbird.northd.ir.router_port import enabled, gateway_chassis, is_tracked
from ovenbird.northd.ir.southbound_rows import (
    DATAPATH,
    PORT_BINDING,
    PORT_KEYS,
    datapath,
    northbound_uuid,
    port_binding,
)
from ovenbird.northd.ir.switch_port import peer_switch
from ovenbird.northd.shared.ha_chassis import HA_CHASSIS, HA_CHASSIS_GROUP, group_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.northd.ir.switch_port import SwitchPort

DATAPATH_KEYS = Pool("tunnel key of a datapath", 1, 16_711_680, limit=16_777_215)
"""As in ovn-northd, the numbers above are those of transit switches, which request theirs (ovn-architecture(7))."""

VLAN_TAGS = Pool("VLAN tag of a port behind its parent", 1, 4095)
"""One scope for each parent port."""


class PortTag(NamedTuple):
    """The VLAN that a port asked for by `tag_request`."""

    relation: Relation
    uuid: UUID
    tag: int | None


PORT_TAG = NamedRows(nb.LogicalSwitchPort, PortTag, update_only=True, returned=True)

ACTIVATED = "additional-chassis-activated"
"""The option in which chassis record where a port with `activation-strategy` has been activated."""


def requested_key(options: Mapping[str, str]) -> int | None:
    """Return the tunnel key that the options request, if it is a number."""
    return number(options, "requested-tnl-key", low=1)


@view
def switch_key(switch: nb.LogicalSwitch) -> int:
    """Return the tunnel key of the switch's datapath."""
    return DATAPATH_KEYS.get(switch.uuid, want=requested_key(switch.other_config))


@view
def router_key(router: nb.LogicalRouter) -> int:
    """Return the tunnel key of the router's datapath."""
    return DATAPATH_KEYS.get(router.uuid, want=requested_key(router.options))


@rule(nb.LogicalSwitch)
def switch_datapath(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Give each logical switch its datapath binding."""
    ids = {"logical-switch": switch.uuid, "name": switch.name}
    if name := switch.external_ids.get("neutron:network_name"):
        ids["name2"] = name
    if interconnection := switch.other_config.get("interconn-ts"):
        ids["interconn-ts"] = interconnection
    limit = number(switch.other_config, "ct-zone-limit")
    if limit is not None:
        ids["ct-zone-limit"] = str(limit)
    if age := fdb_age_threshold(switch.other_config):
        ids[FDB_AGE_THRESHOLD] = str(age)
    yield DATAPATH(switch.uuid, tunnel_key=switch_key(switch), external_ids=_pairs(ids))
    yield from _refused_key(switch, f"switch {switch.name}", requested_key(switch.other_config), switch_key(switch))
    yield SWITCHES.includes(datapath(switch))


@rule(nb.LogicalRouter)
def router_datapath(router: nb.LogicalRouter) -> Iterator[Fact]:
    """Give each logical router that is enabled its datapath binding."""
    if not enabled(router):
        return
    options = router.options
    ids = {"logical-router": router.uuid, "name": router.name}
    if name := router.external_ids.get("neutron:router_name"):
        ids["name2"] = name
    zone = number(options, "snat-ct-zone")
    if zone is not None:
        ids["snat-ct-zone"] = str(zone)
    limit = number(options, "ct-zone-limit")
    if limit is not None:
        ids["ct-zone-limit"] = str(limit)
    if not flag(options, "always_learn_from_arp_request", default=True):
        ids["always_learn_from_arp_request"] = "false"
    if flag(options, "dynamic-routing"):
        ids |= _kernel_table(options)
    wanted = requested_key(options)
    key = router_key(router)
    yield DATAPATH(router.uuid, tunnel_key=key, external_ids=_pairs(ids))
    yield from _refused_key(router, f"router {router.name}", wanted, key)


def _wrong_peer(port: SwitchPort) -> Iterator[Fact]:
    """Return the finding that a port leads to no other switch, unless its peer is still to come."""
    name = port.lsp.peer
    other = find(nb.LogicalSwitchPort.name, name) if name else None
    if other is not None and not peer_switch(port.lsp):
        why = f"{name} is no port of type switch, of another switch, whose peer is {port.name}"
        yield finding(port.lsp, f"port {port.name} leads nowhere: {why}")


def _kernel_table(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield how controllers put a router's routes into their kernel: the table's number, and next hops."""
    table = number(options, "dynamic-routing-vrf-id", low=1, high=0xFFFF_FFFF)
    if table is not None:
        yield "dynamic-routing-vrf-id", str(table)
    for name in ("dynamic-routing-v4-prefix-nexthop", "dynamic-routing-v6-prefix-nexthop"):
        if (nexthop := options.get(name)) is not None:
            yield name, nexthop


def _refused_key(row: Row, name: str, wanted: int | None, given: int) -> Iterator[Fact]:
    """Return the finding that a row did not get the tunnel key that it requests."""
    if wanted is not None and wanted != given:
        yield finding(row, f"{name} has tunnel key {given} instead of {wanted}: that is taken, or out of range")


def switch_port_binding(port: SwitchPort) -> Iterator[Fact]:
    """Give each switch port its port binding."""
    options, kind, mac = port.options, port.type, port.texts
    chassis: UUID | None = None
    others: frozenset[UUID] = frozenset()
    pairs: Pairs = ()
    group = None
    if kind == "router":
        kind, pairs = _towards_router(options.get("router-port"))
        if is_tracked(options):
            pairs = tuple(sorted((*pairs, ("enable_router_port_acl", "true"))))
    else:
        if port.vlan_passthru:
            options = {**options, "vlan-passthru": "true"}
        if options and (queue := queue_of(port)) is not None:
            options = {**options, QUEUE: str(queue)}
        if kind == "switch":
            kind, options = "patch", {**options, "peer": peer} if (peer := peer_switch(port.lsp)) else options
            yield from _wrong_peer(port)
        if options:
            pairs = _pairs(options)
        if options and (requested := options.get("requested-chassis")):
            chassis, others = requested_chassis(requested)
            if others and "activation-strategy" in options:
                pairs = tuple(sorted((*pairs, *_activated(port.name))))
    tag = port.tag
    if port.tag_request or (port.tag_request is not None and port.parent):
        tag = given_tag(port)
        yield PORT_TAG(port.hint, tag)
    if kind == "external" and (group := port.lsp.ha_chassis_group) is not None:
        yield from group_facts(group)
    for text in mac:
        if (given := port.given) and "dynamic" in text.split():
            mac = mac - {text} | {given}
    wanted = requested_key(options) if options else None
    key = PORT_KEYS.get(port.name, scope=port.switch.uuid, want=wanted)
    if wanted is not None:
        yield from _refused_key(port.lsp, f"port {port.name}", wanted, key)
    for trouble in port.troubles:
        yield finding(port.lsp, f"port {port.name}: {trouble}")
    yield port_binding(
        logical_port=port.name,
        datapath=port.datapath,
        type=kind,
        tunnel_key=key,
        options=pairs,
        mac=mac,
        external_ids=lsp_ids(port) if port.external_ids else (),
        parent_port=port.parent,
        tag=tag,
        port_security=port.security,
        requested_chassis=chassis,
        requested_additional_chassis=others,
        ha_chassis_group=HA_CHASSIS_GROUP.uuid(group.name) if group is not None else None,
    )


def _activated(name: str) -> Pairs:
    """Return the additional chassis on which a port is activated, as they record it in the binding's options."""
    for binding in select(sb.PortBinding.logical_port, name):
        if text := binding.options.get(ACTIVATED):
            return ((ACTIVATED, text),)
    return ()


def _towards_router(name: str | None) -> tuple[str, Pairs]:
    """Return the type and options of the binding of a port that is connected to the router port of that name."""
    lrp = find(nb.LogicalRouterPort.name, name) if name is not None else None
    router = lrp.referrer(nb.LogicalRouter.ports) if lrp is not None else None
    peer = (("peer", name),) if name is not None else ()
    if router is not None and enabled(router) and (chassis := gateway_chassis(router)):
        return "l3gateway", (("l3gateway-chassis", chassis), *peer)
    return "patch", peer


def given_tag(port: SwitchPort) -> int | None:
    """Return the VLAN tag that a port requests; for 0, one that is free behind its parent."""
    wanted: int | None = port.tag_request or port.tag
    if not port.parent:
        return wanted
    free = VLAN_TAGS.get(port.name, scope=port.parent, want=wanted)
    return port.tag_request or free  # two that ask for the same one both get it: that is the cloud's mistake to see


def lsp_ids(port: SwitchPort) -> Pairs:
    """Return the binding's `external_ids`: those of the port, and its Neutron name."""
    ids = port.external_ids
    if name := ids.get("neutron:port_name"):
        ids = {**ids, "name": name}
    return _pairs(ids)


@view
def requested_chassis(names: str) -> tuple[UUID | None, frozenset[UUID]]:
    """Return the chassis that `requested-chassis` names first, and the further ones."""
    found = [_chassis(name.strip()) for name in names.split(",")]
    return found[0], frozenset(uuid for uuid in found[1:] if uuid is not None)


def _chassis(name: str) -> UUID | None:
    """Return the chassis of that name, or else of that host name."""
    for column in (sb.Chassis.name, sb.Chassis.hostname):
        for chassis in select(column, name):
            return chassis.uuid
    return None


def _pairs(mapping: Mapping[str, str]) -> Pairs:
    return tuple(sorted(mapping.items()))


def keep_keys(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the tunnel keys that Southbound has.

    Arguments:
        engine: whose keys.
        southbound: the database as it is.
    """
    networks: dict[str, UUID] = {}
    for binding in southbound.table(sb.DatapathBinding).rows.values():
        network = northbound_uuid(binding)
        if network is not None:
            networks[binding.uuid] = network
            seed(engine, DATAPATH_KEYS, network, binding.tunnel_key)
    where = sb.PortBinding.datapath.index
    for port in southbound.table(sb.PortBinding).rows.values():
        network = networks.get(port.values[where])
        if network is not None:
            seed(engine, PORT_KEYS, port.logical_port, port.tunnel_key, network)


FEATURE = Feature(
    "binding",
    rules=(switch_datapath, router_datapath),
    port=switch_port_binding,
    outputs=(DATAPATH, HA_CHASSIS, HA_CHASSIS_GROUP, PORT_BINDING, PORT_TAG),
    settings=(Setting("max_tunid", lambda: str(DATAPATH_KEYS.high)),),
    start=keep_keys,
)
