"""How packets enter logical datapaths: from tunnels, and by the ports of this chassis (ovn-architecture(7))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.encapsulation import (
    GENEVE_IN,
    NETWORK_IN,
    VXLAN_IN,
    VXLAN_MULTICAST_BIT,
    VXLAN_MULTICAST_IN,
)
from ovenbird.controller.facts import cookie_of, flow
from ovenbird.controller.local.ct_zones import datapath_zones
from ovenbird.controller.local.gateway import chassis_id
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.controller.physical.static_flows import FROM_LOCALPORT, FROM_VTEP, METADATA_ONES, ONES
from ovenbird.engine.rules import rule
from ovenbird.model.vswitch import Bridge, Port
from ovenbird.openflow.actions import (
    Resubmit,
    SetField,
)
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.model.sb import DatapathBinding, PortBinding
    from ovenbird.openflow.actions import Action


@rule(Port)
def tunnel_entry(port: Port) -> Iterator[Fact]:
    """Deliver packets from a tunnel to the port that the sending chassis has chosen."""
    bridge = integration_bridge()
    if not chassis_id(port) or bridge is None or bridge not in port.referrers(Bridge.ports):
        return
    for interface in port.interfaces:
        ofport = interface.ofport or 0
        if ofport <= 0:
            continue
        match = {"in_port_oxm": (ofport, ONES)}
        if interface.type == "vxlan":
            bit = VXLAN_MULTICAST_BIT
            yield flow(
                OFTable.PHY_TO_LOG, 100, {**match, "tun_id": (0, bit)}, (*VXLAN_IN, Resubmit(OFTable.LOCAL_OUTPUT))
            )
            yield flow(
                OFTable.PHY_TO_LOG,
                100,
                {**match, "tun_id": (bit, bit)},
                (*VXLAN_MULTICAST_IN, Resubmit(OFTable.LOCAL_OUTPUT)),
            )
        else:
            yield flow(OFTable.PHY_TO_LOG, 100, match, (*GENEVE_IN, Resubmit(OFTable.LOCAL_OUTPUT)))


def gateway_entry(port: PortBinding, datapath: DatapathBinding, ofports: Iterable[int]) -> Iterator[Fact]:
    """Yield the flows by which packets from a VTEP gateway, whose VNI is the datapath's key, come in by its port.

    They go through the ingress pipeline here, and to ports of this chassis alone: the gateway has made the copies.

    Arguments:
        port: the gateway's port.
        datapath: the datapath of the port.
        ofports: the VXLAN tunnels to the gateway.
    """
    enter = (
        NETWORK_IN,
        SetField.of("reg14", port.tunnel_key, mask=0x7FFF),
        SetField.of("reg10", FROM_VTEP, mask=FROM_VTEP),
        Resubmit(OFTable.LOG_INGRESS_PIPELINE),
    )
    for ofport in ofports:
        match = {"in_port_oxm": (ofport, ONES), "tun_id": (datapath.tunnel_key, METADATA_ONES)}
        yield flow(OFTable.PHY_TO_LOG, 110, match, enter, cookie_of(port))


def zones_of(datapath: UUID, port_zone: int) -> tuple[Action, ...]:
    """Return the actions that load the conntrack zones: the port's (0 for none), and the datapath's."""
    dnat, snat = datapath_zones(datapath)
    common = (SetField.of("reg11", dnat), SetField.of("reg12", snat))
    return (SetField.of("reg13", port_zone), *common) if port_zone else common


def entry_actions(datapath: DatapathBinding, port: PortBinding, port_zone: int) -> tuple[Action, ...]:
    """Return the actions that put a packet into a datapath's ingress pipeline, as from a port.

    Arguments:
        datapath: the datapath.
        port: the port.
        port_zone: the port's conntrack zone; 0 for none.
    """
    flag = (SetField.of("reg10", FROM_LOCALPORT, mask=FROM_LOCALPORT),) if port.type == "localport" else ()
    return (
        *zones_of(datapath.uuid, port_zone),
        SetField.of("metadata", datapath.tunnel_key),
        SetField.of("reg14", port.tunnel_key),
        *flag,
        Resubmit(OFTable.LOG_INGRESS_PIPELINE),
    )
