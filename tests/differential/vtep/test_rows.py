"""The rows that our controller of VTEP gateways writes in both databases, beside those of ovn-controller-vtep."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.vtep_site import ORIGINAL, OURS, VtepSite, Written, vtep_site
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Step(NamedTuple):
    """A change, and what the controllers are to make of it.

    Arguments:
        commands: each a program of the site and its arguments.
        table: of those that `Written` has.
        there: a row of it begins with this.
        gone: no row of it begins with this.
    """

    commands: str
    table: str = ""
    there: tuple[object, ...] = ()
    gone: tuple[object, ...] = ()


def port(switch: str, name: str, *, at: str, logical: str) -> str:
    options = f"type=vtep options:vtep-physical-switch={at} options:vtep-logical-switch={logical}"
    return f"nbctl --wait=sb lsp-add {switch} {name} -- set Logical_Switch_Port {name} addresses=unknown {options}\n"


STEPS = {
    "a physical switch is a chassis": Step(
        """
vtep add-ps ps1 -- set Physical_Switch ps1 tunnel_ips=192.0.2.9 -- add-port ps1 p1 -- add-port ps1 p2
vtep add-ls l1 -- add-ls l2 -- add-ls l3 -- bind-ls ps1 p1 0 l1 -- bind-ls ps1 p1 5 l2 -- bind-ls ps1 p2 7 l1
sbctl chassis-add hv1 vxlan 192.0.2.1 -- chassis-add hv2 geneve 192.0.2.2 -- chassis-add hv3 vxlan 192.0.2.3
nbctl --wait=sb ls-add sw
nbctl --wait=sb ls-add other
nbctl --wait=sb lsp-add sw a -- lsp-set-addresses a "00:00:00:00:00:AA 10.1.0.1"
nbctl --wait=sb lsp-add sw b -- lsp-set-addresses b 00:00:00:00:00:bb unknown
nbctl --wait=sb lsp-add sw c -- lsp-set-addresses c "00:00:00:00:00:cc 10.1.0.3" "00:00:00:00:00:cd"
nbctl --wait=sb lsp-add other d -- lsp-set-addresses d "00:00:00:00:00:dd 10.2.0.1"
sbctl lsp-bind a hv1 -- lsp-bind b hv2 -- lsp-bind c hv3 -- lsp-bind d hv1
""",
        "Chassis", ("ps1",),
    ),
    "a port is bound": Step(port("sw", "g", at="ps1", logical="l1"), "Ucast_Macs_Remote", ("00:00:00:00:00:cd",)),
    "another network": Step(port("other", "h", at="ps1", logical="l2"), "Ucast_Macs_Remote", ("00:00:00:00:00:dd",)),
    "an instance moves": Step("sbctl lsp-unbind a -- lsp-bind a hv3", "Physical_Locator", ("192.0.2.3",)),
    "an instance goes": Step("nbctl --wait=sb lsp-del c", "Ucast_Macs_Remote", gone=("00:00:00:00:00:cd",)),
    "addresses": Step(
        "nbctl --wait=sb lsp-set-addresses a 00:00:00:00:00:ab", "Ucast_Macs_Remote", ("00:00:00:00:00:ab",)
    ),
    "an endpoint appears": Step(
        "sbctl -- --id=@e create Encap type=vxlan ip=192.0.2.2 chassis_name=hv2 -- add Chassis hv2 encaps @e",
        "Ucast_Macs_Remote", ("00:00:00:00:00:bb",),
    ),
    "a second gateway of the network": Step(
        """
vtep add-ps ps2 -- set Physical_Switch ps2 tunnel_ips=192.0.2.10 -- add-port ps2 p1 -- bind-ls ps2 p1 1 l1
"""
        + port("sw", "g2", at="ps2", logical="l1"),
        "Port_Binding", ("g2", ["ps2"], True),
    ),
    "another address of the gateway": Step(
        "vtep set Physical_Switch ps2 tunnel_ips=192.0.2.11", "Encap", ("vxlan", "192.0.2.11")
    ),
    "others' edits are reverted": Step(
        """
sbctl clear Chassis ps1 vtep_logical_switches
vtep clear Logical_Switch l1 tunnel_key
vtep add-ucast-remote l1 00:00:00:00:00:77 192.0.2.77
""",
        "Ucast_Macs_Remote", ("00:00:00:00:00:ab",), ("00:00:00:00:00:77",),
    ),
    "a chassis is removed": Step("sbctl chassis-del ps1", "Port_Binding", ("g", ["ps1"], True)),
    "a gateway goes": Step("vtep del-ps ps2", "Chassis", gone=("ps2",)),
    "a port goes": Step("nbctl --wait=sb lsp-del g", "Logical_Switch", ("l1", 0)),
}  # fmt: skip


def change(site: VtepSite, commands: str) -> None:
    for line in commands.strip().splitlines():
        program, *words = shlex.split(line)
        {"vtep": site.vtep, "nbctl": site.nbctl, "sbctl": site.sbctl}[program](*words)


def begins(rows: list[list[object]], start: tuple[object, ...]) -> bool:
    return any(tuple(row[: len(start)]) == start for row in rows)


def released(rows: Written) -> Written:
    """Return what is compared: a port that is released is down, where the original leaves it up."""
    ports = [[name, chassis, up if chassis else "down", *more] for name, chassis, up, *more in rows["Port_Binding"]]
    return rows | {"Port_Binding": ports}


def agreed(sites: list[VtepSite], step: Step) -> Written:
    """Return what both have written, when it is the same, and what the step is for is there."""
    theirs, ours = [released(site.written()) for site in sites]
    if step.table:
        assert not step.there or begins(theirs[step.table], step.there), theirs[step.table]
        assert not step.gone or not begins(theirs[step.table], step.gone), theirs[step.table]
    assert ours == theirs
    return ours


@pytest.fixture(scope="module")
def sites() -> Iterator[list[VtepSite]]:
    with vtep_site(ORIGINAL) as theirs, vtep_site(OURS) as ours:
        for site in (theirs, ours):
            site.start()
        yield [theirs, ours]


def test_every_change_has_the_originals_rows(sites: list[VtepSite]) -> None:
    for what, step in STEPS.items():
        for site in sites:
            change(site, step.commands)
        until(lambda step=step: agreed(sites, step), 30, what=what)  # type: ignore[misc]
    assert sites[1].appctl("findings/list") == ""
    assert sites[1].appctl("sb-connection-status") == "connected\n"
    for site in sites:
        change(site, port("sw", "g", at="ps1", logical="l1"))
    until(lambda: agreed(sites, Step("", "Port_Binding", ("g", ["ps1"], True))), what="a port again")
    for site in sites:
        site.exit()
    left = agreed(sites, Step(""))
    for table in ("Ucast_Macs_Remote", "Mcast_Macs_Remote", "Physical_Locator"):
        assert not left[table]
    assert [row[0] for row in left["Chassis"]] == ["hv1", "hv2", "hv3"]
