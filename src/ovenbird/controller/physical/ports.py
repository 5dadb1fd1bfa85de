"""The flows of each port that is local or remote: by its type, and by its location (ovn-architecture(7)).

Table 0 assigns packets from interfaces, physical networks and tunnels to a logical datapath and port. A flow's cookie
identifies the Southbound row from which it was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import cookie_of, flow
from ovenbird.controller.local.additional_chassis import is_blocked
from ovenbird.controller.local.ct_zones import port_zone_of, zone_of
from ovenbird.controller.local.local_data import (
    VIF,
    hosted_row,
    is_relevant,
    is_resident,
    ofport_named,
    ofport_of,
    peer_of,
    plugged_localnets,
)
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.controller.physical import chassis_mac
from ovenbird.controller.physical.ingress import entry_actions, zones_of
from ovenbird.controller.physical.multichassis import blocking
from ovenbird.controller.physical.output import arrival_flows, copies, remote_flows, tunnel_flows
from ovenbird.controller.physical.patch import patch_name, physical_bridge
from ovenbird.controller.physical.static_flows import (
    CLEAR_REGISTERS,
    FROM_LOCALPORT,
    LOCAL_ONLY,
    METADATA_ONES,
    ONES,
    REGISTERS,
    to_port,
)
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.model.sb import DatapathBinding, PortBinding
from ovenbird.net.ethernet import VLAN
from ovenbird.openflow.actions import (
    Clone,
    CtClear,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action
_MAC_ONES = (1 << 48) - 1
_PRESENT = 0x1000  # of vlan_vid: there is a tag


@rule(PortBinding, when=is_relevant)
def port_flows(port: PortBinding) -> Iterator[Fact]:
    """Yield a port's flows: those of a local, a remote or a patch port."""
    datapath = hosted_row(PortBinding.datapath.raw(port))
    if datapath is None:
        return
    kind = port.type
    if port in plugged_localnets(datapath.uuid) or (kind == "l2gateway" and is_resident(port)):
        yield from _physical_network(port, datapath)
    elif kind == "patch" or (kind == "l3gateway" and is_resident(port)):
        yield from _joining(port, datapath)
    elif kind == "chassisredirect" and is_resident(port):
        yield from _redirected(port, datapath)
    elif kind in (VIF, "localport") and is_resident(port):
        yield from _interface(port, datapath)
    else:
        yield from remote_flows(port, datapath)
        if kind == "external" and is_resident(port):
            yield from _answers_of_localports(port, datapath)


