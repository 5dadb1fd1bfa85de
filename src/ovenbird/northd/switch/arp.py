"""The ARP and ND responder: a switch answers for the addresses that it knows, so that requests need not be flooded.

ovn-northd(8), "Ingress Table 19". A port's requests for its own address are not answered, so that it can detect
duplicates. For a router's port with `arp_proxy` the switch answers for further addresses: their packets are sent to the
router. As in newer releases of the original, requests of routers themselves are not answered in this way, which could
only cause loops, nor are unicast requests that check whether an instance is still there. A port with
`disable_arp_nd_rsp` answers by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import find
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.northd.ir.addresses import braced, quote, scan_ips, solicited_node
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.switch_port import LSP, router_port
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

RESPONDER = stage("ls_in_arp_rsp")

flow = flow_builder("arp")


def _proxied(values: list[Any]) -> tuple[bool, ...]:
    texts = values[LSP.options.index].get("arp_proxy")
    return (True,) if texts is not None and values[LSP.type.index] == "router" and _proxied_ips(texts) else ()


def _proxied_ips(texts: str) -> list[str]:
    return [ip for ip, _ in scan_ips(texts)[0] if ":" not in ip]


PROXIES = ComputedIndex(LSP.options, LSP.type, keys=_proxied, parent=nb.LogicalSwitch.ports)
"""A switch's routers' ports with addresses in `arp_proxy`."""


def port(port: SwitchPort) -> Iterator[Fact]:
    """Answer ARP and ND for a port's addresses, unless the port has to answer itself."""
    kind = port.type
    if kind == "localnet":
        yield flow(RESPONDER, port.datapath, 100, f"inport == {port.quoted}", "next;", hint=port.hint, port=port.name)
        return
    if kind == "virtual":
        yield from _virtual(port)
        return
    if kind == "router" and PROXIES.rows(port.switch.uuid, True):
        yield from _proxy(port, port.options.get("arp_proxy", ""))
    if kind == "external" or port.unknown or not port.addresses:
        return
    if port.options and flag(port.options, "disable_arp_nd_rsp"):
        return
    if port.vlan_passthru:  # the switch does not know which network an address is of
        return
    if port.arp_responds_when_up and kind not in ("router", "localport") and port.lsp.up is not True:
        return
    for address in port.addresses:
        mac = address.mac
        for ip in address.ipv4:
            asks = f"arp.tpa == {ip} && arp.op == 1"
            yield flow(
                RESPONDER,
                port.datapath,
                50,
                asks,
                f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; "
                f"arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;",
                hint=port.hint,
            )
            own = f"{asks} && inport == {port.quoted}"
            yield flow(RESPONDER, port.datapath, 100, own, "next;", hint=port.hint, port=port.name)
        if address.ipv6:
            yield from _neighbor_discovery(port, mac, address.ipv6)


def _proxy(port: SwitchPort, texts: str) -> Iterator[Fact]:
    """Answer for the addresses of `arp_proxy` with the router's MAC; let the router's own requests pass."""
    yield flow(
        RESPONDER, port.datapath, 40, f"inport == {port.quoted} && arp.op == 1", "next;", hint=port.hint, port=port.name
    )
    peer = router_port(port.options.get("router-port", ""))
    ips = _proxied_ips(texts)
    if peer is None or not ips:
        return
    mac = peer[1].mac
    yield flow(
        RESPONDER,
        port.datapath,
        30,
        f"(eth.bcast || eth.dst == {mac}) && arp.op == 1 && arp.tpa == {braced(ips)}",
        f"eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; "
        "arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;",
        hint=port.hint,
    )


def _neighbor_discovery(port: SwitchPort, mac: str, ips: tuple[str, ...]) -> Iterator[Fact]:
    answer = "nd_na_router" if port.type == "router" else "nd_na"
    for ip in ips:
        asks = f"nd_ns && ip6.dst == {{{ip}, {solicited_node(ip)}}} && nd.target == {ip}"
        yield flow(
            RESPONDER,
            port.datapath,
            50,
            asks,
            f"{answer} {{ eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; outport = inport; "
            "flags.loopback = 1; output; };",
            hint=port.hint,
            meter=port.meters.get("nd-na"),
        )
        own = f"{asks} && inport == {port.quoted}"
        yield flow(RESPONDER, port.datapath, 100, own, "next;", hint=port.hint, port=port.name)


def _virtual(port: SwitchPort) -> Iterator[Fact]:
    """Bind a virtual port where one of its parents announces its address."""
    ip = port.virtual_ip
    if not ip:
        return
    for parent in port.options.get("virtual-parents", "").split(","):
        row = find(LSP.name, parent)
        if row is None or row.referrer(nb.LogicalSwitch.ports) is not port.switch:
            continue
        if ":" in ip:
            asks = f"nd_ns && ip6.dst == {{{ip}, {solicited_node(ip)}}} && nd.target == {ip}"
            says = f"({asks}) || (nd_na && nd.target == {ip})"
        else:
            says = f"(arp.op == 1 && arp.spa == {ip} && arp.tpa == {ip}) || (arp.op == 2 && arp.spa == {ip})"
        match = f"inport == {quote(parent)} && ({says})"
        act = f"bind_vport({port.quoted}, inport); next;"
        yield flow(RESPONDER, port.datapath, 100, match, act, hint=row.uuid, port=parent)


FEATURE = Feature("arp", port=port, hints=(HintedTable(nb.LogicalSwitchPort),))
