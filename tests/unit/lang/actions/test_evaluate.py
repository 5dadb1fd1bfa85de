from __future__ import annotations

import pytest

from ovenbird.lang.actions import Check, Machine, Translation, Zone, parse_actions, run
from ovenbird.pipeline.stages import Pipeline

IP4, IP6, ARP = 0x0800, 0x86DD, 0x0806
A, B, C = 0x0A0000000001, 0x0A0000000002, 0x0A0000000003
IP_A, IP_B = 0x0A000001, 0x0A000002


def perform(machine: Machine, text: str) -> bool:
    return run(parse_actions(text).actions, machine)


def test_the_recorder_of_the_tests_has_the_protocol_of_machines(machine) -> None:
    it: Machine = machine()
    assert it.packet["eth_src"] == 0


def test_next_and_output_run_in_order_on_the_packet_as_it_is(machine) -> None:
    it = machine()
    assert perform(it, 'reg0 = 1; next; outport = "p2"; output; reg0 = 2; next(pipeline=egress, table=4);')
    assert [(entry[0], entry[-1]["reg0"], entry[-1]["reg15"]) for entry in it.log] == [
        ("next", 1, 0), ("output", 1, 2), ("next", 2, 2),
    ]  # fmt: skip
    assert it.log[2][1:3] == (Pipeline.EGRESS, 4)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("reg0 = 5;", "reg0", 5),
        ("reg0[4..7] = 0xa;", "reg0", 0xFFFFFFAF),
        ("reg0[0..3] = 16;", "reg0", 0xFFFFFFF0),
        ("reg0 = 0x5/0xf;", "reg0", 0xFFFFFFF5),
        ("reg0[8] = 0;", "reg0", 0xFFFFFEFF),
        ("xreg0 = 1;", "reg1", 1),
        ("xxreg0[0..31] = 7;", "reg3", 7),
        ('inport = "p2";', "reg14", 2),
        ('inport = "";', "reg14", 0),
        ('outport = "nosuch";', "reg15", 0),
        ("eth.dst = eth.src;", "eth_dst", A),
        ("ip4.src = 10.0.0.0/8;", "ip_src", 0x0A000001),
        ("vlan.vid = 5;", "vlan_tci", 0x1005),
    ],
)
def test_assignments(machine, text, name, value) -> None:
    it = machine(
        reg0=0xFFFFFFFF, reg14=1, reg15=1, eth_src=A, eth_dst=B, eth_type=IP4, ip_src=0xC0000001, vlan_tci=0x1000
    )
    assert perform(it, text)
    assert it.packet[name] == value


def test_exchange_and_stack(machine) -> None:
    it = machine(eth_src=A, eth_dst=B, reg0=0x1234, reg1=0)
    assert perform(it, "eth.src <-> eth.dst; push(reg0); pop(reg1[0..7]); reg0[0..7] <-> reg0[8..15];")
    assert (it.packet["eth_src"], it.packet["eth_dst"]) == (B, A)
    assert (it.packet["reg1"], it.packet["reg0"]) == (0x34, 0x3412)
    assert perform(it, "pop(reg1);")
    assert it.packet["reg1"] == 0x34, "an empty stack changes nothing"


def test_an_expired_ttl_ends_the_list_of_actions_but_not_an_outer_one(machine) -> None:
    it = machine(nw_ttl=2)
    assert perform(it, "ip.ttl--; next;")
    assert it.packet["nw_ttl"] == 1
    assert not perform(it, "ip.ttl--; next;")
    assert perform(it, "clone { ip.ttl--; output; }; next;")
    assert [entry[0] for entry in it.log if entry[0] != "note"] == ["next", "next"]


def test_changes_in_a_clone_do_not_affect_the_packet(machine) -> None:
    it = machine(reg0=1, reg15=1)
    assert perform(it, 'clone { outport = "p2"; reg0 = 9; output; }; next;')
    assert it.log[0][-1]["reg15"] == 2
    assert it.log[1][-1]["reg0"] == 1


@pytest.mark.parametrize(("is_switch", "zone"), [(True, Zone.PORT), (False, Zone.DNAT)])
def test_ct_next_goes_on_with_a_copy(machine, is_switch, zone) -> None:
    it = machine(is_switch=is_switch)
    it.tracked = {"ct_state": 0x22, "ct_mark": 1}
    assert perform(it, "ct_next; output;")
    assert it.log[0] == ("track", zone, None)
    assert it.log[1][-1]["ct_state"] == 0x22
    assert it.log[2][-1]["ct_state"] == 0, "what follows does not see the connection"


