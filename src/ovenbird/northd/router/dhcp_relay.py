"""DHCP relay: a router's port passes DHCPv4 requests of its network to a server in another one, and the replies back.

ovn-nb(5) of OVN 24.09 and later: Logical_Router_Port, column `dhcp_relay`; DHCP_Relay; Logical_Switch,
`other_config:dhcp_relay_port`; RFC 1542. The switch sends its instances' requests to the router's port alone. The
router's input has the controller write the relay's address into them and routes them to the server. The reply, which is
to the relay's address, is routed like any packet and leaves for the client where its MAC address would be looked up.

As from OVN 26.09 on, a client that has an address and asks any server to confirm it (RFC 2131, section 4.3.2,
REBINDING) is relayed as well, and `options:dhcpv4_primary_ip` chooses among several addresses of the port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import quote
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import RouterPort, Subnet, peer_switch_port, router_port_by_name, router_port_of
from ovenbird.northd.ir.socket_address import parse_endpoint
from ovenbird.northd.ir.switch_port import switch_options
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import RELAY, RELAYED, RELAYED_BACK
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

LOOKUP = stage("ls_in_l2_lkup")
INPUT = stage("lr_in_ip_input")
AFTER_INPUT = stage("lr_in_unsnat")
RESOLVE = stage("lr_in_arp_resolve")
RELAY_REQUEST = stage("lr_in_dhcp_relay_req")
RELAY_RESPONSE_CHECK = stage("lr_in_dhcp_relay_resp_chk")
RELAY_RESPONSE = stage("lr_in_dhcp_relay_resp")

flow = flow_builder("dhcp_relay")


class Relay(NamedTuple):
    """What a router's port relays DHCP messages with.

    Arguments:
        port: the port.
        subnet: its address that the server sees, and the network of the clients.
        server: the server's address.
    """

    port: RouterPort
    subnet: Subnet
    server: str

    @property
    def clients(self) -> str:
        """The match of requests that clients broadcast, with an address of the network or none as source."""
        return f"ip4.src == {{0.0.0.0, {self.subnet.network}}} && ip4.dst == 255.255.255.255"


@view
def server_of(relay: nb.DHCPRelay) -> str:
    """Return the address of a relay's server, whose port is always 67; empty if there is none or it does not parse."""
    server = parse_endpoint(relay.servers or "")
    return server.ip if server is not None and not server.six else ""


@view
def relay_of(lrp: nb.LogicalRouterPort) -> Relay | None:
    """Return with what a router's port relays; None if it does not."""
    row = lrp.dhcp_relay
    port = router_port_of(lrp) if row is not None else None
    if row is None or port is None or not (server := server_of(row)):
        return None
    met = peer_switch_port(port.name)
    if met is None or switch_options(met.switch).dhcp_relay_port is None:
        return None
    wanted = port.options.get("dhcpv4_primary_ip")
    subnet = next((subnet for subnet in port.ipv4 if not wanted or subnet.ip == wanted), None)
    return Relay(port, subnet, server) if subnet is not None else None


@view
def relay_behind(name: str) -> Relay | None:
    """Return the relay that a switch's port leads to; None if it is not connected to one."""
    lsp = find(nb.LogicalSwitchPort.name, name)
    if lsp is None or lsp.type != "router":
        return None
    port = router_port_by_name(lsp.options.get("router-port", ""))
    lrp = find(nb.LogicalRouterPort.name, port.name) if port is not None else None
    met = peer_switch_port(port.name) if port is not None else None
    return relay_of(lrp) if lrp is not None and met is not None and met.lsp is lsp else None


def port(port: SwitchPort) -> Iterator[Fact]:
    """Send an instance's DHCP requests to the relay instead of flooding them."""
    name = port.dhcp_relay_port
    relay = relay_behind(name) if name and port.enabled and not port.type else None
    if name is None or relay is None:
        return
    macs = dict.fromkeys(f" && eth.src == {address.mac}" for address in port.addresses)
    act = f"eth.dst = {relay.port.mac}; outport = {quote(name)}; output; /* DHCP_RELAY_REQ */"
    for mac in [""] if port.unknown else macs:
        match = f"inport == {port.quoted}{mac} && {relay.clients} && udp.src == 68 && udp.dst == 67"
        yield flow(LOOKUP, port.datapath, 100, match, act, hint=port.hint, port=port.name)


