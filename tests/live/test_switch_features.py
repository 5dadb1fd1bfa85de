"""Smaller features of switches on real switches: each by packets, ours beside the original's programs."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from ovenbird.lab.errors import CommandError
from ovenbird.lab.instance import INTERFACE
from ovenbird.lab.underlay import UPLINK
from support.live.capture import Capture
from support.live.traffic import Program, kill
from support.northd import newer_rows
from support.northd.oracle import Client
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

    Nbctl = Callable[..., str]

pytestmark = pytest.mark.live

ARRANGEMENTS = {
    "ours, with the original's controller on hv2": (None, {"hv2": programs.ORIGINAL_CONTROLLER}),
    "our controllers under the original's northd": (programs.ORIGINAL_NORTHD, {}),
}
MACS = {"a": "02:00:00:00:07:01", "b": "02:00:00:00:07:02"}
HOSTS = {"a": "hv1", "b": "hv2"}
RATE, BURST, SECONDS = 2000, 500, 3
FRAME, PAYLOAD = 1042, 1000
ERSPAN = "proto gre and ip[30:2] & 0x3ff = 7 and ip[32:4] & 0xfffff = 7 and ip[70] = 8"
"""An echo request in ERSPAN version 1 with 7 as key and index: offsets are in the outer packet."""
MIRRORS = {
    "gre": ("proto gre", r"key=0x7.* 10\.7\.0\.1 > 10\.7\.0\.2: ICMP echo request"),
    "erspan": (ERSPAN, "gre-proto-0x88be"),
}


COLLECT = """
import socket, struct
collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
collector.bind(("127.0.0.1", 4739))
collector.settimeout(25)
print("ready", flush=True)
while True:
    message, at = collector.recv(65536), 16
    version, _, _, _, domain = struct.unpack_from(">HHIII", message)  # RFC 7011, section 3.1
    while at < len(message):
        kind, length = struct.unpack_from(">HH", message, at)
        if kind >= 256 and domain:  # without one: what the exporter says of itself
            print(version, domain, message[at : at + length].hex())
            raise SystemExit
        at += length
