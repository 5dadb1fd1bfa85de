"""Hypervisors that come, die and come back while the cloud runs."""

from __future__ import annotations

import pytest

from ovenbird.lab.errors import PlanError
from ovenbird.lab.outside import ADDRESS, Outside
from ovenbird.lab.process import wait_until


@pytest.fixture(scope="module")
def lab(make_module_lab):
    return make_module_lab(hosts=("hv1",))


def test_a_host_is_added_dies_and_comes_back(lab):
    added = lab.add_host("hv9", gateway=True)
    assert lab.plan.hosts == ("hv1", "hv9")
    with lab.neutron() as neutron:
        network = neutron.create("network", name="wire")["id"]
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.9.0.0/24")
    near, far = lab.boot("near", network, "hv1"), lab.boot("far", network, "hv9")
    wait_until(lambda: near.pings(far.address), "far to answer near")
    assert added.tunnels == 1

    lab.kill_host("hv9")
    wait_until(lambda: lab.process("hv9-ovs-vswitchd") is None, "the switch to die")
    assert not near.pings(far.address)

    lab.start_host("hv9")
    wait_until(lambda: near.pings(far.address), "far to answer again", 30)


def test_a_gateway_has_a_cable_to_the_outside(lab):
    assert lab.plan.gateways == ("hv9",)
    mappings = lab.hypervisor("hv9").vsctl("get", "Open_vSwitch", ".", "external_ids:ovn-bridge-mappings")
    assert mappings.strip() == '"public:br-ex"'
    assert ADDRESS in Outside(lab.plan).namespace.run("ip", "-br", "address", "show")


@pytest.mark.parametrize("name", ["hv1", "HV", "x" * 16])
def test_a_name_that_cannot_be(lab, name):
    with pytest.raises(PlanError, match=name):
        lab.add_host(name)
