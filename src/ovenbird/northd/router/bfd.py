"""BFD sessions to next hops: configured in Northbound, run by chassis, with their state copied back.

ovn-nb(5) and ovn-sb(5), BFD; ovn-northd(8), Logical Router Datapaths, "Ingress Table 3". A session that no route or
policy refers to is administratively down; this is written to the column in which chassis report the state, which
otherwise belongs to them. The UDP port 3784 is from RFC 5881.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import find, select
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import braced
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import LRP, router_port_of
from ovenbird.northd.router.policy_chains import hops_of
from ovenbird.northd.router.routing import BFD_PORT, watched
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID, Store

INPUT = stage("lr_in_ip_input")

DISCRIMINATORS = Pool("BFD discriminator", 1, 0xFFFF_FFFF)
SOURCE_PORTS = Pool("BFD source port", 49_152, 65_535)
"""RFC 5881, section 4."""


class BfdRow(NamedTuple):
    """A BFD session; the columns are those of ovn-sb(5)."""

    relation: Relation
    logical_port: str
    dst_ip: str
    src_port: int
    disc: int
    min_tx: int
    min_rx: int
    detect_mult: int
    external_ids: Pairs
    options: Pairs
    status: str


class BfdStatus(NamedTuple):
    """Northbound's view of a session."""

    relation: Relation
    uuid: UUID
    status: str


BFD = NamedRows(sb.BFD, BfdRow, key=(sb.BFD.logical_port, sb.BFD.dst_ip))
BFD_STATUS = NamedRows(nb.BFD, BfdStatus, update_only=True)

MILLISECONDS, MULTIPLIER = 1000, 5
"""The default intervals and detection multiplier of sessions."""

flow = flow_builder("bfd")


@rule(nb.BFD)
def session(row: nb.BFD) -> Iterator[Fact]:
    """Write a BFD session to Southbound, and its state to Northbound."""
    key = (row.logical_port, row.dst_ip)
    lrp = find(LRP.name, row.logical_port)
    if lrp is None or router_port_of(lrp) is None:
        return
    used = any(route.nexthop == row.dst_ip for route in row.referrers(nb.LogicalRouterStaticRoute.bfd)) or any(
        row.dst_ip in hops_of(policy) for policy in row.referrers(nb.LogicalRouterPolicy.bfd_sessions)
    )
    status = state(row.logical_port, address=row.dst_ip) if used else "admin_down"
    yield BFD_STATUS(row.uuid, status)
    yield BFD(
        logical_port=row.logical_port,
        dst_ip=row.dst_ip,
        src_port=SOURCE_PORTS.get(key),
        disc=DISCRIMINATORS.get(key),
        min_tx=row.min_tx or MILLISECONDS,
        min_rx=row.min_rx if row.min_rx is not None else MILLISECONDS,
        detect_mult=row.detect_mult or MULTIPLIER,
        external_ids=tuple(sorted(row.external_ids.items())),
        options=tuple(sorted(row.options.items())),
        status=status,
    )


def state(port: str, *, address: str) -> str:
    """Return the state that chassis report for a session; down until they report one."""
    for row in select(sb.BFD.logical_port, port):
        if row.dst_ip == address and row.status != "admin_down":
            return str(row.status)
    return "down"


@rule(LRP)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Punt BFD packets for a port's addresses to the controller, and let the controller's own pass."""
    port = router_port_of(lrp)
    if port is None or not watched(port.name):
        return
    for address, subnets in (("ip4", port.ipv4), ("ip6", port.ipv6)):
        if subnets:
            own = braced([subnet.ip for subnet in subnets])
            ours, theirs = (f"{address}.{end} == {own} && {BFD_PORT}" for end in ("src", "dst"))
            yield flow(INPUT, port.datapath, 110, ours, "next;", hint=port.uuid)
            meter = port.meters.get("bfd")
            yield flow(INPUT, port.datapath, 110, theirs, "handle_bfd_msg();", hint=port.uuid, meter=meter)


def keep_numbers(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the ports and discriminators of the sessions that Southbound has.

    Arguments:
        engine: whose numbers.
        southbound: the database as it is.
    """
    for row in southbound.table(sb.BFD).rows.values():
        key = (row.logical_port, row.dst_ip)
        seed(engine, SOURCE_PORTS, key, row.src_port)
        seed(engine, DISCRIMINATORS, key, row.disc)


FEATURE = Feature(
    "bfd",
    rules=(session, router_port),
    outputs=(BFD, BFD_STATUS),
    start=keep_numbers,
    hints=(HintedTable(LRP),),
)
