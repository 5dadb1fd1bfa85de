"""Random topologies as ovn-nbctl commands, random ACLs from a grammar, random packets; the same seed gives the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovenbird.pipeline.multicast_groups import MROUTERS

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

ACTIONS = ("allow", "allow-related", "allow-stateless", "drop", "reject")
ROUTER_MAC = "00:00:00:00:ff:01"
STRANGER = "00:00:00:00:99:99"
BROADCAST = "ff:ff:ff:ff:ff:ff"
GROUPS = ("239.1.1.1", "239.1.1.2", "ff0e::1:1", "ff02::1:1", MROUTERS)
TCP_PORTS, UDP_PORTS = (22, 80, 443, 2000), (53, 67, 123, 4789)


@dataclass
class Port:
    name: str
    switch: str
    mac: str
    ip: str
    ip6: str
    kind: str = ""


@dataclass
class Topology:
    commands: list[str] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    switches: list[str] = field(default_factory=list)
    whole_networks: bool = False  # in port security, where ovn-trace knows single addresses alone
    routed: bool = False  # whether each switch has networks of its own
    joined: list[tuple[str, list[str]]] = field(default_factory=list)  # addresses of groups, and ports of one switch
    vips: list[str] = field(default_factory=list)  # virtual addresses of load balancers on switches
    newer: bool = False  # whether there is what OVN 25.03 has and 23.03 lacks

    def subnet(self, switch: str) -> tuple[str, str]:
        """Return what a switch's IPv4 and IPv6 addresses begin with."""
        number = int(switch[1:]) if self.routed else 0
        return f"10.{number}.0.", f"fd00:{number:x}::" if number else "fd00::"

    def add(self, *words: str) -> None:
        self.commands += ["--", *words] if self.commands else words


def make(dice: random.Random, *, routed: bool = False, newer: bool = False) -> Topology:
    """Make one to four switches with everything that L2, ACLs and DHCP know.

    Arguments:
        dice: what is thrown.
        routed: whether routers are to join them.
        newer: whether ACLs have tiers, and some of them pass.
    """
    made = Topology(whole_networks=dice.random() < 0.15, routed=routed, newer=newer)
    for name, value in (("default_acl_drop", "true"), ("use_ct_inv_match", "false")):
        if dice.random() < 0.12 and not (newer and name == "default_acl_drop"):  # there for switches with ACLs alone
            made.add("set", "NB_Global", ".", f"options:{name}={value}")
    router = "" if dice.random() < 0.3 else ",router=10.0.0.254"
    options = f'options={{server_id=10.0.0.254,server_mac="{ROUTER_MAC}",lease_time="3600"{router}}}'
    made.add("--id=@dhcp4", "create", "DHCP_Options", f"cidr=10.0.0.0/{8 if routed else 24}", options)
    six = f'options={{server_id="{ROUTER_MAC}",dns_server="fd00::53"}}'
    stateless = f'options={{server_id="{ROUTER_MAC}",dhcpv6_stateless=true}}'
    made.add(
        "--id=@dhcp6", "create", "DHCP_Options", f'cidr="fd00::/{16 if routed else 64}"', dice.choice([six, stateless])
    )
    made.add("create", "Address_Set", "name=as0", "addresses=10.0.0.1,10.0.0.5,10.0.0.16/30")
    made.add("create", "Address_Set", "name=as1", 'addresses="00:00:00:00:00:01","00:00:00:00:00:03"')
    number = 0
    for s in range(dice.randint(1, 4)):
        switch = f"s{s}"
        four, six = made.subnet(switch)
        made.switches.append(switch)
        made.add("ls-add", switch)
        if dice.random() < 0.1:
            made.add("set", "Logical_Switch", switch, "other_config:vlan-passthru=true")
        for _ in range(dice.randint(2, 5)):
            number += 1
            port = Port(f"p{number}", switch, f"00:00:00:00:00:{number:02x}", f"{four}{number}", f"{six}{number:x}")
            _add_port(made, dice, port)
            made.ports.append(port)
        if dice.random() < 0.4:
            made.add("lsp-add", switch, f"ln{s}", "--", "lsp-set-type", f"ln{s}", "localnet")
            made.add("lsp-set-addresses", f"ln{s}", "unknown", "--", "lsp-set-options", f"ln{s}", "network_name=phys")
            made.ports.append(Port(f"ln{s}", switch, "00:00:00:00:01:01", f"{four}101", f"{six}101", "localnet"))
    for g in range(dice.randint(1, 3)):
        made.add("pg-add", f"pg{g}", *[p.name for p in made.ports if p.kind != "localnet" and dice.random() < 0.4])
        made.groups.append(f"pg{g}")
    _snooping(made, dice_of(dice))
    if not routed:
        _balancers(made, dice_of(dice))
    priorities = dice.sample(range(32768), 40)  # no two alike: which of two would win is anybody's guess
    for owner in made.groups + made.switches:
        for _ in range(dice.choice([0, 0, 1, 2, 4])):
            _add_acl(made, dice, owner, priorities.pop())
    for switch in made.switches:
        for priority in dice.sample(range(1, 32768), dice.choice([0, 0, 1, 3])):
            _add_qos(made, dice, switch, priority)
    return made


