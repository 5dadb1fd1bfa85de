from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovenbird.lang.actions import Context, Opcode, Userdata, parse_actions, run
from ovenbird.lang.actions.report import Log, TriggerEvent
from ovenbird.lang.actions.services import decode_dhcp4, decode_dhcp6
from ovenbird.lang.actions.userdata import WITH_ACTIONS, WITH_RESULT
from ovenbird.lang.dhcp_options import compressed_domains
from ovenbird.lang.errors import FieldError, LangError, UnknownNameError
from ovenbird.lang.templates import action as stencils_module
from ovenbird.lang.templates.action import ActionTemplates
from ovenbird.openflow.actions import (
    Controller,
    Group,
    LearnLoad,
    Meter,
    Nat,
    Resubmit,
    SetField,
    decode_actions,
    encode_actions,
)
from ovenbird.openflow.errors import DecodeError
from ovenbird.openflow.fields import FIELDS, Subfield
from ovenbird.openflow.instructions import ApplyActions
from ovenbird.pipeline.openflow_tables import OFTable
from ovenbird.pipeline.stages import Pipeline


def message(place: object, text: str) -> Userdata:
    (controller,) = parse_actions(text).encode(place())
    assert isinstance(controller, Controller)
    return Userdata.decode(controller.userdata)


def test_the_context_of_the_tests_has_the_protocol_of_contexts(place) -> None:
    it: Context = place()
    assert it.table == 3


@pytest.mark.parametrize(
    ("text", "userdata"),
    [
        ("reg9[7] = dhcp_relay_req_chk(192.168.1.1, 172.16.1.1);",
         "0000001c00000000 80010808 00000007 c0a80101 ac100101"),
        ("reg9[8] = dhcp_relay_resp_chk(192.168.1.1, 172.16.1.1);",
         "0000001d00000000 80010808 00000008 c0a80101 ac100101"),
    ],
)  # fmt: skip
def test_relaying_is_told_the_controller_as_by_newer_ovn(place, text, userdata) -> None:
    """Debian's 23.03 has no such actions to compare with; the bytes are what OVN 25.03 installs."""
    (controller,) = parse_actions(text).encode(place())
    assert controller.pause
    assert controller.userdata == bytes.fromhex(userdata)


@pytest.mark.parametrize(
    ("pipeline", "text", "table"),
    [
        (Pipeline.INGRESS, "next;", 12),
        (Pipeline.INGRESS, "next(0);", 8),
        (Pipeline.INGRESS, "next(pipeline=egress);", 46),
        (Pipeline.EGRESS, "next;", 46),
        (Pipeline.EGRESS, "next(pipeline=ingress, table=0);", 8),
        (Pipeline.INGRESS, "output;", 37),
        (Pipeline.EGRESS, "output;", 64),
    ],
)
def test_next_resubmits_to_the_table_of_the_stage(place, pipeline, text, table) -> None:
    assert parse_actions(text).encode(place(pipeline)) == [Resubmit(table)]


def test_next_beyond_the_last_table_is_an_error(place) -> None:
    """Of ingress, the stages that OVN 23.03 has no room for are behind all other tables."""
    assert parse_actions("next;").encode(place(table=27)) == [Resubmit(36)]
    assert parse_actions("next;").encode(place(table=28)) == [Resubmit(OFTable.LOG_INGRESS_REST)]
    assert parse_actions("next(pipeline=ingress, table=32);").encode(place(Pipeline.EGRESS)) == [Resubmit(93)]
    for beyond in (place(table=32), place(Pipeline.EGRESS, table=21)):
        for text in ("next;", "ct_next;", "next(200);"):
            with pytest.raises(FieldError, match="has no table"):
                parse_actions(text).encode(beyond)


@pytest.mark.parametrize(
    ("text", "switch", "router"),
    [
        ("ct_next(snat);", "ct(table=12,zone=reg13)", "ct(table=12,zone=reg12)"),
        ("ct_next(dnat);", "ct(table=12,zone=reg13)", "ct(table=12,zone=reg11)"),
        ("ct_commit_nat(snat);", "ct(commit,table=12,zone=reg13,nat)", "ct(commit,table=12,zone=reg12,nat)"),
        ("ct_commit_to_zone(snat);", "ct(commit,table=12,zone=reg13)", "ct(commit,table=12,zone=reg12)"),
        ("ct_commit_to_zone(dnat);", "ct(commit,table=12,zone=reg13)", "ct(commit,table=12,zone=reg11)"),
    ],
)
def test_a_zone_that_is_named_is_a_router_s(place, text, switch, router) -> None:
    """Debian's 23.03 has no such actions to compare with; the zones are those that OVN 25.03 installs."""

    def shown(is_switch: bool) -> str:
        (ct,) = parse_actions(text).encode(place(is_switch=is_switch))
        zone = f"reg{ct.zone.field.name.removeprefix('reg')}"
        return f"ct({'commit,' * ct.commit}table={ct.table},zone={zone}{',nat' * (Nat() in ct.actions)})"

    assert (shown(True), shown(False)) == (switch, router)


