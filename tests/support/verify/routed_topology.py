"""Random routed topologies: the switches of ``verify_topology`` behind routers, and packets that cross them.

Routers of every kind (with distributed gateway ports by Gateway_Chassis or HA_Chassis_Group, gateway routers, neither),
joined by a switch, by a link of peers, and by the networks outside; translations of every kind; routes and policies;
load balancers on switches and routers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.verify import topology as verify_topology
from support.verify.topology import BROADCAST, STRANGER, TCP_PORTS, UDP_PORTS, Port, Topology

if TYPE_CHECKING:
    import random

JOIN, OUTSIDE = 100, (101, 102)
NOWHERE, NOWHERE6 = "203.0.113.9", "2001:db8::9"


@dataclass(frozen=True)
class Leg:
    """A router's port on a switch."""

    router: str
    switch: str
    name: str
    mac: str
    ip: str
    ip6: str


@dataclass
class Router:
    name: str
    number: int
    home: bool = False
    legs: list[Leg] = field(default_factory=list)
    gateways: list[Leg] = field(default_factory=list)
    outers: list[tuple[str, str]] = field(default_factory=list)  # translated addresses, and the MAC they are at

    def leg(self, switch: str) -> Leg | None:
        return next((leg for leg in self.legs if leg.switch == switch), None)


@dataclass
class Routed:
    """A topology of switches and what routes between them."""

    net: Topology
    routers: list[Router] = field(default_factory=list)
    outside: dict[str, Port] = field(default_factory=dict)  # localnet ports by their switch
    equal_ways: bool = False
    vips: list[str] = field(default_factory=list)  # virtual addresses of load balancers
    sources: set[str] = field(default_factory=set)  # external addresses that only snat uses, and no router's port has

    @property
    def commands(self) -> list[str]:
        return self.net.commands

    @property
    def whole_networks(self) -> bool:
        return self.net.whole_networks

    def legs(self, switch: str) -> list[Leg]:
        return [leg for router in self.routers for leg in router.legs if leg.switch == switch]


def make(dice: random.Random, *, balancers: bool = True, newer: bool = False) -> Routed:
    """Make switches, one to three routers between them, and one or two networks outside.

    Arguments:
        dice: what is thrown.
        balancers: whether there are load balancers.
        newer: whether there are tiers of ACLs, chains of policies, and translations with a match.
    """
    made = Routed(verify_topology.make(dice, routed=True, newer=newer))
    add = made.net.add
    for number in range(dice.randint(1, 3)):
        router = Router(f"r{number}", number, home=dice.random() < 0.3)
        made.routers.append(router)
        add("lr-add", router.name)
        if router.home:
            add("set", "Logical_Router", router.name, "options:chassis=hv1")
            if dice.random() < 0.2:
                add("set", "Logical_Router", router.name, f"options:dnat_force_snat_ip=10.100.0.{250 + number}")
        for option in ("always_learn_from_arp_request=false", "dynamic_neigh_routers=true"):
            if dice.random() < 0.15:
                add("set", "Logical_Router", router.name, f"options:{option}")
    for switch in list(made.net.switches):
        for router in dice.sample(made.routers, min(len(made.routers), dice.choice([1, 1, 1, 2]))):
            _attach(made, dice, router, switch)
    _outside(made, dice)
    if len(made.routers) > 1:
        add("ls-add", f"s{JOIN}")
        for router in made.routers:
            _attach(made, dice, router, f"s{JOIN}")
        if dice.random() < 0.4:
            _link(made, dice)
    _names(made, dice)
    for router in made.routers:
        _gateways(made, dice, router)
        _routes(made, dice, router)
        _policies(made, dice, router)
        _translations(made, dice, router)
    _odds(made, dice)
    _relays(made, verify_topology.dice_of(dice))
    if balancers:
        _balancers(made, dice)
    return made


def _relays(made: Routed, dice: random.Random) -> None:
    """Have some routers relay multicast, by some ports whether anybody has joined or not."""
    for router in made.routers:
        if dice.random() < 0.4:
            made.net.add("set", "Logical_Router", router.name, "options:mcast_relay=true")
        for leg in router.legs:
            if dice.random() < 0.1:
                made.net.add("set", "Logical_Router_Port", leg.name, "options:mcast_flood=true")


