from __future__ import annotations

import pytest

from ovenbird.lang.actions import FUNCTIONS, STATEMENTS, guarded, parse_actions
from ovenbird.lang.actions.action import Keyword
from ovenbird.lang.actions.conntrack import CtCommit
from ovenbird.lang.actions.cursor import Cursor
from ovenbird.lang.actions.flow import Next
from ovenbird.lang.actions.registry import _REGISTRY, _parse_by_statement
from ovenbird.lang.errors import LangError
from ovenbird.lang.parser import parse
from ovenbird.lang.passes import annotate

# text -> its canonical form ("" when it is canonical) -> prerequisites
PAGE = [
    ("drop;", "", ()),
    ("", "drop;", ()),
    ("/* nothing */ // at all", "drop;", ()),
    ("next;", "", ()),
    ("next ( 5 ) ;", "next(5);", ()),
    ("next(table=5);", "next(5);", ()),
    ("next(table=5, pipeline=egress);", "next(pipeline=egress, table=5);", ()),
    ("next(pipeline=ingress);", "", ()),
    ("next; output;", "", ()),
    ("reg0=5;", "reg0 = 5;", ()),
    ("reg0[3..3] = 1;", "reg0[3] = 1;", ()),
    ("ip4.src = 10.0.0.0/255.0.0.0;", "ip4.src = 10.0.0.0/8;", ("ip4",)),
    ('outport = "a \\"b\\"";', "", ()),
    ("eth.src<->eth.dst;", "eth.src <-> eth.dst;", ()),
    ("ip.ttl--;", "", ("ip",)),
    ("ip.ttl = 5; tcp.dst = 80; ip.ttl--;", "", ("ip", "tcp")),
    ("vlan.vid = 5;", "", ("vlan.present",)),
    ("push(reg0[3..4]); pop(eth.src[0..1]);", "", ()),
    ("icmp4.frag_mtu = 1500;", "", ()),
    ("ct_next;", "", ("ip",)),
    ("ct_next(snat);", "", ("ip",)),
    ("ct_commit_nat(dnat);", "", ("ip",)),
    ("ct_commit_to_zone(snat);", "", ("ip",)),
    ("reg4 = ct_nw_dst(); reg2[0..15] = ct_tp_dst(); next;", "", ()),
    ("xxreg1 = ct_ip6_dst();", "", ()),
    ("mac_cache_use;", "", ()),
    ("sample(probability=1,collector_set=2,obs_domain=3,obs_point=reg3);", "", ()),
    ("ct_commit { ct_mark.allow_established = reg0[20]; ct_mark.obs_stage = reg8[19..20]; };", "", ("ip",)),
    ("ct_commit { ct_label.obs_point_id = reg9; ct_label.acl_id = reg2[16..31]; };", "", ("ip",)),
    ("ct_commit { ct_mark.obs_collector_id = reg8[8..15]; };", "", ("ip",)),
    ("ct_clear;", "", ()),
    ("ct_commit;", "ct_commit { };", ("ip",)),
    ("ct_commit{ct_mark.blocked=1;};", "ct_commit { ct_mark.blocked = 1; };", ("ip",)),
    ("ct_commit(ct_mark=1/3, ct_label=5);", "ct_commit { ct_mark = 1/3; ct_label = 5; };", ("ip",)),
    ("ct_commit { ct_label[0..31] = reg1; }; next;", "", ("ip",)),
    ("ct_dnat;", "", ("ip",)),
    ("ct_snat(10.0.0.1, 1-2);", "", ("ip",)),
    ("ct_snat_in_czone(fd00::1);", "", ("ip",)),
    ("ct_dnat_in_czone;", "", ("ip",)),
    ("ct_commit_nat;", "", ("ip",)),
    ("ct_snat_to_vip;", "", ()),
    ("ct_lb();", "ct_lb;", ("ip",)),
    ("ct_lb_mark(backends=10.0.0.1:80, [fd00::1]:81,fd00::2);",
     "ct_lb_mark(backends=10.0.0.1:80,[fd00::1]:81,fd00::2);", ("ip",)),
    ('ct_lb_mark(backends=10.0.0.1; hash_fields="ip_src, ip_dst"; skip_snat);',
     'ct_lb_mark(backends=10.0.0.1; hash_fields="ip_src,ip_dst"; skip_snat);', ("ip",)),
    ("ct_lb(backends=10.0.0.1; force_snat);", "", ("ip",)),
    ('ct_lb_mark_local(backends="p 1":10.0.0.1:80, "p2":[fd00::1]:81; hash_fields="ip_src"; skip_snat);',
     'ct_lb_mark_local(backends="p 1":10.0.0.1:80,"p2":[fd00::1]:81; hash_fields="ip_src"; skip_snat);', ("ip",)),
    ("ct_lb_mark_local;", "", ("ip",)),
    ("clone { ip.ttl--; clone { next; }; };", "", ()),
    ("clone{};", "clone { drop; };", ()),
    ("arp { drop; };", "", ("ip",)),
    ("arp { tcp.dst = 5; };", "", ("ip",)),
    ("nd_ns { next; };", "", ("ip",)),
    ("nd_na { next; };", "", ("nd_ns",)),
    ("nd_na_router { next; };", "", ("nd_ns",)),
    ("icmp4 { next; };", "", ("ip4",)),
    ("icmp4_error { next; };", "", ("ip4",)),
    ("icmp6 { next; };", "", ("ip6",)),
    ("icmp6_error { icmp6.frag_mtu = 1500; next; };", "", ("ip6",)),
    ("tcp_reset { next; };", "", ("tcp",)),
    ("sctp_abort { next; };", "", ("sctp",)),
    ("reject { next; };", "", ()),
    ("get_arp(outport,ip4.dst);", "get_arp(outport, ip4.dst);", ("ip4",)),
    ("put_arp(inport, arp.spa, arp.sha);", "", ("arp",)),
    ("reg9[2] = lookup_arp(inport, arp.spa, arp.sha);", "", ("arp",)),
    ("reg9[2] = lookup_arp_ip(inport, arp.spa);", "", ("arp",)),
    ("get_nd(outport, xxreg0);", "", ()),
    ("put_nd(inport, nd.target, nd.tll);", "", ("nd", "nd_na")),
    ("reg9[2] = lookup_nd(inport, ip6.src, eth.src);", "", ("ip6",)),
    ("reg9[2] = lookup_nd_ip(inport, ip6.src);", "", ("ip6",)),
    ("outport = get_fdb(eth.dst);", "", ()),
    ("put_fdb(inport, eth.src);", "", ()),
    ("reg0[11] = lookup_fdb(inport, eth.src);", "", ()),
    ("reg0[3] = put_dhcp_opts(offerip=10.0.0.2,dns_server={8.8.8.8,7.7.7.7},mtu={5});",
     "reg0[3] = put_dhcp_opts(offerip = 10.0.0.2, dns_server = {8.8.8.8, 7.7.7.7}, mtu = 5);", ()),
    ('reg0[3] = put_dhcpv6_opts(ia_addr = aef0::4, domain_search = "ovn.org");', "", ()),
    ("reg0[3] = put_dhcpv6_opts();", "", ()),
    ('reg0[5] = put_nd_ra_opts(addr_mode = "slaac", prefix = aef0::/64, slla = 0a:00:00:00:00:01);', "", ("ip6",)),
    ("reg0[4] = dns_lookup();", "", ("udp",)),
    ("reg9[7] = dhcp_relay_req_chk(192.168.1.1,172.16.1.1);",
     "reg9[7] = dhcp_relay_req_chk(192.168.1.1, 172.16.1.1);", ()),
    ("reg9[8] = dhcp_relay_resp_chk(192.168.1.1 172.16.1.1);",
     "reg9[8] = dhcp_relay_resp_chk(192.168.1.1, 172.16.1.1);", ()),
    ('log(severity=warning, verdict=allow, name="n");', 'log(name="n", verdict=allow, severity=warning);', ()),
    ('log(verdict=drop, meter="m");', 'log(verdict=drop, severity=info, meter="m");', ()),
    ("set_queue(0x10);", "set_queue(16);", ()),
    ("set_meter(5,6);", "set_meter(5, 6);", ()),
    ("set_meter(5);", "", ()),
    ("reg0[6] = check_pkt_larger(1500);", "", ()),
    ('fwd_group(liveness=true, childports="p1", "p2");', 'fwd_group(liveness="true", childports="p1", "p2");', ()),
    ('fwd_group(liveness="false",childports="p1");', 'fwd_group(childports="p1");', ()),
    ('trigger_event(event = "empty_lb_backends", vip = "10.0.0.1:80", protocol = "tcp");', "", ()),
    ("igmp;", "", ()),
    ('bind_vport("v", inport);', "", ()),
    ("handle_svc_check(inport);", "", ()),
    ("handle_dhcpv6_reply;", "", ()),
    ("handle_bfd_msg();", "", ()),
    ("reg0[0..15] = select(1, 2=5);", "reg0[0..15] = select(1=100, 2=5);", ()),
    (
        'reg0[0..15] = select(values=(1, 2=5); hash_fields="ip_src, tcp_dst");',
        'reg0[0..15] = select(values=(1=100, 2=5); hash_fields="ip_src,tcp_dst");',
        (),
    ),
    ("reg0[0] = chk_lb_hairpin();", "", ()),
    ("reg0[0] = chk_lb_hairpin_reply();", "", ()),
    ("reg0[15] = check_in_port_sec();", "", ()),
    ("reg0[15] = check_out_port_sec();", "", ()),
    ("reg9[5] = chk_ecmp_nh_mac();", "", ()),
    ("reg9[5] = chk_ecmp_nh();", "", ()),
    ("reg9[6] = chk_lb_aff();", "", ()),
    ('commit_ecmp_nh(ipv6 = "true", proto=tcp);', "commit_ecmp_nh(ipv6 = true, proto = tcp);", ("ip6", "tcp")),
    ('commit_lb_aff(vip = "[::1]:80", backend = "::2", proto = udp, timeout = 30);', "", ("ip6", "udp")),
    ('commit_lb_aff(vip = "10.0.0.1", backend = "10.0.0.2", timeout = 30);', "", ("ip4",)),
    ("sample(probability=5, obs_point=@cookie);",
     "sample(probability=5,collector_set=0,obs_domain=0,obs_point=$cookie);", ()),
]  # fmt: skip


