"""Between the physical and the logical: how packets enter logical datapaths, and how they leave (ovn-architecture(7)).

Table 0 gives a packet that comes from an interface, a physical network or a tunnel its logical datapath and port.
Tables 39 and 40 take what the ingress pipeline has decided to the chassis and ports concerned; 41 drops what would go
back where it came from; 64 and 65 deliver. Numbers are OVN 23.03's. A flow's cookie leads to the Southbound row for
which it was made.

A multicast group's flows are made of one part for each member, by the member: a port that comes costs its own part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.encapsulation import (
    GENEVE_IN,
    VXLAN_IN,
    VXLAN_MULTICAST_BIT,
    VXLAN_MULTICAST_IN,
    outward,
)
from ovenbird.controller.facts import cookie_of, flow, part
from ovenbird.controller.local.ct_zones import datapath_zones, port_zone_of, zone_of
from ovenbird.controller.local.gateway import candidates, chassis_id
from ovenbird.controller.local.local_data import (
    VIF,
    hosted_row,
    is_concerned,
    localnet_key,
    ofport_named,
    ofport_of,
    peer_of,
    plugged_localnets,
    resident,
    shares_interface,
)
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.controller.physical import chassis_mac
from ovenbird.controller.physical.encaps import tunnel_to
from ovenbird.controller.physical.multichassis import (
    LARGE_PACKETS,
    LARGE_REPLIES,
    blocking,
    elsewhere,
    is_blocked,
    spread_here,
)
from ovenbird.controller.physical.patch import patch_name, physical_bridge
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.lang.actions.layout import FlagBit, Tables
from ovenbird.model.sb import DatapathBinding, MulticastGroup, PortBinding
from ovenbird.model.vswitch import Bridge, Port
from ovenbird.openflow.actions import (
    Bundle,
    Clone,
    CtClear,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    StackPop,
    StackPush,
)
from ovenbird.openflow.fields import Subfield

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.openflow.actions import Action

TABLES = Tables()
ENTRY, REMOTE, LOCAL, LOOPBACK, DELIVER = 0, 39, 40, 41, 65

ALLOW_LOOPBACK, FROM_VTEP = FlagBit.LOOPBACK.mask, FlagBit.FROM_VTEP.mask
LOCAL_ONLY, FROM_LOCALPORT = FlagBit.LOCAL_ONLY.mask, FlagBit.FROM_LOCALPORT.mask

_ONES = 0xFFFFFFFF
_METADATA_ONES = (1 << 64) - 1
_MAC_ONES = (1 << 48) - 1
_PRESENT = 0x1000  # of vlan_vid: there is a tag
_IN_PORT = Subfield.of("in_port")
_NO_PORT = 0xFFFF  # OFPP_NONE: an output to where the packet came from is not dropped then
_REGISTERS = tuple(f"reg{n}" for n in range(10))
_CLEAR_REGISTERS = tuple(SetField.of(name, 0) for name in _REGISTERS)
_ANONYMOUS: tuple[Action, ...] = (
    StackPush(_IN_PORT), SetField.of("in_port", _NO_PORT), Resubmit(DELIVER), StackPop(_IN_PORT),
)  # fmt: skip


def to_port(datapath: int, key: int) -> dict[str, tuple[int, int]]:
    """Return the match of packets to a port or multicast group of a datapath."""
    return {"reg15": (key, _ONES), "metadata": (datapath, _METADATA_ONES)}


@singleton
def skeleton() -> Iterator[Fact]:
    """Yield the flows that are there in any case: what happens to packets that nothing else concerns."""
    yield flow(ENTRY, 0, {}, ())
    yield flow(LARGE_PACKETS, 0, {}, (Resubmit(REMOTE),))
    yield flow(LARGE_REPLIES, 10, {"reg10": (ALLOW_LOOPBACK, ALLOW_LOOPBACK)}, (Resubmit(LOCAL),))
    yield flow(LARGE_REPLIES, 0, {}, (Resubmit(REMOTE),))
    yield flow(REMOTE, 150, {"reg10": (LOCAL_ONLY, LOCAL_ONLY)}, (Resubmit(LOCAL),))
    yield flow(REMOTE, 150, {"reg10": (FROM_VTEP, FROM_VTEP | ALLOW_LOOPBACK)}, (Resubmit(LOCAL),))
    yield flow(REMOTE, 0, {}, (Resubmit(LOCAL),))
    yield flow(LOCAL, 0, {}, ())
    yield flow(LOOPBACK, 0, {}, (*_CLEAR_REGISTERS, Resubmit(TABLES.egress)))
    yield flow(TABLES.deliver, 0, {}, (Resubmit(DELIVER),))
    yield flow(DELIVER, 0, {}, ())


@rule(Port)
def tunnel_entry(port: Port) -> Iterator[Fact]:
    """Take packets from a tunnel to where the sending chassis has decided that they go."""
    bridge = integration_bridge()
    if not chassis_id(port) or bridge is None or bridge not in port.referrers(Bridge.ports):
        return
    for interface in port.interfaces:
        ofport = interface.ofport or 0
        if ofport <= 0:
            continue
        match = {"in_port_oxm": (ofport, _ONES)}
        if interface.type == "vxlan":
            bit = VXLAN_MULTICAST_BIT
            yield flow(ENTRY, 100, {**match, "tun_id": (0, bit)}, (*VXLAN_IN, Resubmit(LOCAL)))
            yield flow(ENTRY, 100, {**match, "tun_id": (bit, bit)}, (*VXLAN_MULTICAST_IN, Resubmit(LOCAL)))
        else:
            yield flow(ENTRY, 100, match, (*GENEVE_IN, Resubmit(LOCAL)))


@rule(PortBinding, when=is_concerned)
def port_flows(port: PortBinding) -> Iterator[Fact]:
    """Yield a port's flows: one that is here, one that is elsewhere, or one that joins two datapaths."""
    datapath = hosted_row(PortBinding.datapath.raw(port))
    if datapath is None:
        return
    kind = port.type
    if port in plugged_localnets(datapath.uuid) or (kind == "l2gateway" and resident(port)):
        yield from _physical_network(port, datapath)
    elif kind == "patch" or (kind == "l3gateway" and resident(port)):
        yield from _joining(port, datapath)
    elif kind == "chassisredirect" and resident(port):
        yield from _redirected(port, datapath)
    elif kind in (VIF, "localport") and resident(port):
        yield from _interface(port, datapath)
    else:
        yield from _elsewhere(port, datapath)
        if kind == "external" and resident(port):
            yield from _answers_of_localports(port, datapath)