def _attach(made: Routed, dice: random.Random, router: Router, switch: str) -> None:
    four, six = made.net.subnet(switch)
    number = int(switch[1:])
    name = f"{router.name}-{switch}"
    mac = f"00:00:00:{number:02x}:ff:{router.number:02x}"
    leg = Leg(router.name, switch, name, mac, f"{four}{250 + router.number}", f"{six}f{router.number}")
    router.legs.append(leg)
    add = made.net.add
    add("lrp-add", router.name, name, mac, f"{leg.ip}/24", *([f"{leg.ip6}/64"] if dice.random() < 0.7 else []))
    if dice.random() < 0.15:
        add("lrp-set-options", name, "route_table=other")
    if dice.random() < 0.1:
        add("lrp-set-enabled", name, "disabled")
    if dice.random() < 0.2:
        mode = dice.choice(["slaac", "dhcpv6_stateful", "dhcpv6_stateless"])
        add("set", "Logical_Router_Port", name, f"ipv6_ra_configs:address_mode={mode}", "ipv6_ra_configs:mtu=1400")
    lsp = f"to-{name}"
    addresses = dice.choice(["router", "router", f"{mac} {leg.ip}"])
    add("lsp-add", switch, lsp, "--", "lsp-set-type", lsp, "router", "--", "lsp-set-addresses", lsp, addresses)
    add("lsp-set-options", lsp, f"router-port={name}")
    if dice.random() < 0.6 and switch in made.outside:
        add("set", "Logical_Switch_Port", lsp, "options:nat-addresses=router")
    if dice.random() < 0.1 and made.net.groups:
        add("pg-set-ports", dice.choice(made.net.groups), lsp)


def _outside(made: Routed, dice: random.Random) -> None:
    """Add networks outside: a switch with a localnet port and two hosts that are known there."""
    for number in OUTSIDE[: dice.choice([1, 1, 2])]:
        switch = f"s{number}"
        four, six = made.net.subnet(switch)
        made.net.add("ls-add", switch)
        name = f"ln{number}"
        made.net.add("lsp-add", switch, name, "--", "lsp-set-type", name, "localnet", "--", "lsp-set-addresses", name,
                     "unknown", "--", "lsp-set-options", name, f"network_name=phys{number}")  # fmt: skip
        made.outside[switch] = Port(name, switch, f"00:00:00:00:{number:02x}:01", f"{four}9", f"{six}9", "localnet")
        routers = made.routers if dice.random() < 0.5 else made.routers[:1]
        for router in routers:
            _attach(made, dice, router, switch)


def _gateways(made: Routed, dice: random.Random, router: Router) -> None:
    if router.home:
        router.gateways = [leg for leg in router.legs if leg.switch in made.outside]
        return
    for leg in router.legs:
        if leg.switch not in made.outside or dice.random() < 0.2:
            continue
        if dice.random() < 0.5:
            for chassis, priority in dice.sample([("hv1", "10"), ("hv2", "5")], dice.randint(1, 2)):
                made.net.add("lrp-set-gateway-chassis", leg.name, chassis, priority)
        else:
            group = f"ha-{leg.name}"
            made.net.add(f"--id=@{group}-m", "create", "HA_Chassis", "chassis_name=hv1", "priority=3")
            made.net.add(f"--id=@{group}", "create", "HA_Chassis_Group", f"name={group}", f"ha_chassis=@{group}-m")
            made.net.add("set", "Logical_Router_Port", leg.name, f"ha_chassis_group=@{group}")
        router.gateways.append(leg)
        if dice.random() < 0.2:
            made.net.add("set", "Logical_Router_Port", leg.name, "options:gateway_mtu=1300")
        # With two gateway ports, ovn-northd names the first where it means the bridged one.
        if dice.random() < 0.15 and len(made.outside) == 1:
            made.net.add("set", "Logical_Router_Port", leg.name, "options:redirect-type=bridged")
        elif dice.random() < 0.15:
            for other in router.legs:
                if other.switch not in made.outside and other.switch != f"s{JOIN}":
                    made.net.add("set", "Logical_Router_Port", other.name, "options:reside-on-redirect-chassis=true")