@pytest.mark.parametrize(("text", "canonical", "prerequisites"), PAGE, ids=[row[0] for row in PAGE])
def test_the_page(text, canonical, prerequisites) -> None:
    actions = parse_actions(text)
    assert str(actions) == (canonical or text)
    assert actions.prerequisites == prerequisites
    assert parse_actions(str(actions)) == actions
    annotate(actions.prerequisite)


def test_the_page_has_every_action() -> None:
    page = " ".join(text for text, _, _ in PAGE)
    missing = [name for name in (*STATEMENTS, *FUNCTIONS) if f"{name}(" not in page and f"{name};" not in page]
    assert [name for name in missing if f"{name} {{" not in page and f"{name}{{" not in page] == []


def test_keywords_are_called_as_they_are_registered() -> None:
    bare = [name for name in STATEMENTS if any(text == f"{name};" for text, _, _ in PAGE)]
    for name in bare:
        action = parse_actions(f"{name};").actions[0]
        assert not isinstance(action, Keyword) or name == action.NAME
    assert len(bare) >= 10


def test_prerequisites_guard_the_match() -> None:
    assert guarded("a || b", ()) == "a || b"
    assert guarded("ip4 || ip6", ("tcp", "arp")) == "(ip4 || ip6) && tcp && arp"
    parse(guarded("ip4 // comment", ("tcp",)))


