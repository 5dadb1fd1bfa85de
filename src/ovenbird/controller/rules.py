"""The tables and columns that the controller reads, and the rules that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local import binding, bridge, chassis, ct_zones, local_data, virtual
from ovenbird.controller.local.local_store import ATTACHED
from ovenbird.controller.logical_flows import meters
from ovenbird.controller.logical_flows.logical_flow import Translator
from ovenbird.controller.ofctrl import zone_limits
from ovenbird.controller.physical import (
    chassis_mac,
    encaps,
    ingress,
    labelled_connections,
    lb_hairpin,
    mac_tables,
    mirrors,
    multichassis,
    patch,
    port_retries,
    port_security,
    ports,
    queues,
    static_flows,
    tunnel_bfd,
)
from ovenbird.controller.protocols import (
    bfd_sessions,
    garp,
    multicast_snooping,
    periodic_ra,
    prefix_delegation,
    service_monitors,
)
from ovenbird.controller.routes import exchange_rules
from ovenbird.engine.engine import Engine
from ovenbird.model import sb, vswitch

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store

SOUTHBOUND = (
    sb.SBGlobal, sb.Chassis, sb.ChassisPrivate, sb.Encap, sb.AddressSet, sb.PortGroup, sb.LogicalFlow,
    sb.LogicalDPGroup, sb.MulticastGroup, sb.DatapathBinding, sb.PortBinding, sb.MACBinding, sb.StaticMACBinding,
    sb.DHCPOptions, sb.DHCPv6Options, sb.DNS, sb.FDB, sb.GatewayChassis, sb.HAChassis, sb.HAChassisGroup,
    sb.Meter, sb.MeterBand, sb.BFD, sb.LoadBalancer, sb.ServiceMonitor, sb.ControllerEvent,
    sb.IPMulticast, sb.IGMPGroup, sb.Mirror, sb.ChassisTemplateVar, sb.AdvertisedRoute, sb.LearnedRoute, sb.ACLID,
    sb.ECMPNexthop,
)  # fmt: skip
"""The tables of Southbound that this controller reads."""

OMITTED = {"Logical_Flow": ("external_ids",)}
"""Columns of Southbound that the controller does not read: a third of what the server would send."""

SWITCH = (
    vswitch.OpenVSwitch, vswitch.Bridge, vswitch.Port, vswitch.Interface, vswitch.SSL, vswitch.QoS, vswitch.Queue,
    vswitch.Mirror, vswitch.FlowSampleCollectorSet,
)  # fmt: skip
"""The tables of Open_vSwitch that this controller reads."""

RULES = (
    bridge.bridge, local_data.attachment, local_data.clauses, local_data.port_clause, chassis.registration,
    chassis.configuration, chassis.acknowledgement, binding.claim, binding.up, binding.installed, binding.unclaimed,
    binding.cut_off, encaps.tunnels, encaps.stale_tunnel, tunnel_bfd.heartbeat, patch.patches, patch.unplugged,
    patch.stale_patch, ct_zones.zone_range, ct_zones.port_zone, ct_zones.datapath_zone, static_flows.static_flows,
    ingress.tunnel_entry,
    ports.port_flows, chassis_mac.others, lb_hairpin.hairpin, port_security.port_security,
    mac_tables.fdb, mac_tables.aged_switch, mac_tables.aged_router, mac_tables.mac_binding,
    mac_tables.static_mac_binding,
    garp.announcements, meters.meters, periodic_ra.advertisements, bfd_sessions.sessions, bfd_sessions.session_status,
    service_monitors.probes, service_monitors.probe_status,
    prefix_delegation.delegations, virtual.release, multichassis.large_packets, port_retries.failed_port,
    queues.port_queues, queues.stale_queues, queues.wrong_rates, zone_limits.port_limit, zone_limits.router_limits,
    chassis.findings, multicast_snooping.snooped, multicast_snooping.listeners, multicast_snooping.reported,
    mirrors.mirrors, mirrors.stale_mirror, exchange_rules.exchanged_router, exchange_rules.exchange_settled,
    exchange_rules.announced_route, exchange_rules.learned_here, exchange_rules.learned_before,
    labelled_connections.of_acl, labelled_connections.by_nexthop,
)  # fmt: skip


def make_engine(*, southbound: Store, switch: Store, own: Store) -> Engine:
    """Make the engine of one chassis.

    Arguments:
        southbound: the rows of Southbound's tables.
        switch: those of the local Open_vSwitch.
        own: the controller's (`local_store.make_local_store`).
    """
    engine = Engine((southbound, switch, own), (*RULES, Translator().rule()))
    engine.derive(ATTACHED, own)
    return engine
