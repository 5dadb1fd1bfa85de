"""ACL log messages, in the original's form (ovn-controller(8), "ACL Logging"), from the logger `acl_log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.lang.actions.report import Log
from ovenbird.net import ethernet, ipv4
from ovenbird.net.addresses import ipv4_text, ipv6_text, mac_text
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.ipv6 import IPv6
from ovenbird.net.tcp import Tcp
from ovenbird.net.udp import Udp
from ovenbird.pipeline.openflow_tables import is_egress

if TYPE_CHECKING:
    from ovenbird.openflow.messages import PacketIn

_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")


def message(packet_in: PacketIn, payload: bytes) -> str:
    """Return the log line of a packet.

    Arguments:
        packet_in: the packet.
        payload: the arguments of its flow's `log` action.
    """
    log = Log.decode(payload)
    direction = "to-lport" if is_egress(packet_in.table) else "from-lport"
    name = f'"{log.name}"' if log.name else '"<unnamed>"'
    what = f"verdict={log.verdict.name.lower()}, severity={log.severity.name.lower()}, direction={direction}"
    return f"name={name}, {what}: {describe(packet_in.packet)}"


def describe(packet: bytes) -> str:
    """Return a packet's headers as the switch prints a flow."""
    frame = Ethernet.decode(packet)
    tci = frame.vlan or 0
    link = f"vlan_tci=0x{tci:04x},dl_src={mac_text(frame.src)},dl_dst={mac_text(frame.dst)}"
    if frame.ethertype == ethernet.IPV4:
        packet4 = IPv4.decode(frame.payload)
        ends = f"nw_src={ipv4_text(packet4.src)},nw_dst={ipv4_text(packet4.dst)}"
        common = f"nw_tos={packet4.tos & 0xFC},nw_ecn={packet4.tos & 3},nw_ttl={packet4.ttl},nw_frag=no"
        protocol, rest = _upper(packet4.proto, packet4.payload, "")
        return f"{protocol or 'ip'},{link},{ends},{'' if protocol else f'nw_proto={packet4.proto},'}{common}{rest}"
    if frame.ethertype == ethernet.IPV6:
        packet6 = IPv6.decode(frame.payload)
        ends = f"ipv6_src={ipv6_text(packet6.src)},ipv6_dst={ipv6_text(packet6.dst)}"
        traffic = packet6.traffic_class
        common = f"ipv6_label=0x{packet6.flow_label:05x},nw_tos={traffic & 0xFC},nw_ecn={traffic & 3}"
        common += f",nw_ttl={packet6.hop_limit},nw_frag=no"
        number, body = packet6.upper()
        protocol, rest = _upper(number, body, "6")
        return f"{protocol or 'ipv6'},{link},{ends},{'' if protocol else f'nw_proto={number},'}{common}{rest}"
    return f"{link},dl_type=0x{frame.ethertype:04x}"


def _upper(protocol: int, body: bytes, version: str) -> tuple[str, str]:
    """Return a transport protocol's name and its fields; no name for one that has no fields."""
    if protocol == ipv4.TCP:
        tcp = Tcp.decode(body)
        flags = "|".join(name for bit, name in enumerate(_FLAGS) if tcp.flags >> bit & 1)
        return f"tcp{version}", f",tp_src={tcp.sport},tp_dst={tcp.dport},tcp_flags={flags or 0}"
    if protocol == ipv4.UDP:
        udp = Udp.decode(body)
        return f"udp{version}", f",tp_src={udp.sport},tp_dst={udp.dport}"
    if protocol == (58 if version else ipv4.ICMP) and len(body) >= 2:
        return f"icmp{version}", f",icmp_type={body[0]},icmp_code={body[1]}"
    return "", ""