def _zones(datapath: UUID, port_zone: int) -> tuple[Action, ...]:
    """Return what tells conntrack's zones to the pipeline: the port's own (0: it has none), and the datapath's."""
    dnat, snat = datapath_zones(datapath)
    common = (SetField.of("reg11", dnat), SetField.of("reg12", snat))
    return (SetField.of("reg13", port_zone), *common) if port_zone else common


def _enter(datapath: DatapathBinding, port: PortBinding, port_zone: int) -> tuple[Action, ...]:
    """Return what puts a packet at the start of a datapath's ingress pipeline, as coming from the port."""
    flag = (SetField.of("reg10", FROM_LOCALPORT, FROM_LOCALPORT),) if port.type == "localport" else ()
    return (
        *_zones(datapath.uuid, port_zone),
        SetField.of("metadata", datapath.tunnel_key),
        SetField.of("reg14", port.tunnel_key),
        *flag,
        Resubmit(TABLES.ingress),
    )


def _arrival(port: PortBinding, datapath: DatapathBinding, port_zone: int) -> Iterator[Fact]:
    """Yield what any port has that can be delivered to from here."""
    key, number, cookie = port.tunnel_key, datapath.tunnel_key, cookie_of(port)
    match = to_port(number, key)
    yield flow(LOCAL, 100, match, (*_zones(datapath.uuid, port_zone), Resubmit(LOOPBACK)), cookie)
    bounced = {**match, "reg14": (key, _ONES), "reg10": (0, ALLOW_LOOPBACK)}
    yield flow(LOOPBACK, 100, bounced, (), cookie)
    if not shares_interface(port):
        match = {**match, "reg10": (ALLOW_LOOPBACK, ALLOW_LOOPBACK)}
    yield flow(TABLES.deliver, 100, match, _ANONYMOUS, cookie)


