"""The same packets, the same network: what our controller makes of them is what the original's makes.

One port is plugged in at the original's hypervisor first and then at ours; the instance sends one packet after the
other and hears what comes back. What may differ between two answers of the same program (an IPv4 identification, and
with it the checksum) is left out.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ovenbird.lab import programs
from ovenbird.lab.command import run
from ovenbird.net import dhcp4, dhcp6, dns, ethernet, nd
from ovenbird.net.addresses import ipv6_bytes, link_local, mac_bytes, multicast_mac, solicited_node
from ovenbird.net.dhcp4 import Dhcp4
from ovenbird.net.dhcp6 import Dhcp6, IaNa
from ovenbird.net.dns import DnsQuery
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.icmp import Icmp
from ovenbird.net.ipv4 import ICMP, SCTP, TCP, UDP, IPv4
from ovenbird.net.ipv6 import ICMPV6, IPv6
from ovenbird.net.nd import Neighbor
from ovenbird.net.sctp import Sctp
from ovenbird.net.tcp import ACK, RST, SYN, Tcp
from ovenbird.net.udp import Udp
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Ctl = Callable[..., str]

MAC, GATEWAY = "02:00:00:00:0c:01", "02:00:00:00:0c:fe"
ME, ROUTER, FAR = mac_bytes(MAC), mac_bytes(GATEWAY), bytes([10, 13, 0, 9])
MINE, GATE = bytes([10, 12, 0, 1]), bytes([10, 12, 0, 254])
MINE6, GATE6, FAR6 = ipv6_bytes("fd0c::1"), ipv6_bytes("fd0c::fe"), ipv6_bytes("fd0d::9")
LINK = link_local(ME)
DUID = bytes.fromhex("00030001") + ME

# Sends each frame and gathers what comes back. What comes goes through the controller, once or twice: when a name that
# was asked for afterwards has been answered, and once more, everything else has come too.
_TALK = """
import json, socket, sys
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
listener.bind(("eth0", 0))
listener.settimeout(30)
frames = json.load(sys.stdin)
last = bytes.fromhex(frames.pop("last"))
heard = {}
for name, frame in frames.items():
    listener.send(bytes.fromhex(frame))
    heard[name] = []
    for _ in range(2):
        listener.send(last)
        while True:
            data, where = listener.recvfrom(65536)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            if data[34:38] == bytes.fromhex("00359c41"):
                break
            heard[name].append(data.hex())
