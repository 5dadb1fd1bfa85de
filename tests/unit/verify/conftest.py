import pytest

from ovenbird.model import nb
from support.verify.traced import Traced


@pytest.fixture
def traced():
    return Traced()


@pytest.fixture
def two(traced):
    """Two ports of one switch; p2 is in a group that lets in TCP 22, lets out anything, and drops the rest."""
    switch = traced.switch("sw0")
    secured = frozenset(["0a:00:00:00:00:01 10.0.0.1"])
    traced.port(switch, "p1", "0a:00:00:00:00:01 10.0.0.1 fd00::1", port_security=secured)
    p2 = traced.port(switch, "p2", "0a:00:00:00:00:02 10.0.0.2", external_ids={"neutron:port_name": "web"})
    group = traced.group("pg0", p2)
    traced.acl(group, "to-lport", "outport == @pg0 && ip4 && tcp.dst == 22", "allow-related", 1002)
    traced.acl(group, "from-lport", "inport == @pg0 && ip4", "allow-related", 1002)
    traced.acl(group, "to-lport", "outport == @pg0 && ip", "drop", 1001)
    traced.acl(group, "from-lport", "inport == @pg0 && ip", "drop", 1001)
    return traced


@pytest.fixture
def routed(two):
    """The switch of `two`, behind a gateway router that gives the inside its address, and another switch outside."""
    router = two.insert(nb.LogicalRouter, name="r", options={"chassis": "hv1"})
    two.insert(nb.NAT, (router, "nat"), type="snat", external_ip="172.16.0.1", logical_ip="10.0.0.0/24")
    outer = two.switch("out")
    two.port(outer, "far", "0a:00:00:00:00:09 172.16.0.9")
    inner = two.nb.store.find(nb.LogicalSwitch.name, "sw0")
    for switch, name, mac, networks in ((inner, "r-in", "0a:00:00:00:ff:01", {"10.0.0.254/24", "fd00::fe/64"}),
                                        (outer, "r-out", "0a:00:00:00:ff:02", {"172.16.0.1/24"})):  # fmt: skip
        two.insert(nb.LogicalRouterPort, (router, "ports"), name=name, mac=mac, networks=frozenset(networks))
        two.port(switch, f"to-{name}", "router", type="router", options={"router-port": name})
    return two