def dice_of(dice: random.Random) -> random.Random:
    """Return dice of their own, so that what is thrown with them changes nothing of what else is thrown."""
    made = type(dice)()
    made.setstate(dice.getstate())
    return made


def _snooping(made: Topology, dice: random.Random) -> None:
    """Have some switches snoop, with ports that take everything, and groups that ports have joined."""
    for switch in made.switches:
        if dice.random() < 0.5:
            continue
        made.add("set", "Logical_Switch", switch, "other_config:mcast_snoop=true")
        if dice.random() < 0.2:
            made.add("set", "Logical_Switch", switch, "other_config:mcast_flood_unregistered=true")
        ports = [port.name for port in made.ports if port.switch == switch]
        for option in ("mcast_flood", "mcast_flood_reports"):
            if dice.random() < 0.3:
                made.add("set", "Logical_Switch_Port", dice.choice(ports), f"options:{option}=true")
        asking, *others = dice.sample(
            ports, len(ports)
        )  # what a router gets anyhow, 23.03 sends twice if it has joined
        for group in GROUPS:
            if dice.random() < 0.5:
                made.joined.append((group, dice.sample(others, min(len(others), 2)) if group != MROUTERS else [asking]))


def _balancers(made: Topology, dice: random.Random) -> None:
    """Add load balancers to switches: of one backend each, since which of several is chosen is anybody's guess."""
    for n in range(dice.choice([0, 0, 0, 1, 2])):
        six, port = dice.random() < 0.3, dice.choice([22, 80, 80, 0])
        vip = f"2001:db8:30::{n + 1}" if six else dice.choice([f"30.0.0.{n + 1}", f"10.0.0.{200 + n}"])
        behind = dice.choice([p.ip6 if six else p.ip for p in made.ports])
        there, to = (f"[{vip}]:{port}", f"[{behind}]:80") if six else (f"{vip}:{port}", f"{behind}:80")
        if not port:
            there, to = vip, behind
        flags, protocol = dice.choice([[], ["--reject"]]), [dice.choice(["tcp", "tcp", "udp"])] if port else []
        made.add(*flags, "lb-add", f"lb{n}", there, "" if dice.random() < 0.2 else to, *protocol)
        if dice.random() < 0.2:
            made.add("set", "Load_Balancer", f"lb{n}", "options:affinity_timeout=60")
        for switch in dice.sample(made.switches, min(len(made.switches), dice.choice([1, 2]))):
            made.add("ls-lb-add", switch, f"lb{n}")
        made.vips.append(vip)