print(json.dumps(heard))
"""

DHCP_OPTIONS = (
    'server_id="10.12.0.254"', f'server_mac="{GATEWAY}"', 'lease_time="3600"', 'router="10.12.0.254"', 'mtu="1400"',
    'dns_server="{8.8.8.8,9.9.9.9}"', 'domain_name="\\"example.org\\""',
    'domain_search_list="\\"example.org,sub.example.org,example.com\\""',
    'classless_static_route="{169.254.169.254/32,10.12.0.2, 0.0.0.0/0,10.12.0.254}"', 'hostname="\\"vm-1\\""',
    'bootfile_name="\\"boot.img\\""', 'bootfile_name_alt="\\"http://boot.ipxe\\""', 'tftp_server="\\"tftp.example\\""',
    'next_server="10.12.0.7"', 'wpad="\\"http://wpad/x\\""', 'T1="1000"', 'T2="2000"', 'ip_forward_enable="1"',
    'default_ttl="60"', 'tftp_server_address="{10.12.0.8,10.12.0.9}"', 'broadcast_address="10.12.0.255"',
    'arp_cache_timeout="30"', 'tcp_ttl="9"', 'router_discovery="1"', 'log_server="10.12.0.3"', 'ntp_server="10.12.0.4"',
    'nis_server="10.12.0.5"', 'lpr_server="10.12.0.6"', 'swap_server="10.12.0.7"', 'policy_filter="10.12.0.7"',
    'router_solicitation="10.12.0.7"', 'ethernet_encap="1"', 'tcp_keepalive_interval="5"', 'path_prefix="\\"/x\\""',
    'ms_classless_static_route="{10.0.0.0/8,10.12.0.2}"', 'netbios_name_server="10.12.0.3"',
    'netbios_node_type="8"',
)  # fmt: skip


def four(
    payload: bytes, protocol: int, src: bytes = MINE, dst: bytes = FAR, to: bytes = ROUTER, ttl: int = 64
) -> bytes:
    return Ethernet(
        dst=to,
        src=ME,
        ethertype=ethernet.IPV4,
        payload=IPv4(src=src, dst=dst, proto=protocol, payload=payload, ttl=ttl).encode(),
    ).encode()


def six(
    payload: bytes, protocol: int, src: bytes = MINE6, dst: bytes = FAR6, to: bytes = ROUTER, hops: int = 64
) -> bytes:
    return Ethernet(
        dst=to,
        src=ME,
        ethertype=ethernet.IPV6,
        payload=IPv6(src=src, dst=dst, next_header=protocol, payload=payload, hop_limit=hops).encode(),
    ).encode()


def dhcp(kind: int, options: dict[int, bytes] | None = None, *, src: bytes = bytes(4), **fields: Any) -> bytes:
    asked = {dhcp4.MESSAGE_TYPE: bytes([kind]), dhcp4.PARAMETERS: bytes([1, 3, 6, 15, 26, 119, 121])} | (options or {})
    message = Dhcp4(op=1, xid=0x1234567, chaddr=ME, options=asked, **fields).encode()
    to = ROUTER if any(src) else b"\xff" * 6
    dst = GATE if any(src) else b"\xff" * 4
    packet = IPv4(
        src=src,
        dst=dst,
        proto=UDP,
        payload=Udp(sport=68, dport=67, payload=message).encode(src=src, dst=dst),
        ttl=128,
        tos=16,
    )
    return Ethernet(dst=to, src=ME, ethertype=ethernet.IPV4, payload=packet.encode()).encode()


def dhcp_v6(kind: int, *options: tuple[int, bytes]) -> bytes:
    group = ipv6_bytes("ff02::1:2")
    message = Dhcp6(type=kind, xid=0x123456, options=((dhcp6.CLIENT_ID, DUID), *options)).encode()
    return six(
        Udp(sport=546, dport=547, payload=message).encode(src=LINK, dst=group), UDP, LINK, group, multicast_mac(group)
    )


def name(what: str, kind: int, *, v6: bool = False, port: int = 40000) -> bytes:
    query = DnsQuery(
        ident=7,
        flags=0x0100,
        name=what,
        qtype=kind,
        qclass=dns.IN,
        wire=dns.encode_name(what) + struct.pack(">HH", kind, dns.IN),
    ).encode()
    if v6:
        return six(Udp(sport=port, dport=53, payload=query).encode(src=MINE6, dst=FAR6), UDP)
    return four(Udp(sport=port, dport=53, payload=query).encode(src=MINE, dst=FAR), UDP)


def both(
    make: Callable[..., bytes], protocol: int, ends: tuple[bytes, bytes] = (FAR, FAR6), **where: Any
) -> dict[str, bytes]:
    hops = {"hops": where["ttl"]} if "ttl" in where else {}
    return {
        "4": four(make(src=MINE, dst=ends[0]), protocol, dst=ends[0], **where),
        "6": six(make(src=MINE6, dst=ends[1]), protocol, dst=ends[1], **hops),
    }


IA = (dhcp6.IA_NA, IaNa(iaid=7).encode())
SERVER = (dhcp6.SERVER_ID, bytes.fromhex("00030001") + ROUTER)


def packets() -> dict[str, bytes]:
    """Return the packets to send, by what they are."""
    found = {
        "dhcp discover": dhcp(dhcp4.DISCOVER),
        "dhcp discover, broadcast": dhcp(dhcp4.DISCOVER, flags=dhcp4.BROADCAST_FLAG),
        "dhcp discover of iPXE": dhcp(dhcp4.DISCOVER, {175: b"\1\2\3"}),
        "dhcp discover, client id": dhcp(dhcp4.DISCOVER, {dhcp4.CLIENT_ID: b"\1" + ME}),
        "dhcp request": dhcp(dhcp4.REQUEST, {dhcp4.REQUESTED_IP: MINE, dhcp4.SERVER_ID: GATE}),
        "dhcp request of another address": dhcp(dhcp4.REQUEST, {dhcp4.REQUESTED_IP: bytes([10, 12, 0, 99])}),
        "dhcp request without address": dhcp(dhcp4.REQUEST),
        "dhcp renew": dhcp(dhcp4.REQUEST, src=MINE, ciaddr=MINE),
        "dhcp inform": dhcp(dhcp4.INFORM, src=MINE, ciaddr=MINE),
        "dhcp release": dhcp(dhcp4.RELEASE, src=MINE, ciaddr=MINE),
        "dhcp decline": dhcp(dhcp4.DECLINE, {dhcp4.REQUESTED_IP: MINE}),
        "dhcpv6 solicit": dhcp_v6(dhcp6.SOLICIT, IA),
        "dhcpv6 solicit without association": dhcp_v6(dhcp6.SOLICIT),
        "dhcpv6 request": dhcp_v6(dhcp6.REQUEST, IA, SERVER),
        "dhcpv6 renew": dhcp_v6(dhcp6.RENEW, IA, SERVER),
        "dhcpv6 rebind": dhcp_v6(dhcp6.REBIND, IA),
        "dhcpv6 confirm": dhcp_v6(dhcp6.CONFIRM, IA),
        "dhcpv6 release": dhcp_v6(dhcp6.RELEASE, IA, SERVER),
        "dhcpv6 decline": dhcp_v6(dhcp6.DECLINE, IA, SERVER),
        "dhcpv6 information": dhcp_v6(dhcp6.INFORMATION_REQUEST),
        "name, 4": name("vm1.example.org", dns.A),
        "name, 6": name("vm1.example.org", dns.AAAA),
        "name, any": name("VM1.example.org", dns.ANY),
        "name over 6": name("vm1.example.org", dns.AAAA, v6=True),
        "name of an address": name("1.0.12.10.in-addr.arpa", dns.PTR),
        "name without such an address": name("four.example.org", dns.AAAA),
        "unknown name": name("nobody.example.org", dns.A),
    }  # fmt: skip
    question = bytes.fromhex("0001080006040001") + ME + MINE + bytes(6) + GATE
    found["arp for the router"] = Ethernet(dst=b"\xff" * 6, src=ME, ethertype=ethernet.ARP, payload=question).encode()
    group = ipv6_bytes("ff02::2")
    solicit = Icmp(type=nd.ROUTER_SOLICIT, code=0, body=bytes(4) + nd.encode_options(((nd.SOURCE_LLA, ME),)))
    found["router solicitation"] = six(
        solicit.encode_v6(src=LINK, dst=group), ICMPV6, LINK, group, multicast_mac(group), 255
    )
    group = solicited_node(GATE6)
    asked = Neighbor(nd.NEIGHBOR_SOLICIT, GATE6, 0, ((nd.SOURCE_LLA, ME),)).icmp()
    found["neighbour solicitation"] = six(
        asked.encode_v6(src=MINE6, dst=group), ICMPV6, MINE6, group, multicast_mac(group), 255
    )

    def echo(src: bytes, dst: bytes) -> bytes:
        return (
            Icmp(type=8, code=0, body=b"echo" * 4).encode()
            if len(src) == 4
            else Icmp(type=128, code=0, body=b"echo" * 4).encode_v6(src=src, dst=dst)
        )

    def icmp(ends: tuple[bytes, bytes] = (FAR, FAR6), size: int = 4, ttl: int = 64) -> dict[str, bytes]:
        six_body = Icmp(type=128, code=0, body=b"echo" * size).encode_v6(src=MINE6, dst=ends[1])
        return {
            "4": four(Icmp(type=8, code=0, body=b"echo" * size).encode(), ICMP, dst=ends[0], ttl=ttl),
            "6": six(six_body, ICMPV6, dst=ends[1], hops=ttl),
        }

    gate = (GATE, GATE6)
    kinds = {
        "echo to the router": icmp(gate),
        "late echo": icmp(ttl=1),
        "late datagram": both(Udp(sport=4000, dport=4001, payload=b"data").encode, UDP, ttl=1),
        "late segment": both(Tcp(sport=4000, dport=4001, seq=1, ack=0, flags=SYN).encode, TCP, ttl=1),
        "large echo": icmp(size=330),
        "datagram to the router": both(Udp(sport=4000, dport=4001, payload=b"data").encode, UDP, gate),
        "segment to the router": both(Tcp(sport=4000, dport=4001, seq=77, ack=0, flags=SYN).encode, TCP, gate),
        "unknown protocol to the router": both(lambda **_: b"data" * 4, 200, gate),
        "refused segment": both(Tcp(sport=4000, dport=81, seq=77, ack=0, flags=SYN, payload=b"abc").encode, TCP),
        "refused segment with ack": both(Tcp(sport=4000, dport=81, seq=77, ack=99, flags=ACK).encode, TCP),
        "refused reset": both(Tcp(sport=4000, dport=81, seq=77, ack=99, flags=RST).encode, TCP),
        "refused datagram": both(Udp(sport=4000, dport=81, payload=b"data" * 9).encode, UDP),
        "refused association": both(
            lambda **_: Sctp(sport=4000, dport=81, tag=0, chunk=1, flags=0, value=bytes(range(16))).encode(),
            SCTP,
        ),
        "refused sctp data": both(
            lambda **_: Sctp(sport=4000, dport=81, tag=55, chunk=0, flags=3, value=bytes(range(16))).encode(),
            SCTP,
        ),
        "refused abort": both(lambda **_: Sctp(sport=4000, dport=81, tag=55, chunk=6).encode(), SCTP),
        "refused protocol": both(lambda **_: b"data" * 4, 201),
    }
    return found | {f"{what}, {version}": frame for what, made in kinds.items() for version, frame in made.items()}


@pytest.fixture(scope="module")
def lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    """Our controller on hv1, the original's on hv2."""
    controllers = {"hv2": programs.ORIGINAL_CONTROLLER}
    return make_module_lab(central=programs.originals, controllers=controllers)