def _link(made: Routed, dice: random.Random) -> None:
    options = [] if dice.random() < 0.5 else ["fd00:c8::1/64", "fd00:c8::2/64"]
    for mine, other, host in (("r0", "r1", 1), ("r1", "r0", 2)):
        made.net.add("lrp-add", mine, f"{mine}-link", f"00:00:00:aa:00:0{host}", f"10.200.0.{host}/30",
                     *options[host - 1 : host], f"peer={other}-link")  # fmt: skip


def _hops(made: Routed, router: Router, six: bool = False) -> list[str]:
    """Return addresses that the router is near to."""
    found = []
    for leg in router.legs:
        four, prefix = made.net.subnet(leg.switch)
        found += [f"{prefix}{n}" for n in ("9", "f0", "f1")] if six else [f"{four}{n}" for n in (1, 9, 250, 251)]
    own = {leg.ip6 if six else leg.ip for leg in router.legs}
    return [hop for hop in found if hop not in own]


def _routes(made: Routed, dice: random.Random, router: Router) -> None:
    add, hops = made.net.add, _hops(made, router)
    prefixes = ["203.0.113.0/24", "10.1.0.0/24", "10.2.0.0/16", "10.3.0.0/25", "10.0.0.0/8"]
    for prefix in ["0.0.0.0/0", *dice.sample(prefixes, dice.randint(0, 3))]:
        flags = dice.choice([[], [], ["--policy=src-ip"], ["--route-table=other"]])
        if prefix == "0.0.0.0/0" and flags == ["--policy=src-ip"]:
            flags = []  # such a route has the priority of the flow that drops what there is no route for
        if dice.random() < 0.1:
            add(*flags, "lr-route-add", router.name, prefix, "discard")
        elif dice.random() < 0.2 and not made.net.newer:  # which numbers equal ways in an order of its own
            made.equal_ways = True
            kind = dice.choice(["--ecmp", "--ecmp-symmetric-reply"])
            for hop in dice.sample(hops, 2):
                add(kind, *flags, "lr-route-add", router.name, prefix, hop)
        else:
            hop = dice.choice(hops)
            port = [leg.name for leg in router.legs if made.net.subnet(leg.switch)[0] == f"{hop.rpartition('.')[0]}."]
            watched = port if dice.random() < 0.15 else []
            add(*["--bfd"] * len(watched), *flags, "lr-route-add", router.name, prefix, hop, *watched,
                *port[: dice.randint(0, 1 - len(watched))])  # fmt: skip
    if sixes := _hops(made, router, six=True):
        flags = dice.choice([[], [], ["--route-table=other"]])
        add(*flags, "lr-route-add", router.name, dice.choice(["2001:db8::/32", "::/0"]), dice.choice(sixes))
        add("--policy=src-ip", "lr-route-add", router.name, "2001:db8:1::/48", dice.choice(sixes))


def _policies(made: Routed, dice: random.Random, router: Router) -> None:
    (four, six), port = made.net.subnet("s0"), router.legs[0].name if router.legs else ""
    for n in range(dice.choice([0, 0, 1, 2, 3])):
        version = dice.choice([4, 4, 6])
        matches = (
            [f"ip4.src == {four}1", "ip4.dst == 203.0.113.0/24", "tcp && tcp.dst == 80", f'inport == "{port}"', "udp"]
            if version == 4
            else [f"ip6.src == {six}1", "ip6.dst == 2001:db8::/32", "icmp6", "udp.dst == 53"]
        )
        match, priority = f"ip{version} && {dice.choice(matches)}", str(100 + n)
        action = dice.choice(["allow", "drop", "reroute", "reroute"])
        mark = ["pkt_mark=7"] if dice.random() < 0.3 else []
        if action == "reroute":
            hops = _hops(made, router, six=version == 6)
            chosen = dice.sample(hops, min(len(hops), dice.choice([1, 1, 1 if made.net.newer else 2])))
            made.equal_ways |= len(chosen) > 1
            made.net.add("lr-policy-add", router.name, priority, match, action, ",".join(chosen), *mark)
        else:
            made.net.add("lr-policy-add", router.name, priority, match, action, *(mark if action == "allow" else []))
    if made.net.newer:
        _chains(made, verify_topology.dice_of(dice), router)


