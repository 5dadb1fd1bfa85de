"""Native DHCP: the chassis of a port answers it, with the options configured for the port.

ovn-nb(5), DHCP_Options; ovn-northd(8), "Ingress Table 20" and "21"; RFC 2131 and RFC 8415. Options are written in the
match language's notation and copied to `put_dhcp_opts` and `put_dhcpv6_opts`, in order of their names. A port of type
external is answered at the localnet ports, by the chassis that holds it.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.net.ip import ipv4_address, ipv6_address
from ovenbird.northd.ir.addresses import link_local, parse_mac, parse_network, quote
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.switch_port import port_rows, switch_ports_of_type
from ovenbird.northd.switch.conntrack import ACL
from ovenbird.northd.switch.dhcp_options import DHCP_OPTION, DHCPV6_OPTION, known_options, newer_options
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import COMMIT, DHCP_ANSWERED
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.addresses import Addresses
    from ovenbird.northd.ir.switch_port import SwitchPort

DHCP_OPTIONS = stage("ls_in_dhcp_options")
DHCP_RESPONSE = stage("ls_in_dhcp_response")

flow = flow_builder("dhcp")

_CLIENT4 = "udp.src == 68 && udp.dst == 67"
_CLIENT6 = "ip6.dst == ff02::1:2 && udp.src == 546 && udp.dst == 547"


UNUSABLE4 = "the options of {!r} lack an IPv4 network, server_id, server_mac or lease_time"
UNUSABLE6 = "the options of {!r} lack an IPv6 network or, as server_id, an Ethernet address"


def _known4(options: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the address and the MAC of a DHCPv4 server; None if an option is missing."""
    address, mac = options.get("server_id"), options.get("server_mac")
    return None if address is None or mac is None or "lease_time" not in options else (address, mac)


def _quoted(name: str) -> str:
    """Return a name as a constant; OVN expects the quotes in the option, and chassis refuse the flow without them."""
    return name if name.startswith('"') else quote(name)


@view
def server4(options: nb.DHCPOptions) -> tuple[IPv4Network, str, str, tuple[tuple[str, str], ...]] | None:
    """Return network, server address, server MAC and options of DHCPv4; None if something is missing."""
    network = parse_network(options.cidr)
    if not isinstance(network, IPv4Network):
        return None
    given = dict(options.options)
    if (known := _known4(given)) is None:
        return None
    del given["server_mac"]
    given.setdefault("netmask", str(network.netmask))
    return network, *known, tuple(sorted(given.items()))


@view
def server6(options: nb.DHCPOptions) -> tuple[IPv6Network, str, bool, tuple[tuple[str, str], ...]] | None:
    """Return network, server MAC, whether it is stateless, and options of DHCPv6; None if something is missing."""
    network = parse_network(options.cidr)
    given = dict(options.options)
    mac = parse_mac(given.get("server_id", ""))
    if not isinstance(network, IPv6Network) or not mac:
        return None
    stateless = flag(given, "dhcpv6_stateless")
    given.pop("dhcpv6_stateless", None)
    if name := given.get("fqdn"):
        given["fqdn"] = _quoted(name)
    return network, mac, stateless, tuple(sorted(given.items()))


def port(port: SwitchPort) -> Iterator[Fact]:
    """Answer a port's DHCP requests."""
    lsp = port.lsp
    four, six = lsp.dhcpv4_options, lsp.dhcpv6_options
    if port.type != "external":
        yield from _let_pass(port, four, six)
    if not port.enabled or port.type == "router" or port.dhcp_relay_port is not None:
        return
    if port.type == "external":
        if lsp.ha_chassis_group is None:
            return
        resident = f" && is_chassis_resident({port.quoted})"
        places = [(row.name, resident) for row in port_rows(switch_ports_of_type(port.switch, "localnet"))]
    else:
        places = [(port.name, "")]
    for name, resident in places:
        for address in port.addresses:
            if four is not None:
                yield from _flows4(port, four, address, name, resident)
            if six is not None:
                yield from _flows6(port, six, address, name, resident)