def multicast_packet(dice: random.Random, ports: list[Port], *, ttl: int = 64) -> tuple[str, str]:
    """Make a packet for a group, or a report: the datapath where it starts, and the microflow."""
    source = dice.choice(ports)
    four = f"ip4.src == {source.ip} && ip.ttl == {ttl} && ip4.dst == "
    six = f"ip6.src == {source.ip6} && ip.ttl == {ttl} && ip6.dst == "
    low = "eth.dst == 01:00:5e:01:01:01"
    body = dice.choice([
        *(f"{low} && {four}239.1.1.{number} && udp.dst == 5000" for number in (1, 1, 2, 9)),
        *(f"eth.dst == 33:33:00:01:00:01 && {six}{group} && udp.dst == 5000" for group in ("ff0e::1:1", "ff02::1:1")),
        f"{low} && {four}224.0.0.251 && udp.dst == 5353", f"{low} && {four}239.1.1.1 && ip.proto == 2",
        "eth.dst == 33:33:00:00:00:16 && ip6.src == fe80::1 && ip6.dst == ff02::16 && ip.ttl == 1 && icmp6.type == 143",
    ])  # fmt: skip
    return source.switch, f'inport == "{source.name}" && eth.src == {source.mac} && {body}'


def _add_port(made: Topology, dice: random.Random, port: Port) -> None:
    name = port.name
    made.add("lsp-add", port.switch, name)
    text = f"{port.mac} {port.ip}" + (f" {port.ip6}" if dice.random() < 0.5 else "")
    texts = [dice.choice([text, text, port.mac])]
    if dice.random() < 0.1:
        texts.append(f"00:00:00:00:02:{port.mac[-2:]} 10.0.1.{int(port.mac[-2:], 16)}")
    if dice.random() < 0.15:
        texts.append("unknown")
    if dice.random() < 0.1:
        texts = ["unknown"]
    made.add("lsp-set-addresses", name, *texts)
    several = f"{port.mac} {port.ip}/24", STRANGER
    whole = f"{port.mac} {made.subnet(port.switch)[0]}0/28"
    other = (whole,) if made.whole_networks else (text, f"{STRANGER} 10.0.0.77")
    secured = dice.choice([(), (port.mac,), (text,), several, other])
    if secured and dice.random() < 0.8:
        made.add("lsp-set-port-security", name, *secured)
    if dice.random() < 0.08:
        made.add("lsp-set-enabled", name, "disabled")
    elif dice.random() < 0.08:
        port.kind = "localport"
        made.add("lsp-set-type", name, "localport")
    for version, chance in ((4, 0.5), (6, 0.3)):
        if dice.random() < chance:
            made.add("set", "Logical_Switch_Port", name, f"dhcpv{version}_options=@dhcp{version}")


def _add_acl(made: Topology, dice: random.Random, owner: str, priority: int) -> None:
    direction = dice.choice(["from-lport", "to-lport"])
    field_ = "inport" if direction == "from-lport" else "outport"
    match = expression(dice, made, field_, 2)
    if owner in made.groups:
        match = f"{field_} == @{owner} && ({match})"
    action = dice.choices(ACTIONS, [2, 4, 2, 3, 2])[0]
    flags = [] if dice.random() < 0.8 else ["--log", "--name=why", f"--severity={dice.choice(['alert', 'info'])}"]
    if direction == "from-lport" and dice.random() < 0.2:
        flags.append("--apply-after-lb")
    if action in ("allow", "allow-related") and dice.random() < 0.2:
        flags.append("--label=77")
    if made.newer:
        tiers = dice_of(dice)
        flags.append(f"--tier={tiers.choice([0, 0, 1, 2, 3])}")
        action = tiers.choice([action, action, action, "pass"])
        if action == "pass" and "--label=77" in flags:
            flags.remove("--label=77")
    made.add("--may-exist", *flags, "acl-add", owner, direction, str(priority), match, action)


