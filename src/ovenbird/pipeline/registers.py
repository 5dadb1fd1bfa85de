"""The logical registers, with which stages pass values to later stages, and the stages between which each is in use.

Two registers may share bits only if the ranges of stages in which they are in use do not overlap; a test checks this.
Registers are zero at the start of each pipeline. The positions are OVN 23.03's, for the chassis's own tables (port
security, MAC learning) and for mixed deployments; see ovn-sb(5), Logical_Flow, and ovn-architecture(7), "Logical
registers".
"""

from __future__ import annotations

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.pipeline.stages import Stage, stage


@dataclass(frozen=True, slots=True)
class Register:
    """A named range of bits in a register.

    Arguments:
        name: the meaning of its value.
        register: the whole register's name.
        low, high: the bits, both ends included.
        lives: for each pipeline that uses it, the first and the last stage between which it is in use.
    """

    name: str
    _: KW_ONLY
    register: str
    low: int
    high: int
    lives: tuple[tuple[Stage, Stage], ...]

    def __str__(self) -> str:
        if (self.low, self.high) == (0, 31):
            return self.register
        return f"{self.register}[{self.low}]" if self.low == self.high else f"{self.register}[{self.low}..{self.high}]"

    def collides(self, other: Register) -> bool:
        """Return whether both use the same bit in the same stage."""
        if self.register != other.register or self.high < other.low or other.high < self.low:
            return False
        return any(
            a.name[:2] == c.name[:2] and a.pipeline == c.pipeline and a.table <= d.table and c.table <= b.table
            for a, b in self.lives
            for c, d in other.lives
        )


REGISTERS: list[Register] = []
"""Every declared register, for the test that finds collisions."""


def _register(name: str, place: str, *lives: tuple[str, str]) -> Register:
    register, _, bits = place.partition("[")
    first, _, last = bits.rstrip("]").partition("..")
    low = int(first) if bits else 0
    high = (int(last) if last else low) if bits else 31
    made = Register(
        name, register=register, low=low, high=high, lives=tuple((stage(begin), stage(end)) for begin, end in lives)
    )
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
FROM_GATEWAY = _register("from a VTEP gateway", "reg0[14]", ("ls_in_check_port_sec", "ls_in_hairpin"))
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
PERSISTS = _register("commit with the number of a persistent rule", "reg0[20]", *_COMMIT)
ACL_ID = _register("the rule's number", "reg2[16..31]", *_COMMIT)
TIER = _register(
    "tier of ACLs, 1 to 4; after balancing 9 to 12", "reg8[28..31]",
    ("ls_in_acl", "ls_in_acl_tiers"), ("ls_out_acl", "ls_out_acl_tiers"),
)  # fmt: skip
HAIRPIN = _register("balanced to its sender", "reg0[6]", ("ls_in_pre_hairpin", "ls_in_hairpin"))
HAIRPIN_REPLY = _register("a reply to that", "reg0[12]", ("ls_in_pre_hairpin", "ls_in_hairpin"))
VIP = _register("virtual address; IPv6 in xxreg1", "reg1", ("ls_in_pre_stateful", "ls_in_nat_hairpin"))
VIP6 = "xxreg1"
VIP_PORT = _register("its port", "reg2[0..15]", ("ls_in_pre_stateful", "ls_in_nat_hairpin"))
AFFINE = _register(
    "the client's last backend is known", "reg9[6]", ("ls_in_lb_aff_check", "ls_in_lb_aff_learn"),
    ("lr_in_lb_aff_check", "lr_in_lb_aff_learn"),
)  # fmt: skip
AFFINE_BACKEND = _register("that backend; IPv6 in xxreg0", "reg4", ("ls_in_lb_aff_check", "ls_in_lb"))
AFFINE_BACKEND6 = "xxreg0"
AFFINE_PORT = _register(
    "its port", "reg8[0..15]", ("ls_in_lb_aff_check", "ls_in_lb"), ("lr_in_lb_aff_check", "lr_in_dnat")
)

# -- routers ----------------------------------------------------------------------------------------------------------

LOOPED = _register(
    "the packet came back from egress", "reg9[0]", ("lr_in_admission", "lr_in_arp_request"),
    ("lr_out_chk_dnat_local", "lr_out_egr_loop"),
)  # fmt: skip
TOO_LARGE = _register("larger than the port's MTU", "reg9[1]", ("lr_in_admission", "lr_in_larger_pkts"))
QUOTES_INSIDE = "flags[17]"
"""Marks an ICMP error that a router makes about a packet after translating its destination; OVN 24.03 has this flag."""
NEIGHBOR_KNOWN = _register(
    "the neighbour is known as it says", "reg9[2]", ("lr_in_lookup_neighbor", "lr_in_learn_neighbor")
)
NEIGHBOR_WANTED = _register(
    "the neighbour may be learned", "reg9[3]", ("lr_in_lookup_neighbor", "lr_in_learn_neighbor")
)
DNAT_LOCAL = _register(
    "the destination is translated here", "reg9[4]", ("lr_in_admission", "lr_in_admission"),
    ("lr_out_chk_dnat_local", "lr_out_egr_loop"),
)  # fmt: skip
ECMP_KNOWN = _register("the way back is known", "reg9[5]", ("lr_in_defrag", "lr_in_arp_resolve"))
ADVERTISED = _register("a router advertisement was made", "reg0[5]", ("lr_in_nd_ra_options", "lr_in_nd_ra_response"))
CAME_TO = _register("MAC of the port a packet came to (xreg0)", "reg0", ("lr_in_admission", "lr_in_ip_input"))
NEXT_HOP = _register("next hop; IPv6 in xxreg0", "reg0", ("lr_in_ip_routing", "lr_in_arp_request"))
SOURCE = _register("own address to the next hop; IPv6 in xxreg1", "reg1", ("lr_in_ip_routing", "lr_in_arp_request"))
ROUTE_TABLE = _register("route table", "reg7", ("lr_in_defrag", "lr_in_ip_routing"))
GROUP = _register("group of equal ways", "reg8[0..15]", ("lr_in_ip_routing", "lr_in_policy_chains_ecmp"))
MEMBER = _register("way in the group", "reg8[16..31]", ("lr_in_ip_routing", "lr_in_policy_chains_ecmp"))
POLICY_CHAIN = _register("chain of policies", "reg6[0..15]", ("lr_in_policy", "lr_in_policy_chains"))
LB_VIP = _register("virtual address; IPv6 in xxreg0", "reg0", ("lr_in_lb_aff_check", "lr_in_lb_aff_learn"))
LB_VIP6 = "xxreg0"
LB_VIP_PORT = _register("its port", "reg9[16..31]", ("lr_in_lb_aff_check", "lr_in_lb_aff_learn"))
RELAYED = _register(
    "a DHCP message is relayed", "reg9[7]", ("lr_in_ip_input", "lr_in_ip_input"),
    ("lr_in_dhcp_relay_req", "lr_in_dhcp_relay_req"),
)  # fmt: skip
RELAYED_BACK = _register("a DHCP reply is relayed", "reg9[8]", ("lr_in_dhcp_relay_resp_chk", "lr_in_dhcp_relay_resp"))
RELAY = _register("address of the relay", "reg2", ("lr_in_dhcp_relay_resp_chk", "lr_in_dhcp_relay_resp"))
ROUTER_AFFINE_BACKEND = _register("the backend; IPv6 in xxreg1", "reg4", ("lr_in_lb_aff_check", "lr_in_dnat"))
ROUTER_AFFINE_BACKEND6 = "xxreg1"