CHAINS = ("", "one", "two", "three")


def _chains(made: Routed, dice: random.Random, router: Router) -> None:
    """Add policies in chains, of which each jumps to later ones."""
    for number in range(dice.choice([0, 2, 4, 6])):
        place = dice.randrange(len(CHAINS))
        action = dice.choice(["jump", "jump", "jump", "allow", "drop", "reroute"] if place < 3 else ["drop", "reroute"])
        match = dice.choice(["ip4", "ip6", "ip4 && tcp", "ip && udp", "ip4.dst == 10.0.0.0/16", "ip.ttl < 5"])
        columns = [f"priority={dice.randrange(200, 300) * 10 + number}", f'match="{match}"', f"action={action}"]
        columns += [f"chain={CHAINS[place]}"] if place else []
        if action == "jump":
            columns.append(f"jump_chain={dice.choice(CHAINS[place + 1 :])}")
        elif action == "reroute":
            columns[1] = 'match="ip4"'
            columns.append(f"nexthops={dice.choice(_hops(made, router))}")
        name = f"@policy-{router.name}-{number}"
        made.net.add(f"--id={name}", "create", "Logical_Router_Policy", *columns)
        made.net.add("add", "Logical_Router", router.name, "policies", name)


def _translations(made: Routed, dice: random.Random, router: Router) -> None:
    """Add translations: each external address is used once, each logical one by one translation of a kind."""
    if not router.legs:
        return
    inside = [p for p in made.net.ports if p.kind != "localnet" and router.leg(p.switch)]
    places = router.gateways or router.legs[:1]
    single: set[str] = set()
    for n in range(dice.choice([0, 1, 2, 3, 4])):
        leg = dice.choice(places)
        four, six = made.net.subnet(leg.switch)
        kind = dice.choice(["snat", "dnat", "dnat_and_snat", "dnat_and_snat"])
        version = dice.choice([4, 4, 4, 6])
        number = 100 + 10 * router.number + n
        outer = f"{four}{number}" if version == 4 else f"{six}{number:x}"
        columns = [f"type={kind}"]
        if kind == "snat":
            switch = dice.choice([x.switch for x in router.legs])
            nets = made.net.subnet(switch)
            inner = (
                dice.choice([f"{nets[0]}0/{24 + n}", f"{nets[0]}{n + 1}"]) if version == 4 else f"{nets[1]}/{64 + n}"
            )
            if version == 4 and n == 0 and dice.random() < 0.5:
                outer = leg.ip
            if inner in single:
                continue
            single.add(inner)
        elif inside:
            port = inside.pop(dice.randrange(len(inside)))
            inner = port.ip if version == 4 else port.ip6
            if inner in single:
                continue  # which of two translations of one source ovn-northd means is anybody's guess
            single.add(inner)
            if kind == "dnat_and_snat" and dice.random() < 0.5:
                columns += [f"logical_port={port.name}", f'external_mac="00:00:00:bb:{router.number:02x}:{n:02x}"']
            if kind == "dnat_and_snat" and dice.random() < 0.3:
                columns.append("options:stateless=true")
        else:
            continue
        if dice.random() < 0.15 and kind != "dnat_and_snat":
            columns.append('external_port_range="5000-6000"')
        # With two gateway ports, ovn-northd writes the flows for peers of stateless translations for either.
        if dice.random() < 0.25 and (len(router.gateways) < 2 or "options:stateless=true" not in columns):
            columns.append(f"{dice.choice(['allowed_ext_ips', 'exempted_ext_ips'])}=@peers{version}")
        columns += _matched(verify_topology.dice_of(dice), version, n) if made.net.newer else []
        mac = next((c[14:-1] for c in columns if c.startswith("external_mac")), leg.mac)
        name = f"@nat-{router.name}-{n}"
        created = [f"--id={name}", "create", "NAT", f'external_ip="{outer}"', f'logical_ip="{inner}"', *columns]
        if leg in router.gateways and not router.home and (len(router.gateways) > 1 or dice.random() < 0.2):
            created += [f"gateway_port=@{leg.name}-{n}"]
            made.net.add(f"--id=@{leg.name}-{n}", "get", "Logical_Router_Port", leg.name)
        made.net.add(*created)
        made.net.add("add", "Logical_Router", router.name, "nat", name)
        router.outers.append((outer, mac))
        if kind == "snat" and outer != leg.ip:
            made.sources.add(outer)


