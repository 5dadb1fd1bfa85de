"""Our codec against ovs-ofctl's: what it sends we read and write back, what we send it reads as we meant."""

import pytest

from ovenbird.openflow.actions import (
    Bundle,
    CheckPktLarger,
    Clone,
    Conjunction,
    Controller,
    CopyField,
    Ct,
    CtClear,
    DecTtl,
    DeleteField,
    Learn,
    LearnLoad,
    LearnMatch,
    LearnOutput,
    Multipath,
    Nat,
    Note,
    Output,
    OutputReg,
    Port,
    PushVlan,
    Resubmit,
    SetField,
    StackPush,
)
from ovenbird.openflow.fields import FIELDS, Subfield
from ovenbird.openflow.instructions import ApplyActions
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import (
    BundleControl,
    BundleControlType,
    CtFlush,
    CtFlushZone,
    FlowMod,
    FlowStatsRequest,
    PacketIn,
    Resume,
    SetPacketInFormat,
    TlvCommand,
    TlvMap,
    TlvTableMod,
    decode_message,
)

FLOW_MOD, GROUP_MOD = 14, 15

MATCHES = [
    "priority=1",
    "in_port=3",
    "metadata=0x5,reg14=0x7,arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24,arp_sha=00:00:00:00:00:01",
    "tun_id=0x5/0xff,tun_src=1.2.3.4,tun_ipv6_dst=::1,tun_flags=+oam,tun_gbp_id=3",
    "ip,nw_src=10.0.0.0/8,nw_dst=1.2.3.4,nw_ttl=64,nw_frag=not_later",
    "ipv6,ipv6_src=fe80::/10,ipv6_dst=::1,ipv6_label=0x12345,ip_dscp=5,nw_ecn=1",
    "tcp,tp_src=0x10/0xfff0,tp_dst=22,tcp_flags=+syn-ack",
    "udp6,tp_dst=547", "sctp,tp_src=1", "icmp,icmp_type=8,icmp_code=0", "icmp6,icmp_type=128",
    "icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:00:00:00:00:01",
    "icmp6,icmp_type=136,icmp_code=0,nd_target=fe80::1,nd_tll=00:00:00:00:00:01,nd_reserved=0,nd_options_type=2",
    "ip,ct_state=+trk+est-inv,ct_zone=7,ct_mark=1/1,ct_label=0x1/0x3,ct_nw_proto=6,ct_nw_src=1.2.3.4,ct_tp_dst=80",
    "reg0=1/1,xreg1=5,xxreg1=0x10000000000000000,pkt_mark=9,conj_id=5", "dl_vlan=5,dl_vlan_pcp=2",
    "vlan_tci=0x1000/0x1000", "mpls,mpls_label=5,mpls_tc=1,mpls_bos=1,mpls_ttl=3",
    "dl_src=00:00:00:00:00:01/01:00:00:00:00:00,dl_dst=ff:ff:ff:ff:ff:ff", "tun_metadata0=0x1234/0xffff",
]  # fmt: skip