def _member(table: int, group: MulticastGroup, datapath: DatapathBinding, order: int, actions: tuple[Action, ...],
            key: int) -> Iterator[Fact]:  # fmt: skip
    """Yield a member's part of its group's flow, and the part that ends it, of which every member says the same."""
    match, cookie = to_port(datapath.tunnel_key, group.tunnel_key), cookie_of(group)
    yield part(table, 100, match, cookie, (order, key), actions)
    end: tuple[Action, ...] = (SetField.of("reg15", group.tunnel_key),)
    yield part(table, 100, match, cookie, (2, 0), end)
    if table == REMOTE:
        yield part(table, 100, match, cookie, (9, 0), (Resubmit(LOCAL),))


def _copies(port: PortBinding, datapath: DatapathBinding, port_zone: int, table: int) -> Iterator[Fact]:
    """Yield the port's copies of what goes to its multicast groups."""
    zone = (SetField.of("reg13", port_zone),) if port_zone else ()
    actions = (*zone, SetField.of("reg15", port.tunnel_key), Resubmit(LOOPBACK))
    for group in port.referrers(MulticastGroup.ports):
        yield from _member(table, group, datapath, 1, actions, port.tunnel_key)


def _interface(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a port with an interface here, or of a container behind one."""
    name, cookie = port.logical_port, cookie_of(port)
    zone = zone_of(name)
    enter = _enter(datapath, port, zone)
    parent, tag = port.parent_port, port.tag
    ofport = ofport_of(parent or name)
    match = {"in_port_oxm": (ofport, _ONES)}
    there = to_port(datapath.tunnel_key, port.tunnel_key)
    if parent and tag is not None:
        tagged = {**match, "vlan_vid": (_PRESENT | tag, 0x1FFF)}
        yield flow(ENTRY, 150, tagged, (PopVlan(), *enter), cookie)
        yield flow(DELIVER, 100, there, _tagged_output(ofport, tag), cookie)
    else:
        yield flow(ENTRY, 100, match, enter, cookie)
        yield flow(DELIVER, 100, there, (Output(ofport),), cookie)
    if is_blocked(port):
        yield from blocking(port, ofport, there, enter, DELIVER)
    yield from _arrival(port, datapath, zone)
    yield from _by_tunnels(port, datapath, (Resubmit(LOCAL),))
    if port.type == "localport":
        here = {"reg14": (port.tunnel_key, _ONES), "metadata": (datapath.tunnel_key, _METADATA_ONES)}
        yield flow(REMOTE, 150, here, (Resubmit(LOCAL),), cookie)
        yield from _copies(port, datapath, zone, REMOTE)
    else:
        yield from _copies(port, datapath, zone, LOCAL)


def _tagged_output(ofport: int, tag: int) -> tuple[Action, ...]:
    """Return the output of a packet under a VLAN tag."""
    return (PushVlan(), SetField.of("vlan_vid", _PRESENT | tag), Output(ofport), PopVlan())


def _physical_network(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a localnet port: through a patch port to the bridge of its network."""
    inner = integration_bridge()
    ofport = ofport_named(patch_name(port.logical_port, inner.name)) if inner is not None else 0
    if ofport <= 0 or physical_bridge(port) is None:
        return
    cookie, tag = cookie_of(port), port.tag or 0
    zone = zone_of(port.logical_port)
    enter = _enter(datapath, port, zone)
    match = {"in_port_oxm": (ofport, _ONES)}
    tagged = {**match, "vlan_vid": (_PRESENT | tag, 0x1FFF)}
    yield flow(ENTRY, 150 if tag else 100, tagged, (PopVlan(), *enter), cookie)
    there = to_port(datapath.tunnel_key, port.tunnel_key)
    if tag:
        yield flow(DELIVER, 100, there, _tagged_output(ofport, tag), cookie)
    else:  # a tag of VLAN 0, which only carries a priority, counts as none
        yield flow(ENTRY, 100, {**match, "vlan_vid": (0, _PRESENT)}, enter, cookie)
        yield flow(DELIVER, 100, there, (Output(ofport),), cookie)
    if port.type == "localnet":
        yield from chassis_mac.leaving(port, there, ofport, cookie)
        yield from chassis_mac.arriving(port, ofport, enter)
        for flag in (LOCAL_ONLY, FROM_LOCALPORT):
            yield flow(LOOPBACK, 160, {**there, "reg10": (flag, flag)}, (), cookie)
    yield from _arrival(port, datapath, zone)
    yield from _copies(port, datapath, zone, LOCAL)


def _answers_of_localports(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows that let localports answer an external port, which this chassis speaks for, by its network."""
    macs = [mac for line in port.mac if (mac := chassis_mac.parse_mac(line.partition(" ")[0])) is not None]
    for way in plugged_localnets(datapath.uuid):
        match = {**to_port(datapath.tunnel_key, way.tunnel_key), "reg10": (FROM_LOCALPORT, FROM_LOCALPORT)}
        for mac in macs:
            answers = {**match, "eth_dst": (mac, _MAC_ONES)}
            yield flow(LOOPBACK, 170, answers, (*_CLEAR_REGISTERS, Resubmit(TABLES.egress)), cookie_of(way))


def _joining(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a patch port: what leaves by it enters the peer's datapath, with nothing carried over.

    A plain one is on every chassis, so that the chassis where a packet comes in makes its copy of what goes to many. A
    gateway router's is on the router's chassis alone, which makes that of packets from tunnels as well.
    """
    peer = peer_of(port)
    if peer is None:
        return
    beyond = get(DatapathBinding, PortBinding.datapath.raw(peer))
    if beyond is None:
        return
    fresh = tuple(SetField.of(name, 0) for name in ("reg11", "reg12", "reg13"))
    clear = tuple(SetField.of(name, 0) for name in ("reg10", "reg15", *_REGISTERS))
    crossing = Clone((
        CtClear(), *fresh, *_zones(beyond.uuid, port_zone_of(peer)),
        SetField.of("metadata", beyond.tunnel_key), SetField.of("reg14", peer.tunnel_key), *clear,
        Resubmit(TABLES.ingress),
    ))  # fmt: skip
    yield flow(DELIVER, 100, to_port(datapath.tunnel_key, port.tunnel_key), (crossing,), cookie_of(port))
    zone = port_zone_of(port)
    yield from _arrival(port, datapath, zone)
    yield from _copies(port, datapath, zone, LOCAL if port.type == "l3gateway" else REMOTE)


def _redirected(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow of a redirect port on its gateway: the packet goes on to the distributed port behind it."""
    target = find(PortBinding.logical_port, port.options.get("distributed-port", ""))
    if target is None:
        return
    onward = (SetField.of("reg15", target.tunnel_key), *_zones(datapath.uuid, 0), Resubmit(LOOPBACK))
    yield flow(LOCAL, 100, to_port(datapath.tunnel_key, port.tunnel_key), onward, cookie_of(port))


def _elsewhere(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flows of a port that is not here: by its physical network if it has one, else by a tunnel."""
    if port.type == "chassisredirect" and port.options.get("redirect-type") == "bridged":
        yield from _bridged(port, datapath)
        return
    exit_key = localnet_key(datapath.uuid)
    there = to_port(datapath.tunnel_key, port.tunnel_key)
    if exit_key and not PortBinding.additional_chassis.raw(port):
        yield flow(LOCAL, 100, there, (SetField.of("reg15", exit_key), Resubmit(LOCAL)), cookie_of(port))
        for key in spread_here(datapath.uuid):
            tunnelled = {**there, "reg14": (key, _ONES)}
            for way in elsewhere(port):
                yield flow(REMOTE, 110, tunnelled, _tunnelled(way, datapath, port), cookie_of(port))
        return
    if port.type == "localport":
        return
    if len(candidates(port)) > 1:
        yield from _to_gateways(port, datapath)
        return
    yield from _by_tunnels(port, datapath)


def _by_tunnels(port: PortBinding, datapath: DatapathBinding, after: tuple[Action, ...] = ()) -> Iterator[Fact]:
    """Yield the flows by which packets reach a port on all other chassis that it is on, and then do what is `after`."""
    ways = elsewhere(port) if port.type != "localport" else ()
    if not ways:
        return
    copies = tuple([action for way in ways for action in _tunnelled(way, datapath, port)])
    there = to_port(datapath.tunnel_key, port.tunnel_key)
    yield flow(REMOTE, 100, there, (*copies, *after), cookie_of(port))
    if localnet_key(datapath.uuid):  # what is for many goes out by the physical network
        return
    for group in port.referrers(MulticastGroup.ports):
        for kind, ofport in elsewhere(port, to_many=True):
            yield from remote_copies(group, datapath, kind, ofport)


def _tunnelled(way: tuple[str, int], datapath: DatapathBinding, port: PortBinding) -> tuple[Action, ...]:
    """Return what sends a packet to a port by a tunnel; to a hardware gateway also one that came by a tunnel."""
    kind, ofport = way
    anonymous = (SetField.of("in_port", _NO_PORT),) if port.type == "vtep" else ()
    return (*anonymous, *outward(kind, datapath.tunnel_key, port.tunnel_key), Output(ofport))


def _bridged(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow by which packets reach a gateway elsewhere through the physical network, as the router's own."""
    target = find(PortBinding.logical_port, port.options.get("distributed-port", ""))
    peer = peer_of(target) if target is not None else None
    switch = hosted_row(PortBinding.datapath.raw(peer)) if peer is not None else None
    mac = next((mac for text in sorted(port.mac) if (mac := chassis_mac.parse_mac(text.partition(" ")[0]))), None)
    if switch is None or mac is None or not localnet_key(switch.uuid):
        return
    onward = (
        SetField.of("eth_src", mac), SetField.of("metadata", switch.tunnel_key),
        SetField.of("reg15", localnet_key(switch.uuid)), Resubmit(DELIVER),
    )  # fmt: skip
    yield flow(LOCAL, 100, to_port(datapath.tunnel_key, port.tunnel_key), onward, cookie_of(port))


def _to_gateways(port: PortBinding, datapath: DatapathBinding) -> Iterator[Fact]:
    """Yield the flow by which a packet reaches the first gateway that is alive, as the switch itself sees by BFD."""
    found = [tunnel for chassis in candidates(port) if (tunnel := tunnel_to(chassis.uuid, None)) is not None]
    if not found:
        return
    kind = found[0][0]
    ofports = tuple([ofport for encapsulation, ofport in found if encapsulation == kind])
    actions = (
        *outward(kind, datapath.tunnel_key, port.tunnel_key),
        Bundle(fields=0, basis=0, algorithm=0, members=ofports),
    )
    yield flow(REMOTE, 100, to_port(datapath.tunnel_key, port.tunnel_key), actions, cookie_of(port))


@view
def remote_copies(group: MulticastGroup, datapath: DatapathBinding, kind: str, ofport: int) -> tuple[Fact, ...]:
    """Return the parts by which a group's packets reach one other chassis; its ports there all say the same.

    Arguments:
        group: the multicast group.
        datapath: its datapath.
        kind: the tunnel's type: `geneve` or `vxlan`.
        ofport: the tunnel's port.
    """
    number, key = datapath.tunnel_key, group.tunnel_key
    match, cookie = to_port(number, key), cookie_of(group)
    order = 5 if kind == "vxlan" else 3
    return (
        part(REMOTE, 100, match, cookie, (2, 0), (SetField.of("reg15", key),)),
        part(REMOTE, 100, match, cookie, (order, 0), outward(kind, number, key)),
        part(REMOTE, 100, match, cookie, (order + 1, ofport), (Output(ofport),)),
        part(REMOTE, 100, match, cookie, (9, 0), (Resubmit(LOCAL),)),
    )


def port_key(name: str, datapath: UUID) -> int | None:
    """Return the key of a port of the datapath, by name."""
    port = find(PortBinding.logical_port, name)
    return port.tunnel_key if port is not None and PortBinding.datapath.raw(port) == datapath else None
