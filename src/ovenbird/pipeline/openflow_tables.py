"""OpenFlow's tables on a chassis (ovn-architecture(7)).

The numbers are those of OVN 23.03, so that flows of ours and of the original read alike.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tables:
    """OpenFlow's number of each table that an action may send a packet to.

    `ingress` and `egress` are the first tables of the pipelines, each of `stages` tables; `output` is where `output`
    leads from ingress, `deliver` where it leads from egress. The others are subroutines that a lookup resubmits to.
    """

    ingress: int = 8
    output: int = 37
    egress: int = 42
    deliver: int = 64
    mac_binding: int = 66
    mac_lookup: int = 67
    lb_hairpin: int = 68
    lb_hairpin_reply: int = 69
    snat_hairpin: int = 70
    get_fdb: int = 71
    lookup_fdb: int = 72
    in_port_sec: int = 73
    out_port_sec: int = 75
    ecmp_nh_mac: int = 76
    ecmp_nh: int = 77
    lb_affinity: int = 78
    stages: int = 29