@pytest.fixture(scope="module")
def answers(lab: Lab) -> dict[str, dict[str, list[str]]]:
    """What came back, by hypervisor and packet."""

    def nb(*arguments: str) -> str:
        return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])

    nb("ls-add", "net", "--", "ls-add", "far", "--", "lr-add", "r")
    for switch, mac, addresses in (
        ("net", GATEWAY, ("10.12.0.254/24", "fd0c::fe/64")),
        ("far", "02:00:00:00:0c:fd", ("10.13.0.254/24", "fd0d::fe/64")),
    ):  # fmt: skip
        nb("lrp-add", "r", f"r-{switch}", mac, *addresses, "--", "lsp-add", switch, f"{switch}-r")
        nb("lsp-set-type", f"{switch}-r", "router", "--", "lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
    nb("set", "Logical_Router_Port", "r-far", "options:gateway_mtu=1000")
    nb("lrp-set-gateway-chassis", "r-far", "hv2")
    said = (
        "address_mode=dhcpv6_stateful",
        "mtu=1400",
        "router_preference=LOW",
        'rdnss="fd0c::53"',
        'dnssl="example.org"',
    )
    nb("set", "Logical_Router_Port", "r-net", *(f"ipv6_ra_configs:{text}" for text in said))
    v4 = nb("create", "DHCP_Options", "cidr=10.12.0.0/24", f"options={{{','.join(DHCP_OPTIONS)}}}").strip()
    v6_options = (
        f'options={{server_id="{GATEWAY}",dns_server="{{fd0c::53,fd0c::54}}",domain_search="\\"example.org\\""}}'
    )
    v6 = nb("create", "DHCP_Options", 'cidr="fd0c::/64"', v6_options).strip()
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} 10.12.0.1 fd0c::1")
    nb("lsp-set-dhcpv4-options", "a", v4, "--", "lsp-set-dhcpv6-options", "a", v6)
    records = (
        'vm1.example.org="10.12.0.1 fd0c::1"', 'four.example.org="10.12.0.4"',
        '1.0.12.10.in-addr.arpa="vm1.example.org"',
    )  # fmt: skip
    table = nb("create", "DNS", f"records={{{','.join(records)}}}").strip()
    nb("add", "Logical_Switch", "net", "dns_records", table)
    for match in ("tcp.dst == 81", "udp.dst == 81", "sctp.dst == 81", "ip.proto == 201"):
        nb("acl-add", "net", "from-lport", "1000", f'inport == "a" && {match}', "reject")
    nb("--wait=hv", "sync")
    last = {"last": name("vm1.example.org", dns.A, port=40001)}
    frames = json.dumps({what: frame.hex() for what, frame in (packets() | last).items()})
    heard = {}
    for host in ("hv2", "hv1"):
        instance = lab.attach("a", host=host, port_id="a", mac=MAC, dhcp=False)
        try:
            instance.run("sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")  # it has nothing to say of its own
            until(lambda: nb("lsp-get-up", "a").strip() == "up", what="the port to be up")
            nb("--wait=hv", "sync")
            heard[host] = talk(instance, frames)
        finally:
            lab.delete("a")
        until(lambda: nb("lsp-get-up", "a").strip() == "down", what="the port to be down")
    return heard


