"""The network that benchmarks run on, written as a Northbound journal that any server opens.

One router with a gateway port to an external network, `switches` switches of `ports` ports each with an address and
port security, one port group over all ports with ten ACLs, one address set of 200 addresses, and DNS for one switch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model import nb
from ovenbird.ovsdb.journal import create, open_database

if TYPE_CHECKING:
    from pathlib import Path

    from ovenbird.engine.rows import UUID
    from ovenbird.ovsdb.transaction import Transaction

ACLS = [
    ("from-lport", 1002, "inport == @pg0 && ip4", "allow-related"),
    ("from-lport", 1002, "inport == @pg0 && ip6", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && ip4.src == $as0", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && icmp4", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && tcp && tcp.dst == 22", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && tcp && tcp.dst >= 8000 && tcp.dst <= 8999", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && udp && udp.dst == 53", "allow-related"),
    ("to-lport", 1002, "outport == @pg0 && ip4 && ip4.src == 192.168.0.0/16 && tcp", "allow-related"),
    ("from-lport", 1001, "inport == @pg0 && ip", "drop"),
    ("to-lport", 1001, "outport == @pg0 && ip", "drop"),
]


def port(switch: int, number: int) -> dict[str, Any]:
    """Return the columns of a port."""
    mac = f"0a:{switch >> 8:02x}:{switch & 255:02x}:00:{number >> 8:02x}:{number & 255:02x}"
    address = f"{mac} {10 + (switch >> 8)}.{switch & 255}.{number >> 8}.{number & 255}"
    return {
        "name": f"lsp{switch}-{number}",
        "addresses": frozenset((address,)),
        "port_security": frozenset((address,)),
    }


def external(change: Transaction) -> UUID:
    """Insert an external network; return the gateway port to it, for a router."""
    localnet = {"name": "localnet", "type": "localnet", "addresses": frozenset(("unknown",))}
    localnet["options"] = {"network_name": "physnet1"}
    peer = {"name": "ext-lr0", "type": "router", "addresses": frozenset(("router",)), "options": {"router-port": "gw"}}
    ports = [change.insert(nb.LogicalSwitchPort, row) for row in (localnet, peer)]
    change.insert(nb.LogicalSwitch, {"name": "ext", "ports": frozenset(ports)})
    chassis = change.insert(nb.GatewayChassis, {"name": "gw-hv1", "chassis_name": "hv1", "priority": 1})
    gateway = {"name": "gw", "mac": "0a:fe:00:00:00:01", "networks": frozenset(("192.0.2.1/24",))}
    return change.insert(nb.LogicalRouterPort, {**gateway, "gateway_chassis": frozenset((chassis,))})


def write(path: Path, switches: int, ports: int) -> None:
    """Write the journal of a network."""
    create(path, nb.schema())
    database = open_database(path, nb.ROWS)
    change = database.transaction()
    change.insert(nb.NBGlobal, {})
    members = []
    router_ports = []
    for s in range(switches):
        mine = [change.insert(nb.LogicalSwitchPort, port(s, p)) for p in range(2, ports + 2)]
        members += mine
        network = f"{10 + (s >> 8)}.{s & 255}.0.1/16"
        lrp = {"name": f"lrp{s}", "mac": f"0a:ff:{s >> 8:02x}:{s & 255:02x}:00:01", "networks": frozenset((network,))}
        router_ports.append(change.insert(nb.LogicalRouterPort, lrp))
        peer = {"name": f"ls{s}-lr0", "type": "router", "addresses": frozenset(("router",))}
        mine.append(change.insert(nb.LogicalSwitchPort, {**peer, "options": {"router-port": f"lrp{s}"}}))
        dns = [] if s else [change.insert(nb.DNS, {"records": {"vm": "10.0.0.2"}})]
        change.insert(nb.LogicalSwitch, {"name": f"ls{s}", "ports": frozenset(mine), "dns_records": frozenset(dns)})
    router_ports.append(external(change))
    change.insert(nb.LogicalRouter, {"name": "lr0", "ports": frozenset(router_ports)})
    acls = [change.insert(nb.ACL, {"direction": d, "priority": p, "match": m, "action": a}) for d, p, m, a in ACLS]
    change.insert(nb.PortGroup, {"name": "pg0", "ports": frozenset(members), "acls": frozenset(acls)})
    addresses = frozenset(f"172.30.{i >> 8}.{i & 255}" for i in range(200))
    change.insert(nb.AddressSet, {"name": "as0", "addresses": addresses})
    change.commit()
    database.journal.close()
