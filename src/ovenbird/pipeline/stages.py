"""The stages of the pipelines of logical switches and logical routers.

A stage's number is its position in these lists and is written nowhere else: a new stage is one line here. The word
after its name says what happens to a packet that matches none of its flows; without one the packet continues in the
next stage. Names and order are those of OVN 23.03, ovn-northd(8), "Logical Flow Table Structure", so that
``lflow-list`` and ``ovn-trace`` work with both. Stages of newer releases are behind them: flows of the features that
use them lead there and back by ``next(pipeline=…, table=…)``, and a network without these features has no flow in them.
"""

from __future__ import annotations

from enum import StrEnum

from ovenbird.dataclass import KW_ONLY, dataclass


class Pipeline(StrEnum):
    """Half of a logical datapath."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Miss(StrEnum):
    """What a stage does with a packet that matches none of its flows."""

    NEXT = "next"  # passes it to the next stage
    DROP = "drop"
    OWN = "own"  # applies the flows that the stage's feature installs for this


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One table of one pipeline; each is a single object.

    Arguments:
        name: as in `lflow-list` and `external_ids:stage-name`.
        pipeline: `ingress` or `egress`.
        table: the number of the logical table.
        miss: what it does with a packet that matches none of its flows.
    """

    name: str
    _: KW_ONLY
    pipeline: str
    table: int
    miss: Miss = Miss.NEXT

    def __str__(self) -> str:
        return self.name

    @property
    def jump(self) -> str:
        """The action that goes on in this stage, without its semicolon (ovn-sb(5), `next`)."""
        return f"next(pipeline={self.pipeline},table={self.table})"


def _stages(pipeline: str, lines: str) -> tuple[Stage, ...]:
    found = []
    for table, line in enumerate(lines.strip().splitlines()):
        name, _, miss = line.strip().partition(" ")
        found.append(Stage(name, pipeline=pipeline, table=table, miss=Miss(miss.strip()) if miss else Miss.NEXT))
    return tuple(found)


SWITCH_INGRESS = _stages(
    "ingress",
    """
    ls_in_check_port_sec      own
    ls_in_apply_port_sec
    ls_in_lookup_fdb
    ls_in_put_fdb
    ls_in_pre_acl
    ls_in_pre_lb
    ls_in_pre_stateful
    ls_in_acl_hint
    ls_in_acl
    ls_in_qos_mark
    ls_in_qos_meter
    ls_in_lb_aff_check
    ls_in_lb
    ls_in_lb_aff_learn
    ls_in_pre_hairpin
    ls_in_nat_hairpin
    ls_in_hairpin
    ls_in_acl_after_lb
    ls_in_stateful
    ls_in_arp_rsp
    ls_in_dhcp_options
    ls_in_dhcp_response
    ls_in_dns_lookup
    ls_in_dns_response
    ls_in_external_port
    ls_in_l2_lkup             own
    ls_in_l2_unknown          own
    ls_in_acl_tiers           own
    """,
)

SWITCH_EGRESS = _stages(
    "egress",
    """
    ls_out_pre_acl
    ls_out_pre_lb
    ls_out_pre_stateful
    ls_out_acl_hint
    ls_out_acl
    ls_out_qos_mark
    ls_out_qos_meter
    ls_out_stateful
    ls_out_check_port_sec     own
    ls_out_apply_port_sec     own
    ls_out_acl_tiers          own
    """,
)

ROUTER_INGRESS = _stages(
    "ingress",
    """
    lr_in_admission           drop
    lr_in_lookup_neighbor     own
    lr_in_learn_neighbor      own
    lr_in_ip_input
    lr_in_unsnat
    lr_in_defrag
    lr_in_lb_aff_check
    lr_in_dnat
    lr_in_lb_aff_learn
    lr_in_ecmp_stateful
    lr_in_nd_ra_options
    lr_in_nd_ra_response
    lr_in_ip_routing_pre      own
    lr_in_ip_routing          own
    lr_in_ip_routing_ecmp     own
    lr_in_policy              own
    lr_in_policy_ecmp         own
    lr_in_arp_resolve         own
    lr_in_chk_pkt_len
    lr_in_larger_pkts
    lr_in_gw_redirect
    lr_in_arp_request         own
    lr_in_dhcp_relay_req      own
    lr_in_dhcp_relay_resp_chk own
    lr_in_dhcp_relay_resp     own
    lr_in_policy_chains       own
    lr_in_policy_chains_ecmp  own
    """,
)

ROUTER_EGRESS = _stages(
    "egress",
    """
    lr_out_chk_dnat_local     own
    lr_out_undnat
    lr_out_post_undnat
    lr_out_snat
    lr_out_post_snat
    lr_out_egr_loop
    lr_out_delivery           drop
    """,
)

OWN_STAGES = (
    "ls_in_acl_tiers", "ls_out_acl_tiers", "lr_in_dhcp_relay_req", "lr_in_dhcp_relay_resp_chk", "lr_in_dhcp_relay_resp",
    "lr_in_policy_chains", "lr_in_policy_chains_ecmp",
)  # fmt: skip
"""Stages that OVN 23.03 does not have."""

STAGES = {stage.name: stage for stage in (*SWITCH_INGRESS, *SWITCH_EGRESS, *ROUTER_INGRESS, *ROUTER_EGRESS)}
"""Every stage by name."""


def stage(name: str) -> Stage:
    """Return the stage with this name.

    Raises:
        KeyError: there is none.
    """
    return STAGES[name]
