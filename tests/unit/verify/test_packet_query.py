import pytest

from ovenbird.model import nb
from ovenbird.verify.errors import AmbiguousPortError, UnknownPortError, VerifyError
from ovenbird.verify.packet_query import PacketQuery, Protocol, microflow


@pytest.fixture
def network(two):
    return two.tracer().network


@pytest.mark.parametrize("target", ["p2", "web", "10.0.0.2", "0a:00:00:00:00:02"])
def test_tcp_by_any_name(network, target):
    start, text = microflow(network, PacketQuery(source="10.0.0.1", target=target, protocol=Protocol.TCP, port=22))
    assert start.name == "sw0"
    assert text == (
        'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && '
        "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.src == 49152 && tcp.dst == 22"
    )


@pytest.mark.parametrize(
    ("query", "outputs"),
    [
        (PacketQuery(source="p1", target="p2", protocol=Protocol.TCP, port=22), ["p2"]),
        (PacketQuery(source="p1", target="p2", protocol=Protocol.UDP, port=22), []),
        (PacketQuery(source="p1", target="p2"), []),
        (PacketQuery(source="web", target="p1"), ["p1"]),
        (PacketQuery(source="p1", target="web", protocol=Protocol.ARP), ["p1"]),
        (PacketQuery(source="web", protocol=Protocol.DHCP), ["p1"]),
    ],
)
def test_queries_are_traced(two, query, outputs):
    tracer = two.tracer()
    start, text = microflow(tracer.network, query)
    assert tracer.trace(start.uuid, text).outputs == outputs


def test_impossible_queries_are_refused(two, traced):
    other = traced.switch("sw1")
    traced.port(other, "q1", "0a:00:00:00:00:03 10.0.0.1")
    traced.port(other, "q2", "unknown")
    network = two.tracer().network
    with pytest.raises(AmbiguousPortError, match=r"2 logical ports have the name or address 10\.0\.0\.1"):
        microflow(network, PacketQuery(source="10.0.0.1", target="p2"))
    assert microflow(network, PacketQuery(source="10.0.0.1", target="10.0.0.2"), "sw0")[0].name == "sw0"
    with pytest.raises(UnknownPortError, match="name or address nobody"):
        microflow(network, PacketQuery(source="nobody", target="p2"))
    with pytest.raises(UnknownPortError, match=r"sends to 8.8.8.8, which no port on sw0 has"):
        microflow(network, PacketQuery(source="p1", target="8.8.8.8"))
    with pytest.raises(VerifyError, match="no addresses of one IP version"):
        microflow(network, PacketQuery(source="web", target="fd00::1"))
    with pytest.raises(VerifyError, match="no address of its own"):
        microflow(network, PacketQuery(source="q2", target="q1"))
    with pytest.raises(VerifyError, match="a target is needed"):
        microflow(network, PacketQuery(source="p1"))


def test_beyond_the_switch_packets_go_to_its_router(traced):
    inside = {"sw-r": (1, "patch", {"peer": "r-sw"}), "p1": (2, "", {})}
    datapath = traced.datapath("sw", 1, **inside)
    traced.datapath("r", 2, **{"r-sw": (1, "patch", {"peer": "sw-r"})})
    addresses = {"r-sw": "0a:00:00:00:00:ff 10.0.0.254/24", "p1": "0a:00:00:00:00:01 10.0.0.1"}
    for port in list(traced.sb.store.tables["Port_Binding"].rows.values()):
        if port.logical_port in addresses:
            txn = traced.sb.transaction()
            txn.update(port, {"mac": frozenset([addresses[port.logical_port]])})
            txn.commit()
    start, text = microflow(traced.by_hand().network, PacketQuery(source="p1", target="8.8.8.8"))
    assert start.uuid == datapath.uuid
    assert "eth.dst == 0a:00:00:00:00:ff && ip4.src == 10.0.0.1 && ip4.dst == 8.8.8.8" in text


def test_a_blank_entry_is_no_address(two, traced):
    switch = traced.switch("sw1")
    traced.port(switch, "p8", "", "0a:00:00:00:00:08 10.0.1.8")
    traced.port(switch, "p9", "0a:00:00:00:00:09 10.0.1.9")
    _, text = microflow(two.tracer().network, PacketQuery(source="p8", target="p9"))
    assert "eth.src == 0a:00:00:00:00:08" in text


