"""Random ACLs in tiers, and what ovn-nb(5) says becomes of a packet that meets them, in as few words as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.model import nb

if TYPE_CHECKING:
    import random

PORTS = (80, 81, 82, 83)
ACTIONS = ("allow", "allow-related", "drop", "reject", "pass")
PLACES = (("from-lport", False), ("from-lport", True), ("to-lport", False))
"""Direction, and whether after load balancing."""


class TieredAcl(NamedTuple):
    """An ACL for some destination ports of TCP.

    Arguments:
        place: what it is in `PLACES`.
        tier: 0 to 3.
        priority: unlike that of any other.
        ports: what it matches.
        action: as in Northbound.
    """

    place: int
    tier: int
    priority: int
    ports: tuple[int, ...]
    action: str

    def values(self) -> dict[str, object]:
        """Return the columns of its row."""
        direction, late = PLACES[self.place]
        return {
            "direction": direction, "priority": self.priority, "tier": self.tier, "action": self.action,
            "match": f"tcp.dst == {{{', '.join(map(str, self.ports))}}}",
            "options": {"apply-after-lb": "true"} if late else {},
        }  # fmt: skip


def make(dice: random.Random, *, stateful: bool) -> list[TieredAcl]:
    """Make up to a dozen ACLs, with an `allow-related` among them or without any."""
    actions = [action for action in ACTIONS if stateful or action != "allow-related"]
    found = []
    for priority in dice.sample(range(32_768), dice.randint(1, 12)):
        ports = tuple(sorted(dice.sample(PORTS, dice.randint(1, 3))))
        found.append(TieredAcl(dice.randrange(3), dice.randrange(4), priority, ports, dice.choice(actions)))
    return found


def permitted(acls: list[TieredAcl], port: int, *, drops: bool) -> bool:
    """Return whether a packet to a port of TCP gets through all places.

    Arguments:
        acls: all of a switch and its port groups.
        port: the destination.
        drops: whether what no ACL decides about is dropped.
    """
    return all(_decision(acls, place, port, drops=drops) for place in range(len(PLACES)))


def _decision(acls: list[TieredAcl], place: int, port: int, *, drops: bool) -> bool:
    for tier in range(4):
        matching = [acl for acl in acls if (acl.place, acl.tier) == (place, tier) and port in acl.ports]
        action = max(matching, key=lambda acl: acl.priority).action if matching else "pass"
        if action != "pass":
            return action.startswith("allow")
    return not drops


def fill(world, dice: random.Random, acls: list[TieredAcl]) -> None:
    """Make a switch with two ports, p1 and p2, in a port group, and give the ACLs to switch and group by chance."""
    switch = world.switch("s0")
    ports = [world.port(switch, f"p{n}", f"00:00:00:00:00:0{n} 10.0.0.{n}") for n in (1, 2)]
    owners = (switch, world.group("pg", *ports))
    for acl in acls:
        world.insert(nb.ACL, (dice.choice(owners), "acls"), **acl.values())


def commands(dice: random.Random, acls: list[TieredAcl]) -> str:
    """Return what does the same by `Oracle.edit`."""
    lines = ["ls-add s0", "pg-add pg"]
    for n in (1, 2):
        lines += [f"lsp-add s0 p{n}", f'lsp-set-addresses p{n} "00:00:00:00:00:0{n} 10.0.0.{n}"']
    lines.append("pg-set-ports pg p1 p2")
    for acl in acls:
        values = acl.values()
        words = [f"{name}='{value}'" for name, value in values.items() if name != "options"]
        words += [f"options:{key}={value}" for key, value in values["options"].items()]
        owner = dice.choice(["Logical_Switch name=s0", "Port_Group name=pg"])
        lines.append(f"newer create ACL {' '.join(words)} in {owner} acls")
    return "\n".join(lines)


def microflow(port: int) -> str:
    """Return a packet from p1 to p2."""
    return (
        'inport == "p1" && eth.src == 00:00:00:00:00:01 && eth.dst == 00:00:00:00:00:02 && ip4.src == 10.0.0.1 && '
        f"ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.src == 5000 && tcp.dst == {port}"
    )
