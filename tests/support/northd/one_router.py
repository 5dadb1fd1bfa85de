"""A router between two switches, with translations and routes that may contradict each other."""

from ovenbird.model import nb
from support.northd.networks import Networks


def world(kind="gateway port"):
    made = Networks()
    made.insert(nb.NBGlobal)
    made.router = made.insert(nb.LogicalRouter, name="r", options={"chassis": "gw"} if kind == "gateway router" else {})
    for name, mac, network in (("in", 1, "10.0.0.1/24"), ("out", 2, "172.16.0.1/24")):
        values = {"name": name, "mac": f"00:00:00:00:ff:0{mac}", "networks": frozenset([network])}
        port = made.insert(nb.LogicalRouterPort, (made.router, "ports"), **values)
        switch = made.switch(f"s-{name}")
        options = {"router-port": name, "nat-addresses": "router"}
        made.port(switch, f"to-{name}", "router", type="router", options=options)
        if kind == "gateway port" and name == "out":
            made.insert(nb.GatewayChassis, (port, "gateway_chassis"), name="gw", chassis_name="gw", priority=1)
    made.peers = made.insert(nb.AddressSet, name="peers", addresses=frozenset(["9.9.9.0/24"]))
    return made


def nat(made, allowed=False, **values):
    if allowed:
        values["allowed_ext_ips"] = made.peers.uuid
    return made.insert(nb.NAT, (made.router, "nat"), **values)


def route(made, nexthop, prefix="1.0.0.0/8"):
    return made.insert(nb.LogicalRouterStaticRoute, (made.router, "static_routes"), ip_prefix=prefix, nexthop=nexthop)
