"""Microflows: values by field and by bits of them, and the expressions that describe them."""

import pytest

from ovenbird.lang.ast import FieldRef
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.errors import FieldError, MicroflowError, UnknownNameError
from ovenbird.lang.lexer import Tokens
from ovenbird.lang.microflow import Microflow, parse_microflow
from ovenbird.lang.parser import parse_field
from ovenbird.openflow.match import Match

PORTS = Bindings(ports={"p": 3})


def ref(text: str) -> FieldRef:
    return parse_field(Tokens(text))


def test_registers_overlay_one_another() -> None:
    packet = Microflow()
    packet.set(ref("reg1"), 0xAABBCCDD)
    assert packet.get(ref("xxreg0")) == 0xAABBCCDD << 64
    assert packet.get(ref("xreg0")) == 0xAABBCCDD
    assert packet["reg1"] == 0xAABBCCDD
    packet.set(ref("xxreg0[64..71]"), 0x11)
    assert packet["reg1"] == 0xAABBCC11
    packet["reg2"] = 5
    assert packet.get(ref("xreg1")) == 5 << 32
    assert packet.matches(Match.exact(reg1=0xAABBCC11, reg2=5))
    assert not packet.matches(Match.exact(reg3=1))


def test_subfields_are_bits_of_their_parent() -> None:
    packet = Microflow({"vlan_tci": 0x3005})
    assert packet.get(ref("vlan.vid")) == 5
    assert packet.get(ref("vlan.pcp")) == 1
    packet.set(ref("ct.est"), 1)
    assert packet["ct_state"] == 2


def test_values_must_fit() -> None:
    packet = Microflow()
    with pytest.raises(FieldError, match="does not fit"):
        packet.set(ref("ip.ttl"), 256)
    with pytest.raises(FieldError, match="does not fit"):
        packet["eth_type"] = 1 << 16
    with pytest.raises(FieldError, match="no value in a packet"):
        packet.get(ref("icmp4.frag_mtu"))


def test_copies_of_a_microflow_are_independent() -> None:
    packet = Microflow({"reg0": 1})
    twin = packet.copy()
    assert twin == packet
    twin["reg0"] = 2
    assert packet["reg0"] == 1
    assert twin != packet


def test_an_expression_describes_a_packet() -> None:
    text = 'inport == "p" && eth.src == 0a:00:00:00:00:01 && ip4.dst == 10.0.0.9 && ip.ttl == 64 && tcp.dst == 80'
    assert parse_microflow(text, PORTS) == Microflow(
        {"reg14": 3, "eth_src": 0x0A0000000001, "ip_dst": 0x0A000009, "nw_ttl": 64, "tcp_dst": 80, "nw_proto": 6,
         "eth_type": 0x800}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ip", "ambiguous"),
        ("tcp.dst == {80, 443} && ip4", "ambiguous"),
        ("ip4 && ip6", "contradictory"),
        ('inport == "nobody"', "contradictory"),
    ],
)
def test_one_packet_and_not_several(text: str, message: str) -> None:
    with pytest.raises(MicroflowError, match=message) as caught:
        parse_microflow(text, PORTS)
    assert caught.value.text == text


def test_unknown_sets_are_shown() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_microflow("ip4.src == $x", PORTS)
    assert str(caught.value).endswith("^^")