ACTIONS = [
    "drop", "output:1", "NORMAL", "in_port", "controller(max_len=128)",
    "controller(userdata=00.01.02.03.04,pause,max_len=9)",
    "controller(userdata=01,meter_id=7,reason=no_match,id=5)", "resubmit(,5)", "resubmit(3,5)", "resubmit(,5,ct)",
    "mod_dl_dst:00:00:00:00:00:01", "load:1->NXM_NX_REG0[3..5]", "load:0x1234->NXM_NX_TUN_METADATA0[0..31]",
    "move:NXM_NX_REG14[0..15]->NXM_NX_TUN_METADATA0[16..31]", "set_field:0x5/0xf->reg1", "output:NXM_NX_REG15[]",
    "output(port=1,max_len=100)", "push_vlan:0x8100,set_field:4101->vlan_vid", "pop_vlan", "dec_ttl", "dec_ttl(1,2)",
    "ct(table=5)", "ct(commit,force,zone=NXM_NX_REG13[0..15],exec(set_field:1->ct_mark,load:1->NXM_NX_CT_LABEL[5]))",
    "ct(commit,table=9,zone=7,alg=ftp,nat(src=10.0.0.1-10.0.0.9:100-200,random))", "ct(table=3,nat)",
    "ct(commit,nat(dst=fd00::1,hash,persistent))", "ct(nat(src))", "ct_clear", "conjunction(5,2/3)",
    "note:01.02.03.04.05.06", "exit", "push:NXM_NX_REG1[2..5]", "pop:NXM_NX_REG1[2..5]", "clone(output:1,ct_clear)",
    "group:5", "set_queue:3", "pop_queue", "check_pkt_larger(1500)->NXM_NX_REG0[1]", "delete_field:tun_metadata0",
    "multipath(symmetric_l4,1024,modulo_n,16,0,NXM_NX_REG0[0..15])", "bundle(eth_src,50,hrw,ofport,slaves:4,8)",
    "bundle_load(eth_src,50,active_backup,ofport,NXM_NX_REG0[],slaves:4,8)", "fin_timeout(idle_timeout=5)",
    "sample(probability=5,collector_set_id=1,obs_domain_id=2,obs_point_id=3)", "push_mpls:0x8847", "pop_mpls:0x800",
    "sample(probability=5,collector_set_id=1,sampling_port=1,egress)", "write_metadata:0x5/0xff,goto_table:7",
    "meter:5,output:1", "write_actions(output:1)", "clear_actions",
    ("learn(table=1,idle_timeout=9,hard_timeout=8,priority=5,cookie=7,fin_idle_timeout=1,send_flow_rem,delete_learned,"
    "NXM_OF_VLAN_TCI[0..11],eth_dst[]=eth_src[],reg1[0..3]=5,load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15],"
    "load:0x123456789->xreg1[0..39],output:NXM_NX_REG2[])"),
    "learn(table=1,limit=5,eth_dst[]=eth_src[])",
]  # fmt: skip

# What the switch demands of the match for some actions; "ip" does for all others.
NEEDED = {
    ",ct)": "ip,ct_state=+trk-inv", "alg=ftp": "tcp", "fd00::1": "ipv6", "fin_timeout": "tcp", "pop_mpls": "mpls",
    "pop_vlan": "vlan_tci=0x1000/0x1000",
}  # fmt: skip


def _flow_mods(frames):
    return [frame for frame in frames if frame[1] == FLOW_MOD]


def test_every_match_of_ofctl_is_read_and_survives_our_own_order(ofctl_sends):
    mods = _flow_mods(ofctl_sends("add-flows", "-", text="\n".join(f"{match},actions=drop" for match in MATCHES)))
    assert len(mods) == len(MATCHES)
    for match, data in zip(MATCHES, mods, strict=True):
        _, mod = decode_message(data)
        assert decode_message(mod.encode())[1] == mod, match
        assert match == "priority=1" or mod.match, match


def test_every_action_of_ofctl_is_read_and_written_back_byte_for_byte(ofctl_sends):
    flows = []
    for actions in ACTIONS:
        needed = next((match for part, match in NEEDED.items() if part in actions), "ip")
        flows.append(f"{needed},actions={actions}")
    mods = _flow_mods(ofctl_sends("add-flows", "-", text="\n".join(flows)))
    assert len(mods) == len(flows)
    for flow, data in zip(flows, mods, strict=True):
        xid, mod = decode_message(data)
        if "learn(" in flow:  # there ovs-ofctl uses older code points than we for the same fields
            assert decode_message(mod.encode(xid)) == (xid, mod), flow
            assert len(mod.encode(xid)) == len(data), flow
        else:
            assert mod.encode(xid) == data, flow


