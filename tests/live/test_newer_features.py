"""What OVN has newer than Debian's, on real switches with our programs: each by packets."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ovenbird.cli.trace import command as trace
from ovenbird.lab import external_network, programs
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.instance import INTERFACE
from ovenbird.lab.underlay import UPLINK
from support.live.capture import Capture
from support.live.conversation import PORT, SERVER, Conversation, answers, ask
from support.live.traffic import Program, connects, serve
from support.northd import newer_rows
from support.northd.oracle import Client
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

    Nbctl = Callable[..., str]

pytestmark = pytest.mark.live

ROUTER = "02:00:00:00:08:fe"
MACS = {"client": "02:00:00:00:08:01", "server": "02:00:00:00:08:02", "asker": "02:00:00:00:08:05"}

SERVE = """
import socket
from ovenbird.net import dhcp4

server = b"\\xac\\x10\\x08\\x02"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
    heard.bind(("172.16.8.2", 67))
    print("ready", flush=True)
    kind = 0
    while kind != dhcp4.ACK:
        data, (source, _) = heard.recvfrom(2048)
        asked = dhcp4.Dhcp4.decode(data)
        print(asked.message_type, source, socket.inet_ntoa(asked.giaddr), asked.hops, flush=True)
        kind = {dhcp4.DISCOVER: dhcp4.OFFER, dhcp4.REQUEST: dhcp4.ACK}.get(asked.message_type)
        if kind is None:
            continue
        options = {
            dhcp4.MESSAGE_TYPE: bytes([kind]), dhcp4.SERVER_ID: server, dhcp4.NETMASK: b"\\xff\\xff\\xff\\0",
            dhcp4.ROUTER: asked.giaddr, dhcp4.LEASE_TIME: b"\\0\\0\\x0e\\x10",
        }
        reply = dhcp4.Dhcp4(op=2, xid=asked.xid, chaddr=asked.chaddr, flags=asked.flags, giaddr=asked.giaddr,
                            yiaddr=asked.giaddr[:3] + bytes([77]), options=options)
        heard.sendto(reply.encode(), (socket.inet_ntoa(asked.giaddr), 67))
"""


@pytest.fixture(scope="module")
def lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(gateways=("hv1", "hv2"), central=programs.split(api=False))


@pytest.fixture(scope="module")
def newer(lab: Lab) -> Iterator[Callable[..., None]]:
    """`newer(*lines)` runs commands with columns that ovn-nbctl does not know."""
    client = Client(lab.layout.socket("nb"), "OVN_Northbound")
    yield lambda *lines: [newer_rows.run(client, line) for line in lines]
    client.close()


@pytest.fixture(scope="module")
def southbound(lab: Lab) -> Iterator[Client]:
    """Give the Southbound, with columns that ovn-sbctl does not know."""
    client = Client(lab.layout.socket("sb"), "OVN_Southbound")
    yield client
    client.close()


@pytest.fixture(scope="module")
def server(lab: Lab, nb: Nbctl) -> Instance:
    """Instance `server` on hv2, in a network of its own behind the router r."""
    nb("lr-add", "r")
    for switch, number, network in (("net", 1, "10.8.0"), ("services", 2, "172.16.8")):
        nb("ls-add", switch, "--", "lsp-add", switch, f"{switch}-r", "--", "lsp-set-type", f"{switch}-r", "router")
        nb("lsp-set-addresses", f"{switch}-r", "router")
        nb("lsp-set-options", f"{switch}-r", f"router-port=r-{switch}")
        nb("lrp-add", "r", f"r-{switch}", f"{ROUTER[:-2]}f{number}", f"{network}.1/24")
    nb("lsp-add", "services", "server", "--", "lsp-set-addresses", "server", f"{MACS['server']} 172.16.8.2")
    nb("--wait=hv", "sync")
    found = lab.attach("server", host="hv2", port_id="server", mac=MACS["server"], dhcp=False)
    found.run("ip", "address", "add", "172.16.8.2/24", "dev", INTERFACE)
    found.run("ip", "route", "add", "10.8.0.0/24", "via", "172.16.8.1")
    until(lambda: found.pings("172.16.8.1"), what="the router to answer")
    return found


@pytest.fixture(scope="module")
def other(server: Instance, lab: Lab, nb: Nbctl) -> Instance:
    """Instance `other` on hv1, in the network of the server."""
    nb("lsp-add", "services", "other", "--", "lsp-set-addresses", "other", "02:00:00:00:08:09 172.16.8.9")
    found = lab.attach("other", host="hv1", port_id="other", mac="02:00:00:00:08:09", dhcp=False)
    found.namespace.batch([f"address add 172.16.8.9/24 dev {INTERFACE}", "route add 10.8.0.0/24 via 172.16.8.1"])
    until(lambda: found.pings("172.16.8.2"), what="the server to answer")
    return found


SPEAK = """
import socket, sys, time
source = bytes.fromhex(sys.argv[1])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
    out.bind(("eth0", 0))
    print("ready", flush=True)
    while True:
        out.send(bytes.fromhex("0200000008fe") + source + b"\\x88\\xb5" + bytes(46))
        time.sleep(0.2)
