"""Switches that are joined to each other, without a router."""

import pytest

from ovenbird.model import nb, sb


@pytest.fixture
def joined(networks):
    """Switches a and b, joined by their ports a-b and b-a; an instance at each."""
    networks.insert(nb.NBGlobal)
    for name, other in (("a", "b"), ("b", "a")):
        switch = networks.switch(name)
        networks.port(switch, f"vm-{name}", "00:00:00:00:00:01 10.0.0.1")
        networks.port(switch, f"{name}-{other}", type="switch", peer=f"{other}-{name}", options={"qos_burst": "7"})
    networks.settle()
    return networks


def port(networks, name):
    return networks.nb.store.find(nb.LogicalSwitchPort.name, name)


def bindings(networks):
    return {row.logical_port: row for row in networks.rows(sb.PortBinding)}


def test_each_is_a_patch_port_whose_peer_is_the_other(joined):
    found = bindings(joined)
    for name, other in (("a-b", "b-a"), ("b-a", "a-b")):
        assert (found[name].type, found[name].options) == ("patch", {"peer": other, "qos_burst": "7"})
        assert port(joined, name).up is True
    assert not joined.findings()


def test_unknown_addresses_are_behind_it_and_learned(joined):
    (group,) = [g for g in joined.rows(sb.MulticastGroup) if g.name == "_MC_unknown" and name_of(g) == "a"]
    assert [member.logical_port for member in group.ports] == ["a-b"]
    learning = [flow[1:] for flow in joined.flows("ls_in_lookup_fdb", "ls_in_put_fdb", datapath="a") if flow[1]]
    assert learning == [
        (100, 'inport == "a-b"', "reg0[11] = lookup_fdb(inport, eth.src); next;"),
        (100, 'inport == "a-b" && reg0[11] == 0', "put_fdb(inport, eth.src); next;"),
    ]


def name_of(group):
    return group.datapath.external_ids["name"]


def test_packets_of_a_port_to_another_switch_are_not_tracked(joined):
    def untracked(*stages):
        return [f for f in joined.flows(*stages, datapath="a") if f[1] == 110 and '"a-b"' in f[2]]

    assert len(untracked("ls_in_pre_lb", "ls_out_pre_lb")) == 2
    assert not untracked("ls_in_pre_acl", "ls_out_pre_acl")
    (switch,) = [s for s in joined.nb.store.table(nb.LogicalSwitch).rows.values() if s.name == "a"]
    joined.acl(switch, "to-lport", "ip", "allow-related")
    joined.settle()
    assert {f[3] for f in untracked("ls_in_pre_acl", "ls_out_pre_acl", "ls_in_pre_lb", "ls_out_pre_lb")} == {"next;"}
    assert len(untracked("ls_in_pre_acl", "ls_out_pre_acl")) == 2


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"peer": None}, 1), ({"peer": "nobody"}, 1), ({"peer": "vm-a"}, 2), ({"peer": "b-a"}, 2),
        ({"type": "localnet"}, 1), ({"type": ""}, 1), ({"type": "router"}, 1),
    ],
)  # fmt: skip
def test_an_unusable_peer_has_no_effect_and_is_a_finding(joined, values, found):
    joined.update(port(joined, "b-a"), **values)
    joined.settle()
    assert all("peer" not in bindings(joined)[name].options for name in ("a-b", "b-a"))
    assert len([text for text in joined.findings() if "leads nowhere" in text]) == found


def test_ports_of_one_switch_are_not_joined(joined):
    """A packet would go round and round."""
    (b,) = [s for s in joined.nb.store.table(nb.LogicalSwitch).rows.values() if s.name == "b"]
    for name, other in (("x", "y"), ("y", "x")):
        joined.port(b, name, type="switch", peer=other)
    joined.settle()
    assert all("peer" not in bindings(joined)[name].options for name in ("x", "y"))
    assert len(joined.findings()) == 2


def test_a_new_or_removed_peer_runs_the_rules_of_both_ports(joined):
    joined.update(port(joined, "b-a"), peer=None)
    ran = joined.wave()
    assert ran["switch_port"] == 2
    joined.settle()
    assert "peer" not in bindings(joined)["a-b"].options
    joined.update(port(joined, "b-a"), peer="a-b")
    joined.settle()
    assert bindings(joined)["a-b"].options["peer"] == "b-a"
