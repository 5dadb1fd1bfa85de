"""The metadata service on a real switch: instances ask with curl, over IPv4 and IPv6; what it makes comes and goes."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import process, programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError
from ovenbird.lab.lab import Lab
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.state import Kind
from ovenbird.metadata.instance_userdata import InstanceUserdata, UserdataStore
from ovenbird.metadata.namespace import ADDRESS, ADDRESS6
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance

pytestmark = pytest.mark.live

NETWORK = "5f0e8a54-93b7-4c0f-8a25-6d1c9d0f3b11"
OTHER = "c41d2f9e-0c5b-4d5e-9a0a-1f6f4d3f8a22"
MACS = {"a": "02:00:00:00:0a:01", "b": "02:00:00:00:0a:02", "c": "02:00:00:00:0a:03"}
USERDATA = InstanceUserdata("alpha", {"mine": "ssh-ed25519 AAAA me"}, b"#!/bin/sh\necho \x00\xff\n", {"role": "web"})


def make_network(lab: Lab, network: str, ports: dict[str, str]) -> None:
    """Make a network as the API would, with the localport, and the same subnet as every other."""
    short = network[:4]
    localport = f"meta-{short}"

    def nb(*arguments: str) -> str:
        return run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])

    def ids(**values: str) -> list[str]:
        return [f'external_ids:"neutron:{key}"="{value}"' for key, value in values.items()]

    options = nb(
        *("create", "DHCP_Options", "cidr=10.8.0.0/24"),
        'options={server_id="10.8.0.254",server_mac="02:00:00:00:0a:fe",lease_time="3600",mtu="1400",'
        'classless_static_route="{169.254.169.254/32,10.8.0.250}"}',
    ).strip()
    nb(
        *("ls-add", f"neutron-{network}", "--", "lsp-add", f"neutron-{network}", localport),
        *("--", "lsp-set-type", localport, "localport"),
        *("--", "lsp-set-addresses", localport, "02:00:00:00:0a:fa 10.8.0.250"),
        *("--", "set", "Logical_Switch_Port", localport, *ids(device_id=f"ovnmeta-{network}", cidrs="10.8.0.250/24")),
    )
    for port, address in ports.items():
        whole = f"{MACS[port]} {address} fd00:8::{address[-1]}"  # an IPv4 address alone would bar IPv6
        cidrs = f"{address}/24 fd00:8::{address[-1]}/64"
        identity = ids(device_id=f"lab-{port}", project_id="p1", port_name=port, cidrs=cidrs, mtu="1400")
        nb(
            *("lsp-add", f"neutron-{network}", port, "--", "lsp-set-addresses", port, whole),
            *("--", "lsp-set-port-security", port, whole, "--", "lsp-set-dhcpv4-options", port, options),
            *("--", "set", "Logical_Switch_Port", port, *identity),
        )
    nb("--wait=hv", "sync")


def namespace(lab: Lab, network: str) -> Namespace:
    return Namespace(f"{lab.layout.metadata_namespaces('hv1')}{network}")


@pytest.fixture(scope="module", params=["our controller", "the original's"])
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    controllers = {"hv1": programs.ORIGINAL_CONTROLLER} if request.param == "the original's" else {}
    return make_module_lab(hosts=("hv1",), central=programs.originals, controllers=controllers)


@pytest.fixture(scope="module")
def a(lab: Lab) -> Instance:
    make_network(lab, NETWORK, {"a": "10.8.0.1", "b": "10.8.0.2"})
    UserdataStore(lab.layout.boots).put("lab-a", USERDATA)
    lab.keep(programs.metadata(lab.hypervisor("hv1")))
    return lab.attach("a", host="hv1", port_id="a", mac=MACS["a"])


@pytest.fixture(scope="module")
def asked(a: Instance) -> Instance:
    """Give an instance whose network is served."""
    until(lambda: curl(a, "/") is not None, what="the metadata service to answer")
    return a


def curl(instance: Instance, path: str, host: str = ADDRESS) -> str | None:
    """Return what an instance is told, None where nobody answers or the answer is an error."""
    try:
        return instance.run("curl", "-gsSf", "-m", "3", "--noproxy", "*", f"http://{host}{path}")
    except CommandError:
        return None


def plugged(lab: Lab) -> list[str]:
    return lab.hypervisor("hv1").vsctl("--bare", "--columns=name", "find", "Interface", "name!=x").split()


def test_the_openstack_format(asked: Instance) -> None:
    data = json.loads(curl(asked, "/openstack/latest/meta_data.json") or "")
    assert (data["hostname"], data["project_id"], data["meta"]) == ("alpha", "p1", {"role": "web"})
    assert data["public_keys"] == {"mine": "ssh-ed25519 AAAA me"}
    network = json.loads(curl(asked, "/openstack/latest/network_data.json") or "")
    assert network["links"][0]["ethernet_mac_address"] == MACS["a"]
    encoded = asked.run("sh", "-c", f"curl -s http://{ADDRESS}/openstack/latest/user_data | base64 -w0")
    assert base64.b64decode(encoded) == USERDATA.user_data


def test_the_ec2_format(asked: Instance) -> None:
    assert "local-ipv4" in (curl(asked, "/latest/meta-data/") or "")
    assert curl(asked, "/latest/meta-data/local-ipv4") == "10.8.0.1"
    assert curl(asked, "/2009-04-04/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA me"


def test_over_ipv6(asked: Instance) -> None:
    assert curl(asked, "/latest/meta-data/hostname", f"[{ADDRESS6}%25eth0]") == "alpha"


def test_networks_with_the_same_addresses_are_told_apart(asked: Instance, lab: Lab) -> None:
    make_network(lab, OTHER, {"c": "10.8.0.1"})
    c = lab.attach("c", host="hv1", port_id="c", mac=MACS["c"])
    try:
        until(lambda: curl(c, "/latest/meta-data/hostname") == "c", what="the other network to be served")
        assert curl(asked, "/latest/meta-data/hostname") == "alpha"
    finally:
        lab.delete("c")
    until(lambda: not namespace(lab, OTHER).exists, what="the namespace to go with its last instance")
    assert f"tap{OTHER[:10]}0" not in plugged(lab)
    assert f"tap{OTHER[:10]}0" not in lab.hypervisor("hv1").namespace.run("ip", "-br", "link")
    assert f"tap{NETWORK[:10]}0" in plugged(lab)


def test_a_crash_costs_nothing(asked: Instance, lab: Lab) -> None:
    before = namespace(lab, NETWORK).run("readlink", "/proc/self/ns/net")
    leftover = Namespace(f"{lab.layout.prefix}hv1-ovnmeta-dead-0001")
    lab.drop("hv1-metadata")
    run(["ip", "netns", "add", leftover.name])
    Path("/run/netns", f"{lab.layout.prefix}hv1-ovnmeta-torn").touch()
    lab.hypervisor("hv1").vsctl(
        *("add-port", "br-int", "tapdead-00010", "--", "set", "Interface", "tapdead-00010"),
        "external_ids:ovenbird-metadata=dead-0001",
    )
    lab.keep(programs.metadata(lab.hypervisor("hv1")))
    until(lambda: curl(asked, "/latest/meta-data/hostname") == "alpha", what="the service to be back")
    running = lab.process("hv1-metadata")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not running.alive, what="the service to die")
    until(lambda: curl(asked, "/latest/meta-data/hostname") == "alpha", what="the service to be back again")
    assert namespace(lab, NETWORK).run("readlink", "/proc/self/ns/net") == before
    until(lambda: not leftover.exists, what="what nobody needs to go")
    until(lambda: not Namespace(f"{lab.layout.prefix}hv1-ovnmeta-torn").exists, what="half a namespace to go")
    assert "tapdead-00010" not in plugged(lab)


def test_removed_interfaces_are_made_again(asked: Instance, lab: Lab) -> None:
    device = f"tap{NETWORK[:10]}0"
    lab.hypervisor("hv1").vsctl("del-port", "br-int", device)
    until(lambda: device in plugged(lab), what="the port to be plugged in again")
    until(lambda: curl(asked, "/latest/meta-data/hostname") == "alpha", what="answers")
    lab.hypervisor("hv1").namespace.run("ip", "link", "delete", device)
    until(lambda: curl(asked, "/latest/meta-data/hostname") == "alpha", what="answers over a new cable")


def test_the_lab_leaves_no_namespace(originals: None, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(hosts=("hv1",), central=programs.originals)
    lab.layout.boots.mkdir()
    lab.keep(programs.metadata(lab.hypervisor("hv1")))
    make_network(lab, NETWORK, {"a": "10.8.0.1"})
    lab.attach("a", host="hv1", port_id="a", mac=MACS["a"])
    until(lambda: namespace(lab, NETWORK).whole, what="the namespace")
    lab.down()
    assert not namespace(lab, NETWORK).exists


def test_the_next_lab_removes_what_a_crashed_one_left(make_lab: Callable[..., Lab]) -> None:
    crashed = make_lab(hosts=("hv1",), prefix="obcrash-")
    crashed.layout = crashed.layout.with_host("hv7", gateway=False)
    crashed.state.add(Kind.LAYOUT, "lab", crashed.layout.to_json())
    left = Namespace(f"{crashed.layout.metadata_namespaces('hv7')}{NETWORK}")
    run(["ip", "netns", "add", left.name])
    while victims := process.marked(crashed.layout.rundir):
        process.kill(victims)
    lab = Lab.up(crashed.layout.rundir, ("hv1",))
    try:
        assert not left.exists
        assert "obcrash-" not in run(["ip", "netns", "list"])
    finally:
        lab.down()


def test_cleanup_leaves_nothing(asked: Instance, lab: Lab) -> None:
    running = lab.process("hv1-metadata")
    assert running is not None
    pidfile = lab.hypervisor("hv1").rundir / "ovenbird-metadata.pid"
    lab.state.remove(Kind.PROCESS, "hv1-metadata")
    control = pidfile.with_name(f"ovenbird-metadata.{running.pid}.ctl")
    run(["ovs-appctl", "-t", str(control), "exit", "--cleanup"])
    until(lambda: not running.alive, what="the service to end")
    assert not namespace(lab, NETWORK).exists
    assert f"tap{NETWORK[:10]}0" not in plugged(lab)
