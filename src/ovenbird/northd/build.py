"""The Northbound → Southbound compiler: all features' rules on one engine.

``build`` reads two stores and returns an engine whose outputs are bound to both: derived rows to Southbound, and what
goes back up (a port's state, sequence numbers) to Northbound. It does no I/O: whoever owns the connections runs waves,
has each output plan its edits, and commits them.

A Southbound database that another northd wrote is taken over: rows are known again by their keys, tunnel keys are kept,
and what is not called for is removed.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from os import urandom
from typing import TYPE_CHECKING, Any

from ovenbird.engine.alarms import now
from ovenbird.engine.engine import Engine
from ovenbird.engine.findings import finding
from ovenbird.engine.ids import seed
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.model.options import number
from ovenbird.northd.features import FEATURES
from ovenbird.northd.findings import Findings
from ovenbird.northd.ir import southbound_rows as t
from ovenbird.northd.ir.datapath_groups import DP_GROUP, IN_DP_GROUP
from ovenbird.northd.ir.flow import LOGICAL_FLOW
from ovenbird.northd.ir.switch_port import SwitchPort
from ovenbird.northd.rbac import RBAC_PERMISSION, RBAC_ROLE, controller_role
from ovenbird.northd.router.bfd import DISCRIMINATORS, SOURCE_PORTS
from ovenbird.northd.status import Changes, Identity, rules
from ovenbird.northd.switch import ipam

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ovenbird.engine.facts import Fact, Members, Rows
    from ovenbird.engine.rows import UUID, Column, Store

_PORT_TYPES = frozenset().union(*(feature.types or () for feature in FEATURES))
_PORT_PARTS = {
    kind: tuple(each.port for each in FEATURES if each.port is not None and (each.types is None or kind in each.types))
    for kind in ("", *_PORT_TYPES)
}
"""What features do for ports of a type; for one that none of them names, what they do for ordinary ports."""

SOUTHBOUND: tuple[tuple[Rows, tuple[Members, ...]], ...] = (
    (t.SB_GLOBAL, ()),
    (t.DATAPATH, ()),
    (DP_GROUP, (IN_DP_GROUP,)),
    (t.HA_CHASSIS, ()),
    (t.HA_CHASSIS_GROUP, (t.REF_CHASSIS,)),
    (t.PORT_BINDING, (t.IN_NAT_ADDRESSES,)),
    (t.MULTICAST_GROUP, (t.IN_MULTICAST_GROUP,)),
    (t.ADDRESS_SET, (t.IN_ADDRESS_SET,)),
    (t.PORT_GROUP, (t.IN_PORT_GROUP,)),
    (t.METER_BAND, ()),
    (t.METER, ()),
    (t.DNS, (t.DNS_OF,)),
    (t.DHCP_OPTION, ()),
    (t.DHCPV6_OPTION, ()),
    (t.LEARNED, ()),
    (t.MAC_LEARNED, ()),
    (t.BFD, ()),
    (t.STATIC_MAC_BINDING, ()),
    *((rows, ()) for rows in t.UNCLAIMED),
    (RBAC_PERMISSION, ()),
    (RBAC_ROLE, ()),
    (LOGICAL_FLOW, ()),
)
"""What is written to the Southbound database: rows, and the sets in them."""

NORTHBOUND: tuple[Rows, ...] = (t.NB_GLOBAL, t.PORT_STATUS, t.PORT_TAG, t.BFD_STATUS, t.PORT_PREFIX, t.PORT_ADDRESSES)
"""What is written back to the Northbound database."""


@rule(nb.LogicalSwitchPort)
def switch_port(lsp: nb.LogicalSwitchPort) -> Iterable[Fact]:
    """Do what every feature does for a switch port."""
    switches = lsp.referrers(nb.LogicalSwitch.ports)
    if not switches:
        return ()
    port = SwitchPort(lsp, switches[0])
    parts = [part(port) for part in _PORT_PARTS.get(port.type, _PORT_PARTS[""])]
    if len(switches) > 1:
        others = ", ".join(sorted(switch.name for switch in switches[1:]))
        text = f"port {lsp.name} is in several switches, and is left out of {others}"
        parts.append([finding(lsp, text)])
    return chain.from_iterable(parts)


def chosen_identity() -> Identity:
    """Choose what a deployment has at random: locally administered unicast MACs."""
    octets = urandom(9)
    prefix = f"{octets[0] & 0xFC | 2:02x}:{octets[1]:02x}:{octets[2]:02x}"
    mac = ":".join(f"{octet:02x}" for octet in (octets[3] & 0xFC | 2, *octets[4:9]))
    return Identity(prefix, mac)


def build(
    nb_store: Store,
    sb_store: Store,
    clock: Callable[[], int] = now,
    findings: Findings | None = None,
    lacking: Collection[Column[Any]] = (),
) -> Engine:
    """Make the compiler.

    Arguments:
        nb_store: the Northbound database's tables.
        sb_store: the Southbound database's tables, already filled with what is there.
        clock: gives the time in milliseconds, for the timestamps in NB_Global and the ageing of what chassis learned.
        findings: what is to know and to log what is wrong with Northbound.
        lacking: columns of Southbound that its server lacks; flows are given for each datapath if it has no groups.

    Returns:
        An engine to run; ``NORTHBOUND`` and ``SOUTHBOUND`` say whose each of its outputs is.
    """
    features = [each for feature in FEATURES for each in feature.rules]
    private = sb.ChassisPrivate.nb_cfg not in lacking
    own = rules(chosen_identity(), Changes(nb_store, sb_store, clock), private=private)
    engine = Engine([nb_store, sb_store], [*features, switch_port, controller_role, *own], clock)
    (findings if findings is not None else Findings()).observe(engine)
    engine.alarms.limit = partial(removal_limit, nb_store)
    _seed(engine, sb_store)
    ipam.keep(engine, nb_store)
    for relation, members in SOUTHBOUND:
        engine.bind(relation, sb_store, *members, lacking=lacking)
    for relation in NORTHBOUND:
        engine.bind(relation, nb_store)
    return engine


def removal_limit(nb_store: Store) -> int:
    """Return how many learned neighbours may go in one transaction, 0 for any number."""
    for row in nb_store.table(nb.NBGlobal).rows.values():
        return number(row.options, "mac_binding_removal_limit", 0)
    return 0


def _seed(engine: Engine, sb_store: Store) -> None:
    """Keep the numbers that the Southbound database has."""
    networks: dict[str, UUID] = {}
    for datapath in sb_store.table(sb.DatapathBinding).rows.values():
        network = t.northbound_uuid(datapath)
        if network is not None:
            networks[datapath.uuid] = network
            seed(engine, t.DATAPATH_KEYS, network, datapath.tunnel_key)
    for session in sb_store.table(sb.BFD).rows.values():
        key = (session.logical_port, session.dst_ip)
        seed(engine, SOURCE_PORTS, key, session.src_port)
        seed(engine, DISCRIMINATORS, key, session.disc)
    where = sb.PortBinding.datapath.index
    for port in sb_store.table(sb.PortBinding).rows.values():
        network = networks.get(port.values[where])
        if network is not None:
            seed(engine, t.PORT_KEYS, port.logical_port, port.tunnel_key, network)