def test_ct_commit_says_which_bits_it_sets(machine) -> None:
    it = machine(reg0=0xABCD, reg3=0x11223344)
    assert perform(it, "ct_commit { ct_mark.blocked = 1; ct_mark[16..31] = reg0[0..15]; ct_label.label = reg3; };")
    assert it.log == [
        ("commit", Zone.PORT, None, (0xABCD0001, 0xFFFF0001), (0x11223344 << 96, 0xFFFFFFFF << 96)),
    ]
    perform(it, "ct_commit(ct_mark=1/3, ct_label=0x5);")
    assert it.log[1][3:] == ((1, 3), (5, (1 << 128) - 1))


def test_translation(machine) -> None:
    it = machine()
    assert perform(
        it, "ct_snat(10.0.0.5, 1000-2000); ct_dnat; ct_lb_mark(backends=10.0.0.2:80,[fd00::1]:81; skip_snat);"
    )
    commits = [entry for entry in it.log if entry[0] in {"commit", "track"}]
    source = Translation(source=True, address=0x0A000005, port=1000, port_max=2000)
    assert commits[0] == ("commit", Zone.SNAT, source, (0, 0), (0, 0))
    assert commits[1] == ("track", Zone.DNAT, Translation())
    assert commits[2] == ("commit", Zone.PORT, Translation(address=0x0A000002, port=80), (6, 6), (0, 0))


def test_ct_lb_mark_local_considers_every_backend_local_in_a_trace(machine) -> None:
    it = machine()
    it.choice = 1
    assert perform(it, 'ct_lb_mark_local(backends="p1":10.0.0.2:80,"elsewhere":10.0.0.3:81);')
    (commit,) = [entry for entry in it.log if entry[0] == "commit"]
    assert commit[2] == Translation(address=0x0A000003, port=81)


def test_ct_clear_clears_state_and_mark(machine) -> None:
    it = machine(ct_state=0x22, ct_mark=5)
    assert perform(it, "ct_clear;")
    assert (it.packet["ct_state"], it.packet["ct_mark"]) == (0, 0)


def test_neighbours(machine) -> None:
    it = machine(reg14=1, reg15=1, arp_spa=IP_A, arp_sha=A, eth_dst=B, ip_dst=IP_A, eth_src=A)
    perform(it, "reg9[2] = lookup_arp(inport, arp.spa, arp.sha); get_arp(outport, ip4.dst);")
    assert (it.packet["reg9"], it.packet["eth_dst"]) == (0, 0)
    perform(it, "put_arp(inport, arp.spa, arp.sha); get_arp(outport, ip4.dst);")
    assert it.packet["eth_dst"] == A
    perform(it, "reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = lookup_arp_ip(inport, ip4.dst);")
    assert it.packet["reg9"] == 0b1100
    perform(it, "reg9[2] = lookup_arp(inport, arp.spa, eth.dst);")
    assert it.packet["reg9"] == 0b1100
    perform(it, "arp.sha = 0a:00:00:00:00:03; reg9[2] = lookup_arp(inport, arp.spa, arp.sha);")
    assert it.packet["reg9"] == 0b1000


def test_learned_addresses(machine) -> None:
    it = machine(reg14=1, eth_src=A, eth_dst=B)
    perform(it, "reg0[0] = lookup_fdb(inport, eth.src); outport = get_fdb(eth.src);")
    assert (it.packet["reg0"], it.packet["reg15"]) == (0, 0)
    perform(it, "put_fdb(inport, eth.src); reg0[0] = lookup_fdb(inport, eth.src); outport = get_fdb(eth.src);")
    assert (it.packet["reg0"], it.packet["reg15"]) == (1, 1)


def test_checks_and_services(machine) -> None:
    it = machine()
    it.true = {Check.IN_PORT_SEC}
    perform(it, "reg0[15] = check_in_port_sec(); reg0[14] = check_out_port_sec();")
    assert it.packet["reg0"] == 1 << 15
    it.answering = True
    perform(it, "reg0[3] = put_dhcp_opts(offerip = 10.0.0.2); reg0[15] = dns_lookup();")
    assert it.packet["reg0"] == 1 << 15 | 1 << 3
    it.answering = False
    perform(it, "reg0[3] = put_dhcp_opts(offerip = 10.0.0.2);")
    assert it.packet["reg0"] == 1 << 15