def _add_qos(made: Topology, dice: random.Random, switch: str, priority: int) -> None:
    direction = dice.choice(["from-lport", "to-lport"])
    match = expression(dice, made, "inport" if direction == "from-lport" else "outport", 1)
    mark, limit = [f"dscp={dice.randint(0, 63)}"], [f"rate={dice.randint(1, 9000)}"]
    limit += dice.choice([[], ["burst=100"]])
    what = dice.choice([mark, mark, limit, mark + limit])
    if made.newer:
        what = (
            mark + limit
        )  # the first rule that matches does all there, and here one for the mark and one for the rate
    made.add("qos-add", switch, direction, str(priority), match, *what)


def expression(dice: random.Random, made: Topology, field_: str, depth: int) -> str:
    """Make a match that ACLs may have."""
    if depth and dice.random() < 0.45:
        terms = [expression(dice, made, field_, depth - 1) for _ in range(dice.randint(2, 3))]
        return "(" + dice.choice([" && ", " || "]).join(terms) + ")"
    a, b = sorted(dice.sample(range(1, 14), 2))
    port = dice.choice(made.ports).name
    four, six = made.subnet(dice.choice(made.switches))
    return dice.choice(
        [
            "1",
            "ip", "ip4", "ip6", "icmp4", "icmp6", "arp", "eth.mcast", "eth.bcast", "!ip", "tcp", "udp", "nd",
            "!eth.bcast", "ip4.src == $as0", "eth.src == $as1", "ip4.dst[0..1] == 1", "ip4.src[0]",
            f"ip4.src == {four}{a}", f"ip4.dst == {{{four}{a}, {four}{b}}}", f"ip4.src == {four}{a & 12}/30",
            f"ip4.dst != {four}{a}", f"ip6.src == {six}{a:x}", f"ip6.dst == {six}/64",
            f"eth.dst == 00:00:00:00:00:{a:02x}", f"eth.src != 00:00:00:00:00:{b:02x}",
            f"tcp.dst == {dice.choice(TCP_PORTS)}", "tcp.dst >= 1000", "tcp.dst == {22, 80}", "80 <= tcp.dst < 2000",
            f"udp.dst == {dice.choice(UDP_PORTS)}", "udp.src == 68", "ip.proto == 6", "icmp4.type == 8", "arp.op == 1",
            f"arp.tpa == {four}{a}", "!(tcp.dst == 22)", "ip.ttl > 63", "ip.ttl == 64", f'{field_} == "{port}"',
            *[f"{field_} == @{group}" for group in made.groups],
            *[f"ip4.{'src' if field_ == 'outport' else 'dst'} == ${group}_ip4" for group in made.groups],
        ]
    )  # fmt: skip


def packet(dice: random.Random, ports: list[Port], vips: Sequence[str] = ()) -> tuple[str, str]:
    """Make a packet: the datapath where it starts, and the microflow."""
    source = dice.choice(ports)
    target = dice.choice([p for p in ports if p.switch == source.switch])
    if vips and dice.random() < 0.4:
        vip = dice.choice(vips)
        target = replace(target, ip6=vip) if ":" in vip else replace(target, ip=vip)
    mac = dice.choice([source.mac] * 6 + [STRANGER, "01:00:5e:00:00:01"])
    to = dice.choice([target.mac] * 6 + [BROADCAST, "00:00:00:00:99:88", "01:00:5e:00:00:05", "33:33:00:00:00:05"])
    ip = dice.choice([source.ip] * 6 + ["10.0.0.77", "0.0.0.0"])
    ip6 = dice.choice([source.ip6] * 6 + ["fd00::77"])
    flow = [f'inport == "{source.name}"', f"eth.src == {mac}"]
    ip4 = f"eth.dst == {to} && ip4.src == {ip} && ip4.dst == {target.ip} && ip.ttl == {dice.choice([64, 64, 1, 255])}"
    six = f"eth.dst == {to} && ip6.src == {ip6} && ip6.dst == {target.ip6} && ip.ttl == 64"
    flow += _headers(dice, source, target, mac, ip4, six)
    if dice.random() < 0.05:
        flow.append("vlan.tci == 0x1005")
    return source.switch, " && ".join(flow)


