"""The hook script, run with the variables of either client and an `ip` that only writes down what it is told."""

import os
import subprocess
from pathlib import Path

import pytest

from ovenbird.lab.dhcp import DhcpClient, Lease

UDHCPC = {
    "interface": "eth0",
    "ip": "10.0.0.5",
    "mask": "24",
    "subnet": "255.255.255.0",
    "router": "10.0.0.1",
    "dns": "10.0.0.2 10.0.0.3",
    "mtu": "1442",
    "staticroutes": "169.254.169.254/32 10.0.0.2 0.0.0.0/0 10.0.0.1 10.8.0.0/16 0.0.0.0",
}
DHCLIENT = {
    "interface": "eth0",
    "new_ip_address": "10.0.0.5",
    "new_subnet_mask": "255.255.255.0",
    "new_routers": "10.0.0.1",
    "new_domain_name_servers": "10.0.0.2 10.0.0.3",
    "new_interface_mtu": "1442",
    "new_rfc3442_classless_static_routes": "32 169 254 169 254 10 0 0 2 0 10 0 0 1 16 10 8 0 0 0 0",
}


class Hook:
    def __init__(self, directory: Path, program: str) -> None:
        self.client = DhcpClient(directory, interface="eth0", hostname="test1", program=program)
        self.client.prepare()
        self.said = directory / "said"
        tool = directory / "bin" / "ip"
        tool.parent.mkdir()
        tool.write_text(f'#!/bin/sh\necho "$@" >> {self.said}\n')
        tool.chmod(0o755)
        self.path = f"{tool.parent}:{os.environ['PATH']}"

    def run(self, event: str, env: dict[str, str]) -> list[str]:
        self.said.write_text("")
        argument = [event] if self.client.program == "udhcpc" else []
        reason = {} if argument else {"reason": event}
        command = [str(self.client.hook), *argument]
        subprocess.run(command, env={**env, **reason, "PATH": self.path}, check=True)
        return self.said.read_text().splitlines()


@pytest.fixture(params=["udhcpc", "dhclient"])
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    return Hook(tmp_path, request.param)


def _bound(hook: Hook, **changes: str) -> list[str]:
    event, env = ("bound", UDHCPC) if hook.client.program == "udhcpc" else ("BOUND", DHCLIENT)
    return hook.run(event, {**env, **changes})


def test_a_lease_is_applied_and_kept_for_the_lab(hook: Hook) -> None:
    assert hook.client.lease() is None
    mask = "24" if hook.client.program == "udhcpc" else "255.255.255.0"
    assert _bound(hook) == [
        "link set eth0 mtu 1442",
        "-4 address flush dev eth0 scope global",
        f"address add 10.0.0.5/{mask} broadcast + dev eth0",
        "route replace 169.254.169.254/32 via 10.0.0.2 dev eth0 onlink",
        "route replace 0.0.0.0/0 via 10.0.0.1 dev eth0 onlink",
        "route replace 10.8.0.0/16 dev eth0",
    ]
    routes = ("169.254.169.254/32", "10.0.0.2", "0.0.0.0/0", "10.0.0.1", "10.8.0.0/16", "0.0.0.0")
    assert hook.client.lease() == Lease(
        address="10.0.0.5", router="10.0.0.1", dns=("10.0.0.2", "10.0.0.3"), routes=routes, mtu=1442
    )


def test_a_renewal_of_the_same_address_does_not_interrupt(hook: Hook) -> None:
    _bound(hook)
    assert not [line for line in _bound(hook) if line.startswith("address")]


def test_the_router_counts_only_without_classless_routes(hook: Hook) -> None:
    lines = _bound(hook, staticroutes="", new_rfc3442_classless_static_routes="")
    routes = [line for line in lines if line.startswith("route")]
    assert routes == ["route replace default via 10.0.0.1 dev eth0 onlink"]


def test_a_lease_without_router_dns_and_mtu_is_applied(hook: Hook) -> None:
    names = ("router", "dns", "mtu", "staticroutes")
    others = ("new_routers", "new_domain_name_servers", "new_interface_mtu", "new_rfc3442_classless_static_routes")
    lines = _bound(hook, **dict.fromkeys((*names, *others), ""))
    assert not [line for line in lines if line.startswith(("route", "link"))]
    assert hook.client.lease() == Lease(address="10.0.0.5", router="", dns=(), routes=(), mtu=0)


def test_the_start_of_a_client_only_brings_the_interface_up(hook: Hook) -> None:
    _bound(hook)
    event = "deconfig" if hook.client.program == "udhcpc" else "PREINIT"
    assert hook.run(event, {"interface": "eth0"}) == ["link set eth0 up"]
    assert hook.client.lease() is not None


def test_a_refusal_changes_nothing(hook: Hook) -> None:
    assert hook.run("nak" if hook.client.program == "udhcpc" else "FAIL", {"interface": "eth0"}) == []
