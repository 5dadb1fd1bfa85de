"""How packets leave logical datapaths: to local ports, by tunnels, by gateways (ovn-architecture(7)).

Tables 39 and 40 send packets to the chassis and ports that the ingress pipeline chose; 41 drops packets that would
return to their input port; 64 and 65 deliver.

A multicast group's flows consist of one part for each member, yielded for the member: a new port costs its own part
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.encapsulation import (
    outward,
    to_gateway,
)
from ovenbird.controller.facts import cookie_of, flow, part
from ovenbird.controller.local.additional_chassis import spread_here
from ovenbird.controller.local.gateway import candidates
from ovenbird.controller.local.local_data import (
    hosted_row,
    localnet_key,
    peer_of,
    shares_interface,
)
from ovenbird.controller.physical import chassis_mac
from ovenbird.controller.physical.encaps import tunnel_to
from ovenbird.controller.physical.flood import PIECE, ask, number_of, pieces
from ovenbird.controller.physical.ingress import gateway_entry, zones_of
from ovenbird.controller.physical.multichassis import elsewhere
from ovenbird.controller.physical.static_flows import ALLOW_LOOPBACK, ONES, to_port
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.model.sb import DatapathBinding, MulticastGroup, PortBinding, SBGlobal
from ovenbird.openflow.actions import (
    Bundle,
    Output,
    Resubmit,
    SetField,
    StackPop,
    StackPush,
)
from ovenbird.openflow.fields import Subfield
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.openflow.actions import Action
_IN_PORT = Subfield.of("in_port")
NO_PORT = 0xFFFF  # OFPP_NONE: an output to where the packet came from is not dropped then
_ANONYMOUS: tuple[Action, ...] = (
    StackPush(_IN_PORT), SetField.of("in_port", NO_PORT), Resubmit(OFTable.LOG_TO_PHY), StackPop(_IN_PORT),
)  # fmt: skip


def arrival_flows(port: PortBinding, datapath: DatapathBinding, port_zone: int) -> Iterator[Fact]:
    """Yield the flows of any port that packets can be delivered to from here.

    Arguments:
        port: the port.
        datapath: its datapath.
        port_zone: its conntrack zone; 0 for none.
    """
    key, number, cookie = port.tunnel_key, datapath.tunnel_key, cookie_of(port)
    match = to_port(number, key=key)
    yield flow(
        OFTable.LOCAL_OUTPUT,
        100,
        match,
        (*zones_of(datapath.uuid, port_zone), Resubmit(OFTable.CHECK_LOOPBACK)),
        cookie,
    )
    bounced = {**match, "reg14": (key, ONES), "reg10": (0, ALLOW_LOOPBACK)}
    yield flow(OFTable.CHECK_LOOPBACK, 100, bounced, (), cookie)
    if not shares_interface(port):
        match = {**match, "reg10": (ALLOW_LOOPBACK, ALLOW_LOOPBACK)}
    yield flow(OFTable.SAVE_INPORT, 100, match, _ANONYMOUS, cookie)


def _member(table: OFTable, group: MulticastGroup, datapath: DatapathBinding, actions: tuple[Action, ...],
            key: int) -> Iterator[Fact]:  # fmt: skip
    """Yield a member's part of its group's flow, and the final part, which is equal for all members."""
    match, cookie = to_port(datapath.tunnel_key, key=group.tunnel_key), cookie_of(group)
    count = pieces(group, table)
    if piece := key % count:
        number = {**match, PIECE: (number_of(table, piece), ONES)}
        yield part(OFTable.FLOOD_PIECE, 100, number, cookie, (1, key), actions)
    else:
        yield part(table, 100, match, cookie, (1, key), actions)
    if count > 1:
        yield part(table, 100, match, cookie, (0, 0), (ask(table, count),))
    end: tuple[Action, ...] = (SetField.of("reg15", group.tunnel_key),)
    yield part(table, 100, match, cookie, (2, 0), end)
    if table == OFTable.REMOTE_OUTPUT:
        yield part(table, 100, match, cookie, (9, 0), (Resubmit(OFTable.LOCAL_OUTPUT),))


def copies(port: PortBinding, datapath: DatapathBinding, port_zone: int, table: OFTable) -> Iterator[Fact]:
    """Yield the port's parts of its multicast groups' flows.

    Arguments:
        port: the port.
        datapath: its datapath.
        port_zone: its conntrack zone; 0 for none.
        table: the OpenFlow table that makes the copies.
    """
    zone = (SetField.of("reg13", port_zone),) if port_zone else ()
    actions = (*zone, SetField.of("reg15", port.tunnel_key), Resubmit(OFTable.CHECK_LOOPBACK))
    for group in port.referrers(MulticastGroup.ports):
        yield from _member(table, group, datapath, actions, port.tunnel_key)


def remote_flows(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a port that is not here: by its physical network if it has one, else by a tunnel."""
    if port.type == "chassisredirect" and port.options.get("redirect-type") == "bridged":
        yield from _bridged(port, datapath)
        return
    exit_key = localnet_key(datapath.uuid)
    there = to_port(datapath.tunnel_key, key=port.tunnel_key)
    if exit_key and not PortBinding.additional_chassis.raw(port) and not always_tunnels():
        yield flow(
            OFTable.LOCAL_OUTPUT,
            100,
            there,
            (SetField.of("reg15", exit_key), Resubmit(OFTable.LOCAL_OUTPUT)),
            cookie_of(port),
        )
        for key in spread_here(datapath.uuid):
            tunnelled = {**there, "reg14": (key, ONES)}
            for way in elsewhere(port):
                yield flow(OFTable.REMOTE_OUTPUT, 110, tunnelled, _tunnelled(way, datapath, port), cookie_of(port))
        return
    if port.type == "localport":
        return
    if len(candidates(port)) > 1:
        yield from _to_gateways(port, datapath)
        return
    yield from tunnel_flows(port, datapath)