def _interface(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a port with an interface here, or of a container behind one."""
    name, cookie = port.logical_port, cookie_of(port)
    zone = zone_of(name)
    enter = entry_actions(datapath, port, zone)
    parent, tag = port.parent_port, port.tag
    ofport = ofport_of(parent or name)
    match = {"in_port_oxm": (ofport, ONES)}
    there = to_port(datapath.tunnel_key, key=port.tunnel_key)
    if parent and tag is not None:
        tagged = {**match, "vlan_vid": (_PRESENT | tag, 0x1FFF)}
        yield flow(OFTable.PHY_TO_LOG, 150, tagged, (PopVlan(), *enter), cookie)
        yield flow(OFTable.LOG_TO_PHY, 100, there, _tagged_output(ofport, tag=tag, ethertype=VLAN), cookie)
    else:
        yield flow(OFTable.PHY_TO_LOG, 100, match, enter, cookie)
        yield flow(OFTable.LOG_TO_PHY, 100, there, (Output(ofport),), cookie)
    if is_blocked(port):
        yield from blocking(port, ofport, there, enter, OFTable.LOG_TO_PHY)
    yield from arrival_flows(port, datapath, zone)
    yield from tunnel_flows(port, datapath, (Resubmit(OFTable.LOCAL_OUTPUT),))
    if port.type == "localport":
        here = {"reg14": (port.tunnel_key, ONES), "metadata": (datapath.tunnel_key, METADATA_ONES)}
        yield flow(OFTable.REMOTE_OUTPUT, 150, here, (Resubmit(OFTable.LOCAL_OUTPUT),), cookie)
        yield from copies(port, datapath, zone, OFTable.REMOTE_OUTPUT)
    else:
        yield from copies(port, datapath, zone, OFTable.LOCAL_OUTPUT)


def _tagged_output(ofport: int, *, tag: int, ethertype: int) -> tuple[Action, ...]:
    """Return the output of a packet under a VLAN tag, whose Ethernet type is given."""
    return (PushVlan(ethertype), SetField.of("vlan_vid", _PRESENT | tag), Output(ofport), PopVlan())


def _physical_network(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a localnet port, which use a patch port to the bridge of its network."""
    inner = integration_bridge()
    ofport = ofport_named(patch_name(port.logical_port, bridge=inner.name)) if inner is not None else 0
    if ofport <= 0 or physical_bridge(port) is None:
        return
    cookie, tag = cookie_of(port), port.tag or 0
    zone = zone_of(port.logical_port)
    enter = entry_actions(datapath, port, zone)
    match = {"in_port_oxm": (ofport, ONES)}
    tagged = {**match, "vlan_vid": (_PRESENT | tag, 0x1FFF)}
    yield flow(OFTable.PHY_TO_LOG, 150 if tag else 100, tagged, (PopVlan(), *enter), cookie)
    there = to_port(datapath.tunnel_key, key=port.tunnel_key)
    if tag:
        yield flow(
            OFTable.LOG_TO_PHY,
            100,
            there,
            _tagged_output(ofport, tag=tag, ethertype=chassis_mac.tag_type(port)),
            cookie,
        )
    else:  # a tag of VLAN 0, which only carries a priority, counts as none
        yield flow(OFTable.PHY_TO_LOG, 100, {**match, "vlan_vid": (0, _PRESENT)}, enter, cookie)
        yield flow(OFTable.LOG_TO_PHY, 100, there, (Output(ofport),), cookie)
    if port.type == "localnet":
        yield from chassis_mac.leaving(port, there, ofport=ofport, cookie=cookie)
        yield from chassis_mac.arriving(port, ofport, enter)
        for flag in (LOCAL_ONLY, FROM_LOCALPORT):
            yield flow(OFTable.CHECK_LOOPBACK, 160, {**there, "reg10": (flag, flag)}, (), cookie)
    yield from arrival_flows(port, datapath, zone)
    yield from copies(port, datapath, zone, OFTable.LOCAL_OUTPUT)


def _answers_of_localports(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows by which localports answer an external port that this chassis hosts, through its network."""
    macs = [mac for line in port.mac if (mac := chassis_mac.parse_mac(line.partition(" ")[0])) is not None]
    for way in plugged_localnets(datapath.uuid):
        match = {**to_port(datapath.tunnel_key, key=way.tunnel_key), "reg10": (FROM_LOCALPORT, FROM_LOCALPORT)}
        for mac in macs:
            answers = {**match, "eth_dst": (mac, _MAC_ONES)}
            yield flow(
                OFTable.CHECK_LOOPBACK,
                170,
                answers,
                (*CLEAR_REGISTERS, Resubmit(OFTable.LOG_EGRESS_PIPELINE)),
                cookie_of(way),
            )


def _joining(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a patch port: packets that leave by it enter the peer's datapath, with cleared registers.

    A plain patch port is on every chassis, so the chassis where a multicast packet comes in makes the copy for it. That
    of a gateway router is on the router's chassis alone, which also makes the copies of packets from tunnels.
    """
    peer = peer_of(port)
    if peer is None:
        return
    beyond = get(DatapathBinding, PortBinding.datapath.raw(peer))
    if beyond is None:
        return
    fresh = tuple(SetField.of(name, 0) for name in ("reg11", "reg12", "reg13"))
    clear = tuple(SetField.of(name, 0) for name in ("reg10", "reg15", *REGISTERS))
    crossing = Clone((
        CtClear(), *fresh, *zones_of(beyond.uuid, port_zone_of(peer)),
        SetField.of("metadata", beyond.tunnel_key), SetField.of("reg14", peer.tunnel_key), *clear,
        Resubmit(OFTable.LOG_INGRESS_PIPELINE),
    ))  # fmt: skip
    yield flow(OFTable.LOG_TO_PHY, 100, to_port(datapath.tunnel_key, key=port.tunnel_key), (crossing,), cookie_of(port))
    zone = port_zone_of(port)
    yield from arrival_flows(port, datapath, zone)
    yield from copies(port, datapath, zone, OFTable.LOCAL_OUTPUT if port.type == "l3gateway" else OFTable.REMOTE_OUTPUT)


def _redirected(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow of a chassisredirect port on its gateway: the packet continues to the distributed gateway port."""
    target = find(PortBinding.logical_port, port.options.get("distributed-port", ""))
    if target is None:
        return
    onward = (SetField.of("reg15", target.tunnel_key), *zones_of(datapath.uuid, 0), Resubmit(OFTable.CHECK_LOOPBACK))
    yield flow(OFTable.LOCAL_OUTPUT, 100, to_port(datapath.tunnel_key, key=port.tunnel_key), onward, cookie_of(port))
