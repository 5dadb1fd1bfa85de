"""A routed network on real switches: out through a gateway, in by a floating IP, and over to the next gateway."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ovenbird.cli.trace import command as trace
from ovenbird.lab import external_network, programs
from ovenbird.lab.command import run
from ovenbird.lab.external_network import ExternalNetwork
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

log = logging.getLogger(__name__)

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]

ROUTER, FLOATING = "172.24.4.2", "172.24.4.11"
MAC = "02:00:00:00:08:01"
GATEWAYS = ("hv2", "hv3")
ARRANGEMENTS = {
    "ours": (programs.split(api=False), {}),
    "the original's central programs": (programs.originals, {}),
    "the original's gateways": (programs.split(api=False), dict.fromkeys(GATEWAYS, programs.ORIGINAL_CONTROLLER)),
}
"""What runs centrally, and which hypervisors' controllers are not ours."""
LIMIT = 20.0
"""Seconds in which the other gateway has to answer, on a machine however busy; the log tells how many it took."""


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    central, controllers = ARRANGEMENTS[request.param]
    return make_module_lab(hosts=("hv1", *GATEWAYS), gateways=GATEWAYS, central=central, controllers=controllers)


@pytest.fixture(scope="module")
def instance(lab: Lab, nb: Nbctl) -> Instance:
    """An instance on hv1 behind a router, with a floating IP at gateways hv2 (first) and hv3."""
    nb("ls-add", "net", "--", "ls-add", "out", "--", "lr-add", "r")
    for switch, mac, address in (
        ("net", "02:00:00:00:08:fe", "10.8.0.254/24"), ("out", "02:00:00:00:08:fd", f"{ROUTER}/24"),
    ):  # fmt: skip
        port = f"{switch}-r"
        nb("lrp-add", "r", f"r-{switch}", mac, address, "--", "lsp-add", switch, port)
        nb("lsp-set-type", port, "router", "--", "lsp-set-addresses", port, "router")
        nb("lsp-set-options", port, f"router-port=r-{switch}", "nat-addresses=router")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    for host, priority in zip(GATEWAYS, (20, 10), strict=True):
        nb("lrp-set-gateway-chassis", "r-out", host, str(priority))
    nb("lr-nat-add", "r", "dnat_and_snat", FLOATING, "10.8.0.1")
    options = nb(
        "create", "DHCP_Options", "cidr=10.8.0.0/24",
        'options={server_id="10.8.0.254",server_mac="02:00:00:00:08:fe",lease_time="3600",router="10.8.0.254",mtu="1400"}',
    ).strip()  # fmt: skip
    nb("lsp-add", "net", "a", "--", "lsp-set-addresses", "a", f"{MAC} 10.8.0.1")
    nb("lsp-set-dhcpv4-options", "a", options)
    nb("--wait=hv", "sync")
    return lab.attach("a", host="hv1", port_id="a", mac=MAC)


def answered(lab: Lab, address: str) -> bool:
    """Return whether the outside world's echo request is answered."""
    command = f"ping -n -c 1 -W 0.3 {address} || true"
    return "bytes from" in ExternalNetwork(lab.layout).namespace.run("sh", "-c", command)


def test_the_instance_reaches_the_outside_and_the_outside_the_instance(lab: Lab, instance: Instance) -> None:
    until(lambda: instance.pings(external_network.ADDRESS), what="the outside to answer")
    until(lambda: answered(lab, FLOATING), what="the floating IP to answer")


def test_a_policy_that_drops_is_named_by_trace(lab: Lab, nb: Nbctl, instance: Instance) -> None:
    match, word = (
        f"ip4.dst == {external_network.ADDRESS}",
        "lr_in_policy of r: routing policy 7 drop of logical router r",
    )
    microflow = f'inport == "a" && eth.src == {MAC} && eth.dst == 02:00:00:00:08:fe && ip4.src == 10.8.0.1 && {match}'
    databases = [f"--{option}={lab.layout.remote(name)}" for option, name in (("db", "sb"), ("nb", "nb"))]

    def traced() -> str:
        return CliRunner().invoke(trace, [*databases, f"{microflow} && ip.ttl == 64 && icmp4"]).output

    until(lambda: instance.pings(external_network.ADDRESS), what="the outside to answer")
    assert "routing policy" not in traced()
    nb("lr-policy-add", "r", "7", match, "drop")
    until(lambda: f"dropped in {word}: {match}" in traced(), what="trace to name the policy")
    until(lambda: not instance.pings(external_network.ADDRESS), what="the policy to drop")
    nb("lr-policy-del", "r", "7")
    until(lambda: instance.pings(external_network.ADDRESS), what="the outside to answer without the policy")


