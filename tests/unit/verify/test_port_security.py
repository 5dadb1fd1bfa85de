"""The predicate says what the controller's flows do, for any port_security and any packet."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.controller.physical import port_security as flows
from ovenbird.lang.microflow import Microflow
from ovenbird.verify import port_security

MACS = ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
IPS4 = ("10.0.0.1", "10.0.0.2", "10.0.0.0/30", "10.0.0.2/30")
IPS6 = ("fd00::1", "fd00::2", "fd00::/64", "fd00::2/64")
LINK_LOCAL = 0xFE80 << 112 | 0x0800_00FF_FE00_0001
ADDRESSES4 = (0x0A000001, 0x0A000002, 0x0A000003, 0x0A000009, 0, 0xFFFFFFFF, 0xE0000001)
ADDRESSES6 = (0xFD00 << 112 | 1, 0xFD00 << 112 | 2, 0xFD01 << 112, LINK_LOCAL, 0, 0xFF02 << 112 | 0x16, 0xFF0E << 112)

entries = st.lists(
    st.tuples(
        st.sampled_from(MACS),
        st.lists(st.sampled_from(IPS4), max_size=2, unique=True),
        st.lists(st.sampled_from(IPS6), max_size=2, unique=True),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda entry: entry[0],
).map(lambda found: [" ".join([mac, *four, *six]) for mac, four, six in found])

mac = st.sampled_from((0x0A0000000001, 0x0A0000000002, 0x0A0000000009))
four, six = st.sampled_from(ADDRESSES4), st.sampled_from(ADDRESSES6)
ends = {"eth_src": mac, "eth_dst": mac}
upper6 = {"nw_ttl": st.sampled_from((255, 64)), "icmpv6_code": st.sampled_from((0, 1))}
neighbour = {"nd_target": six, "nd_sll": mac | st.just(0), "nd_tll": mac | st.just(0)}
ip4 = {**ends, "eth_type": st.just(0x0800), "ip_src": four, "ip_dst": four}
ip6 = {**ends, "eth_type": st.just(0x86DD), "ipv6_src": six, "ipv6_dst": six}
types6 = st.sampled_from((128, 131, 133, 135, 136, 143))
packets = st.one_of(
    st.fixed_dictionaries({**ends, "eth_type": st.sampled_from((0x8035, 0x88CC))}),
    st.fixed_dictionaries({**ends, "eth_type": st.just(0x0806), "arp_sha": mac, "arp_spa": four, "arp_tpa": four}),
    st.fixed_dictionaries({**ip4, "nw_proto": st.just(6)}),
    st.fixed_dictionaries(
        {**ip4, "nw_proto": st.just(17), "udp_src": st.sampled_from((68, 5)), "udp_dst": st.sampled_from((67, 5))}
    ),
    st.fixed_dictionaries({**ip6, "nw_proto": st.just(6)}),
    st.fixed_dictionaries({**ip6, "nw_proto": st.just(58), "icmpv6_type": types6, **upper6, **neighbour}),
).map(Microflow)


class BridgeSession:
    """The controller's flows for one port, as a switch runs them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, column: list[str]) -> None:
        self.flows: list[tuple[int, int, dict[str, tuple[int, int]], object]] = []
        monkeypatch.setattr(flows, "is_resident", lambda port: True)
        monkeypatch.setattr(flows, "hosted_row", lambda uuid: SimpleNamespace(tunnel_key=1))
        monkeypatch.setattr(flows, "cookie_of", lambda port: 0)
        binding = SimpleNamespace(datapath=SimpleNamespace(raw=lambda port: ""))
        monkeypatch.setattr(flows, "PortBinding", binding)
        monkeypatch.setattr(flows, "flow", lambda *fact: fact)
        port = SimpleNamespace(port_security=frozenset(column), type="", tunnel_key=7, datapath="")
        for table, priority, match, actions, _ in flows.port_security(port):
            self.flows.append((table, priority, match, actions))

    def fails(self, table: int, packet: Microflow) -> bool:
        found = max((f for f in self.flows if f[0] == table and packet.matches(f[2])), key=lambda f: f[1], default=None)
        if found is None or found[3] is flows._PASS:
            return False
        return found[3] is flows._FAIL or self.fails(flows.IN_NEIGHBOURS, packet)


@settings(max_examples=400)
@given(entries, packets)
def test_the_predicate_says_what_the_flows_do(column: list[str], packet: Microflow) -> None:
    with pytest.MonkeyPatch.context() as patch:
        switch = BridgeSession(patch, column)
    packet["metadata"], packet["reg14"], packet["reg15"] = 1, 7, 7
    assert port_security.may_send(column, packet) == (not switch.fails(flows.IN, packet))
    assert port_security.may_receive(column, packet) == (not switch.fails(flows.OUT, packet))


def test_no_port_security_allows_everything() -> None:
    assert port_security.may_send([], Microflow({"eth_src": 1}))
    assert port_security.may_receive(["no address at all"], Microflow({"eth_dst": 1}))


def test_frames_to_groups_reach_every_port() -> None:
    assert port_security.may_receive([MACS[0]], Microflow({"eth_dst": 0xFFFFFFFFFFFF}))
