"""Rows of physical switches that cannot be followed: each costs only itself, and is reported."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from support.vtep_site import OURS, VtepSite, vtep_site
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "type=vtep options:vtep-physical-switch={} options:vtep-logical-switch={}"


@pytest.fixture
def site() -> Iterator[VtepSite]:
    with vtep_site(OURS) as site:
        site.sbctl(
            "chassis-add", "hv1", "vxlan", "192.0.2.1", "--", "set", "Chassis", "hv1", "other_config:iface-types=x"
        )
        for name in ("ps1", "ps2", "hv1"):
            site.vtep("add-ps", name, "--", "add-port", name, "p")
        for name in ("l1", "l2"):
            site.vtep("add-ls", name, "--", "bind-ls", "ps1", "p", name[1], name)
        site.vtep("bind-ls", "ps2", "p", "1", "l1")
        site.vtep("set", "Physical_Switch", "ps1", "tunnel_ips=192.0.2.9")
        site.vtep("set", "Physical_Switch", "hv1", "tunnel_ips=192.0.2.8")
        site.vtep("set", "Physical_Switch", "ps2", "tunnel_ips=192.0.2.9")
        site.nbctl("ls-add", "n1", "--", "ls-add", "n2")
        yield site


def bound(site: VtepSite) -> dict[str, list[str]]:
    return {str(row[0]): row[1] for row in site.written()["Port_Binding"]}


def add(site: VtepSite, network: str, name: str, *, at: str, logical: str) -> None:
    port = ("set", "Logical_Switch_Port", name, *AT.format(at, logical).split())
    site.nbctl("--wait=sb", "lsp-add", network, name, "--", *port)


def test_each_faulty_row_affects_only_itself(site: VtepSite) -> None:
    add(site, "n1", "g", at="ps1", logical="l1")
    site.start()
    until(lambda: bound(site) == {"g": ["ps1"]})
    assert {row[0] for row in site.written()["Chassis"]} == {"hv1", "ps1"}, "one of two that have the same endpoint"
    assert "ps2 has the tunnel endpoint of ps1, 192.0.2.9" in site.appctl("findings/list")
    site.vtep("set", "Physical_Switch", "ps2", "tunnel_ips=192.0.2.10")
    until(lambda: {row[0] for row in site.written()["Chassis"]} == {"hv1", "ps1", "ps2"})
    add(site, "n1", "a", at="ps1", logical="l1")
    add(site, "n2", "b", at="ps2", logical="l1")
    add(site, "n2", "c", at="hv1", logical="l1")
    add(site, "n2", "d", at="ps1", logical="l2")
    add(site, "n2", "e", at="ps1", logical="nowhere")
    until(lambda: bound(site)["d"] == ["ps1"])
    assert bound(site) == {"g": ["ps1"], "a": [], "b": [], "c": [], "d": ["ps1"], "e": []}
    assert site.appctl("findings/list").splitlines() == [
        "physical switch hv1 has the name of a hypervisor in Southbound, and is left out",
        "port a: it is not bound, since l1 on ps1 belongs to port g",
        "port b: it is not bound, since l1 on ps2 is in another network",
    ]
    before = site.written()
    assert site.controller is not None
    site.controller.send_signal(signal.SIGTERM)
    site.controller.wait(20)
    site.processes.remove(site.controller)
    assert site.written() == before, "a restart changes nothing"
    site.nbctl("--wait=sb", "lsp-del", "g")
    site.start()
    until(lambda: bound(site)["a"] == ["ps1"], what="the next one, after a restart")
    site.vtep("del-ps", "hv1")
    site.exit()
    assert [row[0] for row in site.written()["Chassis"]] == ["hv1"], "a hypervisor is nobody's gateway"