@pytest.fixture
def outside(routed):
    """The network of `routed`, whose outer switch is a physical network named `phys`; p1 has a floating IP."""
    world = routed
    inner = world.nb.store.find(nb.LogicalSwitch.name, "sw0")
    outer = world.nb.store.find(nb.LogicalSwitch.name, "out")
    world.port(outer, "ln", "unknown", type="localnet", options={"network_name": "phys"})
    router = world.nb.store.find(nb.LogicalRouter.name, "r")
    world.insert(nb.NAT, (router, "nat"), type="dnat_and_snat", external_ip="172.16.0.5", logical_ip="10.0.0.1")
    world.port(inner, "meta", "0a:00:00:00:00:0f 10.0.0.15", type="localport")
    routes = "{169.254.169.254/32,10.0.0.15, 0.0.0.0/0,10.0.0.254}"
    given = {"server_id": "10.0.0.254", "server_mac": "0a:00:00:00:ff:01", "lease_time": "3600"}
    options = world.insert(
        nb.DHCPOptions,
        cidr="10.0.0.0/24",
        options={**given, "router": "10.0.0.254", "classless_static_route": routes},
    )
    txn = world.nb.transaction()
    p1 = world.nb.store.find(nb.LogicalSwitchPort.name, "p1")
    txn.update(p1, {"dhcpv4_options": options.uuid, "external_ids": {"neutron:port_fip": "172.16.0.5"}})
    txn.commit()
    return world


TO_ROUTER, TO_META, TO_OUTER = "0a:00:00:00:ff:01", "0a:00:00:00:00:0f", "0a:00:00:00:ff:02"
BEYOND = "eth.src == 00:00:5e:00:53:01"


@pytest.mark.parametrize(
    ("source", "target", "protocol", "headers"),
    [
        # an instance's own routes, neighbours, and what is sent to everybody
        ("p1", "169.254.169.254", "tcp", f"eth.dst == {TO_META} && ip4.src == 10.0.0.1 && ip4.dst == 169.254.169.254"),
        ("p1", "8.8.8.8", "tcp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 8.8.8.8"),
        ("p1", "10.0.0.254", "icmp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.254"),
        ("p1", "r-out", "icmp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 172.16.0.1"),
        ("p1", "to-r-out", "icmp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 172.16.0.1"),
        ("p1", "10.0.0.255", "udp", "eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 10.0.0.1"),
        ("p1", "255.255.255.255", "udp", "eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 10.0.0.1"),
        ("p1", "224.0.0.5", "udp", "eth.dst == 01:00:5e:00:00:05 && ip4.src == 10.0.0.1"),
        ("p1", "ff02::1", "udp", "eth.dst == 33:33:00:00:00:01 && ip6.src == fe80::800:ff:fe00:1"),
        ("p1", "fe80::800:ff:fe00:ff01", "udp", f"eth.dst == {TO_ROUTER} && ip6.src == fe80::800:ff:fe00:1"),
        ("FD00:0::1", "2001:db8::7", "tcp", f"eth.dst == {TO_ROUTER} && ip6.src == fd00::1"),
        ("0A:00:00:00:00:01", "far", "tcp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 172.16.0.9"),
        # to the outside, from the network there, and from it
        ("p1", "out", "tcp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 192.0.2.1"),
        ("p1", "phys", "tcp", f"eth.dst == {TO_ROUTER} && ip4.src == 10.0.0.1 && ip4.dst == 192.0.2.1"),
        ("far", "172.16.0.77", "tcp", "eth.dst == 00:00:5e:00:53:02 && ip4.src == 172.16.0.9"),
        ("far", "172.16.0.5", "tcp", f"eth.dst == {TO_OUTER} && ip4.src == 172.16.0.9"),
        ("out", "p1", "tcp", f"{BEYOND} && eth.dst == {TO_OUTER} && ip4.src == 192.0.2.1 && ip4.dst == 172.16.0.5"),
        ("ln", "web", "tcp", f"{BEYOND} && eth.dst == {TO_OUTER} && ip4.src == 192.0.2.1 && ip4.dst == 10.0.0.2"),
        ("172.16.0.44", "p1", "tcp", f"{BEYOND} && eth.dst == {TO_OUTER} && ip4.src == 172.16.0.44"),
        ("8.8.8.8", "far", "tcp", f"{BEYOND} && eth.dst == 0a:00:00:00:00:09 && ip4.src == 8.8.8.8"),
        ("172.16.0.44", "172.16.0.5", "arp", "arp.spa == 172.16.0.44 && arp.tpa == 172.16.0.5"),
    ],
)  # fmt: skip
def test_headers_are_those_that_the_sender_would_send(outside, source, target, protocol, headers):
    _, text = microflow(
        outside.tracer().network, PacketQuery(source=source, target=target, protocol=Protocol(protocol), port=80)
    )
    assert headers in text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (PacketQuery(source="p1", target="web", protocol=Protocol.DHCP), "is a broadcast: leave the target out"),
        (PacketQuery(source="out", protocol=Protocol.DHCP), "DHCP requests are sent by instances"),
        (
            PacketQuery(source="p1", target="fd00::fe", protocol=Protocol.ARP),
            "ARP is for IPv4, and fd00::fe is an IPv6 address",
        ),
        (PacketQuery(source="p1", target="p1"), "is the sender's own address"),
        (PacketQuery(source="p1", target="127.0.0.1"), "never leaves its sender"),
        (PacketQuery(source="p1", target="10.0.0.77"), "sends to 10.0.0.77, which no port on sw0 has"),
        (
            PacketQuery(source="r", target="p1"),
            "r is a router: name one of its addresses, 10.0.0.254, 172.16.0.1, fd00::fe",
        ),
        (PacketQuery(source="p1", target="r"), "r is a router"),
        (PacketQuery(source="sw0", target="p1"), "sw0 is a network without a physical network"),
        (PacketQuery(source="r-in", target="p1"), "leads to another network and sends nothing"),
        (PacketQuery(source="to-r-in", target="p1"), "leads to another network"),
        (
            PacketQuery(source="10.0.0.99", target="p1"),
            "no port has 10.0.0.99, which is in 10.0.0.0/24, an internal network",
        ),
        (PacketQuery(source="out", target="out"), "never enters this network"),
        (PacketQuery(source="out", target="172.16.0.77"), "no port on out has the address 172.16.0.77"),
        (
            PacketQuery(source="out", target="10.9.0.1"),
            "no port on out has the address 10.9.0.1, and no router there has a route to it",
        ),
    ],
)
def test_packets_that_no_port_sends_are_refused_with_the_reason(outside, query, words):
    with pytest.raises(VerifyError, match=words):
        microflow(outside.tracer().network, query)