GROUPS = [
    "group_id=1,type=select,bucket=weight:5,actions=output:1,bucket=actions=output:2,set_field:0x5/0xf->reg1",
    "group_id=2,type=select,selection_method=dp_hash,bucket=weight:100,actions=output:1",
    "group_id=3,type=select,selection_method=dp_hash,selection_method_param=4294967296,bucket=actions=drop",
    "group_id=4,type=select,selection_method=hash,fields(ip_src),bucket=weight:0,actions=output:1",
    "group_id=5,type=select,selection_method=hash,fields(ipv6_dst,eth_src,tcp_src),bucket=actions=output:1",
    "group_id=6,type=ff,bucket=watch_port:1,watch_group:7,actions=output:1,bucket=watch_port:2,actions=output:2",
    "group_id=7,type=all",
]


def test_every_group_of_ofctl_is_read_and_written_back_byte_for_byte(ofctl_sends):
    mods = [frame for frame in ofctl_sends("add-groups", "-", text="\n".join(GROUPS)) if frame[1] == GROUP_MOD]
    assert len(mods) == len(GROUPS)
    for group, data in zip(GROUPS, mods, strict=True):
        xid, mod = decode_message(data)
        assert mod.encode(xid) == data, group


REG0, REG5 = Subfield.of("reg0"), Subfield.of("reg5", ofs=4, n_bits=8)
OUR_ACTIONS = [
    (Output(1), "output:1"),
    (Output(Port.LOCAL), "LOCAL"),
    (OutputReg(Subfield.of("reg15")), "output:NXM_NX_REG15[]"),
    (Controller(b"\1\2", pause=True), "controller(userdata=01.02,pause)"),
    (Resubmit(17), "resubmit(,17)"),
    (Resubmit(17, in_port=5, ct=True), "resubmit(5,17,ct)"),
    (SetField.of("eth_dst", 0x10203040506), "set_field:01:02:03:04:05:06->eth_dst"),
    (SetField.of("reg1", 5, mask=0xF), "set_field:0x5/0xf->reg1"),
    (SetField.bits(Subfield.of("xxreg1", ofs=96, n_bits=32), 7),
     f"set_field:0x7{24 * '0'}/0xffffffff{24 * '0'}->xxreg1"),
    (SetField.bits(REG5, 3), "set_field:0x30/0xff0->reg5"),
    (CopyField(src=Subfield.of("reg14", ofs=0, n_bits=16), dst=Subfield.of("tun_metadata0", ofs=16, n_bits=16)),
     "move:NXM_NX_REG14[0..15]->NXM_NX_TUN_METADATA0[16..31]"),
    (PushVlan(), "push_vlan:0x8100"),
    (DecTtl(), "dec_ttl"),
    (Ct(Subfield.of("reg13", ofs=0, n_bits=16), commit=True, actions=(SetField.of("ct_mark", 1, mask=1),)),
     "ct(commit,zone=NXM_NX_REG13[0..15],exec(set_field:0x1/0x1->ct_mark))"),
    (Ct(7, commit=True, table=9, actions=(Nat(src=True, addr_min=b"\n\0\0\1", addr_max=b"\n\0\0\2", port_min=5, port_max=9),)),  # noqa: E501 - text as the program prints it
     "ct(commit,table=9,zone=7,nat(src=10.0.0.1-10.0.0.2:5-9))"),
    (Ct(table=3, actions=(Nat(),)), "ct(table=3,nat)"),
    (CtClear(), "ct_clear"),
    (Conjunction(conj_id=5, clause=2, n_clauses=3), "conjunction(5,2/3)"),
    (Note(b"\1\2\3\4\5\6"), "note:01.02.03.04.05.06"),
    (Clone((Output(1), CtClear())), "clone(output:1,ct_clear)"),
    (CheckPktLarger(1500, Subfield.of("reg0", ofs=3, n_bits=1)), "check_pkt_larger(1500)->NXM_NX_REG0[3]"),
    (DeleteField(FIELDS["tun_metadata3"]), "delete_field:tun_metadata3"),
    (StackPush(REG5), "push:NXM_NX_REG5[4..11]"),
    (Multipath(fields=1, basis=0, algorithm=0, n_links=16, arg=0, dst=REG5),
     "multipath(symmetric_l4,0,modulo_n,16,0,NXM_NX_REG5[4..11])"),
    (Bundle(fields=0, basis=0, algorithm=1, members=(4, 8), dst=REG0),
     "bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:4,8)"),
    (Learn(7, (LearnMatch(dst=Subfield.of("eth_dst"), src=Subfield.of("eth_src")), LearnLoad(dst=REG5, src=9),
               LearnOutput(REG0)), idle_timeout=5),
     "learn(table=7,idle_timeout=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0x9->NXM_NX_REG5[4..11],output:NXM_NX_REG0[])"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "text"), OUR_ACTIONS, ids=[text.partition("(")[0] for _, text in OUR_ACTIONS])
