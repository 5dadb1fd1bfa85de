"""Translations in our Southbound against Debian's: the same flows, the same announcements, the same traces."""

import random
import re

import pytest

EACH = re.compile(r"lr_in_(admission|ip_input|unsnat|dnat|arp_resolve|gw_redirect)|lr_out_")

BOTH_ROUTERS = """
ls-add public
ls-add private
lr-add r
lr-add g
set Logical_Router g options:chassis=gw
lrp-add r r-public 00:00:00:00:01:01 172.16.0.1/24 fd00::1/64
lrp-add r r-private 00:00:00:00:01:02 10.0.0.1/24 fd10::1/64
lrp-set-gateway-chassis r-public gw 10
lrp-add g g-public 00:00:00:00:02:01 172.16.0.2/24 fd00::2/64
lrp-add g g-private 00:00:00:00:02:02 10.1.0.1/24 fd11::1/64
lsp-add public to-r
set Logical_Switch_Port to-r type=router options:router-port=r-public options:nat-addresses=router addresses=router
lsp-add public to-g
set Logical_Switch_Port to-g type=router options:router-port=g-public options:nat-addresses=router addresses=router
lsp-add private from-r
set Logical_Switch_Port from-r type=router options:router-port=r-private addresses=router
lsp-add private vm1
set Logical_Switch_Port vm1 addresses="00:00:00:00:00:11\\ 10.0.0.11\\ fd10::11"
lsp-add private vm2
set Logical_Switch_Port vm2 addresses="00:00:00:00:00:12\\ 10.0.0.12\\ fd10::12"
lsp-add public physical
set Logical_Switch_Port physical type=localnet options:network_name=phys addresses=unknown
lr-route-add r 0.0.0.0/0 172.16.0.254
create Address_Set name=peers addresses=9.9.9.0/24
"""

FLOATING = ("dnat_and_snat", "172.16.0.20", "10.0.0.11")
AT_HOST = ("vm1", "00:00:00:00:00:aa")
CASES = {
    "own source": ([], "r", "snat", "172.16.0.1", "10.0.0.0/24"),
    "source": ([], "r", "snat", "172.16.0.9", "10.0.0.0/24"),
    "floating": ([], "r", *FLOATING),
    "distributed": ([], "r", *FLOATING, *AT_HOST),
    "distributed stateless": (["--stateless"], "r", *FLOATING, *AT_HOST),
    "central stateless": (["--stateless"], "r", *FLOATING),
    "ports": (["--portrange"], "r", "dnat", "172.16.0.20", "10.0.0.11", "5000-6000"),
    "source ports": (["--portrange"], "r", "snat", "172.16.0.9", "10.0.0.0/24", "5000-6000"),
    "floating IPv6": ([], "r", "dnat_and_snat", "fd00::20", "fd10::11"),
    "distributed IPv6": ([], "r", "dnat_and_snat", "fd00::20", "fd10::11", *AT_HOST),
    "source IPv6": ([], "r", "snat", "fd00::9", "fd10::/64"),
    "home, own source": ([], "g", "snat", "172.16.0.2", "10.1.0.0/24"),
    "home, floating": ([], "g", "dnat_and_snat", "172.16.0.20", "10.1.0.11"),
    "home, stateless": (["--stateless"], "g", "dnat_and_snat", "172.16.0.20", "10.1.0.11"),
    "home, ports": (["--portrange"], "g", "dnat", "172.16.0.20", "10.1.0.11", "5000-6000"),
    "home, source IPv6": ([], "g", "snat", "fd00::9", "fd11::/64"),
}
PEERS = ("", "allowed_ext_ips", "exempted_ext_ips")


NEWER = ("lr_out_post_undnat", "lr_out_post_snat")
"""Where distributed routers, in ours alone, mark who came in untranslated, so that replies stay so; as OVN since 24.03.

Those flows, and the translations that look at the mark, are the ones above priority 128.
"""
MARK = " && ct_mark[15] == 0"


def older(name, priority, match, actions):
    """Return a flow of ours as 23.03 has it."""
    return name, priority, match.replace(MARK, "") if name == "lr_out_snat" and priority > 128 else match, actions


def words(text):
    found = []
    for line in text.strip().splitlines():
        found += (["--"] if found else []) + [w.replace("\0", " ") for w in line.replace("\\ ", "\0").split()]
    return found


@pytest.fixture
def routers(oracle):
    oracle.nbctl(*words(BOTH_ROUTERS))
    return oracle