def test_the_older_commit_is_the_same_value() -> None:
    assert parse_actions("ct_commit(ct_mark=1);") == parse_actions("ct_commit { ct_mark = 1; };")
    assert parse_actions("ct_commit;").actions == (CtCommit(),)


def test_equal_text_is_parsed_once() -> None:
    assert parse_actions("next; output; reg0 = 77;") is parse_actions("next; output; reg0 = 77;")
    assert parse_actions("next;").actions == (Next(),)


@pytest.mark.parametrize("text", [row[0] for row in PAGE])
def test_statement_by_statement_is_the_same(text) -> None:
    quick = _parse_by_statement(text)
    whole = Cursor(text, _REGISTRY).actions("end")
    assert quick is None or quick == whole


def test_most_lists_are_parsed_by_statement() -> None:
    assert sum(_parse_by_statement(text) is not None for text, _, _ in PAGE) > len(PAGE) // 2
    for text in ("next; x", "drop; next;", 'outport = "a;b', "ct_commit { }; next;", "next; // all"):
        assert _parse_by_statement(text) is None
    (action,) = parse_actions('outport = "a; b{";').actions
    assert action.value.value == "a; b{"


# actions -> (what stands under the caret, part of the message)
WRONG = [
    ("next", "", "at end of input expecting `;'"),
    ("next;;", ";", "expecting action"),
    ("next; drop;", "drop", "expecting action"),
    ("drop; next;", "next", "expecting end of input"),
    ("foo;", "foo", "expecting action"),
    ("foo = 1;", "foo", "expecting field name"),
    ("reg0 == 1;", "reg0", "expecting action"),
    ("reg0 = 1", "", "expecting `;'"),
    ("reg0 = foo();", "foo", "expecting field name"),
    ("reg0[40] = 1;", "[40]", "Cannot select bits 40 to 40 of 32-bit field reg0."),
    ("reg0 = ip6.src;", "ip6.src", "Can't assign 128-bit value to 32-bit destination."),
    ("eth.src = outport;", "outport", "Can't assign string field (outport) to integer field (eth.src)."),
    ("eth.src <-> eth.type;", "eth.type", "16-bit"),
    ("eth.type = 5;", "eth.type", "not modifiable"),
    ("ip.proto = 5;", "ip.proto", "not modifiable"),
    ("ct_mark = 5;", "ct_mark", "not modifiable"),
    ("pop(ct_mark);", "ct_mark", "not modifiable"),
    ("ip4 = 1;", "ip4", "Predicate symbol ip4 used where lvalue required."),
    ("eth.dst = ip4;", "ip4", "Predicate"),
    ("reg0 = icmp4.frag_mtu;", "icmp4.frag_mtu", "Can't assign 16-bit value"),
    ("reg0[0..15] = icmp4.frag_mtu;", "icmp4.frag_mtu", "constants only"),
    ("icmp4.frag_mtu = 70000;", "70000", "17-bit constant"),
    ("outport = 5;", "5", "String field outport is not compatible with integer constant."),
    ('reg0 = "x";', '"x"', "Integer field reg0"),
    ("reg0 = $set;", "$set", "expecting constant"),
    ("outport = @pg;", "@pg", "expecting constant"),
    ("eth.src--;", "eth.src", "expecting action"),
    ("ip.ttl++;", "+", "Invalid character"),
    ("next(5, 6);", ",", "expecting `)'"),
    ("next(pipeline=foo);", "foo", 'expecting "ingress" or "egress"'),
    ("clone;", ";", "expecting `{'"),
    ("clone { next;", "", "expecting `}'"),
    ("clone { nosuch; };", "nosuch", "expecting action"),
    ("ct_commit { ip4.dst = 1.2.3.4; };", "ip4.dst", "not modifiable"),
    ("ct_commit { ct_mark = eth.src; };", "eth.src", "Can't assign 48-bit value to 32-bit destination."),
    ("ct_commit { next; };", "next", "expecting field name"),
    ("ct_commit(ct_zone=5);", "ct_zone", "expecting `ct_mark' or `ct_label'"),
    ("ct_next(both);", "both", 'expecting "dnat" or "snat"'),
    ("ct_commit_to_zone;", ";", "expecting `('"),
    ("reg0 = ct_tp_dst();", "reg0", "Cannot use 32-bit field"),
    ("ct_dnat(foo);", "foo", "expecting IPv4 or IPv6 address"),
    ("ct_dnat(10.0.0.1, 0);", "0", "range can't be 0"),
    ("ct_dnat(10.0.0.1, 5-3);", "3", "range high"),
    ("ct_dnat(10.0.0.1, 70000);", "70000", "expecting small integer"),
    ("ct_lb_mark(backends=10.0.0.2:80", "", "expecting `)'"),
    ("ct_lb_mark_local(backends=10.0.0.2:80);", "10.0.0.2", "expecting logical port name"),
    ('ct_lb_mark_local(backends="p1");', ")", "expecting `:'"),
    ("ct_lb_mark(backends=foo);", "foo", "expecting IP address"),
    ("ct_lb_mark(backends=10.0.0.2; foo);", "foo", "expecting skip_snat or force_snat"),
    ("get_arp(reg0, reg0);", "reg0", "Cannot use numeric field reg0 where string field is required."),
    ("get_arp(outport, reg0[0..3]);", "reg0[0..3]", "Cannot use 4-bit field reg0[0..3] where 32-bit"),
    ("put_arp(inport, reg0);", ")", "expecting `,'"),
    ("reg0 = lookup_fdb(inport, eth.src);", "reg0", "Cannot use 32-bit field reg0 where 1-bit field is required."),
    ("reg0 = get_fdb(eth.src);", "reg0", "string field is required"),
    ("outport = get_fdb(ip4.src);", "ip4.src", "48-bit field is required"),
    ("lookup_fdb(inport, eth.src);", "lookup_fdb", "expecting action"),
    ("reg1[0..3] = put_dhcp_opts(offerip=1.2.3.4);", "reg1[0..3]", "where 1-bit field is required"),
    ("reg1[0] = put_dhcp_opts(router=1.2.3.4);", "(router=1.2.3.4)", "requires offerip"),
    ('reg1[0] = put_nd_ra_opts(addr_mode = "slaac", slla = 0a:00:00:00:00:01);', None, "prefix option needs to be set"),
    ("reg1[0] = put_nd_ra_opts();", "()", "slla option not present"),
    (
        f'reg1[0] = put_nd_ra_opts(slla = 0a:00:00:00:00:01, prefix = aef0::/64, dnssl = "{"a.bc," * 500}a.bc");',
        None, "Invalid router advertisement",
    ),
    ("reg1[0] = dns_lookup(foo);", "foo", "doesn't take any parameters"),
    ("reg9[7..8] = dhcp_relay_req_chk(192.168.1.1, 172.16.1.1);", "reg9[7..8]", "1-bit field is required"),
    ('reg9[7] = dhcp_relay_req_chk("192.168.1.1", "172.16.1.1");', '"192.168.1.1"', "expecting IPv4 relay and server"),
    ("reg9[7] = dhcp_relay_req_chk(192.168.1.1);", ")", "expecting IPv4 dhcp server ip"),
    ("reg9[8] = dhcp_relay_resp_chk(fd00::1, 172.16.1.1);", "fd00::1", "expecting IPv4"),
    ("reg9[8] = dhcp_relay_resp_chk(10.0.0.0/8, 172.16.1.1);", "10.0.0.0/8", "expecting IPv4"),
    ("set_queue(61441);", "61441", "not in valid range 0 to 61440"),
    ("set_meter(0);", "0", "Rate 0"),
    ("clone { set_meter(5); };", "(", "set_meter cannot stand"),
    ("log();", ";", "expecting verdict"),
    ("log(verdict=deny);", "deny", "unknown verdict"),
    ("reg0[0..1] = select(1, 2);", "reg0[0..1]", "at least 16 bits"),
    ("reg0 = select(1);", ";", "at least 2 group members"),
    ("reg0 = select(1=0, 2);", "0", "weight can't be 0"),
    ('ct_lb_mark(backends=10.0.0.1; hash_fields="ip_src,colour");', '"ip_src,colour"', "no field 'colour'"),
    ('reg0 = select(values=(1, 2); hash_fields="colour");', '"colour"', "no field 'colour'"),
    ("bind_vport(x, inport);", "x", "expecting port name string"),
    ("fwd_group(childports=eth0);", "eth0", "expecting logical switch port"),
    ('commit_lb_aff(vip = "x", backend = "::2", timeout = 3);', '"x"', "Invalid"),
    ('commit_lb_aff(vip = "::1", backend = "1.2.3.4", timeout = 3);', None, "different IP versions"),
    ("sample(collector_set=5);", "(collector_set=5)", "probability must be greater than zero"),
    ("clone { " * 40, "{", "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "culprit", "message"), WRONG, ids=[row[0][:50] for row in WRONG])
def test_mistakes_are_named_and_pointed_at(text, culprit, message) -> None:
    with pytest.raises(LangError) as caught:
        parse_actions(text)
    error = caught.value
    assert message in error.message
    if culprit is not None:
        assert error.text[error.start : error.end] == culprit
    assert "^" in str(error)