def test_ofctl_reads_each_action_as_we_meant(action, text, ofp_print):
    printed = ofp_print(
        FlowMod(
            table=0,
            priority=1,
            match=Match.exact(eth_type=0x800).with_field("ct_state", 0x20, mask=0x30),
            instructions=(ApplyActions((action,)),),
        ).encode()
    )
    assert printed.endswith(f"actions={text}")


def test_ofctl_reads_a_match_on_every_plain_field(ofp_print):
    for field in FIELDS.values():
        if field.prerequisites in {"none", "Ethernet"} and not field.variable and field.name != "packet_type":
            printed = ofp_print(FlowMod(table=0, priority=1, match=Match({field.name: (1, field.mask)})).encode())
            assert "***" not in printed, field
            assert printed.count("actions=drop") == 1, field


FD = b"\xfd" + bytes(14)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (SetPacketInFormat(), "NXT_SET_PACKET_IN_FORMAT (OF1.5) (xid=0x5): format=nxt_packet_in2"),
        (CtFlushZone(9), "NXT_CT_FLUSH_ZONE (OF1.5) (xid=0x5): zone_id=9"),
        (
            CtFlush(protocol=6, destination=b"\n\0\0\1", destination_port=80, source=b"\n\0\0\2", source_port=90),
            (
                "'ct_nw_src=::,ct_nw_dst=10.0.0.1,ct_tp_src=0,ct_tp_dst=80,ct_nw_proto=6' "
                "'ct_nw_src=10.0.0.2,ct_nw_dst=::,ct_tp_src=90,ct_tp_dst=0'"
            ),
        ),
        (
            CtFlush(protocol=0, destination=FD + b"\1", destination_port=0, source=FD + b"\2", source_port=0),
            (
                "'ct_ipv6_src=::,ct_ipv6_dst=fd00::1,ct_tp_src=0,ct_tp_dst=0,ct_nw_proto=0' "
                "'ct_ipv6_src=fd00::2,ct_ipv6_dst=::,ct_tp_src=0,ct_tp_dst=0'"
            ),
        ),
        (CtFlush(zone=5), "zone=5 "),
        (BundleControl(7, BundleControlType.OPEN_REQUEST), "bundle_id=0x7 type=OPEN_REQUEST flags=atomic ordered"),
        (
            TlvTableMod(TlvCommand.ADD, (TlvMap(option_class=0x102, option_type=0x80, length=4, index=0),)),
            "ADD mapping table:",
        ),
        (FlowStatsRequest(5, cookie=7, cookie_mask=0xFF), "OFPST_FLOW request (OF1.5) (xid=0x5): table=5"),
        (
            PacketIn(b"\0" * 64, Match.exact(reg0=5), userdata=b"\1", continuation=b"", cookie=9, table=3, reason=1),
            "NXT_PACKET_IN2 (OF1.5) (xid=0x5): table_id=3",
        ),
        (Resume(PacketIn(b"\0" * 64, Match.exact(reg0=5), userdata=b"", continuation=b"\0" * 4)), "NXT_RESUME (OF1.5)"),
    ],
)
def test_ofctl_reads_messages_as_we_meant(message, text, ofp_print):
    assert text in ofp_print(message.encode(5))
