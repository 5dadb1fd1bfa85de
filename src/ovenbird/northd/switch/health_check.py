"""Health checks of load balancers: which backends chassis probe, and how probes and their answers pass a switch.

ovn-northd(8), "Ingress Table 4", "5", "8", "19" and "25", "Egress Table 1", "2" and "4" of switches. Probes come from
`svc_monitor_mac`, which is the same in the whole network; the switch answers ARP and ND for their source addresses, and
punts packets to that MAC address to the chassis. Probes and answers bypass connection tracking and ACLs. Only switches
with probed backends have these flows; OVN makes them for every switch.

Chassis write the results of probes to Southbound's Service_Monitor. northd writes only that a backend is offline after
it was online and its port is no longer up on any chassis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import parse_mac
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.load_balancer import LB, balancer, in_words
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.ir.switch_port import setting
from ovenbird.northd.switch.arp import RESPONDER
from ovenbird.northd.switch.conntrack import ACL, PRE_ACL, PRE_LB
from ovenbird.northd.switch.l2_lookup import L2_LOOKUP
from ovenbird.pipeline.explanations import HintedTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.northd.ir.health_check import Probe

PROBED = DatapathGroup("probed switches")
"""Switches with backends that chassis probe."""

_KIND = "svc-monitor"
"""The key of the meter for these packets (ovn-nb(5), Copp)."""
_FROM, _TO = "eth.src == $svc_monitor_mac", "eth.dst == $svc_monitor_mac"


class ServiceMonitorRow(NamedTuple):
    """A backend that its chassis probes; the columns are those of ovn-sb(5)."""

    relation: Relation
    logical_port: str
    ip: str
    port: int
    protocol: str | None
    src_mac: str
    src_ip: str
    options: Pairs


class MonitorStatus(NamedTuple):
    """The status of a backend."""

    relation: Relation
    uuid: UUID
    status: str | None


_SM = sb.ServiceMonitor
SERVICE_MONITOR = NamedRows(_SM, ServiceMonitorRow, key=(_SM.logical_port, _SM.ip, _SM.port, _SM.protocol))
MONITOR_STATUS = NamedRows(_SM, MonitorStatus, update_only=True)

flow = flow_builder("health_check")


@singleton
def passage() -> Iterator[Fact]:
    """Yield the flows by which probes and their answers bypass connection tracking and ACLs."""
    yield PROBED.row
    for stages, priority in ((PRE_ACL, 110), (PRE_LB, 110), (ACL, 34_000)):
        for each, match in zip(stages, (_TO, _FROM), strict=True):
            yield flow(each, PROBED, priority, match, "next;")


@rule(LB)
def probes(row: LB) -> Iterator[Fact]:
    """Yield the monitors of a load balancer's backends, and the ARP and ND responders for the probes' sources."""
    if not row.health_check:
        return
    mac = parse_mac(setting("svc_monitor_mac"))
    if not mac:
        return
    switches: dict[nb.LogicalSwitch, None] = {}
    for probe in [probe for vip in balancer(row).vips for probe in vip.probes]:
        lsp = find(nb.LogicalSwitchPort.name, probe.port)
        switch = lsp.referrer(nb.LogicalSwitch.ports) if lsp is not None else None
        if switch is None:
            continue
        switches[switch] = None
        yield SERVICE_MONITOR(
            logical_port=probe.port,
            ip=probe.backend.ip,
            port=int(probe.backend.port),
            protocol=probe.protocol,
            src_mac=mac,
            src_ip=probe.source,
            options=probe.options,
        )
        yield _responder(probe, datapath(switch), mac, row.uuid)
    for switch in switches:
        where, limit = datapath(switch), meters(switch).get(_KIND, "")
        limited = DatapathGroup("probed switches", limit) if limit else PROBED
        yield from (PROBED.includes(where), limited.includes(where), limited.row)
        match = f"{_TO} && (tcp || icmp || icmp6)"
        yield flow(L2_LOOKUP, limited, 110, match, "handle_svc_check(inport);", meter=limit or None)


def _responder(probe: Probe, where: UUID, mac: str, hint: UUID) -> Fact:
    """Return the flow that answers ARP or ND for the source address of a probe."""
    ip = probe.source
    if probe.backend.six:
        answer = (
            f"nd_na {{ eth.dst = eth.src; eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; "
            "outport = inport; flags.loopback = 1; output; };"
        )
        return flow(RESPONDER, where, 110, f"nd_ns && nd.target == {ip}", answer, hint=hint)
    answer = (
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; "
        f"arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
    )
    return flow(RESPONDER, where, 110, f"arp.tpa == {ip} && arp.op == 1", answer, hint=hint)


@rule(sb.ServiceMonitor)
def forsaken(monitor: sb.ServiceMonitor) -> Iterator[Fact]:
    """Set an online backend offline if its port is not up, since then no chassis updates the status."""
    if monitor.status == "online":
        binding = find(sb.PortBinding.logical_port, monitor.logical_port)
        if binding is None or binding.up is not True:
            yield MONITOR_STATUS(monitor.uuid, "offline")


FEATURE = Feature(
    "health_check",
    rules=(passage, probes, forsaken),
    outputs=(SERVICE_MONITOR, MONITOR_STATUS),
    hints=(HintedTable(LB, in_words),),
)
