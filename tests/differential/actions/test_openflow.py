"""Every action's OpenFlow is what the original ovn-controller installs for the same text.

Both sides are printed by ovs-ofctl, so that encodings that mean the same read the same. Where ours is better on
purpose, the page says what ours is instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ovenbird.controller.ofctrl.group_table import select_group
from ovenbird.lang.actions import GroupSpec, OptionType, Userdata, guarded, parse_actions
from ovenbird.lang.actions.userdata import WITH_ACTIONS
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import compile_match
from ovenbird.openflow.actions import encode_actions
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.messages import GroupMod, GroupType, ModCommand, PacketOut
from ovenbird.pipeline.stages import Pipeline

# One flow a line; the page itself says how to read it.
PAGE = Path(__file__).with_name("openflow.md")

# The older form of ct_commit, which the original tracks in a zone that routers do not have.
SWITCHES_ONLY = {"ct_commit(ct_mark=1);", "ct_commit(ct_mark=1/3, ct_label=0x1234);"}


def page() -> list[tuple[str, str, str]]:
    cases = []
    for line in PAGE.read_text().split("```")[1].strip().splitlines():
        text, _, ours = line.partition(" ==> ")
        match, arrow, actions = text.rpartition(" => ")
        cases.append((match if arrow else "1", actions, ours))
    return cases


@dataclass
class Flow:
    """A context as the oracle's chassis has it."""

    topology: object
    pipeline: Pipeline
    is_switch: bool
    table: int = 3
    datapath_key: int = 5
    cookie: int = 0x12345678
    controller_meter: int = 0
    zero_snat: bool = True
    consolidates_registers: bool = False
    collector_sets: frozenset[int] = frozenset()
    groups: list[GroupSpec] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dhcp_options = {name: OptionType(*row) for name, row in self.topology.DHCP4.items()}
        self.dhcpv6_options = {name: OptionType(*row) for name, row in self.topology.DHCP6.items()}

    def port_key(self, name: str) -> int:
        return (self.topology.PORTS | self.topology.GROUPS).get(name, 0)

    def is_local(self, name: str) -> bool:
        return name == "p1"

    def meter(self, name: str) -> int:
        return {"acl-meter": 1, "": 2}.get(name, 0)

    def rate_meter(self, rate: int, burst: int) -> int:
        return 1

    def group(self, spec: GroupSpec) -> int:
        self.groups.append(spec)
        return len(self.groups)


def packet_out(actions: bytes) -> bytes:
    """A packet-out with those actions, to be printed."""
    return PacketOut(packet=bytes(14), actions=actions, in_port=1).encode(1)


def printed(oracle: object, messages: list[bytes]) -> list[str]:
    """The actions of packet-outs, as ovs-ofctl prints them."""
    path = oracle.root / "messages"
    path.write_bytes(b"".join(messages))
    out = oracle.run("ovs-ofctl", "ofp-parse", str(path))
    found = re.findall(r"^OFPT_PACKET_OUT.*? actions=(.*) data_len=14$", out, re.MULTILINE)
    assert len(found) == len(messages), out
    return found


USERDATA = re.compile(r"userdata=([0-9a-f.]+)")
ACTIONS_OPCODES = {int(opcode) for opcode in WITH_ACTIONS}


def normal(oracle: object, text: str) -> str:
    """Text in which what means the same reads the same: nested actions are printed, ids left out."""
    text = text.replace("NXM_NX_REG0[]", "NXM_NX_XXREG0[96..127]")
    text = re.sub(r"group:\d+", "group", re.sub(r"meter:\d+,?|meter_id=\d+", "meter", text))
    text = re.sub(r"(set_field:[^,]*)/0xffff->reg15", r"\1->reg15", text)
    text = text.replace("dec_ttl()", "dec_ttl").replace("/0x3f->ip_dscp", "->ip_dscp")
    text = re.sub(r"\bcookie=0x[0-9a-f]+,?", "", text)

    def nested(found: re.Match[str]) -> str:
        data = bytes.fromhex(found[1].replace(".", ""))
        if int.from_bytes(data[:4], "big") not in ACTIONS_OPCODES:
            return found[0]
        inner = printed(oracle, [packet_out(data[8:])])[0]
        return f"userdata={data[:8].hex()} {{{normal(oracle, inner)}}}"

    return USERDATA.sub(nested, text)


Choice = tuple[str, list[tuple[int, str]]]
"""A group: how it chooses, as ovs-ofctl prints that, and its buckets as (weight, actions)."""


def choices(text: str) -> dict[str, Choice]:
    """Groups that ovs-ofctl printed, by id."""
    groups = {}
    for line in text.splitlines():
        if found := re.match(r".*group_id=(\d+),type=select,(selection_method=.*?),bucket=(.*)$", line):
            buckets = re.findall(r"bucket_id:\d+(?:,weight:(\d+))?,actions=(.*?)(?=,bucket=|$)", found[3])
            groups[found[1]] = (found[2], [(int(weight or 1), actions) for weight, actions in buckets])
    return groups


def groups_of(oracle: object) -> dict[str, Choice]:
    """Groups in the switch by id."""
    return choices(oracle.run("ovs-ofctl", "-O", "OpenFlow15", "dump-groups", f"unix:{oracle.root}/br-int.mgmt"))


