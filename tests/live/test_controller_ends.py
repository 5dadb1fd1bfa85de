"""However a controller ends, and another takes over, no packet is lost: the switch has all that packets need."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING, Self

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.command import run
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

HOSTS = ("hv1", "hv2")
ENDS = {"SIGKILL": "", "SIGTERM": "", "SIGINT": "", "exit": "--restart"}

NETWORK = f"""
lr-add r
ls-add net
ls-add out
lsp-add out out-ln -- lsp-set-type out-ln localnet -- lsp-set-addresses out-ln unknown
lsp-set-options out-ln network_name={external_network.PHYSICAL_NETWORK}
lrp-add r r-net 02:00:00:00:0c:fe 10.10.0.254/24
lrp-add r r-out 02:00:00:00:0c:fd 172.24.4.2/24
lsp-add net net-r -- lsp-set-type net-r router -- lsp-set-addresses net-r router
lsp-set-options net-r router-port=r-net
lsp-add out out-r -- lsp-set-type out-r router -- lsp-set-addresses out-r router
lsp-set-options out-r router-port=r-out
lrp-set-gateway-chassis r-out hv2 20 -- lrp-set-gateway-chassis r-out hv1 10
lr-nat-add r snat 172.24.4.2 10.10.0.0/24
lsp-add net a -- lsp-set-addresses a "02:00:00:00:0c:01 10.10.0.1"
lsp-add net b -- lsp-set-addresses b "02:00:00:00:0c:02 10.10.0.2"
acl-add net to-lport 100 "ip4 && icmp4" allow-related
"""
"""Two instances on two hosts, a gateway with a standby, connection tracking on the way."""
DHCP = 'options={server_id="10.10.0.254",server_mac="02:00:00:00:0c:fe",lease_time="3600",router="10.10.0.254"}'


@pytest.fixture(scope="module")
def lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(hosts=HOSTS, gateways=HOSTS, central=programs.split(api=False))


@pytest.fixture(scope="module")
def instances(lab: Lab, nb: Callable[..., str]) -> dict[str, Instance]:
    for line in NETWORK.strip().splitlines():
        run(["sh", "-c", f"exec ovn-nbctl --db={lab.layout.remote('nb')} {line}"])
    options = nb("create", "DHCP_Options", "cidr=10.10.0.0/24", DHCP).strip()
    for name in ("a", "b"):
        nb("lsp-set-dhcpv4-options", name, options)
    made = {
        "a": lab.attach("a", host="hv1", port_id="a", mac="02:00:00:00:0c:01"),
        "b": lab.attach("b", host="hv2", port_id="b", mac="02:00:00:00:0c:02"),
    }
    until(lambda: made["a"].pings(external_network.ADDRESS), what="the outside to answer")
    until(lambda: made["a"].pings("10.10.0.2"), what="the other instance to answer")
    return made


def end(lab: Lab, host: str, how: str) -> None:
    """End a host's controller, and return when another has taken over."""
    victim = lab.process(f"{host}-controller")
    assert victim is not None
    if how == "exit":
        lab.hypervisor(host).appctl("exit", ENDS[how], target="ovn-controller")
    else:
        victim.signal(signal.Signals[how])
    until(lambda: lab.process(f"{host}-controller") not in {None, victim}, what="another controller")


LET_PASS = 10
"""Packets that a busy machine may drop of a thousand; without flows, dozens are lost."""


class Ping:
    """Asks an address a hundred times in a second."""

    def __init__(self, source: Instance, address: str) -> None:
        argv = source.namespace.enter("ping", "-n", "-i", "0.01", address)
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> tuple[int, int]:
        """Return how many questions were answered, and how many before the last of these were not."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=20)
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", said)}
        return len(answered), max(answered) - len(answered)


@pytest.mark.parametrize("how", ENDS)
def test_no_packet_is_lost(lab: Lab, instances: dict[str, Instance], nb: Callable[..., str], sb: Callable[..., str],
                           how: str) -> None:  # fmt: skip
    def bindings() -> list[str]:
        columns = {"Chassis": "_uuid", "Port_Binding": "chassis"}
        return [sb("--bare", f"--columns={column}", "list", table) for table, column in columns.items()]

    before = bindings()
    with Ping(instances["a"], external_network.ADDRESS) as one, Ping(instances["a"], "10.10.0.2") as other:
        for host in HOSTS:
            end(lab, host, how)
            nb("--wait=hv", "--timeout=60", "sync")
        for answered, lost in (one.finish(), other.finish()):
            assert answered > 100
            assert lost <= LET_PASS
    assert bindings() == before
