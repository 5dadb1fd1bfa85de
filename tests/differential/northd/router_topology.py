"""Random topologies with routers as ovn-nbctl commands, and packets for them. A seed gives the same each time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

NOWHERE = ("203.0.113.9", "2001:db8::9")


@dataclass
class Net:
    """A switch: its network's number, the hosts on it, the router ports (router, port name, MAC, IPv4, IPv6)."""

    name: str
    number: int
    hosts: list[tuple[str, str, str, str]] = field(default_factory=list)
    routers: list[tuple[str, str, str, str, str]] = field(default_factory=list)


@dataclass
class Topology:
    commands: list[str] = field(default_factory=list)
    nets: list[Net] = field(default_factory=list)
    routers: list[str] = field(default_factory=list)
    pinned: set[str] = field(default_factory=set)
    equal_ways: bool = False

    def add(self, *words: str) -> None:
        if self.commands:
            self.commands.append("--")
        self.commands += words


def make(seed: int) -> Topology:
    """Make two or three routers with a few switches each, one switch between all of them, and an outside."""
    dice = random.Random(seed)
    made = Topology()
    for n in range(dice.randint(2, 3)):
        made.routers.append(f"r{n}")
        made.add("lr-add", f"r{n}")
        if dice.random() < 0.25:
            made.pinned.add(f"r{n}")
            made.add("set", "Logical_Router", f"r{n}", "options:chassis=hv1")
        for option in ("always_learn_from_arp_request=false", "dynamic_neigh_routers=true"):
            if dice.random() < 0.2:
                made.add("set", "Logical_Router", f"r{n}", f"options:{option}")
    for number in range(1, dice.randint(3, 5)):
        _switch(made, dice, number)
        _attach(made, dice, made.nets[-1], dice.choice(made.routers))
    for number in (100, 101):  # between the routers; and outside
        _switch(made, dice, number)
        for router in made.routers if number == 100 else made.routers[:1]:
            _attach(made, dice, made.nets[-1], router)
    made.add("lsp-add", "s101", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln",
             "unknown", "--", "lsp-set-options", "ln", "network_name=phys")  # fmt: skip
    _gateway(made, dice)
    if dice.random() < 0.5:
        _link(made)
    for router in made.routers:
        _routes(made, dice, router)
        _policies(made, dice, router)
    if dice.random() < 0.5:
        _, port, *_ = made.nets[0].routers[0]
        made.add("static-mac-binding-add", port, "10.1.0.77", "00:00:00:00:77:77")
    return made


def _switch(made: Topology, dice: random.Random, number: int) -> None:
    net = Net(f"s{number}", number)
    made.nets.append(net)
    made.add("ls-add", net.name)
    for h in range(1, dice.randint(2, 4)):
        host = (f"h{number}-{h}", f"00:00:00:{number:02x}:00:{h:02x}", f"10.{number}.0.{h}", f"fd00:{number:x}::{h:x}")
        net.hosts.append(host)
        name, mac, four, six = host
        made.add("lsp-add", net.name, name)
        made.add("lsp-set-addresses", name, dice.choice([f"{mac} {four} {six}", f"{mac} {four}", mac, "unknown"]))
        if dice.random() < 0.1:
            made.add("lsp-set-enabled", name, "disabled")


def _attach(made: Topology, dice: random.Random, net: Net, router: str) -> None:
    index = int(router[1:])
    port = f"{router}-{net.name}"
    mac = f"00:00:00:{net.number:02x}:ff:{index:02x}"
    four, six = f"10.{net.number}.0.{250 + index}", f"fd00:{net.number:x}::f{index}"
    net.routers.append((router, port, mac, four, six))
    networks = [f"{four}/24"] + ([f"{six}/64"] if dice.random() < 0.7 else [])
    made.add("lrp-add", router, port, mac, *networks)
    if dice.random() < 0.2:
        made.add("lrp-set-options", port, "route_table=other")
    if dice.random() < 0.3:
        mode = dice.choice(["slaac", "dhcpv6_stateful", "dhcpv6_stateless"])
        made.add("set", "Logical_Router_Port", port, f"ipv6_ra_configs:address_mode={mode}",
                 "ipv6_ra_configs:mtu=1400")  # fmt: skip
    made.add("lsp-add", net.name, f"to-{port}", "--", "lsp-set-type", f"to-{port}", "router", "--",
             "lsp-set-addresses", f"to-{port}", "router", "--", "lsp-set-options", f"to-{port}",
             f"router-port={port}")  # fmt: skip


def _gateway(made: Topology, dice: random.Random) -> None:
    port = "r0-s101"
    choice = dice.random()
    if "r0" in made.pinned:  # a router is on one chassis, or a port of it is
        pass
    elif choice < 0.5:
        made.add("lrp-set-gateway-chassis", port, "hv1", "10")
    elif choice < 0.7:
        made.add("ha-chassis-group-add", "ha", "--", "ha-chassis-group-add-chassis", "ha", "hv1", "3")
        made.add("--id=@none", "get", "HA_Chassis_Group", "ha", "--", "set", "Logical_Router_Port", port,
                 "ha_chassis_group=@none")  # fmt: skip
    if dice.random() < 0.3:
        made.add("set", "Logical_Router_Port", port, "options:gateway_mtu=1300")
    if dice.random() < 0.3:
        made.add("set", "Logical_Router_Port", port, "options:redirect-type=bridged")


