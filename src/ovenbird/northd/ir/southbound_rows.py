"""The tables that the compiler fills, as kinds of facts.

Each relation owns the columns named here and leaves the others to their owners: a chassis writes
Port_Binding.chassis, `up` and `virtual_parent`, and whoever adds a feature adds its columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ovenbird.engine.facts import Members, Rows
from ovenbird.engine.ids import Pool
from ovenbird.model import nb, sb

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID

DATAPATH_KEYS = Pool("datapath tunnel keys", 1, 16_711_680)
"""The upper limit leaves room for keys that chassis choose themselves, as the original does."""

PORT_KEYS = Pool("port tunnel keys", 1, 32_767)
"""One scope for each datapath; keys from 32,768 are multicast groups', ovn-architecture(7), "Tunnel Encapsulations"."""


VLAN_TAGS = Pool("VLAN tags of ports behind one parent", 1, 4095)
"""One scope for each parent port."""


def northbound_uuid(datapath: sb.DatapathBinding) -> UUID | None:
    """Return the UUID of the logical switch or router that a datapath is for."""
    ids = datapath.external_ids
    return cast("UUID | None", ids.get("logical-switch") or ids.get("logical-router"))


DATAPATH = Rows(
    sb.DatapathBinding,
    values=(sb.DatapathBinding.tunnel_key, sb.DatapathBinding.external_ids),
    key_of=lambda row: northbound_uuid(row) or row.uuid,
    empty=(sb.DatapathBinding.load_balancers,),
)
"""Key: UUID of the Northbound switch or router; of a datapath that names none, and so has to go, its own."""

_PB = sb.PortBinding
PORT_BINDING = Rows(
    _PB,
    key=(_PB.logical_port, _PB.datapath),
    values=(
        _PB.type,
        _PB.tunnel_key,
        _PB.options,
        _PB.parent_port,
        _PB.tag,
        _PB.mac,
        _PB.port_security,
        _PB.external_ids,
        _PB.requested_chassis,
        _PB.requested_additional_chassis,
        _PB.ha_chassis_group,
    ),
    initial={_PB.up: False},
    empty=(_PB.gateway_chassis, _PB.mirror_rules),
)

IN_NAT_ADDRESSES = Members(PORT_BINDING, _PB.nat_addresses)
"""What a chassis announces for a port by gratuitous ARP: a MAC, addresses, and where the port is played."""

_MG = sb.MulticastGroup
MULTICAST_GROUP = Rows(_MG, key=(_MG.datapath, _MG.name), values=(_MG.tunnel_key,))
IN_MULTICAST_GROUP = Members(MULTICAST_GROUP, _MG.ports)

ADDRESS_SET = Rows(sb.AddressSet, key=(sb.AddressSet.name,))
IN_ADDRESS_SET = Members(ADDRESS_SET, sb.AddressSet.addresses)

PORT_GROUP = Rows(sb.PortGroup, key=(sb.PortGroup.name,))
IN_PORT_GROUP = Members(PORT_GROUP, sb.PortGroup.ports)

METER = Rows(sb.Meter, key=(sb.Meter.name,), values=(sb.Meter.unit, sb.Meter.bands))
METER_BAND = Rows(sb.MeterBand, values=(sb.MeterBand.action, sb.MeterBand.rate, sb.MeterBand.burst_size))

DNS = Rows(
    sb.DNS,
    values=(sb.DNS.records, sb.DNS.external_ids),
    key_of=lambda row: row.external_ids.get("dns_id", ""),
)
"""Key: UUID of the Northbound row, which is in `external_ids:dns_id`."""
DNS_OF = Members(DNS, sb.DNS.datapaths)

HA_CHASSIS_GROUP = Rows(
    sb.HAChassisGroup,
    key=(sb.HAChassisGroup.name,),
    values=(sb.HAChassisGroup.ha_chassis, sb.HAChassisGroup.external_ids),
)
REF_CHASSIS = Members(HA_CHASSIS_GROUP, sb.HAChassisGroup.ref_chassis)
"""Chassis with instances that reach a gateway through a group."""
HA_CHASSIS = Rows(sb.HAChassis, values=(sb.HAChassis.chassis, sb.HAChassis.priority, sb.HAChassis.external_ids))

