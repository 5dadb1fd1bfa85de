"""A route that BFD watches is there while its next hop answers: two routers that watch each other, on two gateways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.command import run
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Ctl = Callable[..., str]

ROUTERS = (("r2", "hv2", "172.24.4.2", "203.0.113.0/24"), ("r3", "hv3", "172.24.4.3", "198.51.100.0/24"))
"""Name, gateway, address outside, and what its neighbour is the way to."""


CENTRAL = {"ours": programs.split(api=False), "the original's": programs.originals}


@pytest.fixture(params=CENTRAL)
def lab(request: pytest.FixtureRequest, originals: None, make_lab: Callable[..., Lab]) -> Lab:
    hosts = [host for _, host, _, _ in ROUTERS]
    return make_lab(hosts=hosts, gateways=hosts, central=CENTRAL[request.param])


@pytest.fixture
def nb(lab: Lab) -> Ctl:
    nb: Ctl = lambda *arguments: run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])  # noqa: E731
    nb("ls-add", "out", "--", "lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet")
    nb(
        "lsp-set-addresses",
        "ln",
        "unknown",
        "--",
        "lsp-set-options",
        "ln",
        f"network_name={external_network.PHYSICAL_NETWORK}",
    )
    for number, (router, host, address, _) in enumerate(ROUTERS):
        port = f"{router}-out"
        nb("lr-add", router, "--", "lrp-add", router, port, f"02:00:00:00:09:0{number}", f"{address}/24")
        nb("lrp-set-gateway-chassis", port, host)
        nb("lsp-add", "out", f"to-{router}", "--", "lsp-set-type", f"to-{router}", "router")
        nb("lsp-set-addresses", f"to-{router}", "router")
        nb("lsp-set-options", f"to-{router}", f"router-port={port}")
    for (router, _, _, network), (_, _, hop, _) in (ROUTERS, ROUTERS[::-1]):
        nb("--bfd", "lr-route-add", router, network, hop, f"{router}-out")
        nb("set", "BFD", status_of(nb, f"{router}-out", "_uuid"), "min_tx=100", "min_rx=100", "detect_mult=3")
    return nb


def status_of(nb: Ctl, port: str, column: str = "status") -> str:
    """Return what Northbound says of a router port's session."""
    return nb("--bare", f"--columns={column}", "find", "BFD", f"logical_port={port}").strip()


def test_a_route_comes_and_goes_with_its_next_hop(lab: Lab, nb: Ctl) -> None:
    def routed() -> list[bool]:
        """Return whether each router has its route."""
        flows = [run(["ovn-sbctl", f"--db={lab.layout.remote('sb')}", "lflow-list", name]) for name, *_ in ROUTERS]
        return [f"ip4.dst == {network}" in text for text, (_, _, _, network) in zip(flows, ROUTERS, strict=True)]

    def up(*wanted: bool) -> bool:
        return [status_of(nb, f"{name}-out") == "up" for name, *_ in ROUTERS] == list(wanted)

    until(lambda: up(True, True), what="both sessions")
    until(lambda: routed() == [True, True], what="both routes")
    lab.kill_host("hv3")
    until(lambda: status_of(nb, "r2-out") == "down", what="the other end to be missed")
    until(lambda: routed()[0] is False, what="the route to go")
    lab.start_host("hv3")
    until(lambda: up(True, True), what="both sessions again")
    until(lambda: routed() == [True, True], what="both routes again")
