"""What is not an instance: machines behind physical switches and networks, and containers in instances, by packets.

Network `net` reaches from instances on two hosts to a machine behind a VTEP gateway, for which Open vSwitch's emulator
stands, and through an `l2gateway` port to one in a VLAN of a physical network. Network `inner` has containers in both
instances, and a machine in a VLAN behind the VTEP gateway. A router joins them; its gateway port is on hv1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.instance import INTERFACE
from support.live.capture import Capture
from support.live.machine import Machine, tag_containers
from support.live.physical_switch import PhysicalSwitch
from support.live.traffic import echo_request, received
from support.vtep_site import ORIGINAL, OURS
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

    Nbctl = Callable[..., str]
    Machines = dict[str, Machine | Instance]

pytestmark = pytest.mark.live

HOSTS = {"a": "hv1", "b": "hv2"}
ENCAPSULATIONS = {host: {"ovn-encap-type": "geneve,vxlan"} for host in HOSTS.values()}
ARRANGEMENTS = {
    "ours, with the original's controller on hv2": (None, {"hv2": programs.ORIGINAL_CONTROLLER}, OURS),
    "our controllers with the original's northd and VTEP controller": (programs.ORIGINAL_NORTHD, {}, ORIGINAL),
}
NET = {"a": 1, "b": 2, "metal": 3, "far": 4, "hidden": 5}
INNER = {"c1": 1, "c2": 2, "c3": 3, "blade": 4}
NOT_INSTANCES = ("metal", "far", *INNER)
CONTAINERS = {"c1": ("a", 42), "c2": ("a", 43), "c3": ("b", 42)}
GATEWAY = 254
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def mac(name: str) -> str:
    network, number = (7, NET[name]) if name in NET else (8, INNER[name])
    return f"02:00:00:00:{network:02x}:{number:02x}"


def address(name: str) -> str:
    return f"10.7.0.{NET[name]}" if name in NET else f"10.8.0.{INNER[name]}"


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    northd, controllers, vtep = ARRANGEMENTS[request.param]
    others = {} if northd is None else {"northd": northd}
    lab = make_module_lab(
        central=programs.split(api=False, **others),
        controllers=controllers,
        external_ids=ENCAPSULATIONS,
        gateways=tuple(HOSTS.values()),
    )
    PhysicalSwitch.start(lab, "tor").control(vtep)
    return lab


@pytest.fixture(scope="module")
def networks(nb: Nbctl) -> None:
    """Both networks with their ports, and the router."""
    nb("lr-add", "r")
    for network, number in (("net", 7), ("inner", 8)):
        nb("ls-add", network, "--", "lsp-add", network, f"{network}-r")
        nb("lrp-add", "r", f"r-{network}", f"02:00:00:00:{number:02x}:fe", f"10.{number}.0.{GATEWAY}/24")
        options = ("type=router", "addresses=router", f"options:router-port=r-{network}")
        nb("set", "Logical_Switch_Port", f"{network}-r", *options)
    nb("lrp-set-gateway-chassis", "r-net", "hv1")
    nb("set", "Logical_Switch", "inner", "other_config:vlan-passthru=true")
    for name in HOSTS:
        nb("lsp-add", "net", name, "--", "lsp-set-addresses", name, f"{mac(name)} {address(name)}", "unknown")
    for name, (parent, tag) in CONTAINERS.items():
        nb("lsp-add", "inner", name, parent, str(tag))
        nb("lsp-set-addresses", name, f"{mac(name)} {address(name)}")
    for network, logical in (("net", "red"), ("inner", "blue")):
        gateway = ("options:vtep-physical-switch=tor", f"options:vtep-logical-switch={logical}")
        nb("lsp-add", network, f"ramp-{network}")
        nb("set", "Logical_Switch_Port", f"ramp-{network}", "type=vtep", "addresses=unknown", *gateway)
    nb("lsp-add", "net", "wire", "--", "set", "Logical_Switch_Port", "wire", "type=l2gateway", "addresses=unknown")
    nb("set", "Logical_Switch_Port", "wire", f"options:network_name={external_network.PHYSICAL_NETWORK}")
    nb("set", "Logical_Switch_Port", "wire", "options:l2gateway-chassis=hv2", "tag_request=30")
    nb("--wait=sb", "sync")


@pytest.fixture(scope="module")
def machines(lab: Lab, networks: None) -> Machines:
    """All that is connected, by name."""
    made = {name: Machine(lab, name, mac(name), address(name)) for name in NOT_INSTANCES}
    switch = PhysicalSwitch(lab, "tor")
    rack, yard = Machine(lab, "rack", mac("blade")), Machine(lab, "yard", mac("far"))
    switch.connect(made["metal"], "0", "red")
    switch.connect(rack, "5", "blue")
    tag_containers(lab, rack.namespace, INTERFACE, {5: made["blade"]})
    switch.emulate()
    outside = ExternalNetwork(lab.layout)
    outside.namespace.batch(
        [f"link set {yard.connect(outside.namespace, 'yard').name} master {outside.segment.bridge}"]
    )
    tag_containers(lab, yard.namespace, INTERFACE, {30: made["far"]})
    found: Machines = dict(made)
    for name, host in HOSTS.items():
        found[name] = lab.attach(name, host=host, port_id=name, mac=mac(name), dhcp=False)
        found[name].run("ip", "address", "add", f"{address(name)}/24", "dev", INTERFACE)
        inside = {tag: made[container] for container, (parent, tag) in CONTAINERS.items() if parent == name}
        tag_containers(lab, found[name].namespace, INTERFACE, inside)
    for name, machine in found.items():
        machine.run("ip", "route", "add", "default", "via", f"10.{7 if name in NET else 8}.0.{GATEWAY}")
    return found


def reach(machines: Machines, source: str, target: str) -> None:
    """See packets go both ways between two, each after an ARP request of its own."""
    for one, other in ((source, target), (target, source)):
        machines[one].run("ip", "neighbour", "flush", "dev", INTERFACE)
        until(lambda one=one, other=other: machines[one].pings(address(other)), what=f"{one} to reach {other}")  # type: ignore[misc]


def marked(source: str, number: int, tag: bytes = b"") -> tuple[bytes, bytes]:
    """Return a frame to everybody with a mark of its own, and the mark."""
    mark = f"frame {number} of {source}".ljust(20).encode()
    frame = echo_request((mac(source), EVERYBODY), (address(source), "255.255.255.255"), mark)
    return frame[:12] + tag + frame[12:], mark


def test_machines_behind_a_vtep_gateway(machines: Machines) -> None:
    for name in HOSTS:
        reach(machines, "metal", name)
    for name in ("c1", "c3"):
        reach(machines, "blade", name)
    hidden = ("link", "add", "hidden", "link", INTERFACE, "address", mac("hidden"), "type", "macvlan", "mode", "bridge")
    machines["b"].run("ip", *hidden)
    machines["b"].run("sh", "-c", f"ip address add {address('hidden')}/24 dev hidden; ip link set hidden up")
    until(lambda: machines["metal"].pings(address("hidden")), what="a MAC that Northbound does not know")
    for name in HOSTS:
        frames = [marked("metal", number) for number in range(5)]
        assert received(machines["metal"], machines[name], frames) == [mark for _, mark in frames], "one copy each"


def test_a_router_s_gateway_port_serves_what_is_behind_a_vtep_gateway(machines: Machines) -> None:
    until(lambda: machines["metal"].pings(f"10.7.0.{GATEWAY}"), what="the router")
    reach(machines, "metal", "c3")


def test_a_machine_behind_an_l2_gateway_is_reached_from_every_host(machines: Machines, lab: Lab) -> None:
    with Capture(ExternalNetwork(lab.layout).namespace, "yard", "vlan 30 and icmp") as wire:
        for name in (*HOSTS, "metal"):
            reach(machines, "far", name)
        wire.wait(rf"{mac('a')} > {mac('far')}")


def test_containers_in_instances(machines: Machines) -> None:
    for target in ("c2", "c3"):
        reach(machines, "c1", target)
    reach(machines, "c1", "b")
    nested, plain = marked("c1", 1, tag=b"\x81\x00\x00\x07"), marked("c1", 2)
    assert received(machines["c1"], machines["c3"], [nested, plain]) == [nested[1], plain[1]]