"""


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    northd, controllers = ARRANGEMENTS[request.param]
    others = {} if northd is None else {"northd": northd}
    return make_module_lab(central=programs.split(api=False, **others), controllers=controllers)


@pytest.fixture(scope="module")
def instances(lab: Lab, nb: Nbctl) -> dict[str, Instance]:
    """Instances a on hv1 and b on hv2, in one network."""
    nb("ls-add", "net")
    options = nb(
        "create", "DHCP_Options", "cidr=10.7.0.0/24",
        'options={server_id="10.7.0.254",server_mac="02:00:00:00:07:fe",lease_time="3600",mtu="1400"}',
    ).strip()  # fmt: skip
    for number, (name, mac) in enumerate(MACS.items(), 1):
        nb("lsp-add", "net", name, "--", "lsp-set-addresses", name, f"{mac} 10.7.0.{number}")
        nb("lsp-set-dhcpv4-options", name, options)
    nb("--wait=hv", "sync")
    found = {name: lab.attach(name, host=host, port_id=name, mac=MACS[name]) for name, host in HOSTS.items()}
    until(lambda: found["a"].pings("10.7.0.2"), what="the first answer")
    return found


def sent(source: Instance, target: Instance, address: str) -> tuple[float, float]:
    """Send UDP at four times the rate; return how many kilobits of frames arrived, and in how many seconds."""
    with Program(target, "iperf3", "--server", "--one-off", "--forceflush", ready=True):
        report = source.run(
            *("iperf3", "--client", address, "--udp", "--json", f"--bandwidth={4 * RATE}K", f"--time={SECONDS}"),
            f"--length={PAYLOAD}",
        )
    told = json.loads(report)["end"]["sum"]
    return (told["packets"] - told["lost_packets"]) * FRAME * 8 / 1000, told["seconds"]


@pytest.mark.parametrize("direction", ["from-lport", "to-lport"])
def test_a_rate_is_kept(instances: dict[str, Instance], nb: Nbctl, direction: str) -> None:
    match = 'inport == "a" && udp' if direction == "from-lport" else 'outport == "b" && udp'
    nb("--wait=hv", "qos-add", "net", direction, "100", match, "dscp=10", f"rate={RATE}", f"burst={BURST}")
    with Capture(instances["b"].namespace, INTERFACE, "udp and ip[1] == 40") as marked:
        kilobits, seconds = sent(instances["a"], instances["b"], "10.7.0.2")
        marked.wait("UDP")
    nb("--wait=hv", "qos-del", "net")
    # What is short of the burst may be what a busy machine did not send in time.
    assert 0.9 * RATE * seconds < kilobits < 1.1 * (RATE * seconds + BURST)


def test_queues_of_ports_are_classes_of_the_physical_interface(
    instances: dict[str, Instance], lab: Lab, nb: Nbctl
) -> None:
    """Open vSwitch's userspace datapath does not put packets into them: that is the kernel datapath's."""
    switch = lab.hypervisor("hv1")
    switch.vsctl("set", "Interface", UPLINK, "external_ids:ovn-egress-iface=true")
    nb("lsp-set-options", "a", "qos_max_rate=7000000", "qos_min_rate=2000000", "qos_burst=80000")

    def has_queue() -> bool:
        return "rate 2Mbit ceil 7Mbit" in switch.namespace.run("tc", "class", "show", "dev", UPLINK)

    until(has_queue, what="the queue")
    assert instances["a"].pings("10.7.0.2")
    nb("lsp-set-options", "a")
    until(lambda: not has_queue(), what="the queue to go")
    assert not switch.vsctl("list", "QoS") + switch.vsctl("list", "Queue")


@pytest.mark.parametrize("kind", MIRRORS)
def test_a_mirror_copies_what_a_port_sends(instances: dict[str, Instance], lab: Lab, nb: Nbctl, kind: str) -> None:
    switch, sink = lab.hypervisor("hv1"), lab.hypervisor("hv2")
    expression, seen = MIRRORS[kind]
    nb("mirror-add", "probe", kind, "7", "from-lport", sink.encap_address)
    nb("--wait=hv", "lsp-attach-mirror", "a", "probe")
    until(lambda: "ovn-probe" in switch.ofctl("show", f"unix:{switch.rundir}/br-int.mgmt"), what="the tunnel")
    with Capture(sink.namespace, UPLINK, expression) as wire:
        until(lambda: instances["a"].pings("10.7.0.2"), what="an answer")
        wire.wait(seen)
        assert not wire.find("echo reply")
    nb("lsp-detach-mirror", "a", "probe")
    until(lambda: not switch.vsctl("list", "Mirror"), what="the mirror to go")
    assert "ovn-probe" not in switch.vsctl("list-ports", "br-int")
    nb("mirror-del", "probe")


def test_a_switch_that_starts_anew_has_all_of_it_again(instances: dict[str, Instance], lab: Lab, nb: Nbctl) -> None:
    """A switch that dies forgets its flows, groups and meters, and the queues of its interfaces."""
    switch, sink, one = lab.hypervisor("hv1"), lab.hypervisor("hv2"), instances["a"]
    switch.vsctl("set", "Interface", UPLINK, "external_ids:ovn-egress-iface=true")
    nb("lsp-set-options", "a", "qos_max_rate=7000000", "qos_min_rate=2000000", "qos_burst=80000")
    nb("qos-add", "net", "from-lport", "100", 'inport == "a" && udp', f"rate={RATE}", f"burst={BURST}")
    nb("mirror-add", "probe", "gre", "7", "from-lport", sink.encap_address, "--", "lsp-attach-mirror", "a", "probe")
    nb("--wait=hv", "--liveness", "fwd-group-add", "group", "net", "10.7.0.100", "02:00:00:00:07:64", "b")

    def made() -> dict[str, object]:
        """Return what there is of each feature, without numbers and counts."""
        bridge = f"unix:{switch.rundir}/br-int.mgmt"
        groups = re.findall(r"type=select.*", switch.ofctl("dump-groups", bridge))
        return {
            "queues": re.findall(r"rate \S+ ceil \S+", switch.namespace.run("tc", "class", "show", "dev", UPLINK)),
            "meters": re.findall(r"rate=\d+ burst_size=\d+", switch.ofctl("dump-meters", bridge)),
            "groups": sorted(re.sub(r"bucket_id:\d+,|bucket_id=\d+,", "", group) for group in groups),
            "tunnels": len(re.findall(r"\(ovn-probe\)", switch.ofctl("show", bridge))),
            "copied": switch.vsctl("--bare", "--columns=select_src_port", "list", "Mirror").split(),
        }

    def all_made() -> dict[str, object]:
        found = made()
        assert all(found.values()), found
        assert "rate 2Mbit ceil 7Mbit" in str(found["queues"])
        return found

    before = until(all_made, what="everything")
    victim = kill(lab.process("hv1-ovs-vswitchd"))
    until(lambda: lab.process("hv1-ovs-vswitchd") not in {None, victim}, what="another switch")

    def restored() -> bool:
        found = made()
        assert found == before
        return True

    until(restored, what="everything again", despite=(CommandError,))
    with Capture(sink.namespace, UPLINK, "proto gre") as wire:
        until(lambda: one.pings("10.7.0.2"), what="an answer")
        wire.wait(MIRRORS["gre"][1])
    with Capture(instances["b"].namespace, INTERFACE, "icmp and dst host 10.7.0.100") as seen:
        until(lambda: one.pings("10.7.0.100", wait=0.2) or bool(seen.lines), what="an echo request")
    kilobits, seconds = sent(one, instances["b"], "10.7.0.2")
    assert kilobits < 1.1 * (RATE * seconds + BURST)
    nb("fwd-group-del", "group", "--", "qos-del", "net", "--", "lsp-detach-mirror", "a", "probe")
    nb("--wait=hv", "mirror-del", "probe", "--", "lsp-set-options", "a")
    until(lambda: not switch.vsctl("list", "Mirror") + switch.vsctl("list", "QoS"), what="all of it to go")


def test_a_forwarding_group_leads_to_one_of_its_ports(instances: dict[str, Instance], nb: Nbctl) -> None:
    nb("--wait=hv", "--liveness", "fwd-group-add", "group", "net", "10.7.0.100", "02:00:00:00:07:64", "b")
    with Capture(instances["b"].namespace, INTERFACE, "icmp and dst host 10.7.0.100") as seen:
        until(lambda: instances["a"].pings("10.7.0.100", wait=0.2) or bool(seen.lines), what="an echo request")
        seen.wait("> 02:00:00:00:07:64")
    nb("--wait=hv", "fwd-group-del", "group")


def collect(lab: Lab, number: int) -> None:
    """Have the switch of hv1 send the samples of a set of collectors to a program beside it."""
    lab.hypervisor("hv1").vsctl(
        *("--", "--id=@bridge", "get", "Bridge", "br-int", "--", "--id=@ipfix", "create", "IPFIX"),
        *('targets="127.0.0.1:4739"', "cache_active_timeout=0", "cache_max_flows=0"),
        *("--", "create", "Flow_Sample_Collector_Set", f"id={number}", "bridge=@bridge", "ipfix=@ipfix"),
    )


def test_acls_are_in_tiers_and_sample_packets(
    instances: dict[str, Instance], lab: Lab, nb: Nbctl, request: pytest.FixtureRequest
) -> None:
    """The original's controller carries out the tiers, too; its northd knows none."""
    if ARRANGEMENTS[request.node.callspec.params["lab"]][0] is not None:
        pytest.skip("OVN 23.03 has no tiers")
    one, northbound = instances["a"], Client(lab.layout.socket("nb"), "OVN_Northbound")
    request.addfinalizer(northbound.close)
    edit = partial(newer_rows.run, northbound)
    to_b = "direction=to-lport match='outport == \"b\" && icmp4'"
    edit(f"create ACL {to_b} priority=9 tier=1 action=drop in Logical_Switch name=net acls")
    nb("--wait=hv", "sync")
    assert not one.pings("10.7.0.2")
    edit(f"create ACL {to_b} priority=1 action=allow-related in Logical_Switch name=net acls")
    nb("--wait=hv", "sync")
    until(lambda: one.pings("10.7.0.2"), what="an answer")
    edit("set ACL priority=1 action=pass")
    nb("--wait=hv", "sync")
    assert not one.pings("10.7.0.2")
    edit("set ACL priority=9 tier=3 action=pass")
    nb("--wait=hv", "sync")
    until(lambda: one.pings("10.7.0.2"), what="an answer")
    collect(lab, 8)
    edit("create Sampling_App type=acl-new id=42")
    edit("create Sample_Collector id=1 name=c set_id=8 probability=65535")
    edit("create ACL direction=from-lport match='inport == \"a\" && icmp4' priority=7 tier=2 action=allow-related "
         "in Logical_Switch name=net acls")  # fmt: skip
    edit("create Sample metadata=3735928559 collectors=(id=1) in ACL priority=7 sample_new")
    with Program(lab.hypervisor("hv1"), sys.executable, "-c", COLLECT, ready=True) as collector:
        nb("--wait=hv", "sync")
        until(lambda: one.pings("10.7.0.2"), what="an answer")
        version, domain, record = collector.finish().split()
    nb("acl-del", "net")
    assert (version, int(domain) >> 24) == ("10", 42)
    assert "deadbeef" in record


def test_dropped_packets_are_sampled(instances: dict[str, Instance], lab: Lab, nb: Nbctl, sb: Nbctl) -> None:
    switch, one = lab.hypervisor("hv1"), instances["a"]
    nb("set", "NB_Global", ".", "options:debug_drop_domain_id=5", "options:debug_drop_collector_set=7")
    collect(lab, 7)
    nb("--wait=hv", "sync")
    unknown = sb(
        "--bare", "--columns=_uuid", "find", "Logical_Flow", "external_ids:stage-name=ls_in_l2_unknown"
    ).split()
    with Program(switch, sys.executable, "-c", COLLECT, ready=True) as collector:
        one.run("ip", "neighbour", "replace", "10.7.0.9", "lladdr", "02:00:00:00:99:99", "dev", INTERFACE)
        one.run("sh", "-c", "ping -n -c 5 -i 0.2 -W 0.2 10.7.0.9 || true")
        version, domain, record = collector.finish().split()
    nb("clear", "NB_Global", ".", "options")
    assert (version, int(domain) >> 24) == ("10", 5)
    assert any(uuid[:8] in record for uuid in unknown)
