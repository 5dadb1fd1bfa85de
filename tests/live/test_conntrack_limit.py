"""One guest's flood of connections: it fills what its own port may have, and nobody else notices."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

LIMIT, CONNECTIONS = 50, 400
FLOOD = f"""
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(20000, 20000 + {CONNECTIONS}):
    out.sendto(b"x", (sys.argv[1], port))
"""


@pytest.fixture(scope="module")
def lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(hosts=("hv1",), central=programs.split(api=False))


@pytest.fixture(scope="module")
def instances(lab: Lab, nb: Callable[..., str]) -> dict[str, Instance]:
    nb("ls-add", "net", "--", "acl-add", "net", "from-lport", "100", "ip4", "allow-related")
    nb("acl-add", "net", "to-lport", "100", "ip4", "allow-related")
    dhcp = 'options={server_id="10.10.0.254",server_mac="02:00:00:00:0d:fe",lease_time="3600"}'
    options = nb("create", "DHCP_Options", "cidr=10.10.0.0/24", dhcp).strip()
    made = {}
    for number, name in enumerate(("a", "b", "c"), 1):
        mac = f"02:00:00:00:0d:0{number}"
        nb("lsp-add", "net", name, "--", "lsp-set-addresses", name, f"{mac} 10.10.0.{number}")
        nb("lsp-set-dhcpv4-options", name, options)
        made[name] = lab.attach(name, host="hv1", port_id=name, mac=mac)
    until(lambda: made["a"].pings("10.10.0.2"), what="an answer")
    return made


def counted(lab: Lab, port: str) -> tuple[int, int]:
    """Return the limit of a port's zone and how many connections it has; -1 for no limit."""
    appctl = lab.hypervisor("hv1").appctl
    zones = dict(line.split() for line in appctl("ct-zone-list", target="ovn-controller").splitlines())
    text = appctl("dpctl/ct-get-limits", "netdev@ovs-netdev")
    found = re.search(rf"zone={zones[port]},limit=(\d+),count=(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (-1, 0)


def test_a_flood_stays_within_its_own_limit(lab: Lab, instances: dict[str, Instance], nb: Callable[..., str]) -> None:
    flood = partial(instances["a"].run, "python3", "-c", FLOOD, "10.10.0.2")
    nb("lsp-set-options", "a", f"ct-zone-limit={LIMIT}")
    until(lambda: counted(lab, "a")[0] == LIMIT, what="the limit")
    flood()
    assert 0 < counted(lab, "a")[1] <= LIMIT
    assert not instances["a"].pings("10.10.0.3"), "it has no connection left"
    assert instances["c"].pings("10.10.0.2"), "others have"
    nb("set", "Logical_Switch", "net", f"other_config:ct-zone-limit={4 * CONNECTIONS}")
    nb("lsp-set-options", "a")
    until(lambda: counted(lab, "a")[0] == 4 * CONNECTIONS, what="the switch's limit")
    flood()
    until(lambda: counted(lab, "a")[1] > LIMIT, what="more connections")
    assert instances["a"].pings("10.10.0.3")
    nb("lsp-set-options", "a", "ct-zone-limit=0")
    until(lambda: counted(lab, "a")[0] == -1, what="no limit")


def test_a_switch_that_starts_again_has_the_limits_again(lab: Lab, instances: dict[str, Instance]) -> None:
    limit = counted(lab, "b")[0]
    assert limit > 0
    victim = lab.process("hv1-ovs-vswitchd")
    assert victim is not None
    lab.hypervisor("hv1").appctl("exit")
    until(lambda: lab.process("hv1-ovs-vswitchd") not in {None, victim}, what="another switch")
    until(lambda: instances["c"].pings("10.10.0.2"), what="an answer")
    until(lambda: counted(lab, "b")[0] == limit, what="the limit")