DHCP_OPTION = Rows(sb.DHCPOptions, key=(sb.DHCPOptions.name, sb.DHCPOptions.code, sb.DHCPOptions.type))
DHCPV6_OPTION = Rows(sb.DHCPv6Options, key=(sb.DHCPv6Options.name, sb.DHCPv6Options.code, sb.DHCPv6Options.type))

LEARNED = Rows(sb.FDB)
"""MACs that chassis learned: a fact keeps one, and those without are removed."""

_BFD = sb.BFD
BFD = Rows(
    _BFD,
    key=(_BFD.logical_port, _BFD.dst_ip),
    values=(
        _BFD.src_port,
        _BFD.disc,
        _BFD.min_tx,
        _BFD.min_rx,
        _BFD.detect_mult,
        _BFD.external_ids,
        _BFD.options,
        _BFD.status,
    ),
)
BFD_STATUS = Rows(nb.BFD, values=(nb.BFD.status,), update_only=True)
"""Northbound's view of a session. Key: the row's UUID."""

MAC_LEARNED = Rows(sb.MACBinding)
"""Neighbours that chassis learned: a fact keeps one, and those without are removed."""

_SM = sb.StaticMACBinding
STATIC_MAC_BINDING = Rows(_SM, key=(_SM.logical_port, _SM.ip), values=(_SM.mac, _SM.override_dynamic_mac, _SM.datapath))

UNCLAIMED = tuple(
    Rows(each)
    for each in (
        sb.LoadBalancer, sb.ServiceMonitor, sb.IPMulticast, sb.IGMPGroup, sb.Mirror, sb.ChassisTemplateVar,
    )
)  # fmt: skip
"""What the original's northd, or chassis at its bidding, leave behind, and no feature here calls for: it is removed.

References from it would keep datapaths and groups of datapaths from being deleted; and IGMP groups of one address and
chassis become alike when their datapaths go, which a unique index refuses.
"""

SB_GLOBAL = Rows(
    sb.SBGlobal,
    values=(sb.SBGlobal.nb_cfg, sb.SBGlobal.options, sb.SBGlobal.ipsec),
    key_of=lambda _: "global",
)
NB_GLOBAL = Rows(
    nb.NBGlobal,
    values=(
        nb.NBGlobal.options,
        nb.NBGlobal.nb_cfg_timestamp,
        nb.NBGlobal.sb_cfg,
        nb.NBGlobal.sb_cfg_timestamp,
        nb.NBGlobal.hv_cfg,
        nb.NBGlobal.hv_cfg_timestamp,
    ),
    key_of=lambda _: "global",
)
PORT_STATUS = Rows(nb.LogicalSwitchPort, values=(nb.LogicalSwitchPort.up,), update_only=True)
"""Northbound's view of a port's state. Key: the port's UUID."""
PORT_TAG = Rows(nb.LogicalSwitchPort, values=(nb.LogicalSwitchPort.tag,), update_only=True, returned=True)
"""The VLAN that a port asked for by `tag_request`. Key: the port's UUID."""


PORT_ADDRESSES = Rows(nb.LogicalSwitchPort, values=(nb.LogicalSwitchPort.dynamic_addresses,), update_only=True)
"""The addresses that a port asked for by `dynamic`. Key: the port's UUID."""
PORT_PREFIX = Rows(nb.LogicalRouterPort, values=(nb.LogicalRouterPort.ipv6_prefix,), update_only=True)
"""The IPv6 prefix that was delegated to a router port. Key: the port's UUID."""


def datapath(network: nb.LogicalSwitch | nb.LogicalRouter) -> UUID:
    """Return the UUID of the datapath binding of a logical switch or router."""
    return DATAPATH.uuid(network.uuid)
