"""The chassis's own MAC address on a physical network, in place of a distributed router's.

A router that exists on every chassis would show the same MAC address at many ports of a physical switch. Packets of the
router therefore leave through a localnet port with the chassis's address (external_ids:ovn-chassis-mac-mappings), and
packets from other chassis's addresses receive the router's again. The latter is one conjunctive match, the only one in
table 0: source addresses of chassis, by VLANs of localnet ports.

The chassis that hosts a router's gateway port uses the router's own address there: no other chassis has it, and packets
of the external network must be delivered here, also after another chassis has hosted it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import cookie_of, flow, part
from ovenbird.controller.local.local_data import is_chassis_resident, peer_of
from ovenbird.controller.local.settings import own_chassis
from ovenbird.engine.lookups import get, table
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Chassis, DatapathBinding, PortBinding
from ovenbird.model.southbound_lookup import ports_of_types
from ovenbird.net.ethernet import QINQ, VLAN
from ovenbird.openflow.actions import Conjunction, Output, PopVlan, PushVlan, SetField
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID
    from ovenbird.openflow.actions import Action

KEY = "ovn-chassis-mac-mappings"
CONJUNCTION = 100
"""The id of table 0's only conjunction, as in ovn-controller."""

_ONES = 0xFFFFFFFF
_MAC = (1 << 48) - 1

S_TAGS = frozenset(("802.11ad", "802.1ad"))
"""How `ethtype` of a localnet port names S-tags (IEEE 802.1ad), in older releases and in newer ones."""
_PRESENT = 0x1000  # of vlan_vid: there is a tag


def parse_mac(text: str) -> int | None:
    """Return a MAC address written with colons as a number; None for anything else."""
    digits = text.split(":")
    try:
        return int("".join(digits), 16) if len(digits) == 6 and all(len(d) == 2 for d in digits) else None
    except ValueError:
        return None


@view
def chassis_macs(chassis: Chassis) -> dict[str, int]:
    """Return a chassis's MAC address on each physical network."""
    macs = {}
    for item in chassis.other_config.get(KEY, "").split(","):
        network, _, text = item.strip().partition(":")
        mac = parse_mac(text)
        if mac is not None:
            macs[network] = mac
    return macs


@view
def mac_here(network: str) -> int | None:
    """Return this chassis's MAC address on a physical network."""
    uuid = own_chassis()
    chassis = get(Chassis, uuid) if uuid is not None else None
    return chassis_macs(chassis).get(network) if chassis is not None else None


@view
def router_macs(datapath: UUID) -> tuple[tuple[int, int, str], ...]:
    """Return the router ports connected to a switch: MAC address, cookie of its flows, and name of each."""
    found = set()
    for port in ports_of_types(table(PortBinding), datapath, "patch", "l3gateway"):
        peer = peer_of(port)
        beyond = get(DatapathBinding, PortBinding.datapath.raw(peer)) if peer is not None else None
        if peer is None or beyond is None or "logical-switch" in beyond.external_ids:
            continue
        for text in peer.mac:
            mac = parse_mac(text.partition(" ")[0])
            if mac is not None:
                found.add((mac, cookie_of(peer), peer.logical_port))
    return tuple(sorted(found))


def tag_match(tag: int) -> dict[str, tuple[int, int]]:
    """Return the match of a localnet port's VLAN; 0: no tag at all."""
    return {"vlan_vid": (_PRESENT | tag, 0x1FFF)} if tag else {"vlan_vid": (0, _PRESENT)}


def tag_type(port: PortBinding) -> int:
    """Return the Ethernet type of a localnet port's VLAN tags: of C-tags, or of S-tags (ovn-nb(5), `ethtype`)."""
    return QINQ if port.options.get("ethtype", "").lower() in S_TAGS else VLAN


def leaving(port: PortBinding, there: Mapping[str, tuple[int, int]], *, ofport: int, cookie: int) -> Iterator[Fact]:
    """Yield the flows by which routers' packets leave through a localnet port.

    Arguments:
        port: the localnet port.
        there: the match of packets to it.
        ofport: the patch port behind it.
        cookie: of its flows.
    """
    mac, tag = mac_here(port.options.get("network_name", "")), port.tag or 0
    if mac is None:
        return
    for router, _, name in router_macs(PortBinding.datapath.raw(port)):
        if is_chassis_resident(f"cr-{name}"):
            continue
        push = (PushVlan(tag_type(port)), SetField.of("vlan_vid", _PRESENT | tag)) if tag else ()
        pop = (PopVlan(),) if tag else ()
        actions = (SetField.of("eth_src", mac), *push, Output(ofport), SetField.of("eth_src", router), *pop)
        yield flow(OFTable.LOG_TO_PHY, 150, {**there, "eth_src": (router, _MAC)}, actions, cookie)


def arriving(port: PortBinding, ofport: int, enter: tuple[Action, ...]) -> Iterator[Fact]:
    """Yield the flows that restore the router's address in packets that other chassis's routers have sent.

    Arguments:
        port: the localnet port.
        ofport: the patch port behind it.
        enter: the actions that put a packet into the ingress pipeline; the last one resubmits it.
    """
    tag = port.tag or 0
    routers = router_macs(PortBinding.datapath.raw(port))
    if not routers or mac_here(port.options.get("network_name", "")) is None:
        return
    match = {**tag_match(tag), "conj_id": (CONJUNCTION, _ONES), "in_port_oxm": (ofport, _ONES)}
    pop = (PopVlan(),) if tag else ()
    for router, cookie, _ in routers:
        actions = (*pop, *enter[:-1], SetField.of("eth_src", router), enter[-1])
        yield flow(OFTable.PHY_TO_LOG, 180, match, actions, cookie)
    yield part(
        OFTable.PHY_TO_LOG,
        180,
        tag_match(tag),
        0,
        (CONJUNCTION, 2),
        (Conjunction(conj_id=CONJUNCTION, clause=2, n_clauses=2),),
    )


@rule(Chassis)
def others(chassis: Chassis) -> Iterator[Fact]:
    """Yield the conjunctive flows that match another chassis's MAC addresses."""
    if chassis.uuid == own_chassis():
        return
    for mac in sorted(set(chassis_macs(chassis).values())):
        clause = (Conjunction(conj_id=CONJUNCTION, clause=1, n_clauses=2),)
        yield part(OFTable.PHY_TO_LOG, 180, {"eth_src": (mac, _MAC)}, 0, (CONJUNCTION, 1), clause)
