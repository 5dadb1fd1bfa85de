"""Templates give what the plain compiler gives, error for error, whatever texts came before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import Compiled, compile_match
from ovenbird.lang.errors import LangError
from ovenbird.lang.templates import match
from ovenbird.lang.templates.match import Templates
from ovenbird.openflow.match import Match

BINDINGS = Bindings(
    address_sets={"nets": ["10.0.0.0/24", "192.168.0.1"]},
    port_groups={"pg": ["a", "b"]},
    ports={"a": 1, "b": 2, "c == 5": 3},
    resident=lambda port: port == "a",
)

PORT = st.sampled_from(['"a"', '"b"', '"gone"', '"c == 5"', '"a\\"b"', "5"])
MAC = st.sampled_from(
    ["0a:00:00:00:00:01", "0A:00:00:00:00:FF", "ff:ff:ff:ff:ff:ff", "0a:00:00:00:00:01/ff:ff:00:00:00:00"]
)
IP4 = st.sampled_from(["10.0.0.1", "10.0.0.2", "255.255.255.255", "10.0.0.0/24", "0", "10.0.0", "0x0a000001"])
IP6 = st.sampled_from(["::1", "fe80::1", "2001:db8::5", "fe80::/10", "1:2:3:4:5:6:7:8", "7"])
NUMBER = st.sampled_from(["0", "1", "5", "6", "80", "0x800", "2048", "65536", "99999999999", "01"])
BIT = st.sampled_from(["0", "1"])
ATOMS = [
    ("inport == {}", PORT), ("outport=={}", PORT),
    ("is_chassis_resident({})", PORT), ("!is_chassis_resident({})", PORT),
    ("eth.src == {}", MAC), ("eth.dst == {}", MAC), ("eth.dst[0..15] == {}", NUMBER), ("eth.mcast", NUMBER),
    ("ip4.src == {}", IP4), ("ip4.dst  ==  {}", IP4), ("ip4.src != {}", IP4), ("!(ip4.dst == {})", IP4),
    ("ip6.src == {}", IP6), ("nd.target == {}", IP6), ("xxreg0 == {}", IP6), ("xxreg1 == {}", IP6),
    ("xreg4 == {}", NUMBER),
    ("reg0 == {}", NUMBER), ("reg1[0..3] == {}", NUMBER), ("reg9 == {}", NUMBER), ("ct_label.label == {}", NUMBER),
    ("tcp.dst == {}", NUMBER), ("tcp.src == {}", NUMBER), ("{} == tcp.src", NUMBER), ("udp.dst > {}", NUMBER),
    ("eth.type == {}", NUMBER), ("ip.proto == {}", NUMBER), ("arp.op == {}", NUMBER), ("arp.tpa == {}", IP4),
    ("ip4 == {}", BIT), ("vlan.present == {}", BIT), ("!ct.est", BIT), ("ip4.src == {{1.2.3.4, {}}}", IP4),
    ("tcp", BIT),
    ("ip4.src == $nets", BIT), ("inport == @pg", BIT), ("icmp4.type == {} /* == 5 */", NUMBER),
    ("ip.ttl == {{1, 2}}", BIT), ("nd.target == {{{}, ff02::1}}", IP6), ("tcp.dst == {{80,{}, 443}}", NUMBER),
    ("ip4.dst == {}/16", IP4), ("ip6.dst == {}/64", IP6), ("arp.spa == {{{}}}", IP4), ('inport == {{{}, "b"}}', PORT),
    ("ip4.src != {{10.0.0.1, {}}}", IP4), ("reg0[{}..8] == 5", NUMBER), ("{{1, {}}} == ip.ttl", NUMBER),
    ("xxreg0 == {{{}, ::9}}", IP6), ("eth.dst == {{{}, 0a:00:00:00:00:01}}", MAC),
    ("tcp.dst == {{1, 2, 3, 4}} && tcp.src == {{5, 6, 7, 8}}", BIT),
]  # fmt: skip

SHARED = Templates()  # lives through all examples, so that texts meet the templates of others


def outcome(compile_: object, text: str) -> object:
    try:
        compiled = compile_(text, BINDINGS)  # type: ignore[operator]
    except LangError as error:
        return type(error), str(error)
    assert isinstance(compiled, Compiled)
    return compiled, [list(flow.match) for flow in compiled.flows]


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """Several texts of one template."""
    atoms = draw(st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4))
    joined = draw(st.sampled_from([" && ", " || "])).join(f"({atom})" if "&&" in atom else atom for atom, _ in atoms)
    return [joined.format(*[draw(s) for atom, s in atoms if "{}" in atom]) for _ in range(3)]


@settings(max_examples=300)
@given(texts())
def test_templates_equal_the_plain_compiler(group: list[str]) -> None:
    fresh = Templates()
    for text in group:
        expected = outcome(compile_match, text)
        assert outcome(SHARED.compile, text) == expected, text
        assert outcome(fresh.compile, text) == expected, text


def stamped(templates: Templates, text: str) -> list[bytes] | None:
    try:
        found = templates.encoded(text, BINDINGS)
    except LangError as error:
        with pytest.raises(type(error)):
            compile_match(text, BINDINGS)
        return None
    if found is None:
        return None
    encodings, values = found
    values[0] = (0x42).to_bytes(8, "big")
    return [encoding.filled(values) for encoding in encodings]


@settings(max_examples=300)
@given(texts())
def test_templates_equal_the_encoded_flows(group: list[str]) -> None:
    fresh = Templates()
    for text in group:
        for templates in (SHARED, fresh):
            bytes_of_flows = stamped(templates, text)
            if bytes_of_flows is not None:
                flows = compile_match(text, BINDINGS).flows
                whole = [Match({**match, "metadata": (0x42, (1 << 64) - 1)}).encode() for match, _ in flows]
                assert sorted(bytes_of_flows) == sorted(whole), text  # the order is that of a set's values


def test_texts_of_matches_that_have_a_template() -> None:
    text = (
        'inport == "{}" && eth.src == 0a:00:00:00:00:{} && ip4.dst == 10.0.0.{} && xxreg1 == ::{} && reg8[0..15] == {}'
    )
    templates = Templates()
    for port, number in (("a", 5), ("b", 37), ("b", 25)):  # 37 and 25: a percent sign is a byte like any other
        match = text.format(port, f"{number:02x}", number, number, number)
        found = templates.encoded(match, BINDINGS)
        assert found is not None
        ((encoding,), values) = found
        assert encoding.port("reg14", values) == BINDINGS.ports.get(port)
        assert encoding.port("reg15", values) is None
        values[0] = b"%b%s%d%%"
        assert encoding.filled(values).count(b"%b%s%d%%") == 1
    assert templates.encoded('inport == "gone"', BINDINGS) is None
    assert templates.encoded("ip4.src == $nets", BINDINGS) is None
    assert templates.encoded("tcp.dst == {1,2,3,4} && tcp.src == {5,6,7,8}", BINDINGS) is None, "conjunctive"
    assert templates.encoded("0", BINDINGS) == ((), [b""])


def test_a_port_group_is_a_set_of_as_many_as_there_are() -> None:
    templates = Templates()
    text = 'inport == @pg && ip4.dst == 10.0.0.{} && outport == "a"'
    for ports in (["a"], ["b", "a", "gone"], ["a", "b", "c == 5"], ["c == 5", "b"], ["gone"]):
        for number in (1, 2):
            here = Bindings(port_groups={"pg": ports}, ports=BINDINGS.ports)
            flows = compile_match(text.format(number), here).flows
            found = templates.encoded(text.format(number), here)
            assert (found is None) is (ports == ["gone"])
            if found is not None:
                encodings, values = found
                values[0] = bytes(8)
                whole = [Match({**match, "metadata": (0, (1 << 64) - 1)}).encode() for match, _ in flows]
                assert sorted(encoding.filled(values) for encoding in encodings) == sorted(whole)
                assert {encoding.port("reg14", values) for encoding in encodings} == {
                    BINDINGS.ports.get(port) for port in ports if port != "gone"
                }
    for other in ("inport == @pg && outport == @pg", "inport != @pg", "inport == @nowhere", "inport == {@pg, @pg}"):
        assert templates.encoded(other, BINDINGS) is None


def test_sets_and_networks_have_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates()
    text = "ip6.dst == {{fe80::{}, ff02::{}}} && eth.src == {{0a:00:00:00:00:{:02x}}} && ip6.src == fd00:{}::/64"
    assert stamped(templates, text.format(1, 2, 3, 4)) is not None
    expected = [compile_match(text.format(*numbers), BINDINGS).flows for numbers in ((9, 8, 7, 6), (5, 6, 7, 8))]
    alike = text.replace("ff02", "fe80").format(5, 5, 5, 5)
    monkeypatch.setattr(match, "compile_match", None)
    for numbers, flows in zip(((9, 8, 7, 6), (5, 6, 7, 8)), expected, strict=True):
        whole = {Match({**match, "metadata": (0x42, (1 << 64) - 1)}).encode() for match, _ in flows}
        assert set(stamped(templates, text.format(*numbers)) or ()) == whole
        assert len(whole) == 2
    assert templates.encoded(alike, BINDINGS) is None, "one flow, not two"


def test_a_second_text_of_a_template_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = Templates()
    templates.compile('inport == "a" && eth.src == 0a:00:00:00:00:01 && ip4.dst == 10.0.0.1 && xxreg1 == ::1', BINDINGS)
    second = 'inport == "b" && eth.src == 0a:00:00:00:00:02 && ip4.dst == 10.0.0.2 && xxreg1 == 9::8'
    expected = compile_match(second, BINDINGS)
    monkeypatch.setattr(match, "compile_match", None)
    assert templates.compile(second, BINDINGS) == expected


def test_bindings_are_looked_up_on_every_use() -> None:
    templates = Templates()
    text = 'inport == "x" && is_chassis_resident("x")'
    assert templates.compile(text, BINDINGS).flows == ()
    for key in (7, 8):
        here = Bindings(ports={"x": key}, resident=lambda port: True)
        assert [str(flow.match) for flow in templates.compile(text, here).flows] == [f"reg14={key:#x}"]
    assert templates.compile(text, Bindings(ports={"x": 7})).flows == ()


@pytest.mark.parametrize(
    "text",
    ['"x" == inport', '("x" == inport)', "@x == inport", "(@x == inport)", "tcp&&@x==inport", '5<tcp.dst||"x"==inport',
     'is_chassis_resident(\t"x")', 'inport ==\t"x"', "inport ==\n@x"],
)  # fmt: skip
def test_names_are_no_part_of_a_templates_key(text: str) -> None:
    templates = Templates()
    for key in (7, 8):
        here = Bindings(ports={"x": key}, port_groups={"x": ["x"]}, resident=lambda port, key=key: key == 7)
        expected = compile_match(text, here)
        assert templates.compile(text, here) == expected
        found = templates.encoded(text, here)
        if found is not None:
            encodings, values = found
            values[0] = bytes(8)
            whole = [Match({**match, "metadata": (0, (1 << 64) - 1)}).encode() for match, _ in expected.flows]
            assert sorted(encoding.filled(values) for encoding in encodings) == sorted(whole)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "_MAX_TEXT", 300)
    monkeypatch.setattr(match, "_MAX_VARIANTS", 3)
    templates = Templates()
    for n in range(50):
        text = f"reg0[{n % 32}] == 1 && tcp.dst == {{1, {n + 2}}}"
        assert templates.compile(text, BINDINGS) == compile_match(text, BINDINGS)
        text = f"ip4.src == 10.0.0.{n} || ip4.src == 10.0.1.{n}"
        assert templates.compile(text, BINDINGS) == compile_match(text, BINDINGS)
    assert len(templates._templates) <= 10  # of texts of some 35 characters
    assert all(one is None or len(one.compiled) <= 3 for one in templates._templates.values())