def test_the_first_destination_of_a_connection_comes_by_a_register_of_its_own(place) -> None:
    """As OVN 25.03 does it, except that a result is not moved to where it is."""
    for text, register, table in (
        ("reg4 = ct_nw_dst();", Subfield.of("xxreg0", ofs=64, n_bits=32), 81),
        ("xxreg0 = ct_ip6_dst();", Subfield.of("xxreg1"), 82),
        ("reg9[16..31] = ct_tp_dst();", Subfield.of("xxreg0", ofs=32, n_bits=16), 83),
    ):
        clear, call, move = parse_actions(text).encode(place())
        assert (clear, call) == (SetField.bits(register, 0), Resubmit(table))
        assert move.src == register
    assert parse_actions("reg2[0..15] = ct_tp_dst();").encode(place())[-1] == Resubmit(83)
    for text in ("reg4[0..15] = ct_nw_dst();", "reg4 = ct_nw_dst(1);", "reg4 = ct_tp_dst();"):
        with pytest.raises(LangError):
            parse_actions(text)


def test_a_packet_that_is_to_go_on_waits_for_its_next_hop(place) -> None:
    """In flows of OVN 25.03 its output follows the question; in those of 23.03 nothing does."""
    for text in ("arp { output; };", "nd_ns { nd.target = xxreg0; output; };"):
        (alone,) = parse_actions(text).encode(place())
        waits, output = parse_actions(f"{text} output;").encode(place())
        assert isinstance(alone, Controller)
        assert waits == dataclasses.replace(alone, pause=True) != alone
        assert output == Resubmit(37)
    first, _ = parse_actions("icmp4 { output; }; output;").encode(place())
    assert not first.pause


def test_flows_of_newer_releases_find_a_client_s_backend_in_other_registers(place) -> None:
    text = 'commit_lb_aff(vip = "[fd00::1]:80", backend = "[fd00::2]:8080", proto = tcp, timeout = 30);'

    def written(**changes: bool) -> list[str]:
        here = place()
        for name, value in changes.items():
            setattr(here, name, value)
        (learn,) = parse_actions(text).encode(here)
        return [str(spec.dst.field.name) for spec in learn.specs if isinstance(spec, LearnLoad)]

    assert written() == ["reg10", "xxreg0", "reg8"]
    assert written(consolidates_registers=True) == ["reg10", "xxreg1", "reg2"]


def test_a_sample_whose_point_is_in_a_field_is_left_out(place) -> None:
    """Open vSwitch knows such samples since 3.4, and northd makes them where all chassis say that they can."""
    text = "sample(probability=65535,collector_set=7,obs_domain=43,obs_point=ct_label.obs_point_id);"
    assert str(parse_actions(text)) == text
    assert parse_actions(text).encode(place()) == []
    assert parse_actions(text.replace("ct_label.obs_point_id", "5")).encode(place()) != []


def test_instructions(place) -> None:
    assert parse_actions("drop;").instructions(place()) == []
    assert parse_actions("set_meter(10, 5); next;").instructions(place()) == [ApplyActions((Meter(15), Resubmit(12)))]


def test_dhcp_options_reach_the_controller(place) -> None:
    text = (
        'reg0[3] = put_dhcp_opts(offerip = 10.0.0.2, router = 10.0.0.1, bootfile_name = "b", mtu = 1442, '
        "routes = {10.1.0.0/16, 10.0.0.1, 0.0.0.0/0, 10.0.0.254}, flag = 1, tftp = 10.0.0.9);"
    )
    got = message(place, text)
    assert (got.opcode, got.result) == (Opcode.PUT_DHCP_OPTS, Subfield.of("xxreg0", ofs=99, n_bits=1))
    offer, options = decode_dhcp4(got.payload)
    assert offer == 0x0A000002
    assert options == (
        (67, b"b"),
        (3, bytes([10, 0, 0, 1])),
        (26, bytes([5, 162])),
        (121, bytes([16, 10, 1, 10, 0, 0, 1, 0, 10, 0, 0, 254])),
        (19, b"\1"),
        (66, bytes([10, 0, 0, 9])),
    )
    six = message(place, 'reg0[3] = put_dhcpv6_opts(server_id = 0a:00:00:00:00:01, ia_addr = aef0::4, fqdn = "a.b");')
    assert decode_dhcp6(six.payload) == (
        (2, bytes.fromhex("0a0000000001")),
        (5, bytes.fromhex("aef0" + "0" * 27 + "4")),
        (39, b"\1a\1b\0"),
    )