def _link(made: Topology) -> None:
    for mine, other, host in (("r0", "r1", 1), ("r1", "r0", 2)):
        made.add("lrp-add", mine, f"{mine}-link", f"00:00:00:aa:00:0{host}", f"10.200.0.{host}/30",
                 f"fd00:c8::{host}/64", f"peer={other}-link")  # fmt: skip


def _hops(made: Topology, router: str) -> list[str]:
    """Return addresses in the router's networks."""
    nets = [net for net in made.nets if any(r == router for r, *_ in net.routers)]
    return [f"10.{net.number}.0.{n}" for net in nets for n in (1, 9, 250, 251)]


def _routes(made: Topology, dice: random.Random, router: str) -> None:
    prefixes = ["0.0.0.0/0", "203.0.113.0/24", "10.1.0.0/24", "10.2.0.0/16", "10.3.0.0/25", "10.0.0.0/8"]
    for prefix in dice.sample(prefixes, dice.randint(1, 4)):
        hops = _hops(made, router)
        flags = dice.choice([[], [], ["--policy=src-ip"], ["--route-table=other"]])
        if dice.random() < 0.15:
            made.add(*flags, "lr-route-add", router, prefix, "discard")
        elif dice.random() < 0.25:
            made.equal_ways = True
            first, second = dice.sample(hops, 2)
            kind = dice.choice(["--ecmp", "--ecmp-symmetric-reply"])
            made.add(kind, *flags, "lr-route-add", router, prefix, first)
            made.add(kind, *flags, "lr-route-add", router, prefix, second)
        else:
            made.add(*flags, "lr-route-add", router, prefix, dice.choice(hops))
    made.add("lr-route-add", router, "2001:db8::/32", f"fd00:{made.nets[-2].number:x}::f{dice.randint(0, 2)}")


def _policies(made: Topology, dice: random.Random, router: str) -> None:
    for priority in range(dice.randint(0, 3)):
        match = dice.choice(["ip4.src == 10.1.0.1", "ip4.dst == 203.0.113.0/24", "ip6", "tcp && tcp.dst == 80", "udp"])
        action = dice.choice(["allow", "drop", "reroute", "reroute"])
        if action == "reroute":
            hops = dice.sample(_hops(made, router), dice.randint(1, 2))
            made.equal_ways |= len(hops) > 1
            made.add("lr-policy-add", router, str(100 + priority), f"ip4 && {match}", action, ",".join(hops))
        else:
            made.add("lr-policy-add", router, str(100 + priority), match, action, "pkt_mark=7")


def packet(dice: random.Random, made: Topology) -> tuple[str, str, list[str]]:
    """Make a packet from a host to anywhere: the datapath it starts in, the microflow, options for ovn-trace.

    Nothing that is answered by `put_nd_ra_opts` or `nd_na_router`: ovn-trace 23.03 falls over them.
    """
    net = dice.choice([net for net in made.nets if net.hosts and net.routers])
    name, mac, four, six = dice.choice(net.hosts)
    _, _, router_mac, router_four, router_six = dice.choice(net.routers)
    other = dice.choice(made.nets)
    fours = [NOWHERE[0], router_four, *(h[2] for h in other.hosts), *(r[3] for r in other.routers), "10.2.7.7"]
    sixes = [NOWHERE[1], router_six, *(h[3] for h in other.hosts), *(r[4] for r in other.routers)]
    ttl = dice.choice([5, 5, 5, 5, 1, 2])  # small: routes may loop, and ovn-trace follows every copy
    head = f'inport == "{name}" && eth.src == {mac}'
    routed = f"{head} && eth.dst == {router_mac} && ip.ttl == {ttl}"
    ip4 = f"{routed} && ip4.src == {four} && ip4.dst == {dice.choice(fours)}"
    ip6 = f"{routed} && ip6.src == {six} && ip6.dst == {dice.choice(sixes)}"
    asks = f"{head} && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.sha == {mac} && arp.spa == {four}"
    says = f"{head} && eth.dst == {router_mac} && arp.op == 2 && arp.sha == {mac} && arp.spa == {four}"
    solicits = f"{head} && eth.dst == 33:33:ff:00:00:01 && ip6.src == {six} && ip.ttl == 255 && nd_ns"
    target = dice.choice([router_four, router_four, dice.choice(fours)])
    target6 = dice.choice([h[3] for h in other.hosts])
    flow = dice.choice(
        [
            f"{ip4} && tcp.src == 5000 && tcp.dst == {dice.choice([22, 80])}",
            f"{ip4} && udp.src == 5000 && udp.dst == 53",
            f"{ip4} && icmp4.type == 8 && icmp4.code == 0",
            f"{ip4} && ip.proto == 47",
            f"{ip6} && tcp.src == 5000 && tcp.dst == 80",
            f"{ip6} && icmp6.type == 128 && icmp6.code == 0",
            f"{ip6} && udp.src == 5000 && udp.dst == 53",
            f"{asks} && arp.tpa == {target}",
            f"{says} && arp.tpa == {router_four}",
            f"{solicits} && ip6.dst == {target6} && nd.target == {target6} && nd.sll == {mac}",
        ]
    )
    return net.name, flow, [f"--ct={dice.choice(['new', 'est', 'est,rpl'])}"] * 3
