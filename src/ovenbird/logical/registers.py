"""Registers: where stages leave notes for later ones, and between which stages each note lives.

Bits may share a place only if the stages between which they live do not overlap; a test enforces that. Registers start
at zero in each pipeline. The places are OVN 23.03's, for the chassis' own tables (port security, MAC learning) and for
mixed deployments; see ovn-sb(5), Logical_Flow, and ovn-architecture(7), "Logical registers".
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.logical.pipeline import Stage, stage


@dataclass(frozen=True, slots=True)
class Register:
    """A named place in a register.

    Arguments:
        name: what it says.
        register: the whole register's name.
        low, high: the bits, both ends included.
        lives: for each pipeline that uses it, the first and the last stage between which it has a meaning.
    """

    name: str
    register: str
    low: int
    high: int
    lives: tuple[tuple[Stage, Stage], ...]

    def __str__(self) -> str:
        if (self.low, self.high) == (0, 31):
            return self.register
        return f"{self.register}[{self.low}]" if self.low == self.high else f"{self.register}[{self.low}..{self.high}]"

    def collides(self, other: Register) -> bool:
        """Return whether both have a bit in common while both have a meaning."""
        if self.register != other.register or self.high < other.low or other.high < self.low:
            return False
        return any(
            a.pipeline == c.pipeline and a.table <= d.table and c.table <= b.table
            for a, b in self.lives
            for c, d in other.lives
        )


REGISTERS: list[Register] = []
"""Every register declared, for the test that finds collisions."""


def _register(name: str, place: str, *lives: tuple[str, str]) -> Register:
    register, _, bits = place.partition("[")
    low = int(bits.rstrip("]")) if bits else 0
    high = low if bits else 31
    made = Register(name, register, low, high, tuple((stage(first), stage(last)) for first, last in lives))
    REGISTERS.append(made)
    return made


_HINTS = (("ls_in_acl_hint", "ls_in_acl_after_lb"), ("ls_out_acl_hint", "ls_out_acl"))
_COMMIT = (("ls_in_acl", "ls_in_stateful"), ("ls_out_acl", "ls_out_stateful"))

DEFRAG = _register(
    "to connection tracking",
    "reg0[0]",
    ("ls_in_pre_acl", "ls_in_pre_stateful"),
    ("ls_out_pre_acl", "ls_out_pre_stateful"),
)
COMMIT = _register("commit the connection", "reg0[1]", *_COMMIT)
NAT = _register(
    "to load balancing", "reg0[2]", ("ls_in_pre_lb", "ls_in_pre_stateful"), ("ls_out_pre_lb", "ls_out_pre_stateful")
)
DHCP_ANSWERED = _register("a DHCP reply was made", "reg0[3]", ("ls_in_dhcp_options", "ls_in_dhcp_response"))
DNS_ANSWERED = _register("a DNS reply was made", "reg0[4]", ("ls_in_dns_lookup", "ls_in_dns_response"))
HINT_ALLOW_NEW = _register("an allow rule would have to commit", "reg0[7]", *_HINTS)
HINT_ALLOW = _register("an allow rule need not commit", "reg0[8]", *_HINTS)
HINT_DROP = _register("a drop rule may match", "reg0[9]", *_HINTS)
HINT_BLOCK = _register("a drop rule would have to block a connection", "reg0[10]", *_HINTS)
FDB_KNOWN = _register("the source MAC is known at its port", "reg0[11]", ("ls_in_lookup_fdb", "ls_in_put_fdb"))
LABEL_SET = _register("commit with the label", "reg0[13]", *_COMMIT)
PORT_SEC_DROP = _register(
    "port security says drop",
    "reg0[15]",
    ("ls_in_check_port_sec", "ls_in_apply_port_sec"),
    ("ls_out_check_port_sec", "ls_out_apply_port_sec"),
)
STATELESS = _register(
    "a stateless rule matches", "reg0[16]", ("ls_in_pre_acl", "ls_in_pre_lb"), ("ls_out_pre_acl", "ls_out_pre_lb")
)
ESTABLISHED = _register("a reply, allowed once for all", "reg0[17]", ("ls_in_acl", "ls_in_acl_after_lb"))
LABEL = _register("the rule's label", "reg3", *_COMMIT)