def _headers(dice: random.Random, source: Port, target: Port, mac: str, ip4: str, six: str) -> list[str]:
    """Make what comes after the MAC address of the sender."""
    l4 = f"tcp.src == {dice.choice([5000, 22])} && tcp.dst == {dice.choice(TCP_PORTS)}"
    ttl = dice.choice([255, 255, 255, 64])
    kinds = {
        "tcp": f"{ip4} && {l4}",
        "udp": f"{ip4} && udp.src == 5000 && udp.dst == {dice.choice(UDP_PORTS)}",
        "ping": f"{ip4} && icmp4.type == {dice.choice([8, 8, 0, 3])}",
        "tcp6": f"{six} && {l4}",
        "ping6": f"{six} && icmp6.type == 128",
        "sctp": f"{ip4} && sctp.src == 1 && sctp.dst == 2",
        "ip": f"{ip4} && ip.proto == {dice.choice([47, 89])}",
        "arp": f"eth.dst == {BROADCAST} && arp.op == 1 && arp.sha == {dice.choice([mac, STRANGER])} && "
        f"arp.spa == {source.ip} && arp.tpa == {target.ip}",
        "arp reply": f"eth.dst == {target.mac} && arp.op == 2 && arp.sha == {source.mac} && arp.spa == {source.ip} && "
        f"arp.tha == {target.mac} && arp.tpa == {target.ip}",
        "ns": f"eth.dst == 33:33:ff:00:00:{target.mac[-2:]} && ip6.src == {source.ip6} && ip.ttl == {ttl} && "
        f"ip6.dst == ff02::1:ff00:{target.ip6.rpartition(':')[2]} && icmp6.type == 135 && icmp6.code == 0"
        + (f" && nd.target == {target.ip6}" if ttl == 255 else ""),
        "na": f"eth.dst == {target.mac} && ip6.src == {source.ip6} && ip.ttl == 255 && ip6.dst == {target.ip6} && "
        f"nd_na && nd.target == {dice.choice([source.ip6, 'fd00::77'])} && nd.tll == {mac}",
        "dad": f"eth.dst == 33:33:ff:00:00:{source.mac[-2:]} && ip6.src == :: && "
        f"ip6.dst == ff02::1:ff00:{source.ip6.rpartition(':')[2]} && ip.ttl == 255 && nd_ns && "
        f"nd.target == {source.ip6}",
        "rs": "eth.dst == 33:33:00:00:00:02 && ip6.src == fe80::1 && ip6.dst == ff02::2 && ip.ttl == 255 && nd_rs",
        "mld": "eth.dst == 33:33:00:00:00:16 && ip6.src == :: && ip6.dst == ff02::16 && ip.ttl == 1 && "
        "icmp6.type == 143",
        "dhcp": f"eth.dst == {BROADCAST} && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && ip.ttl == 64 && "
        "udp.src == 68 && udp.dst == 67",
        "renew": f"eth.dst == {ROUTER_MAC} && ip4.src == {source.ip} && ip4.dst == 10.0.0.254 && ip.ttl == 64 && "
        "udp.src == 68 && udp.dst == 67",
        "dhcp6": "eth.dst == 33:33:00:01:00:02 && ip6.src == fe80::1 && ip6.dst == ff02::1:2 && ip.ttl == 64 && "
        "udp.src == 546 && udp.dst == 547",
        "rarp": f"eth.dst == {BROADCAST} && eth.type == 0x8035",
        "lldp": "eth.dst == 01:80:c2:00:00:0e && eth.type == 0x88cc",
    }  # fmt: skip
    weights = [6 if name in ("tcp", "udp", "ping", "tcp6") else 2 for name in kinds]
    return [kinds[dice.choices(list(kinds), weights)[0]]]