"""


def test_mac_addresses_that_are_not_used_expire(server: Instance, lab: Lab, nb: Nbctl, southbound: Client) -> None:
    nb("lsp-add", "net", "nest", "--", "lsp-set-addresses", "nest", "unknown")
    nest = lab.attach("nest", host="hv2", port_id="nest", mac="02:00:00:00:08:03", dhcp=False)

    def times() -> dict[str, int]:
        return {row["mac"]: row["timestamp"] for row in southbound.select("FDB", "mac", "timestamp")}

    def speaking(last: int) -> Program:
        return Program(nest, sys.executable, "-c", SPEAK, f"0200000009{last:02x}", ready=True)

    with speaking(1):
        until(lambda: "02:00:00:00:09:01" in times(), what="the address of one that will be silent")
    with speaking(2):
        until(lambda: "02:00:00:00:09:02" in times(), what="the address of one that goes on")
        learned = times()["02:00:00:00:09:02"]
        nb("set", "Logical_Switch", "net", "other_config:fdb_age_threshold=4")
        until(lambda: "02:00:00:00:09:01" not in times(), what="the silent address to expire")
        until(lambda: times().get("02:00:00:00:09:02", 0) > learned, what="the use of the other to be noted")
    until(lambda: "02:00:00:00:09:02" not in times(), what="the other one to expire, too")
    lab.delete("nest")


def test_dhcp_is_relayed_to_a_server_in_another_network(
    server: Instance, lab: Lab, nb: Nbctl, newer: Callable[..., None]
) -> None:
    nb("lsp-add", "net", "client", "--", "lsp-set-addresses", "client", f"{MACS['client']} 10.8.0.77")
    nb("set", "Logical_Switch", "net", "other_config:dhcp_relay_port=net-r")
    newer(
        "create DHCP_Relay name=relay servers=172.16.8.2",
        "set Logical_Router_Port name=r-net dhcp_relay=(name=relay)",
    )
    nb("--wait=hv", "sync")
    with Program(server, sys.executable, "-c", SERVE, ready=True) as serving:
        client = lab.attach("client", host="hv1", port_id="client", mac=MACS["client"])
        heard = serving.finish().splitlines()
    assert client.address == "10.8.0.77"
    assert heard[0] == "1 10.8.0.1 10.8.0.1 1"
    assert heard[-1] == "3 10.8.0.1 10.8.0.1 1"
    assert client.pings("172.16.8.2")
    databases = [f"--{option}={lab.layout.remote(name)}" for option, name in (("db", "sb"), ("nb", "nb"))]
    traced = CliRunner().invoke(trace, [*databases, "--from", "client", "--dhcp"]).output
    assert "ip4.dst = 172.16.8.2;" in traced
    assert 'output to "server"' in traced


def test_switches_are_joined_without_a_router(
    server: Instance, lab: Lab, nb: Nbctl, newer: Callable[..., None]
) -> None:
    instances = {}
    for number, leaf in enumerate(("left", "right"), 1):
        nb("ls-add", leaf, "--", "lsp-add", leaf, f"vm-{leaf}", "--", "lsp-add", leaf, f"{leaf}-spine")
        nb("lsp-set-addresses", f"vm-{leaf}", f"02:00:00:00:07:0{number} 10.7.0.{number}")
    nb("ls-add", "spine", "--", "lsp-add", "spine", "spine-left", "--", "lsp-add", "spine", "spine-right")
    for leaf in ("left", "right"):
        newer(
            f"set Logical_Switch_Port name=spine-{leaf} type=switch peer={leaf}-spine",
            f"set Logical_Switch_Port name={leaf}-spine type=switch peer=spine-{leaf}",
        )
    nb("--wait=hv", "sync")
    for number, (leaf, host) in enumerate({"left": "hv1", "right": "hv2"}.items(), 1):
        mac = f"02:00:00:00:07:0{number}"
        instances[leaf] = lab.attach(f"vm-{leaf}", host=host, port_id=f"vm-{leaf}", mac=mac, dhcp=False)
        instances[leaf].run("ip", "address", "add", f"10.7.0.{number}/24", "dev", INTERFACE)
    until(lambda: instances["left"].pings("10.7.0.2"), what="the instance behind the other switch to answer")
    with Capture(instances["right"].namespace, INTERFACE, "icmp[icmptype] == icmp-echo") as seen:
        assert instances["left"].pings("10.7.0.2", count=3)
        seen.wait("> 02:00:00:00:07:02")
    newer("set Logical_Switch_Port name=spine-left peer=")
    until(lambda: not instances["left"].pings("10.7.0.2"), what="the joint to be undone")


def test_a_local_mirror_copies_both_directions_to_an_interface(
    server: Instance, other: Instance, lab: Lab, nb: Nbctl, newer: Callable[..., None]
) -> None:
    switch = lab.hypervisor("hv2")
    switch.vsctl(
        *("add-port", "br-int", "probe", "--", "set", "Interface", "probe", "type=internal"),
        *("external_ids:mirror-id=tap",),
    )
    switch.namespace.run("ip", "link", "set", "probe", "up")
    newer(
        "create Mirror name=copies type=local filter=both sink=tap",
        "set Logical_Switch_Port name=server mirror_rules=(name=copies)",
    )
    nb("--wait=hv", "sync")
    until(lambda: "copies" in switch.vsctl("list", "Mirror"), what="the mirror")
    with Capture(switch.namespace, "probe", "icmp and host 172.16.8.9") as seen:
        until(lambda: server.pings("172.16.8.9"), what="the other instance to answer")
        seen.wait(r"172\.16\.8\.2 > 172\.16\.8\.9: ICMP echo request")
        seen.wait(r"172\.16\.8\.9 > 172\.16\.8\.2: ICMP echo reply")
    newer("set Logical_Switch_Port name=server mirror_rules=")
    until(lambda: not switch.vsctl("list", "Mirror"), what="the mirror to go")
    switch.vsctl("del-port", "br-int", "probe")


def test_always_tunnel_sends_unicast_of_provider_networks_through_tunnels(
    server: Instance, other: Instance, lab: Lab, nb: Nbctl
) -> None:
    network = f"network_name={external_network.PHYSICAL_NETWORK}"
    nb(
        "lsp-add",
        "services",
        "wire",
        "--",
        "lsp-set-type",
        "wire",
        "localnet",
        "--",
        "lsp-set-options",
        "wire",
        network,
    )
    nb("lsp-set-addresses", "wire", "unknown")
    nb("--wait=hv", "sync")
    with Capture(lab.hypervisor("hv2").namespace, UPLINK, "udp port 6081") as tunnels:
        until(lambda: other.pings("172.16.8.2"), what="an answer by the physical network")
        nb("set", "NB_Global", ".", "options:always_tunnel=true")
        nb("--wait=hv", "sync")
        untunnelled = len(tunnels.lines)
        until(lambda: other.pings("172.16.8.2"), what="an answer by a tunnel")
        tunnels.wait(r"172\.16\.8\.9 > 172\.16\.8\.2: ICMP echo request")
    assert not any("echo" in line for line in tunnels.lines[:untunnelled])
    nb("lsp-del", "wire")


def test_connections_of_a_persistent_acl_outlive_its_match_and_end_with_it(
    server: Instance, other: Instance, nb: Nbctl, newer: Callable[..., None]
) -> None:
    nb("acl-add", "services", "to-lport", "200", 'outport == "server" && tcp', "drop")
    nb("acl-add", "services", "to-lport", "300", f"tcp.dst == {PORT}", "allow-related")
    newer("set ACL priority=300 options:persist-established=true")
    nb("--wait=hv", "sync")
    with (
        Program(server, sys.executable, "-c", SERVER, "server", str(PORT), ready=True),
        Conversation(other, "172.16.8.2") as conversation,
    ):
        assert conversation.partner == "server"
        newer("set ACL priority=300 match='tcp.dst == 81'")
        until(lambda: ask(other, "172.16.8.2") == "silence", what="new connections to be dropped")
        assert conversation.say() == "server"
        nb("--wait=hv", "acl-del", "services", "to-lport", "300", "tcp.dst == 81")
        assert conversation.say() == "silence"
    nb("acl-del", "services")


def test_a_daemon_at_a_port_speaks_bgp_with_the_address_of_the_router(server: Instance, lab: Lab, nb: Nbctl) -> None:
    mac = f"{ROUTER[:-2]}f2"
    nb("lsp-add", "services", "daemon", "--", "lsp-set-addresses", "daemon", "unknown")
    nb("lrp-set-options", "r-services", "routing-protocol-redirect=daemon", "routing-protocols=BGP")
    nb("--wait=hv", "sync")
    daemon = lab.attach("daemon", host="hv1", port_id="daemon", mac=mac, dhcp=False)
    daemon.run("ip", "address", "add", "172.16.8.1/24", "dev", INTERFACE)
    with serve(daemon, 179):
        until(lambda: connects(server, "172.16.8.1", 179), what="the daemon to be reached at the router's address")
    assert server.pings("172.16.8.1")
    with serve(server, 179):
        until(lambda: connects(daemon, "172.16.8.2", 179), what="the daemon to reach a neighbour")
    nb("lrp-set-options", "r-services")
    lab.delete("daemon")


@pytest.fixture(scope="module")
def asker(server: Instance, lab: Lab, nb: Nbctl) -> Instance:
    """Instance `asker` on hv1, in the other network."""
    nb("lsp-add", "net", "asker", "--", "lsp-set-addresses", "asker", f"{MACS['asker']} 10.8.0.5")
    found = lab.attach("asker", host="hv1", port_id="asker", mac=MACS["asker"], dhcp=False)
    found.namespace.batch([f"address add 10.8.0.5/24 dev {INTERFACE}", "route add default via 10.8.0.1"])
    until(lambda: found.pings("172.16.8.2"), what="the server to answer")
    return found


@pytest.fixture(scope="module")
def served(server: Instance, other: Instance) -> Iterator[None]:
    """Run servers that say `server` and `other`, each at two ports."""
    with ExitStack() as stack:
        for instance in (server, other):
            for port in (PORT, PORT + 1):
                argv = (sys.executable, "-c", SERVER, instance.name, str(port))
                stack.enter_context(Program(instance, *argv, ready=True))
        yield


def test_translations_are_for_what_matches(
    served: None, server: Instance, other: Instance, lab: Lab, nb: Nbctl, newer: Callable[..., None]
) -> None:
    outside = ExternalNetwork(lab.layout)
    outside.namespace.batch([f"address add 172.24.4.9/24 dev {outside.segment.bridge}"])
    nb("ls-add", "out", "--", "lrp-add", "r", "r-out", f"{ROUTER[:-2]}f3", "172.24.4.2/24")
    nb("lrp-set-gateway-chassis", "r-out", "hv2", "10")
    nb("lsp-add", "out", "out-r", "--", "lsp-set-type", "out-r", "router", "--", "lsp-set-addresses", "out-r", "router")
    nb("lsp-set-options", "out-r", "router-port=r-out")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    rules = (
        "type=snat external_ip=172.24.4.60 logical_ip=172.16.8.0/24",
        "type=snat external_ip=172.24.4.61 logical_ip=172.16.8.0/24 match=icmp priority=1",
        "type=snat external_ip=172.24.4.62 logical_ip=172.16.8.0/24 match='icmp && ip4.dst == 172.24.4.9' priority=2",
        f"type=dnat external_ip=172.24.4.63 logical_ip=172.16.8.2 match='tcp.dst == {PORT}'",
        f"type=dnat external_ip=172.24.4.63 logical_ip=172.16.8.9 match='tcp.dst == {PORT + 1}'",
    )
    newer(*(f"create NAT {rule} in Logical_Router name=r nat" for rule in rules))
    nb("--wait=hv", "sync")
    for instance in (server, other):
        instance.run("ip", "route", "add", "172.24.4.0/24", "via", "172.16.8.1")
        with Capture(outside.namespace, outside.segment.bridge, "icmp or tcp") as seen:
            for address in ("172.24.4.1", "172.24.4.9"):
                until(lambda at=address, here=instance: here.pings(at), what=f"{address} to answer")
            assert ask(instance, "172.24.4.9") == "refused"
            seen.wait(r"172\.24\.4\.61 > 172\.24\.4\.1: ICMP echo request")
            seen.wait(r"172\.24\.4\.62 > 172\.24\.4\.9: ICMP echo request")
            seen.wait(rf"172\.24\.4\.60\.\d+ > 172\.24\.4\.9\.{PORT}: Flags \[S\]")
            assert not seen.find(r"172\.24\.4\.6[02] > 172\.24\.4\.1: ICMP|172\.24\.4\.6[12]\.\d+ >")
    assert ask(outside, "172.24.4.63") == "server"
    assert ask(outside, "172.24.4.63", PORT + 1) == "other"


BURST = """
import socket, sys
for number in range(32):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind(("0.0.0.0", 4000 + number))
        out.sendto(b"?", (sys.argv[1], 9))