def flows(client):
    """Return stage, priority, match and actions of the flows of routers, each once whatever datapath.

    Flows of groups without datapaths have no effect.
    """
    groups = client.select("Logical_DP_Group", "_uuid", "datapaths")
    empty = [row["_uuid"] for row in groups if row["datapaths"] == ["set", []]]
    found = set()
    for row in client.select("Logical_Flow", "external_ids", "priority", "match", "actions", "logical_dp_group"):
        name = dict(row["external_ids"][1])["stage-name"]
        if EACH.match(name) and row["logical_dp_group"] not in empty:
            texts = [re.sub(r"\{([^{},]+)\}", r"\1", row[c]).strip() for c in ("match", "actions")]
            found.add((name, row["priority"], *texts))
    return found


def announced(client):
    found = {}
    for row in client.select("Port_Binding", "logical_port", "nat_addresses"):
        kind, value = row["nat_addresses"] if isinstance(row["nat_addresses"], list) else ("one", row["nat_addresses"])
        found[row["logical_port"]] = sorted(value) if kind == "set" else [value]
    return found


def count_newer(case, stateless, peers):
    """Return how many flows mark and look up, or keep from that, what a translation is about."""
    if case[0] == "g" or case[1] == "dnat":
        return 0
    exempts = peers == "exempted_ext_ips"
    if stateless:
        return 2 + exempts
    return 0 if case[-1] == AT_HOST[1] else 2 + exempts if case[1] == "snat" else 1


@pytest.mark.parametrize("peers", PEERS)
def test_a_translation_adds_the_same_flows(routers, peers):
    routers.compile()
    before = [flows(client) for client in (routers.theirs, routers.ours)]
    for name, (flags, *case) in CASES.items():
        routers.nbctl(*flags, "lr-nat-add", *case)
        if peers:
            uuid = routers.nb.select("Address_Set", "_uuid")[0]["_uuid"]
            routers.nb.transact({"op": "update", "table": "NAT", "where": [], "row": {peers: uuid}})
        routers.compile()
        clients = zip((routers.theirs, routers.ours), before, strict=True)
        theirs, ours = (flows(client) - old for client, old in clients)
        newer = {made for made in ours if made[0] in NEWER and made[1] > 128}
        ours = {older(*made) for made in ours - newer}
        assert len(newer) == count_newer(case, flags == ["--stateless"], peers), (name, newer)
        assert ours == theirs, (name, sorted(theirs - ours), sorted(ours - theirs))
        assert theirs, name
        assert announced(routers.ours) == announced(routers.theirs), name
        routers.nbctl("lr-nat-del", case[0])


def random_packet(dice):
    inside = dice.choice([("vm1", "00:00:00:00:00:11", "10.0.0.11"), ("vm2", "00:00:00:00:00:12", "10.0.0.12")])
    to = dice.choice(["172.16.0.1", "172.16.0.9", "172.16.0.20", "172.16.0.21", "9.9.9.9", "8.8.8.8", "10.0.0.12"])
    if dice.random() < 0.5:
        name, mac, source = inside
        switch, start, gateway = "private", f'inport == "{name}" && eth.src == {mac}', "00:00:00:00:01:02"
    else:
        source = dice.choice(["9.9.9.9", "8.8.8.8", "172.16.0.254"])
        switch, start = "public", 'inport == "physical" && eth.src == 00:00:00:00:00:99'
        gateway = dice.choice(["00:00:00:00:01:01", "00:00:00:00:00:aa"])
    kind = dice.choice(["tcp.src == 7 && tcp.dst == 80", "udp.src == 7 && udp.dst == 53", "icmp4.type == 8"])
    match = f"{start} && eth.dst == {gateway} && ip4.src == {source} && ip4.dst == {to} && ip.ttl == 64 && {kind}"
    if dice.random() < 0.2:
        match = f"{start} && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.spa == {source} && arp.tpa == {to}"
    return switch, match, [f"--ct={dice.choice(['new', 'est', 'est,rpl'])}" for _ in range(4)]


def fate(trace):
    """Return what becomes of a packet, copies or not: on inner switches ours floods where theirs clones."""
    return sorted(text for line in trace if (text := line.strip()) not in ("clone {", "};"))


@pytest.mark.parametrize("seed", range(2))
def test_packets_fare_the_same(routers, seed):
    dice = random.Random(seed)
    routers.nbctl("lr-nat-add", "r", "snat", "172.16.0.1", "10.0.0.0/24")
    host = AT_HOST if seed % 2 else ()
    routers.nbctl("lr-nat-add", "r", *FLOATING, *host)
    routers.nbctl("lr-nat-add", "r", "dnat_and_snat", "172.16.0.21", "10.0.0.12")
    routers.compile()
    outputs = 0
    for _ in range(25):
        datapath, match, options = random_packet(dice)
        theirs, ours = (fate(routers.trace(whose, datapath, match, *options)) for whose in ("theirs", "ours"))
        assert ours == theirs, (datapath, match, options)
        outputs += any("output(" in line for line in ours)
    assert outputs