def host_of(lab: Lab, port: str) -> str:
    """Return the chassis that hosts a port."""
    sbctl = ("ovn-sbctl", f"--db={lab.layout.remote('sb')}", "--bare")
    chassis = run([*sbctl, "--columns=chassis", "find", "Port_Binding", f"logical_port={port}"]).strip()
    return run([*sbctl, "--columns=name", "list", "Chassis", chassis]).strip() if chassis else ""


class Pings:
    """A ping from the outside world that runs all the time; it has been answered before anything else happens."""

    INTERVAL = 0.1

    def __init__(self, lab: Lab, address: str) -> None:
        command = ("ping", "-n", "-D", "-O", "-i", str(self.INTERVAL), address)
        self.process = subprocess.Popen(
            ExternalNetwork(lab.layout).namespace.enter(*command), stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

        self.lines: list[str] = []
        assert self.process.stdout is not None
        for line in islice(self.process.stdout, 50):
            self.lines.append(line)
            if "bytes from" in line:
                return
        raise AssertionError(self.lines)

    def stop(self) -> list[float]:
        """End it and return the times of the answers."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=30)
        return [
            float(line[1 : line.index("]")]) for line in (*self.lines, *output.splitlines()) if "bytes from" in line
        ]


@pytest.mark.usefixtures("instance")
def test_a_running_ping_goes_over_to_the_second_gateway_and_comes_back(
    lab: Lab, request: pytest.FixtureRequest
) -> None:
    until(lambda: answered(lab, FLOATING), what="the floating IP to answer")
    until(lambda: host_of(lab, "cr-r-out") == "hv2", what="the first gateway")
    pings = Pings(lab, FLOATING)
    try:
        lab.kill_host("hv2")
        until(lambda: host_of(lab, "cr-r-out") == "hv3", what="the other gateway")
        until(lambda: answered(lab, FLOATING), what="the other gateway's answer")
        back = time.time()
        lab.start_host("hv2", program=ARRANGEMENTS[request.node.callspec.params["lab"]][1].get("hv2", ()))
        until(lambda: host_of(lab, "cr-r-out") == "hv2", what="the first gateway to come back")
        until(lambda: answered(lab, FLOATING), what="the first gateway's answer")
    finally:
        answers = pings.stop()
    gaps = [(before, after - before) for before, after in pairwise(answers)]
    over = max(gap for before, gap in gaps if before < back)
    home = max((gap for before, gap in gaps if before >= back), default=0.0)
    log.info("silence after the kill: %.2f s; on the way home: %.2f s", over, home)
    assert 5 * Pings.INTERVAL < over < LIMIT, "the kill was not felt" if over < LIMIT else f"silent for {over:.1f} s"
    assert home < LIMIT
    assert answers[0] < back < answers[-1]


@pytest.mark.usefixtures("instance")
def test_learned_neighbours_of_a_gateway_expire(lab: Lab, nb: Nbctl, instance: Instance) -> None:
    def learned() -> bool:
        command = ("--bare", "--columns=ip", "find", "MAC_Binding", f"ip={external_network.ADDRESS}")
        return bool(run(["ovn-sbctl", f"--db={lab.layout.remote('sb')}", *command]).strip())

    until(
        lambda: instance.pings(external_network.ADDRESS) and learned(),
        what="the outside's address to be learned",
    )
    nb("set", "Logical_Router", "r", "options:mac_binding_age_threshold=1")
    until(lambda: not learned(), what="what was learned to grow old")