@view
def always_tunnels() -> bool:
    """Return whether packets to one port are tunnelled in switches with a physical network, too (`always_tunnel`).

    ovn-nb(5) of OVN 24.03 and later, NB_Global. Packets to many still leave by the physical network.
    """
    return any(flag(row.options, "always_tunnel") for row in rows(SBGlobal))


def tunnel_flows(port: PortBinding, datapath: DatapathBinding, after: tuple[Action, ...] = ()) -> Iterator[Fact]:
    """Yield the flows by which packets reach a port on all other chassis that it is on.

    Arguments:
        port: the port.
        datapath: its datapath.
        after: the actions behind the output.
    """
    ways = elsewhere(port) if port.type != "localport" else ()
    if not ways:
        return
    if port.type == "vtep":
        yield from gateway_entry(port, datapath, [ofport for kind, ofport in ways if kind == "vxlan"])
    made = tuple([action for way in ways for action in _tunnelled(way, datapath, port)])
    there = to_port(datapath.tunnel_key, key=port.tunnel_key)
    yield flow(OFTable.REMOTE_OUTPUT, 100, there, (*made, *after), cookie_of(port))
    if localnet_key(datapath.uuid):  # what is for many goes out by the physical network
        return
    for group in port.referrers(MulticastGroup.ports):
        for kind, ofport in elsewhere(port, to_many=True):
            gateway = port.type == "vtep" and kind == "vxlan"
            yield from remote_copies(group, datapath, "vtep" if gateway else kind, ofport)


def _tunnelled(way: tuple[str, int], datapath: DatapathBinding, port: PortBinding) -> tuple[Action, ...]:
    """Return the actions that tunnel a packet to a port; to a VTEP gateway also a packet that came by a tunnel."""
    kind, ofport = way
    number = datapath.tunnel_key
    if port.type != "vtep":
        return (*outward(kind, datapath=number, key=port.tunnel_key), Output(ofport))
    carried = to_gateway(number) if kind == "vxlan" else outward(kind, datapath=number, key=port.tunnel_key)
    return (SetField.of("in_port", NO_PORT), *carried, Output(ofport))


def _bridged(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow that sends packets to a remote gateway through the physical network, with the router's MAC."""
    target = find(PortBinding.logical_port, port.options.get("distributed-port", ""))
    peer = peer_of(target) if target is not None else None
    switch = hosted_row(PortBinding.datapath.raw(peer)) if peer is not None else None
    mac = next((mac for text in sorted(port.mac) if (mac := chassis_mac.parse_mac(text.partition(" ")[0]))), None)
    if switch is None or mac is None or not localnet_key(switch.uuid):
        return
    onward = (
        SetField.of("eth_src", mac), SetField.of("metadata", switch.tunnel_key),
        SetField.of("reg15", localnet_key(switch.uuid)), Resubmit(OFTable.LOG_TO_PHY),
    )  # fmt: skip
    yield flow(OFTable.LOCAL_OUTPUT, 100, to_port(datapath.tunnel_key, key=port.tunnel_key), onward, cookie_of(port))


def _to_gateways(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow that sends packets to the first live gateway, chosen by the switch by BFD (`bundle`)."""
    found = [tunnel for chassis in candidates(port) if (tunnel := tunnel_to(chassis.uuid, encap=None)) is not None]
    if not found:
        return
    kind = found[0][0]
    ofports = tuple([ofport for encapsulation, ofport in found if encapsulation == kind])
    actions = (
        *outward(kind, datapath=datapath.tunnel_key, key=port.tunnel_key),
        Bundle(fields=0, basis=0, algorithm=0, members=ofports),
    )
    yield flow(OFTable.REMOTE_OUTPUT, 100, to_port(datapath.tunnel_key, key=port.tunnel_key), actions, cookie_of(port))


@view
def remote_copies(group: MulticastGroup, datapath: DatapathBinding, kind: str, ofport: int) -> tuple[Fact, ...]:
    """Return the parts that send a group's packets to another chassis; they are equal for all its ports there.

    Arguments:
        group: the multicast group.
        datapath: its datapath.
        kind: the tunnel's type: `geneve`, `vxlan`, or `vtep` for one to a VTEP gateway.
        ofport: the tunnel's port.
    """
    number, key = datapath.tunnel_key, group.tunnel_key
    match, cookie = to_port(number, key=key), cookie_of(group)
    order = {"geneve": 3, "vxlan": 5, "vtep": 7}[kind]
    carried = to_gateway(number) if kind == "vtep" else outward(kind, datapath=number, key=key)
    return (
        part(OFTable.REMOTE_OUTPUT, 100, match, cookie, (2, 0), (SetField.of("reg15", key),)),
        part(OFTable.REMOTE_OUTPUT, 100, match, cookie, (order, 0), carried),
        part(OFTable.REMOTE_OUTPUT, 100, match, cookie, (order + 1, ofport), (Output(ofport),)),
        part(OFTable.REMOTE_OUTPUT, 100, match, cookie, (9, 0), (Resubmit(OFTable.LOCAL_OUTPUT),)),
    )