def _matched(dice: random.Random, version: int, number: int) -> list[str]:
    """Return the columns of a translation for some packets alone, or none."""
    match = f"ip{version} && {dice.choice(['tcp', 'udp', 'ip.ttl > 1', '1'])}"
    return [f'match="{match}"', f"priority={number}"] if dice.random() < 0.3 else []


def _names(made: Routed, dice: random.Random) -> None:
    made.net.add("--id=@peers4", "create", "Address_Set", "name=peers4", "addresses=203.0.113.0/24,10.101.0.9")
    made.net.add("--id=@peers6", "create", "Address_Set", "name=peers6", 'addresses="2001:db8::/32"')
    if dice.random() < 0.5:
        made.net.add("--id=@dns", "create", "DNS", "records:vm.example=10.0.0.1")
        made.net.add("set", "Logical_Switch", dice.choice(made.net.switches), "dns_records=@dns")


def _odds(made: Routed, dice: random.Random) -> None:
    """Add what few networks have: neighbours given by hand, ports that a gateway plays for others."""
    add, leg = made.net.add, made.routers[0].legs[0]
    if dice.random() < 0.4:
        add("static-mac-binding-add", leg.name, f"{made.net.subnet(leg.switch)[0]}77", "00:00:00:00:77:77")
    localnets = {p.switch for p in made.net.ports if p.kind == "localnet"}
    external = [p for p in made.net.ports if p.switch in localnets and not p.kind]
    if external and dice.random() < 0.4:
        port = dice.choice(external)
        port.kind = "external"
        add("--id=@play", "create", "HA_Chassis", "chassis_name=hv1", "priority=1")
        add("--id=@plays", "create", "HA_Chassis_Group", "name=plays", "ha_chassis=@play")
        add("set", "Logical_Switch_Port", port.name, "type=external", "ha_chassis_group=@plays")


def _balancers(made: Routed, dice: random.Random) -> None:
    """Add load balancers: of one backend each, since which of several is chosen is anybody's guess."""
    add, users = made.net.add, [*made.net.switches, *(router.name for router in made.routers)]
    for n in range(dice.choice([0, 0, 1, 2, 3])):
        six, port = dice.random() < 0.3, dice.choice([22, 80, 80, 0])
        four, _ = made.net.subnet(dice.choice(made.net.switches))
        vip = f"2001:db8:30::{n + 1}" if six else dice.choice([f"30.0.0.{n + 1}", f"{four}{200 + n}"])
        behind = dice.choice([p.ip6 if six else p.ip for p in made.net.ports])
        name, proto = f"lb{n}", dice.choice(["tcp", "tcp", "udp"])
        there, to = (vip, behind) if not port else (f"[{vip}]:{port}", f"[{behind}]:8080") if six else (
            f"{vip}:{port}", f"{behind}:8080")  # fmt: skip
        empty = dice.random() < 0.2
        answer = dice.choice([[], ["--reject"]])
        add(*answer, "lb-add", name, there, "" if empty else to, *([proto] if port else []))
        if dice.random() < 0.2 and (answer or not empty):  # ovn-northd of 23.03 writes a drop that is no action then
            add("set", "Load_Balancer", name, "options:skip_snat=true")
        for user in dice.sample(users, min(len(users), dice.choice([1, 2]))):
            add("lr-lb-add" if user.startswith("r") else "ls-lb-add", user, name)
        made.vips.append(vip)


