"""Random topologies as ovn-nbctl commands, and random packets for them. The same seed gives the same both times."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

ACTIONS = ("allow", "allow-related", "allow-stateless", "drop", "reject")
TRAFFIC = (
    "ip4", "ip6", "ip", "icmp4", "tcp && tcp.dst == 22", "udp && udp.dst == {53, 67}", "ip4 && tcp.dst >= 1000",
    "ip4.src == $as0", "ip4.src == 10.0.0.0/28", "arp", "1", "ip4.src == $pg0_ip4", "eth.dst == 00:00:00:00:00:02",
)  # fmt: skip


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
    acls: int = 0

    def add(self, *words: str) -> None:
        if self.commands:
            self.commands.append("--")
        self.commands += words


def make(seed: int) -> Topology:
    """Make a topology of one to three switches with everything that this slice knows."""
    dice = random.Random(seed)
    made = Topology()
    options = 'options={server_id=10.0.0.254,server_mac="00:00:00:00:ff:01",lease_time="3600",router=10.0.0.254}'
    made.add("--id=@dhcp", "create", "DHCP_Options", "cidr=10.0.0.0/24", options)
    six = 'options={server_id="00:00:00:00:ff:01",dns_server="fd00::53"}'
    made.add("--id=@dhcp6", "create", "DHCP_Options", 'cidr="fd00::/64"', six)
    made.add("create", "Address_Set", "name=as0", "addresses=10.0.0.1,10.0.0.5")
    number = 0
    for s in range(dice.randint(1, 3)):
        switch = f"s{s}"
        made.add("ls-add", switch)
        if dice.random() < 0.2:
            made.add("set", "Logical_Switch", switch, "other_config:vlan-passthru=true")
        for _ in range(dice.randint(2, 5)):
            number += 1
            port = Port(f"p{number}", switch, f"00:00:00:00:00:{number:02x}", f"10.0.0.{number}", f"fd00::{number:x}")
            made.ports.append(port)
            _add_port(made, dice, port)
        if dice.random() < 0.4:
            made.add("lsp-add", switch, f"ln{s}", "--", "lsp-set-type", f"ln{s}", "localnet", "--", "lsp-set-addresses",
                     f"ln{s}", "unknown", "--", "lsp-set-options", f"ln{s}", "network_name=phys")  # fmt: skip
            made.ports.append(Port(f"ln{s}", switch, "00:00:00:00:01:01", "10.0.0.101", "fd00::101", "localnet"))
    for g in range(2):
        members = [p.name for p in made.ports if dice.random() < 0.4]
        made.add("pg-add", f"pg{g}", *members)
    for owner in [f"pg{g}" for g in range(2)] + [f"s{s}" for s in range(3) if f"ls-add s{s}" in _joined(made)]:
        for _ in range(dice.choice([0, 0, 1, 3, 5])):
            _add_acl(made, dice, owner)
    if dice.random() < 0.15:
        made.add("set", "NB_Global", ".", "options:default_acl_drop=true")
    return made


def _joined(made: Topology) -> str:
    return " ".join(made.commands)


def _add_port(made: Topology, dice: random.Random, port: Port) -> None:
    name = port.name
    made.add("lsp-add", port.switch, name)
    texts = [f"{port.mac} {port.ip}" + (f" {port.ip6}" if dice.random() < 0.5 else "")]
    if dice.random() < 0.2:
        texts.append("unknown")
    if dice.random() < 0.1:
        texts = ["unknown"]
    made.add("lsp-set-addresses", name, *texts)
    if dice.random() < 0.5 and "unknown" not in texts:
        made.add("lsp-set-port-security", name, texts[0])
    if dice.random() < 0.1:
        made.add("lsp-set-enabled", name, "disabled")
    elif dice.random() < 0.1:
        port.kind = "localport"
        made.add("lsp-set-type", name, "localport")
    if dice.random() < 0.5:
        made.add("set", "Logical_Switch_Port", name, "dhcpv4_options=@dhcp")
    if dice.random() < 0.3:
        made.add("set", "Logical_Switch_Port", name, "dhcpv6_options=@dhcp6")


def _add_acl(made: Topology, dice: random.Random, owner: str) -> None:
    direction = dice.choice(["from-lport", "to-lport"])
    field_ = "inport" if direction == "from-lport" else "outport"
    match = dice.choice(TRAFFIC)
    if owner.startswith("pg"):
        match = f"{field_} == @{owner} && {match}"
    action = dice.choices(ACTIONS, [2, 4, 1, 3, 2])[0]
    flags = [] if dice.random() < 0.8 else ["--log", "--name=why", "--severity=alert"]
    if direction == "from-lport" and dice.random() < 0.2:
        flags.append("--apply-after-lb")
    if action in ("allow", "allow-related") and dice.random() < 0.2:
        flags.append("--label=77")
    made.acls += 1
    priority = made.acls * 7 % 101  # no two alike: which of two would win is anybody's guess
    made.add("--may-exist", *flags, "acl-add", owner, direction, str(priority), match, action)


def packet(dice: random.Random, ports: list[Port]) -> tuple[str, str, list[str]]:
    """Make a packet: the datapath it starts in, the microflow, options for ovn-trace."""
    source = dice.choice(ports)
    target = dice.choice([p for p in ports if p.switch == source.switch])
    mac = dice.choice([source.mac] * 5 + ["00:00:00:00:99:99"])
    to = dice.choice([target.mac] * 5 + ["ff:ff:ff:ff:ff:ff", "00:00:00:00:99:88"])
    flow = [f'inport == "{source.name}"', f"eth.src == {mac}"]
    kind = dice.choice(["tcp", "tcp", "udp", "icmp4", "tcp6", "arp", "ns", "dhcp", "dhcp6", "rarp", "tagged"])
    ip4 = f"eth.dst == {to} && ip4.src == {source.ip} && ip4.dst == {target.ip} && ip.ttl == 64"
    ip6 = f"eth.dst == {to} && ip6.src == {source.ip6} && ip6.dst == {target.ip6} && ip.ttl == 64"
    match kind:
        case "tcp":
            flow.append(f"{ip4} && tcp.src == 5000 && tcp.dst == {dice.choice([22, 80, 2000])}")
        case "udp":
            flow.append(f"{ip4} && udp.src == 5000 && udp.dst == {dice.choice([53, 99])}")
        case "icmp4":
            flow.append(f"{ip4} && icmp4.type == 8")
        case "tcp6":
            flow.append(f"{ip6} && tcp.src == 5000 && tcp.dst == {dice.choice([22, 80])}")
        case "arp":
            asks = f"arp.op == 1 && arp.sha == {mac} && arp.spa == {source.ip} && arp.tpa == {target.ip}"
            flow.append(f"eth.dst == ff:ff:ff:ff:ff:ff && {asks}")
        case "ns":
            flow.append(f"eth.dst == 33:33:ff:00:00:01 && nd_ns && ip6.src == {source.ip6} && ip6.dst == {target.ip6} "
                        f"&& ip.ttl == 255 && nd.target == {target.ip6}")  # fmt: skip
        case "dhcp":
            flow.append("eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && "
                        "ip.ttl == 64 && udp.src == 68 && udp.dst == 67")  # fmt: skip
        case "dhcp6":
            flow.append("eth.dst == 33:33:00:01:00:02 && ip6.src == fe80::1 && ip6.dst == ff02::1:2 && "
                        "ip.ttl == 64 && udp.src == 546 && udp.dst == 547")  # fmt: skip
        case "tagged":
            flow.append(f"eth.dst == {to} && vlan.present && vlan.vid == 5 && eth.type == 0x8035")
        case "rarp":
            flow.append(f"eth.dst == {to} && eth.type == 0x8035")
    pairs = (("new", "new"), ("new", "est"), ("est,rpl", "est,rpl"), ("est", "est"), ("inv", "inv"), ("rel", "rel"))
    states = dice.choice(pairs)
    return source.switch, " && ".join(flow), [f"--ct={state}" for state in states]
