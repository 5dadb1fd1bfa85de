"""The registry of actions (ovn-sb(5), column actions of Logical_Flow), one row each, and the parser of action lists.

To add an action, write its class, add its row here, and add a case to the golden page of the differential tests.
"""

from __future__ import annotations

import re
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from ovenbird.lang.actions import (
    assign,
    balance,
    conntrack,
    flow,
    learn,
    lookup,
    original,
    qos,
    relay,
    reply,
    report,
    services,
)
from ovenbird.lang.actions.action import Action, Actions, prerequisites_of
from ovenbird.lang.actions.cursor import Cursor, Registry
from ovenbird.lang.actions.machine import Check
from ovenbird.lang.errors import LangError
from ovenbird.lang.text_cache import cached_by_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.lang.ast import FieldRef

# keyword -> the parser of what follows it
STATEMENTS: Mapping[str, Callable[[Cursor], Action]] = MappingProxyType(
    {
        "next": flow.Next.parse,
        "output": flow.Output.parse,
        "clone": flow.Clone.parse,
        "push": assign.Push.parse,
        "pop": assign.Pop.parse,
        "ct_next": conntrack.CtNext.parse,
        "ct_commit": conntrack.CtCommit.parse,
        "ct_commit_to_zone": conntrack.CtCommitToZone.parse,
        "ct_clear": conntrack.CtClear.parse,
        "ct_dnat": conntrack.CtDnat.parse,
        "ct_snat": conntrack.CtSnat.parse,
        "ct_dnat_in_czone": conntrack.CtDnatInCommonZone.parse,
        "ct_snat_in_czone": conntrack.CtSnatInCommonZone.parse,
        "ct_commit_nat": conntrack.CtCommitNat.parse,
        "ct_snat_to_vip": conntrack.CtSnatToVip.parse,
        "ct_lb": balance.CtLb.parse,
        "ct_lb_mark": balance.CtLbMark.parse,
        "ct_lb_mark_local": balance.CtLbMarkLocal.parse,
        "fwd_group": balance.ForwardGroup.parse,
        "get_arp": lookup.GetArp.parse,
        "put_arp": lookup.PutArp.parse,
        "get_nd": lookup.GetNd.parse,
        "put_nd": lookup.PutNd.parse,
        "put_fdb": lookup.PutFdb.parse,
        "mac_cache_use": lookup.MacCacheUse.parse,
        "arp": reply.Arp.parse,
        "nd_ns": reply.NdNs.parse,
        "nd_na": reply.NdNa.parse,
        "nd_na_router": reply.NdNaRouter.parse,
        "icmp4": reply.Icmp4.parse,
        "icmp4_error": reply.Icmp4Error.parse,
        "icmp6": reply.Icmp6.parse,
        "icmp6_error": reply.Icmp6Error.parse,
        "tcp_reset": reply.TcpReset.parse,
        "sctp_abort": reply.SctpAbort.parse,
        "reject": reply.Reject.parse,
        "log": report.Log.parse,
        "trigger_event": report.TriggerEvent.parse,
        "igmp": report.Igmp.parse,
        "handle_dhcpv6_reply": report.HandleDhcp6Reply.parse,
        "handle_bfd_msg": report.HandleBfdMessage.parse,
        "bind_vport": report.BindVport.parse,
        "handle_svc_check": report.HandleServiceCheck.parse,
        "commit_ecmp_nh": learn.CommitEcmpNextHop.parse,
        "commit_lb_aff": learn.CommitLbAffinity.parse,
        "set_queue": qos.SetQueue.parse,
        "set_meter": qos.SetMeter.parse,
        "sample": qos.Sample.parse,
    }
)

# name of a function on the right of `field =` -> the parser of what follows it
FUNCTIONS: Mapping[str, Callable[[Cursor, FieldRef], Action]] = MappingProxyType(
    {
        "lookup_arp": lookup.LookupArp.parse,
        "lookup_arp_ip": lookup.LookupArpIp.parse,
        "lookup_nd": lookup.LookupNd.parse,
        "lookup_nd_ip": lookup.LookupNdIp.parse,
        "get_fdb": lookup.GetFdb.parse,
        "lookup_fdb": lookup.LookupFdb.parse,
        "ct_nw_dst": original.OriginalIp4Destination.parse,
        "ct_ip6_dst": original.OriginalIp6Destination.parse,
        "ct_tp_dst": original.OriginalPort.parse,
        "check_pkt_larger": lookup.CheckPacketLarger.parse,
        "put_dhcp_opts": services.PutDhcpOpts.parse,
        "put_dhcpv6_opts": services.PutDhcp6Opts.parse,
        "dns_lookup": services.DnsLookup.parse,
        "put_nd_ra_opts": services.PutNdRaOpts.parse,
        "dhcp_relay_req_chk": relay.DhcpRelayRequest.parse,
        "dhcp_relay_resp_chk": relay.DhcpRelayResponse.parse,
        "select": balance.Select.parse,
        **{check.value: partial(lookup.Ask.parse, check=check) for check in Check},
    }
)

_REGISTRY = Registry(STATEMENTS, FUNCTIONS, assign.parse_assignment)


# One statement without blocks, comments or masks, up to its semicolon; most lists consist of such statements.
_STATEMENT = re.compile(r"""\s*((?:[^;"(){}/]|"[^"\\]*"|\((?:[^"()/]|"[^"\\]*")*\))+?)\s*;\s*""")


@cached_by_text
def parse_actions(text: str) -> Actions:
    """Parse a logical flow's actions; results are cached by text, because the same texts recur on every datapath.

    Returns:
        The actions (none for `drop;` and for an empty text) and their prerequisites.

    Raises:
        LangError: the subclass for the kind of error, with the span of the faulty part.
    """
    actions = _parse_by_statement(text)
    if actions is None:
        actions = Cursor(text, _REGISTRY).actions("end")
    return Actions(actions, prerequisites_of(actions))


def _parse_by_statement(text: str) -> tuple[Action, ...] | None:
    """Parse a simple list statement by statement, each of which is cached; return None if it needs the full parser.

    A new list usually differs from known ones in an address or two, so that most of its statements are cached.
    """
    actions = []
    position, end = 0, len(text)
    while position < end:
        found = _STATEMENT.match(text, position)
        if found is None:
            return None
        try:
            actions.append(_parse_statement(found[1]))
        except LangError:
            return None  # the full parser reports the error with its position in the list
        position = found.end()
    return tuple(actions)


@cached_by_text
def _parse_statement(text: str) -> Action:
    cursor = Cursor(text, _REGISTRY)
    action = cursor.statement()
    cursor.expect("end")
    return action
