"""A switch without stateful ACLs behind a router that tracks: its ACLs ask for no hints, as the original's."""

import pytest

STATES = ("trk,new", "trk,est", "trk,est,rpl", "trk,rel", "trk,rel,rpl", "trk,inv", "trk")
PACKET = (
    'inport == "{0}" && eth.src == 00:00:00:00:00:0{1} && eth.dst == 00:00:00:00:ff:0{1} && ip4.src == {2} '
    "&& ip4.dst == {3} && ip.ttl == 64 && tcp.src == 5000 && tcp.dst == {4}"
)


@pytest.fixture
def routed(oracle):
    oracle.nbctl("ls-add", "in", "--", "ls-add", "out", "--", "lr-add", "r")
    for switch, port, number, ip in (("in", "a", 1, "10.1.0.5"), ("out", "b", 2, "10.2.0.5")):
        mac = f"00:00:00:00:00:0{number}"
        oracle.nbctl("lrp-add", "r", f"r-{switch}", f"00:00:00:00:ff:0{number}", f"10.{number}.0.1/24", "--",
                     "lsp-add", switch, port, "--", "lsp-set-addresses", port, f"{mac} {ip}", "--",
                     "lsp-add", switch, f"to-{switch}", "--", "lsp-set-type", f"to-{switch}", "router", "--",
                     "lsp-set-addresses", f"to-{switch}", "router", "--",
                     "lsp-set-options", f"to-{switch}", f"router-port=r-{switch}")  # fmt: skip
    oracle.nbctl("set", "Logical_Router", "r", "options:chassis=hv1", "--",
                 "lr-nat-add", "r", "dnat_and_snat", "10.2.0.100", "10.1.0.5")  # fmt: skip
    oracle.nbctl("pg-add", "pg", "a", "b", "--", "acl-add", "pg", "to-lport", "1003",
                 "outport == @pg && tcp.dst == 23", "reject", "--",
                 "acl-add", "out", "to-lport", "1002", "tcp.dst == 22", "drop", "--",
                 "--apply-after-lb", "acl-add", "in", "from-lport", "1001", "tcp.dst == 24", "drop", "--",
                 "--log", "acl-add", "in", "to-lport", "1004", "tcp.dst == 80", "allow")  # fmt: skip
    return oracle


def traces(oracle):
    """Return what ovn-trace says of packets both ways, by each state of their connections, over each Southbound."""
    oracle.compile()
    found = {}
    for whose in ("theirs", "ours"):
        for state in STATES:
            for port in (22, 23, 24, 80):
                out = PACKET.format("a", 1, "10.1.0.5", "10.2.0.5", port)
                back = PACKET.format("b", 2, "10.2.0.5", "10.2.0.100", port)
                for switch, packet in (("in", out), ("out", back)):
                    said = oracle.trace(whose, switch, packet, *[f"--ct={state}"] * 8)
                    found.setdefault((state, port, switch), {})[whose] = said
    return found


def test_packets_that_an_acl_drops_are_dropped_in_every_connection_state(routed):
    found = traces(routed)
    assert all(said["ours"] == said["theirs"] for said in found.values()), found
    assert not any("output" in line for state in STATES for line in found[state, 22, "in"]["ours"])
    assert any("output" in line for line in found["trk,new", 80, "in"]["ours"])


def test_there_are_as_many_flows_of_acls(routed):
    """One for each ACL and switch; and hints for them once one of the ACLs tracks connections, then gone again."""
    assert acl_flows(routed) == {"ours": [5, 0], "theirs": [5, 0]}
    routed.nbctl("acl-add", "pg", "to-lport", "1000", "outport == @pg && icmp", "allow-related")
    assert acl_flows(routed) == {"ours": [14, 14], "theirs": [14, 14]}
    found = traces(routed)
    assert all(said["ours"] == said["theirs"] for said in found.values()), found
    routed.nbctl("pg-set-ports", "pg", "b")
    assert acl_flows(routed) == {"ours": [8, 7], "theirs": [8, 7]}


def acl_flows(oracle):
    """Return how many flows there are for ACLs, and how many that give hints in ingress; each switch counts."""
    oracle.compile()
    counts = {}
    for whose, client in (("ours", oracle.ours), ("theirs", oracle.theirs)):
        groups = {row["_uuid"][1]: row["datapaths"] for row in client.select("Logical_DP_Group", "_uuid", "datapaths")}
        acls = hints = 0
        for row in client.select("Logical_Flow", "_uuid", "external_ids", "priority", "logical_dp_group"):
            stage, (kind, group) = dict(row["external_ids"][1])["stage-name"], row["logical_dp_group"]
            where = groups[group] if kind == "uuid" else ["uuid", None]
            datapaths = len(where[1]) if where[0] == "set" else 1
            acls += datapaths * ("_acl" in stage and 2000 <= row["priority"] < 3000)
            hints += datapaths * (stage == "ls_in_acl_hint" and 0 < row["priority"] < 65_535)
        counts[whose] = [acls, hints]
    return counts