@pytest.mark.parametrize(
    ("option", "error", "says"),
    [
        ("nosuch = 5", UnknownNameError, "no DHCPv4 option nosuch"),
        ('router = "x"', FieldError, "requires numeric value"),
        ("domain_name = 5", FieldError, "requires string value"),
        ("mtu = 70000", FieldError, "takes 16 bits"),
        ("odd = 5", FieldError, "unknown type"),
        ("routes = {10.0.0.0/8}", FieldError, "pairs"),
        ("routes = {10.0.0.0/8, 5}", FieldError, "pairs"),
        ('search = "a..b"', FieldError, "Invalid domain"),
        (f'domain_name = "{"x" * 256}"', FieldError, "longer than 255"),
    ],
)
def test_impossible_dhcp_options(place, option, error, says) -> None:
    actions = parse_actions(f"reg0[3] = put_dhcp_opts(offerip = 10.0.0.2, {option});")
    with pytest.raises(error, match=says):
        actions.encode(place())


def test_compressed_domains_share_tails() -> None:
    assert compressed_domains("ovn.org,a.ovn.org,org") == b"\3ovn\3org\0\1a\xc0\0\xc0\4"


def test_reports_are_read_back(place) -> None:
    for text in ('log(verdict=reject, severity=alert, name="n");', "log(verdict=allow, severity=info);"):
        assert f"{Log.decode(message(place, text).payload)}" == str(parse_actions(text)).replace(', meter="m"', "")
    event = 'trigger_event(event = "empty_lb_backends", vip = "10.0.0.1:80", load_balancer = "x");'
    assert (TriggerEvent.decode(message(place, event).payload),) == parse_actions(event).actions
    assert message(place, 'bind_vport("p2", inport);').payload == bytes([0, 0, 0, 2])
    with pytest.raises(DecodeError):
        Log.decode(b"\x09\x09")


def test_nested_actions_are_read_back(place) -> None:
    inner = parse_actions('eth.dst = eth.src; outport = "p2"; clone { next; }; icmp4.frag_mtu = 1500; output;')
    got = message(place, f"icmp4 {{ {inner} }};")
    assert got.opcode is Opcode.ICMP
    assert encode_actions(got.actions) == encode_actions(inner.encode(place()))


def test_a_meter_of_the_flow_and_of_the_log(place) -> None:
    here = place()
    here.controller_meter = 9
    assert parse_actions("igmp;").encode(here)[0].meter_id == 9
    assert parse_actions('log(verdict=drop, meter="m");').encode(here)[0].meter_id == 3
    assert parse_actions("log(verdict=drop);").encode(here)[0].meter_id == 0


def test_an_empty_name_and_an_empty_meter_of_a_log_are_there() -> None:
    text = 'log(name="", verdict=drop, severity=info, meter="");'
    assert str(parse_actions(text)) == text
    assert str(parse_actions("log(verdict=drop);")) == "log(verdict=drop, severity=info);"


def test_samples_go_to_sets_that_exist(place) -> None:
    (sample,) = parse_actions("sample(probability=5,collector_set=7,obs_domain=2,obs_point=$cookie);").encode(place())
    assert (sample.obs_domain_id, sample.obs_point_id) == (0x02000005, 0x12345678)
    assert parse_actions("sample(probability=5,collector_set=8);").encode(place()) == []


def test_groups_are_shared_by_what_they_do(place) -> None:
    here = place()
    text = "ct_lb_mark(backends=10.0.0.1:80,10.0.0.2:80);"
    first, second = parse_actions(text).encode(here), parse_actions(text).encode(here)
    assert first == second == [Group(1)]
    assert [bucket.weight for spec in here.groups for bucket in spec.buckets] == [100, 100]
    here.table = 4
    assert parse_actions(text).encode(here) == [Group(2)], "the next table is another"


