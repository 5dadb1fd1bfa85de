"""Hypervisors that come, die and come back while the cloud runs."""

from __future__ import annotations

import sys

import pytest

from ovenbird.lab import demo_topology
from ovenbird.lab.command import run
from ovenbird.lab.errors import LayoutError
from ovenbird.lab.external_network import ADDRESS, ExternalNetwork
from ovenbird.lab.lab import Lab
from ovenbird.lab.namespace import existing
from support.live.capture import Capture, announced
from support.waiting import until


@pytest.fixture(scope="module")
def lab(make_module_lab):
    return make_module_lab(hosts=("hv1",))


def test_a_host_is_added_dies_and_comes_back(lab):
    added = lab.add_host("hv9", gateway=True)
    assert lab.layout.hosts == ("hv1", "hv9")
    with lab.neutron() as neutron:
        network = neutron.create("network", name="wire")["id"]
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.9.0.0/24")
    near, far, _ = (
        lab.boot(name, network=network, host=host) for name, host in (("near", "hv1"), ("far", "hv9"), ("lost", "hv9"))
    )
    until(lambda: near.pings(far.address), what="far to answer near")
    assert added.tunnels == 1

    lab.kill_host("hv9")
    until(lambda: lab.process("hv9-ovs-vswitchd") is None, what="the switch to die")
    assert not near.pings(far.address)
    lab.delete("lost")

    lab.start_host("hv9")
    until(lambda: near.pings(far.address), what="far to answer again")
    assert added.plugged == {far.device}


def test_a_gateway_is_connected_to_the_external_network(lab):
    assert lab.layout.gateways == ("hv9",)
    mappings = lab.hypervisor("hv9").vsctl("get", "Open_vSwitch", ".", "external_ids:ovn-bridge-mappings")
    assert mappings.strip() == '"public:br-ex"'
    assert ADDRESS in ExternalNetwork(lab.layout).namespace.run("ip", "-br", "address", "show")


def test_the_external_network_keeps_its_mac_address_when_ports_are_added(lab):
    outside = ExternalNetwork(lab.layout)
    kind = outside.namespace.run("cat", f"/sys/class/net/{outside.segment.bridge}/addr_assign_type")
    assert kind.strip() == "3"  # set by somebody, and not taken from a port


@pytest.mark.parametrize("name", ["hv1", "HV", "x" * 16])
def test_invalid_names_of_hosts_are_refused(lab, name):
    with pytest.raises(LayoutError, match=name):
        lab.add_host(name)


def test_a_second_gateway_takes_over_from_one_that_is_killed(make_lab):
    """All of it by the commands that a user has, with the demo topology and metadata of `ovenbird up`."""
    lab = make_lab(gateways=("hv1",), settings={"metadata": "true"})
    demo_topology.add_router(lab, demo_topology.create(lab, lambda _step: None), lambda _step: None)
    with lab.neutron() as neutron:
        external = neutron.find("network", demo_topology.EXTERNAL_NETWORK)["id"]
        port = lab.instance("test2").port_id
        address = neutron.create("floatingip", floating_network_id=external, port_id=port)["floating_ip_address"]

    def answers():
        return ExternalNetwork(lab.layout).pings(address, wait=0.3)

    def host(*arguments):
        options = ("--rundir", str(lab.layout.rundir))
        return run([sys.executable, "-m", "ovenbird.cli", "lab", "host", *arguments, *options], timeout=60)

    until(answers, what="the floating IP to answer")
    assert "hv3 runs in" in host("add", "hv3", "--gateway")
    with Capture(ExternalNetwork(lab.layout).namespace, "br-outside", "arp") as wire:
        assert "hv1 is killed" in host("kill", "hv1")
        wire.wait(announced(address))  # lest the segment's switches send to the dead one for long
    rows = {line.split()[0]: line for line in host("list").splitlines() if line.lstrip().startswith("hv")}
    assert rows["hv1"].count("down") == 4
    assert "down" not in rows["hv2"] + rows["hv3"]
    until(answers, what="the other gateway")
    place = {"network": demo_topology.NETWORK, "host": "hv3", "security_groups": (demo_topology.SECURITY_GROUP,)}
    third = Lab.open(lab.layout.rundir).boot("test3", **place)
    until(lambda: "test3" in demo_topology.ask_metadata(third, lambda _step: None).output, what="its metadata")

    assert "hv1 runs again" in host("start", "hv1")
    first = lab.instance("test1")
    until(lambda: first.pings(ADDRESS), what="the host to be back")
    until(answers, what="the floating IP still to answer")
    assert "down" not in host("list")
    assert '"hostname": "test1"' in demo_topology.ask_metadata(first, lambda _step: None).output

    lab.down()
    assert existing(lab.layout.prefix) == []