@rule(nb.LogicalRouterPort)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Relay a router port's DHCP messages in both directions."""
    if lrp.dhcp_relay is None:
        return
    relay = relay_of(lrp)
    if relay is None:
        wanted = lrp.options.get("dhcpv4_primary_ip")
        port = router_port_of(lrp) if wanted else None
        if port is not None and all(subnet.ip != wanted for subnet in port.ipv4):
            yield finding(lrp, f"port {lrp.name} relays no DHCP: dhcpv4_primary_ip={wanted} is none of its addresses")
        return
    yield from _requests(relay)
    yield from _responses(relay)


def _requests(relay: Relay) -> Iterator[Fact]:
    port, ip, server = relay.port, relay.subnet.ip, relay.server
    where, hint, meter = port.datapath, port.uuid, port.meters.get("dhcpv4-relay")
    match = f"inport == {port.quoted} && {relay.clients} && ip.frag == 0 && udp.src == 68 && udp.dst == 67"
    check = f"{RELAYED} = dhcp_relay_req_chk({ip}, {server}); {RELAY_REQUEST.jump}; /* DHCP_RELAY_REQ */"
    yield flow(INPUT, where, 110, match, check, hint=hint, meter=meter)
    match = f"inport == {port.quoted} && udp.src == 68 && udp.dst == 67"
    act = f"ip4.src = {ip}; ip4.dst = {server}; udp.src = 67; {AFTER_INPUT.jump}; /* DHCP_RELAY_REQ */"
    yield flow(RELAY_REQUEST, where, 100, f"{match} && {RELAYED} == 1", act, hint=hint)
    yield flow(RELAY_REQUEST, where, 1, match, "drop;", hint=hint)


def _responses(relay: Relay) -> Iterator[Fact]:
    port, ip, server = relay.port, relay.subnet.ip, relay.server
    where, hint, meter = port.datapath, port.uuid, port.meters.get("dhcpv4-relay")
    reply = "udp.src == 67 && udp.dst == 67"
    match = f"ip4.src == {server} && ip4.dst == {ip} && ip.frag == 0 && {reply}"
    yield flow(INPUT, where, 110, match, "next; /* DHCP_RELAY_RESP */", hint=hint)
    yield flow(RESOLVE, where, 500, match, f"{RELAY_RESPONSE_CHECK.jump}; /* DHCP_RELAY_RESP */", hint=hint)
    check = f"{RELAY} = ip4.dst; {RELAYED_BACK} = dhcp_relay_resp_chk({ip}, {server}); next; /* DHCP_RELAY_RESP */"
    yield flow(RELAY_RESPONSE_CHECK, where, 100, match, check, hint=hint, meter=meter)
    match = f"ip4.src == {server} && {RELAY} == {ip} && {reply}"
    act = f"eth.src = {port.mac}; ip4.src = {ip}; udp.dst = 68; outport = {port.quoted}; output; /* DHCP_RELAY_RESP */"
    yield flow(RELAY_RESPONSE, where, 100, f"{match} && {RELAYED_BACK} == 1", act, hint=hint)
    yield flow(RELAY_RESPONSE, where, 1, match, "drop;", hint=hint)


@rule(nb.DHCPRelay)
def unusable(relay: nb.DHCPRelay) -> Iterator[Fact]:
    """Report a relay that has no server."""
    if not server_of(relay):
        yield finding(relay, f"nothing is relayed to {relay.servers!r}, which is not the IPv4 address of a DHCP server")


FEATURE = Feature(
    "dhcp_relay",
    rules=(router_port, unusable),
    port=port,
    needs=("dhcp_relay_port",),
    hints=(HintedTable(nb.LogicalSwitchPort), HintedTable(nb.LogicalRouterPort)),
)