"""
"""Sends 32 datagrams from as many ports."""


def test_policies_jump_and_equal_routes_select_by_fields(
    served: None, server: Instance, other: Instance, asker: Instance, nb: Nbctl, newer: Callable[..., None]
) -> None:
    nb("lr-policy-add", "r", "30", 'inport == "r-net"', "allow")
    chained = (
        f"priority=9 match='tcp.dst == {PORT + 1}' action=jump jump_chain=inner chain=tenants",
        "priority=8 match=udp action=reroute nexthops=172.16.8.9 chain=tenants",
        "priority=7 match='ip4.dst == 172.16.8.9' action=drop chain=inner",
    )
    newer(
        "set Logical_Router_Policy priority=30 action=jump jump_chain=tenants",
        *(f"create Logical_Router_Policy {policy} in Logical_Router name=r policies" for policy in chained),
    )
    for hop in ("172.16.8.2", "172.16.8.9"):
        fields = "selection_fields=ip_src,ip_proto"
        route = f"create Logical_Router_Static_Route ip_prefix=198.51.100.0/24 nexthop={hop} {fields}"
        newer(f"{route} in Logical_Router name=r static_routes")
    nb("--wait=hv", "sync")
    for address, port, answer in (
        ("172.16.8.9", PORT, "other"),
        ("172.16.8.2", PORT + 1, "server"),
        ("172.16.8.9", PORT + 1, "silence"),
    ):
        until(lambda a=address, p=port, who=answer: ask(asker, a, p) == who, what=f"{address}:{port}: {answer}")

    def shares() -> tuple[int, int]:
        """Return from how many of 32 ports datagrams go to each of the next hops."""
        expression = "udp and dst net 198.51.100.0/24"
        with (
            Capture(server.namespace, INTERFACE, expression) as one,
            Capture(other.namespace, INTERFACE, expression) as two,
        ):

            def all_seen() -> list[set[str]]:
                asker.run(sys.executable, "-c", BURST, "198.51.100.7")
                found = [set(re.findall(r"10\.8\.0\.5\.(\d+) >", "".join(seen.lines))) for seen in (one, two)]
                return found if len(set.union(*found)) == 32 else []

            first, second = until(all_seen, what="datagrams from all ports at one of the next hops")
        assert not first & second
        return len(first), len(second)

    assert shares() == (0, 32)  # by the policy of the chain
    nb("--wait=hv", "lr-policy-del", "r")
    assert 0 in shares()  # all are from one address
    for hop in ("172.16.8.2", "172.16.8.9"):
        newer(f"set Logical_Router_Static_Route nexthop={hop} selection_fields=ip_src,tp_src")
    nb("--wait=hv", "sync")
    assert 0 not in shares()


def test_load_balancers_of_chassis_of_clients_and_of_stateless_switches(
    served: None, server: Instance, other: Instance, asker: Instance, nb: Nbctl
) -> None:
    both, vip = f"172.16.8.2:{PORT},172.16.8.9:{PORT}", "10.7.0.1"
    nb("lb-add", "near", f"{vip}:{PORT}", both, "--", "ls-lb-add", "net", "near", "--", "ls-lb-add", "services", "near")
    nb("--wait=hv", "sync")
    server.run("ip", "route", "add", "10.7.0.0/24", "via", "172.16.8.1")
    for place in (asker, server):
        answers(place, vip, "server", "other")
    for backend, port in (("172.16.8.2", "server"), ("172.16.8.9", "other")):
        nb("set", "Load_Balancer", "near", f'ip_port_mappings:"{backend}"={port}')
    nb("--wait=hv", "set", "Load_Balancer", "near", "options:distributed=true")
    for place, near in ((asker, "other"), (server, "server")):  # what is on their chassis
        answers(place, vip, near)
        assert {ask(place, vip) for _ in range(8)} == {near}
    nb("remove", "Load_Balancer", "near", "options", "distributed")
    for direction in ("from-lport", "to-lport"):
        nb("acl-add", "services", direction, "1000", "ip", "allow-stateless")
    nb("--wait=hv", "sync")
    assert ask(server, vip) == "silence"  # what is not tracked is not balanced
    nb("--wait=hv", "set", "Logical_Switch", "services", "other_config:enable-stateless-acl-with-lb=true")
    answers(server, vip, "server", "other")
    nb("lb-del", "near", "--", "acl-del", "services")

    nb("create", "Chassis_Template_Var", "chassis=hv1", "variables:vip=10.7.0.2", "variables:one=172.16.8.2")
    nb("--template", "lb-add", "sticky", f"^vip:{PORT}", f"^one:{PORT},172.16.8.9:{PORT}")
    nb("--wait=hv", "ls-lb-add", "net", "sticky")
    answers(asker, "10.7.0.2", "server", "other")
    nb("--wait=hv", "set", "Load_Balancer", "sticky", "options:affinity_timeout=60")
    first = ask(asker, "10.7.0.2")
    assert first in {"server", "other"}
    assert {ask(asker, "10.7.0.2") for _ in range(8)} == {first}
    nb("lb-del", "sticky")