def talk(instance: Instance, frames: str) -> dict[str, list[str]]:
    path = instance.rundir / "frames.json"
    path.write_text(frames)
    command = ("sh", "-c", f'exec "$0" -c "$1" < {path}', sys.executable, _TALK)
    found: dict[str, list[str]] = json.loads(instance.run(*command, timeout=120))
    return {what: [readable(bytes.fromhex(frame)) for frame in sorted(heard)] for what, heard in found.items()}


def readable(data: bytes) -> str:
    """Return a frame as text that shows where two differ."""
    frame = Ethernet.decode(data)
    head = f"{frame.src.hex(':')} > {frame.dst.hex(':')} {frame.ethertype:04x}"
    if frame.ethertype == ethernet.IPV4:
        ip = IPv4.decode(frame.payload)
        ends = f"{ip.src.hex()} > {ip.dst.hex()} proto {ip.proto} ttl {far(ip.ttl)} tos {ip.tos} frag {ip.fragment:x}"
        return f"{head} {ends} {upper(ip.proto, ip.payload)}"
    if frame.ethertype == ethernet.IPV6:
        ip6 = IPv6.decode(frame.payload)
        protocol, body = ip6.upper()
        ends = f"{ip6.src.hex()} > {ip6.dst.hex()} proto {protocol} hops {far(ip6.hop_limit)} class {ip6.traffic_class}"
        return f"{head} {ends} {upper(protocol, body)}"
    return f"{head} {frame.payload.hex()}"