def differences(oracle, topology, cases, pipeline, is_switch) -> list[str]:
    """Give flows (match, actions, what ours is instead) to both; return how they differ."""
    spoken = [(match, text if is_switch else re.sub(r'"p([1-3])"', r'"r\1"', text)) for match, text, _ in cases]
    compiled = oracle.flows(spoken, pipeline.value, is_switch=is_switch)
    theirs_groups = groups_of(oracle)
    wrong = []
    for (match, text, instead), flows in zip(cases, compiled, strict=True):
        assert flows, f"the original refused {text}"
        theirs = flows[0][1]
        context = Flow(topology, pipeline, is_switch)
        actions = parse_actions(text)
        encoded = actions.encode(context)
        ours = normal(oracle, printed(oracle, [packet_out(encode_actions(encoded))])[0] if encoded else "drop")
        expected = normal(oracle, instead or theirs)
        if ours != expected:
            wrong.append(f"{match} => {text}\n  original {expected}\n  ours     {ours}")
        if found := re.search(r"group:(\d+)", theirs):
            wrong += group_differences(oracle, text, context.groups[0], theirs_groups[found[1]])
    return wrong


@pytest.mark.parametrize("is_switch", [True, False], ids=["switch", "router"])
@pytest.mark.parametrize("pipeline", list(Pipeline))
def test_openflow_equals_the_originals(oracle, topology, pipeline, is_switch) -> None:
    left_out = (BEYOND_EGRESS if pipeline is Pipeline.EGRESS else set()) | (set() if is_switch else SWITCHES_ONLY)
    cases = [case for case in page() if case[1] not in left_out]
    wrong = differences(oracle, topology, cases, pipeline, is_switch)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("is_switch", [True, False], ids=["switch", "router"])
@pytest.mark.parametrize("pipeline", list(Pipeline))
def test_what_northd_writes_becomes_the_same_openflow(oracle, topology, northd_actions, pipeline, is_switch) -> None:
    texts = northd_actions[pipeline.value, is_switch]
    assert len(texts) > 10
    cases = [("1", text, "") for text in sorted(texts) if not any(word in text for word in OTHERWISE)]
    wrong = differences(oracle, topology, cases, pipeline, is_switch)
    assert not wrong, "\n".join(wrong)
    for text in texts:
        actions = parse_actions(text)
        assert parse_actions(str(actions)) == actions


# ovs-ofctl's words for protocols, and what they stand for.
PROTOCOLS = {
    "arp": (("eth_type", 0x806),),
    **{
        word + six: (("eth_type", eth_type), *((("nw_proto", number),) if number else ()))
        for six, eth_type in (("", 0x800), ("6", 0x86DD))
        for word, number in (("ip", 0), ("tcp", 6), ("udp", 17), ("sctp", 132), ("icmp", 58 if six else 1))
    },
    "ipv6": (("eth_type", 0x86DD),),
}


def fields_of(text: str) -> frozenset[tuple[str, int, int]]:
    """A match that ovs-ofctl printed, as (field, value, mask); table, priority and datapath left out."""
    fields = set()
    six = "icmp6" in text
    for part in text.replace(" ", "").split(","):
        name, equals, value = part.partition("=")
        if name in ("table", "priority", "metadata", ""):
            continue
        if not equals:
            fields |= {(field, number, FIELDS[field].mask) for field, number in PROTOCOLS[name]}
            continue
        name = name.replace("icmp_", "icmpv6_") if six else name
        number, slash, mask = value.partition("/")
        fields.add((name, int(number, 0), int(mask, 0) if slash else FIELDS[name].mask))
    return frozenset(fields)


def test_prerequisites_are_the_originals(oracle) -> None:
    cases = [(match, text) for match, text, _ in page()]
    wrong = []
    for (match, text), flows in zip(cases, oracle.flows(cases), strict=True):
        compiled = compile_match(guarded(match, parse_actions(text).prerequisites), Bindings()).flows
        ours = {frozenset((name, *masked) for name, masked in flow.match.items()) for flow in compiled}
        theirs = {fields_of(shown) for shown, _ in flows}
        if ours != theirs:
            wrong.append(f"{match} => {text}\n  original {theirs}\n  ours     {ours}")
    assert not wrong, "\n".join(wrong)


# What the page gives a text of its own, and what the original takes only behind a match.
OTHERWISE = (
    "lookup_arp",
    "lookup_nd",
    "get_arp(outport, reg0)",
    "put_arp(inport, reg0",
    "commit_ecmp_nh",
    "commit_lb_aff",
)


# next(28) in the egress pipeline would run into the tables behind it; the original counts as if it would not.
BEYOND_EGRESS = {"next(28);"}


def group_differences(oracle: object, text: str, spec: GroupSpec, theirs: Choice) -> list[str]:
    """How our group differs from the original's, when both are printed: how it chooses, and among what."""
    path = oracle.root / "messages"
    path.write_bytes(GroupMod(ModCommand.ADD, 1, GroupType.SELECT, *select_group(spec)).encode(1))
    (ours,) = choices(oracle.run("ovs-ofctl", "ofp-parse", str(path))).values()
    mine, expected = [
        (how, [(weight, normal(oracle, shown)) for weight, shown in buckets]) for how, buckets in (ours, theirs)
    ]
    return [] if mine == expected else [f"{text}\n  original {expected}\n  ours     {mine}"]


def test_userdata_is_read_back(topology) -> None:
    context = Flow(topology, Pipeline.INGRESS, is_switch=True)
    seen = 0
    for _, text, _ in page():
        for action in parse_actions(text).encode(context):
            data = getattr(action, "userdata", b"")
            if data:
                message = Userdata.decode(data)
                assert message.encode() == data
                if message.opcode in WITH_ACTIONS:
                    assert encode_actions(message.actions) == message.payload
                seen += 1
    assert seen > 40