@pytest.mark.parametrize(
    ("source", "target", "protocol", "verdict"),
    [
        ("p1", "169.254.169.254", "tcp", 'delivered to "meta"'),
        ("far", "172.16.0.1", "icmp", 'sent back to "far"'),
        ("172.16.0.44", "172.16.0.1", "icmp", 'sent back to "ln" (physical network phys)'),
        ("172.16.0.44", "p1", "tcp", 'delivered to "p1"'),
        ("172.16.0.44", "172.16.0.5", "arp", 'sent back to "ln" (physical network phys)'),
        ("p1", "172.16.0.77", "tcp", "the packet waits for its next hop's address, for which the router asks at"),
    ],
)
def test_the_verdict_is_what_the_sender_observes(outside, source, target, protocol, verdict):
    tracer = outside.tracer()
    start, text = microflow(
        tracer.network, PacketQuery(source=source, target=target, protocol=Protocol(protocol), port=22)
    )
    said = tracer.trace(start.uuid, text).verdicts()
    assert [words for words in said if words.startswith(verdict)], said


def test_several_external_networks_are_distinguished_by_addresses(outside):
    other = outside.switch("out2")
    outside.port(other, "ln2", "unknown", type="localnet", options={"network_name": "phys"})
    network = outside.tracer().network
    assert (
        microflow(network, PacketQuery(source="8.8.8.8", target="p1", protocol=Protocol.TCP, port=1))[0].name == "out"
    )
    assert (
        microflow(network, PacketQuery(source="8.8.8.8", target="172.16.0.5", protocol=Protocol.TCP, port=1))[0].name
        == "out"
    )
    with pytest.raises(VerifyError, match="2 ports lead to phys"):
        microflow(network, PacketQuery(source="phys", target="p1"))


@pytest.mark.parametrize("given", [{"netmask": "255.0.255.0"}, {"router": "0.0.0.0"}, {"netmask": "0.0.0.0"}])
def test_invalid_routes_of_a_dhcp_reply_are_ignored(two, given):
    server = {"server_id": "10.0.0.254", "server_mac": "0a:00:00:00:ff:01", "lease_time": "60"}
    options = two.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=server | given)
    txn = two.nb.transaction()
    txn.update(two.nb.store.find(nb.LogicalSwitchPort.name, "p2"), {"dhcpv4_options": options.uuid})
    txn.commit()
    start, text = microflow(two.tracer().network, PacketQuery(source="p2", target="10.0.0.1"))
    assert (start.name, "eth.dst == 0a:00:00:00:00:01" in text) == ("sw0", True)
