import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from traced import Traced


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