def made(it: object, text: str) -> object:
    assert perform(it, text)
    assert it.packet["reg9"] == 0, "the packet itself is restored"
    return it.log[-1][-1]


def test_arp_request(machine) -> None:
    it = machine(eth_type=IP4, eth_src=A, eth_dst=B, ip_src=IP_A, ip_dst=IP_B, nw_proto=6, tcp_dst=80)
    request = made(it, "arp { reg9 = 1; eth.dst = ff:ff:ff:ff:ff:ff; output; };")
    expected = {
        "eth_type": ARP, "arp_op": 1, "arp_sha": A, "arp_spa": IP_A, "arp_tpa": IP_B, "arp_tha": 0,
        "eth_dst": 0xFFFFFFFFFFFF, "tcp_dst": 0, "nw_proto": 0, "ip_src": 0,
    }  # fmt: skip
    assert {name: request[name] for name in expected} == expected


def test_neighbour_discovery(machine) -> None:
    target = 0xFE800000000000000000000000123456
    it = machine(eth_type=IP6, eth_src=A, eth_dst=B, ipv6_src=1, ipv6_dst=target, nw_proto=17)
    ns = made(it, "nd_ns { reg9 = 1; output; };")
    assert (ns["icmpv6_type"], ns["nd_target"], ns["nd_sll"]) == (135, target, A)
    assert (ns["ipv6_dst"], ns["eth_dst"]) == (0xFF0200000000000000000001FF123456, 0x3333FF123456)
    it = machine(eth_type=IP6, eth_src=A, eth_dst=B, ipv6_src=1, nd_target=target, nw_proto=58, icmpv6_type=135)
    na = made(it, "nd_na { reg9 = 1; output; };")
    assert (na["icmpv6_type"], na["nd_target"], na["nd_tll"], na["eth_dst"]) == (136, target, B, A)
    assert (na["ipv6_src"], na["ipv6_dst"]) == (target, 1)


def test_errors_and_resets(machine) -> None:
    ip = {"eth_type": IP4, "eth_src": A, "eth_dst": B, "ip_src": IP_A, "ip_dst": IP_B}
    unreachable = made(machine(**ip, nw_proto=17), "icmp4 { reg9 = 1; output; };")
    assert [unreachable[n] for n in ("nw_proto", "icmp_type", "icmp_code", "ip_src")] == [1, 3, 1, IP_A]
    reset = made(machine(**ip, nw_proto=6, tcp_src=5, tcp_dst=80), "reject { reg9 = 1; output; };")
    assert [reset[n] for n in ("ip_src", "eth_src", "tcp_src", "tcp_dst")] == [IP_B, B, 80, 5]
    reset = made(machine(**ip, nw_proto=6, tcp_src=5, tcp_dst=80, tcp_flags=2), "tcp_reset { reg9 = 1; output; };")
    assert [reset[n] for n in ("ip_src", "eth_src", "tcp_src", "tcp_flags")] == [IP_A, A, 80, 0x14]
    abort = made(machine(**ip, nw_proto=132, sctp_src=5, sctp_dst=80), "sctp_abort { reg9 = 1; output; };")
    assert [abort[n] for n in ("ip_src", "sctp_src", "sctp_dst")] == [IP_A, 80, 5]
    port = made(machine(**ip, nw_proto=17), "reject { reg9 = 1; output; };")
    assert [port[n] for n in ("ip_src", "icmp_type", "icmp_code")] == [IP_B, 3, 3]
    six = {"eth_type": IP6, "ipv6_src": 1, "ipv6_dst": 2}
    port = made(machine(**six, nw_proto=17), "reject { reg9 = 1; output; };")
    assert [port[n] for n in ("ipv6_src", "icmpv6_type", "icmpv6_code")] == [2, 1, 4]


def test_choices(machine) -> None:
    it = machine()
    it.choice = 1
    perform(it, 'reg0[0..15] = select(7=10, 9=20); fwd_group(childports="nosuch", "p1", "p2");')
    assert it.log[0][0] == "next"
    assert it.log[0][-1]["reg0"] == 9
    assert it.log[1][-1]["reg15"] == 2
    assert it.packet["reg0"] == 0


def test_reports_leave_the_packet_alone(machine) -> None:
    it = machine(reg14=1)
    before = it.packet.copy()
    perform(it, 'log(verdict=drop, name="x"); igmp; set_queue(5); set_meter(1); sample(probability=5); ct_snat_to_vip;')
    assert it.packet == before
    assert [entry[0] for entry in it.log] == ["note"] * 6