def test_only_local_backends_are_chosen(place) -> None:
    here = place()
    text = 'ct_lb_mark_local(backends="p1":10.0.0.1:80,"p2":10.0.0.2:80,"p3":10.0.0.3:80);'
    assert parse_actions(text).encode(here) == [Group(1)]
    assert parse_actions("ct_lb_mark(backends=10.0.0.1:80);").encode(here) == [Group(1)], "p1 is the one that is here"
    here.local = {"p2", "p3"}
    assert parse_actions(text).encode(here) == [Group(2)]
    assert len(list(here.groups)[1].buckets) == 2
    here.local = set()
    assert parse_actions(text).encode(here) == [], "which drops the packet"


@given(st.binary(max_size=40))
def test_any_bytes_are_userdata_or_refused(data) -> None:
    try:
        got = Userdata.decode(data)
    except DecodeError:
        return
    if got.opcode not in WITH_RESULT:
        assert got.encode()[8:] == data[8:]
    for decode in (decode_dhcp4, decode_dhcp6, Log.decode, TriggerEvent.decode):
        try:
            decode(got.payload)
        except DecodeError:
            continue


# Hypothesis: lists of actions of every shape.
NUMBERS = st.integers(0, 255)
REGISTERS = st.sampled_from([f"reg{n}" for n in range(10)])
BITS = st.builds(lambda name, bit: f"{name}[{bit}]", REGISTERS, st.integers(0, 31))
PORTS = st.sampled_from(["inport", "outport"])
MACS = st.sampled_from(["eth.src", "eth.dst", "arp.sha"])
WORDS = REGISTERS | st.sampled_from(["ip4.src", "arp.spa", "xreg0[32..63]"])
LEAVES = st.one_of(
    st.sampled_from(["next;", "output;", "ct_next;", "ct_clear;", "ip.ttl--;", "igmp;", "ct_lb;", "ct_commit { };"]),
    st.builds("next(pipeline={}, table={});".format, st.sampled_from(list(Pipeline)), st.integers(0, 21)),
    st.builds("{} = {};".format, REGISTERS, NUMBERS),
    st.builds("{} = {:#x}/0xff;".format, REGISTERS, NUMBERS),
    st.builds("{}[0..7] = {};".format, REGISTERS, NUMBERS),
    st.builds('{} = "{}";'.format, PORTS, st.sampled_from(["p1", "p2", "", "nosuch"])),
    st.builds("{} = {};".format, REGISTERS, WORDS),
    st.builds("{} <-> {};".format, MACS, MACS),
    st.builds("push({}); pop({});".format, REGISTERS, REGISTERS),
    st.builds("get_arp({}, {});".format, PORTS, WORDS),
    st.builds("put_arp({}, {}, {});".format, PORTS, WORDS, MACS),
    st.builds("{} = lookup_arp({}, {}, {});".format, BITS, PORTS, WORDS, MACS),
    st.builds("{} = lookup_fdb({}, {});".format, BITS, PORTS, MACS),
    st.builds("{} = get_fdb({});".format, PORTS, MACS),
    st.builds("{} = check_in_port_sec();".format, BITS),
    st.builds("{} = put_dhcp_opts(offerip = 10.0.0.{}, mtu = {});".format, BITS, NUMBERS, NUMBERS),
    st.builds("ct_commit {{ ct_mark[0..7] = {}; ct_label[{}] = 1; }};".format, NUMBERS, st.integers(0, 127)),
    st.builds("ct_commit {{ ct_mark = {}; }};".format, REGISTERS),
    st.builds("ct_snat(10.0.0.{});".format, NUMBERS),
    st.builds("{}[0..15] = select(1={}, 2);".format, REGISTERS, st.integers(1, 255)),
)
BLOCKS = ("clone", "arp", "nd_na", "icmp4", "icmp6", "tcp_reset", "reject")
LISTS = st.recursive(
    st.lists(LEAVES, max_size=4).map(" ".join),
    lambda inner: st.builds("{} {{ {} }}; {}".format, st.sampled_from(BLOCKS), inner, inner),
    max_leaves=4,
)