def far(hops: int) -> str:
    """A reset travels on with what is left of the refused packet's hops, or with hops of its own."""
    return "enough" if hops > 60 else str(hops)


def upper(protocol: int, body: bytes) -> str:
    if protocol != UDP:
        return body.hex()
    udp = Udp.decode(body)
    if udp.sport == 67:
        message = Dhcp4.decode(udp.payload)
        options = {code: value.hex() for code, value in sorted(message.options.items()) if code != LEAKED}
        return (
            f"dhcp {(message.op, message.xid, message.ciaddr, message.yiaddr, message.siaddr, message.flags)} {options}"
        )
    if udp.sport == 547:
        message6 = Dhcp6.decode(udp.payload)
        return f"dhcpv6 {message6.type} {sorted((code, value.hex()) for code, value in message6.options)}"
    if udp.sport == 53:
        return f"answers {records(udp.payload)} to {udp.payload[:2].hex()}"
    return body.hex()


LEAKED = 253
"""The original tells clients its own number for the next server; ours does not."""


def records(message: bytes) -> list[tuple[int, int, str]]:
    """Return the records of an answer to one question: type, time to live, data; their names are the question's."""
    offset = message.index(b"\0", 12) + 5
    found = []
    for _ in range(int.from_bytes(message[6:8], "big")):
        offset = offset + 2 if message[offset] & 0xC0 else message.index(b"\0", offset) + 1
        kind, _, ttl, size = struct.unpack_from(">HHIH", message, offset)
        found.append((kind, ttl, message[offset + 10 : offset + 10 + size].hex()))
        offset += 10 + size
    return found


_MORE = "the original answers neither, a client would have to start again"
_RESET = "RFC 9293, section 3.10.7.1: the number is the segment's end, or what it acknowledges"
DIFFERENT: dict[str, str] = {
    "dhcp discover, client id": "RFC 6842: the client's identifier comes back",
    "dhcp request of another address": "RFC 2131, table 3: a refusal is broadcast and says whose it is",
    "dhcp request without address": "RFC 2131, table 3: a refusal is broadcast and says whose it is",
    "dhcp inform": "RFC 2131, section 4.3.5: all settings but the lease's, the netmask too",
    "dhcpv6 solicit without association": "settings alone may be asked for",
    "dhcpv6 renew": _MORE,
    "dhcpv6 rebind": _MORE,
    "dhcpv6 release": _MORE,
    "dhcpv6 confirm": "RFC 8415, section 18.3.3: a status, no address",
    "dhcpv6 decline": "RFC 8415, section 18.3.8: a status, no address",
    "large echo, 4": "RFC 1812, section 4.3.2.3: as much of the packet as fits 576 bytes",
    "large echo, 6": "RFC 4443, section 2.4: as much of the packet as fits 1280 bytes",
    **dict.fromkeys([f"refused segment{what}, {version}" for what in ("", " with ack") for version in (4, 6)], _RESET),
    **dict.fromkeys(
        ["dhcpv6 solicit", "dhcpv6 request", "dhcpv6 information"],
        "RFC 8415, section 21.24: domains are told as names, label by label",
    ),
}
"""Packets after which ours does better on purpose, with the reason."""


@pytest.mark.parametrize("what", packets())
def test_the_answer_is_the_originals(answers: dict[str, dict[str, list[str]]], what: str) -> None:
    ours, theirs = answers["hv1"][what], answers["hv2"][what]
    if what in DIFFERENT:
        assert ours
        assert ours != theirs, f"no longer different: {DIFFERENT[what]}"
    else:
        assert ours == theirs


def test_most_packets_are_answered(answers: dict[str, dict[str, list[str]]]) -> None:
    for heard in answers.values():
        assert sum(bool(one) for one in heard.values()) > len(heard) * 2 / 3