def _let_pass(port: SwitchPort, four: nb.DHCPOptions | None, six: nb.DHCPOptions | None) -> Iterator[Fact]:
    """Let packets from the DHCP servers to a port pass regardless of ACLs.

    As ovn-northd, do so for every port with DHCP options: also for disabled ports, router ports and unusable networks.
    """
    says: list[tuple[str, str]] = []
    if four is not None and (known := _known4(four.options)) is not None:
        server_ip, mac = known
        said = f"eth.src == {mac} && ip4.src == {server_ip} && udp && udp.src == 67 && udp.dst == 68"
        says.append((four.uuid, said))
    if six is not None and (mac := parse_mac(six.options.get("server_id", ""))):
        said = f"eth.src == {mac} && ip6.src == {link_local(mac)} && udp && udp.src == 547 && udp.dst == 546"
        says.append((six.uuid, said))
    for hint, said in says:
        back = f"outport == {port.quoted} && {said}"
        yield flow(ACL[1], port.datapath, 34_000, back, f"{COMMIT} = 1; next;", hint=hint, port=port.name)


def _flows4(port: SwitchPort, options: nb.DHCPOptions, address: Addresses, name: str, resident: str) -> Iterator[Fact]:
    server = server4(options)
    if server is None:
        yield finding(options, f"port {port.name} gets no DHCPv4: {UNUSABLE4.format(options.cidr)}")
        return
    network, server_ip, mac, given = server
    ip = next((ip for ip in address.ipv4 if ipv4_address(ip) in network), None)
    if ip is None:
        return
    hostname = port.options.get("hostname")
    if hostname:
        given = tuple(sorted({**dict(given), "hostname": _quoted(hostname)}.items()))
    offer = ", ".join([f"offerip = {ip}", *[f"{key} = {value}" for key, value in given]])
    put = f"{DHCP_ANSWERED} = put_dhcp_opts({offer}); next;"
    mine = f"inport == {quote(name)} && eth.src == {address.mac}"
    hint = options.uuid
    discover = f"{mine} && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && {_CLIENT4}{resident}"
    renew = f"{mine} && ip4.src == {ip} && ip4.dst == {{{server_ip}, 255.255.255.255}} && {_CLIENT4}{resident}"
    meter = port.meters.get("dhcpv4-opts")
    yield flow(DHCP_OPTIONS, port.datapath, 100, discover, put, hint=hint, port=name, meter=meter)
    yield flow(DHCP_OPTIONS, port.datapath, 100, renew, put, hint=hint, port=name, meter=meter)
    answer = (
        f"eth.dst = eth.src; eth.src = {mac}; ip4.src = {server_ip}; udp.src = 67; udp.dst = 68; "
        "outport = inport; flags.loopback = 1; output;"
    )
    asked = f"{mine} && ip4 && {_CLIENT4} && {DHCP_ANSWERED}{resident}"
    yield flow(DHCP_RESPONSE, port.datapath, 100, asked, answer, hint=hint, port=name)


def _flows6(port: SwitchPort, options: nb.DHCPOptions, address: Addresses, name: str, resident: str) -> Iterator[Fact]:
    server = server6(options)
    if server is None:
        yield finding(options, f"port {port.name} gets no DHCPv6: {UNUSABLE6.format(options.cidr)}")
        return
    network, mac, stateless, given = server
    ip = next((ip for ip in address.ipv6 if ipv6_address(ip) in network), None)
    if ip is None:
        return
    server_ip = link_local(mac)
    hint = options.uuid
    words = [] if stateless else [f"ia_addr = {ip}"]
    put = f"{DHCP_ANSWERED} = put_dhcpv6_opts({', '.join([*words, *[f'{k} = {v}' for k, v in given]])}); next;"
    mine = f"inport == {quote(name)} && eth.src == {address.mac} && {_CLIENT6}"
    yield flow(
        DHCP_OPTIONS,
        port.datapath,
        100,
        f"{mine}{resident}",
        put,
        hint=hint,
        port=name,
        meter=port.meters.get("dhcpv6-opts"),
    )
    answer = (
        f"eth.dst = eth.src; eth.src = {mac}; ip6.dst = ip6.src; ip6.src = {server_ip}; udp.src = 547; udp.dst = 546; "
        "outport = inport; flags.loopback = 1; output;"
    )
    yield flow(DHCP_RESPONSE, port.datapath, 100, f"{mine} && {DHCP_ANSWERED}{resident}", answer, hint=hint, port=name)


def _told(options: nb.DHCPOptions) -> tuple[str, str]:
    return f"dhcp options {options.cidr}", ""


FEATURE = Feature(
    "dhcp",
    rules=(known_options, newer_options),
    port=port,
    needs=("dhcp",),
    outputs=(DHCP_OPTION, DHCPV6_OPTION),
    hints=(HintedTable(nb.DHCPOptions, _told),),
)
