"""Random networks in our Southbound against Debian's: the same bindings, and flows that the original can read.

How packets fare in them is compared beside our own trace: ``tests/differential/verify``.
"""

import os
import random
import subprocess

import pytest

from support.northd.oracle import QUOTES_INSIDE, normal
from support.verify import routed_topology

UNTRANSLATED = ("lr_out_post_undnat", "lr_out_post_snat")
"""Where ours marks who came in untranslated at a distributed gateway port, and looks for it, as OVN has it since 24.03.

Those flows, and the translations that look at the mark, are the ones above priority 128.
"""
MARK = " && ct_mark[15] == 0"
SEEDS = range(int(os.environ.get("OVENBIRD_SEEDS", "4")))


def build(oracle, seed):
    """Make a network without load balancers: how ours differ from the original's is in `test_load_balancers`."""
    made = routed_topology.make(random.Random(seed), balancers=False)
    oracle.nbctl(*made.commands)
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_bindings_are_the_same(oracle, seed):
    """Ports of switches and routers, chassisredirect ports, what is announced for them; candidates; neighbours."""
    build(oracle, seed)
    oracle.compile()
    theirs, ours = (bindings(client) for client in (oracle.theirs, oracle.ours))
    assert ours == theirs
    assert any(name.startswith("r0-") for name in ours)


def bindings(client):
    columns = ("logical_port", "type", "options", "mac", "port_security", "external_ids", "tag")
    return {
        row["logical_port"]: tuple(str(row[column]) for column in columns[1:])
        for row in client.select("Port_Binding", *columns)
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_announcements_are_the_same(oracle, seed):
    """Debian's northd announces all translated addresses behind each port, ours those of the network there."""
    build(oracle, seed)
    oracle.compile()
    theirs, ours = (announced(client) for client in (oracle.theirs, oracle.ours))
    assert ours == theirs


def announced(client):
    """Return (port, MAC, address, where) for what ports announce of the networks that they are in."""
    found = set()
    for row in client.select("Port_Binding", "logical_port", "nat_addresses"):
        _, entries = row["nat_addresses"] if isinstance(row["nat_addresses"], list) else ("", [row["nat_addresses"]])
        for entry in entries:
            addresses, _, where = entry.partition(" is_chassis_resident")
            mac, *ips = addresses.split()
            network = row["logical_port"].rpartition("-s")[2]
            found |= {(row["logical_port"], mac, ip, where) for ip in ips if ip.startswith(f"10.{network}.")}
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_other_rows_are_the_same(oracle, seed):
    build(oracle, seed)
    oracle.compile()
    for table, columns in (
        ("Static_MAC_Binding", ("logical_port", "ip", "mac", "override_dynamic_mac")),
        ("HA_Chassis_Group", ("name",)),
        ("HA_Chassis", ("priority", "external_ids")),
        ("DNS", ("records",)),
        ("Address_Set", ("name", "addresses")),
        ("Multicast_Group", ("name", "tunnel_key")),
    ):
        theirs, ours = (
            sorted(str([row[column] for column in columns]) for row in client.select(table, *columns) if known(row))
            for client in (oracle.theirs, oracle.ours)
        )
        assert ours == theirs, table


def known(row):
    return row.get("name") not in ("svc_monitor_mac", "_MC_mrouter_flood", "_MC_static", "_MC_igmp_mrouter")


def test_a_second_compilation_changes_nothing(oracle):
    build(oracle, 1)
    _, edits = oracle.compile()
    assert edits > 100
    assert oracle.compile()[1] == 0


def test_a_southbound_of_the_originals_is_taken_over(oracle):
    """Tunnel keys and the rows that chassis hold on to stay; flows become ours; nothing is left over."""
    build(oracle, 2)
    oracle.stop_northd()
    before = oracle.identities(oracle.theirs)
    assert before
    _, edits = oracle.compile(into=oracle.theirs)
    assert edits
    assert oracle.identities(oracle.theirs) == before
    _, again = oracle.compile(into=oracle.theirs)
    assert again == 0
    sources = {dict(row["external_ids"][1])["source"] for row in oracle.theirs.select("Logical_Flow", "external_ids")}
    assert not any(source.startswith("northd.c") for source in sources)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_original_parses_every_flow(oracle, seed):
    """ovn-trace warns about each match and each action that it cannot read.

    Some ACLs it cannot read in Debian's flows either; but what those say, ours do.
    """
    build(oracle, seed)
    oracle.compile()
    assert complaints(oracle, "ours") == complaints(oracle, "theirs")


def complaints(oracle, whose):
    command = ["ovn-trace", f"--db={oracle.remote(whose)}", "-vconsole:warn", "--minimal", "s0", 'inport == "p1"']
    done = subprocess.run(["prlimit", "--as=500000000", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {line.rpartition("parsing ")[2] for line in done.stderr.splitlines() if "parsing " in line}


@pytest.mark.parametrize("seed", SEEDS)
def test_flows_of_routers_are_the_same(oracle, seed):
    """Every flow, but for the order of independent actions, numbers of groups and ports, and what later OVN adds.

    Debian's northd leaves the flows of a policy's next hops behind where one of them leads nowhere; and it has no flow
    to drop what leaves a router without ports. Its replies of balancers with `skip_snat` go out untranslated.
    """
    build(oracle, seed)
    oracle.compile()
    theirs, ours = (
        {flow for flow in router_flows(client) if flow[1] != "lr_out_undnat" or "skip_snat_for_lb" not in flow[4]}
        for client in (oracle.theirs, oracle.ours)
    )
    ours = {as_23_03(flow) for flow in ours if QUOTES_INSIDE not in flow[3] and flow[1:3] != ("lr_in_ip_input", 155)}
    ours = {flow for flow in ours if flow[1] not in UNTRANSLATED or flow[2] <= 128}
    assert {flow for flow in ours - theirs if flow[1:3] != ("lr_out_delivery", 0)} == set()
    assert {flow for flow in theirs - ours if flow[1] != "lr_in_policy_ecmp"} == set()
    assert len(ours) > 50


def as_23_03(flow):
    """Return a flow as 23.03 has it."""
    router, stage, priority, match, actions = flow
    if stage == "lr_in_defrag" and priority == 99:  # overlaps with the flows of priority 100, which have the say
        priority = 100
    if stage == "lr_out_snat" and priority > 128:
        match = match.replace(MARK, "")
    return router, stage, priority, match, actions


def router_flows(client):
    """Return (router, stage, priority, match, actions)."""
    names = {}
    for row in client.select("Datapath_Binding", "_uuid", "external_ids"):
        ids = dict(row["external_ids"][1])
        if "logical-router" in ids:
            names[row["_uuid"][1]] = ids["name"]
    groups = {
        row["_uuid"][1]: references(row["datapaths"]) for row in client.select("Logical_DP_Group", "_uuid", "datapaths")
    }
    found = set()
    columns = ("external_ids", "priority", "match", "actions", "logical_dp_group", "logical_datapath")
    for row in client.select("Logical_Flow", *columns):
        datapaths = references(row["logical_datapath"])
        datapaths += [uuid for group in references(row["logical_dp_group"]) for uuid in groups[group]]
        stage = dict(row["external_ids"][1])["stage-name"]
        texts = normal(row["match"]), normal(row["actions"])
        found |= {(names[uuid], stage, row["priority"], *texts) for uuid in datapaths if uuid in names}
    return found


def references(value):
    kind, content = value
    return [uuid for _, uuid in content] if kind == "set" else [content]