@given(text=LISTS, is_switch=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_formatting_and_encoding_lose_nothing(place, machine, text, is_switch) -> None:
    actions = parse_actions(text)
    assert parse_actions(str(actions)) == actions
    encoded = encode_actions(actions.encode(place(is_switch=is_switch)))
    assert encode_actions(decode_actions(encoded)) == encoded
    for action in decode_actions(encoded):
        if isinstance(action, Controller):
            got = Userdata.decode(action.userdata)
            assert got.encode() == action.userdata
            if got.opcode in WITH_ACTIONS:
                assert encode_actions(got.actions) == got.payload
    it = machine(is_switch=is_switch, eth_type=0x0800, nw_ttl=64)
    run(actions.actions, it)
    for name, value in it.packet.values.items():
        assert 0 <= value <= FIELDS[name].mask


SHARED = ActionTemplates()  # lives through all examples, so that texts meet the templates of others
EDGES = [
    'reg0 = "p1";', "reg0[0..7] = 300;", "reg0 = 99999999999;", "inport = 5;", "ip4.src = 10.0.0;", "igmp;",
    "eth.dst = 10.0.0.1;", 'log(name="reg0 = 5;");', 'bind_vport("p1", inport); outport = "p2";', "reg8[4..11] = 77;",
    "icmp4 { icmp4.type = 11; icmp4.frag_mtu = 9; ip4.src = 10.0.0.7 ; output; };", "icmp4.frag_mtu = 1500;",
    "set_meter(5); reg0 = 1;", "/* reg0 = 5; */ reg1 = 0x25;", "ct_commit { ct_mark.blocked = 1; ct_label = 7; };",
]  # fmt: skip
"""Wrong ones, and ones whose constants are not where they seem to be."""


@given(texts=st.lists(LISTS | st.sampled_from(EDGES), min_size=1, max_size=6), is_switch=st.booleans())
@settings(max_examples=300)
def test_templates_equal_the_plain_encoding(place, texts, is_switch) -> None:
    fresh, here = ActionTemplates(), place(is_switch=is_switch)
    for templates in (SHARED, fresh):
        for text in texts:
            filled = templates.fill(text, is_switch, here.ports.get, lambda: here)
            if filled is not None:
                actions = parse_actions(text)
                assert filled == (encode_actions(actions.encode(here)), actions.prerequisites), text


def test_texts_of_actions_that_have_a_template(place) -> None:
    def filled(text: str) -> bytes | None:
        found = templates.fill(text, 0, here.ports.get, lambda: here)
        return found.actions if found else None

    templates, here = ActionTemplates(), place()
    text = 'nd_na {{ eth.src = 0a:00:00:00:00:{:02x}; nd.target = fe80::{}; outport = "{}"; output; }};'
    for number, port in ((1, "p1"), (0x25, "p2"), (0, "nosuch"), (0xFF, "")):
        sentence = text.format(number, number, port)
        assert filled(sentence) == encode_actions(parse_actions(sentence).encode(here))
    here.ports["p2"] = 0x252525
    assert b"\0\x25\x25\x25" in (filled('outport = "p2"; output;') or b""), "ports are looked up each time"
    for wrong in ("reg0 = 4294967296;", "reg0 = 1.2.3;", 'reg0 = "p1";'):
        assert filled(wrong) is None
        with pytest.raises(LangError):
            parse_actions(wrong)
    for personal in ("sample(probability=5,collector_set=7,obs_point=$cookie);", 'bind_vport("p2", inport);',
                     'log(verdict=drop, meter="m");', "ct_lb_mark(backends=10.0.0.1:80,10.0.0.2:80);"):  # fmt: skip
        assert filled(personal) is None


def test_templates_are_forgotten_when_there_are_too_many(place, monkeypatch) -> None:
    monkeypatch.setattr(stencils_module, "_MAX_TEXT", 60)
    monkeypatch.setattr(stencils_module, "_MAX_VARIANTS", 2)
    templates, here = ActionTemplates(), place()
    for number in range(28):
        for text in (f"next({number});", f"reg0[{number}] = 1;", f"reg0[1..5] = {number};"):
            filled = templates.fill(text, 0, here.ports.get, lambda: here)
            assert filled is not None
            assert filled.actions == encode_actions(parse_actions(text).encode(here))
    assert len(templates._templates) <= 60 / len("next(1);")
    assert all(one is None or len(one.variants) <= 2 for one in templates._templates.values())


def test_commits_have_no_empty_nat_where_the_datapath_cannot_do_it(place) -> None:
    (commit,) = parse_actions("ct_commit { ct_mark.blocked = 0; };").encode(place())
    here = place()
    here.zero_snat = False
    (plain,) = parse_actions("ct_commit { ct_mark.blocked = 0; };").encode(here)
    assert commit.actions[0] == Nat(src=True)
    assert plain.actions == commit.actions[1:]