def packet(dice: random.Random, made: Routed) -> tuple[str, str]:
    """Make a packet: the datapath where it starts, and the microflow."""
    if dice.random() < 0.25:
        return verify_topology.packet(dice, made.net.ports)
    if dice.random() < 0.35 and made.outside:
        source = dice.choice(list(made.outside.values()))
        far = dice.random() < 0.5
        ip, ip6 = (NOWHERE, NOWHERE6) if far else (source.ip, source.ip6)
    else:
        source = dice.choice(made.net.ports)
        ip, ip6 = source.ip, source.ip6
    legs = made.legs(source.switch)
    if not legs:
        return verify_topology.packet(dice, made.net.ports)
    leg = dice.choice(legs)
    outers = [(outer, mac) for router in made.routers for outer, mac in router.outers]
    fours, sixes = _targets(made, leg)
    to, gateway = (dice.choice(fours), leg.mac)
    to6 = dice.choice(sixes)
    if outers and dice.random() < 0.5:
        outer, mac = dice.choice(outers)
        to, to6 = (to, outer) if ":" in outer else (outer, to6)
        gateway = dice.choice([leg.mac, leg.mac, mac])
    if made.vips and dice.random() < 0.4:
        vip = dice.choice(made.vips)
        to, to6 = (to, vip) if ":" in vip else (vip, to6)
        gateway = leg.mac
    eth = dice.choice([source.mac] * 8 + [STRANGER])
    head = f'inport == "{source.name}" && eth.src == {eth}'
    return source.switch, f"{head} && {_body(dice, leg, eth, gateway, (ip, ip6), (to, to6))}"


def _targets(made: Routed, leg: Leg) -> tuple[list[str], list[str]]:
    legs = [x for router in made.routers for x in router.legs]
    ports = made.net.ports * 2
    fours = [NOWHERE, leg.ip, "10.2.7.7", *(p.ip for p in ports), *(x.ip for x in legs)]
    sixes = [NOWHERE6, leg.ip6, *(p.ip6 for p in ports), *(x.ip6 for x in legs)]
    return fours, sixes


def _body(dice, leg, eth, gateway, sources, targets) -> str:
    (ip, ip6), (to, to6) = sources, targets
    ttl = dice.choice([5, 5, 5, 5, 1, 2])  # small: routes may loop, and ovn-trace follows every copy
    ip4 = f"eth.dst == {gateway} && ip.ttl == {ttl} && ip4.src == {ip} && ip4.dst == {to}"
    six = f"eth.dst == {gateway} && ip.ttl == {ttl} && ip6.src == {ip6} && ip6.dst == {to6}"
    asked = dice.choice([to, leg.ip])
    l4 = f"tcp.src == {dice.choice([5000, 22])} && tcp.dst == {dice.choice(TCP_PORTS)}"
    kinds = {
        "tcp": f"{ip4} && {l4}",
        "udp": f"{ip4} && udp.src == 5000 && udp.dst == {dice.choice([*UDP_PORTS, 3784])}",
        "ping": f"{ip4} && icmp4.type == {dice.choice([8, 8, 0, 3])}",
        "tcp6": f"{six} && {l4}",
        "udp6": f"{six} && udp.src == 5000 && udp.dst == {dice.choice(UDP_PORTS)}",
        "ping6": f"{six} && icmp6.type == 128",
        "ip": f"{ip4} && ip.proto == {dice.choice([47, 89])}",
        "arp": f"eth.dst == {BROADCAST} && arp.op == 1 && arp.sha == {eth} && arp.spa == {ip} && arp.tpa == {asked}",
        "arp reply": f"eth.dst == {leg.mac} && arp.op == 2 && arp.sha == {eth} && arp.spa == {ip} && "
        f"arp.tha == {leg.mac} && arp.tpa == {leg.ip}",
        "ns": f"eth.dst == 33:33:ff:00:00:01 && ip6.src == {ip6} && ip.ttl == 255 && ip6.dst == {to6} && nd_ns && "
        f"nd.target == {to6} && nd.sll == {eth}",
        "na": f"eth.dst == {leg.mac} && ip6.src == {ip6} && ip.ttl == 255 && ip6.dst == {leg.ip6} && nd_na && "
        f"nd.target == {ip6} && nd.tll == {eth}",
        "name": f"{ip4} && udp.src == 5000 && udp.dst == 53",
    }  # fmt: skip
    weights = [6 if name in ("tcp", "udp", "ping", "tcp6", "ping6") else 2 for name in kinds]
    return kinds[dice.choices(list(kinds), weights)[0]]
