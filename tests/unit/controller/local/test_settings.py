"""What the local database tells, and what is asked of Southbound."""

from __future__ import annotations

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import MONITOR_CLAUSE
from ovenbird.controller.local.chassis import CHASSIS, wanted_encaps
from ovenbird.controller.local.settings import read_settings
from ovenbird.controller.southbound.monitor_conditions import MonitorConditions, everything
from ovenbird.model import sb


def test_a_key_with_the_chassis_name_overrides():
    ids = {"system-id": "hv1", "ovn-encap-ip": "1.1.1.1", "ovn-encap-ip-hv1": "2.2.2.2"}
    ids["ovn-encap-type"] = "geneve,vxlan"
    mine = read_settings(ids)
    assert (mine.encap_ips, mine.encap_types) == (("2.2.2.2",), ("geneve", "vxlan"))
    assert read_settings(ids, "other").encap_ips == ("1.1.1.1",)


def test_defaults():
    mine = read_settings({})
    assert (mine.chassis, mine.remote, mine.bridge, mine.monitor_all) == ("", "", "br-int", False)
    assert mine.encap_options == (("csum", "true"),)
    mapped = read_settings({"ovn-bridge-mappings": "a:br-a, b:br-b,nonsense"})
    assert mapped.bridge_mappings == {"a": "br-a", "b": "br-b"}


def test_registration_says_what_this_chassis_can_do(world):
    world.run()
    edits = [f[3] for f in world.facts[EDIT] if f[1] is sb.Chassis]
    assert [len(edit) for edit in edits] == [1, 1], "one edit each: a refused hostname costs the others nothing"
    changes = dict(change for edit in edits for change in edit)
    config = dict(changes["other_config"])
    assert config["port-up-notif"] == config["ct-no-masked-label"] == "true"
    assert changes["hostname"] == "host1"
    world.set(world.me, hostname="host1", other_config=config)
    world.run()
    assert [f for f in world.facts[EDIT] if f[1] is sb.Chassis] == []


def test_a_deleted_chassis_is_made_again(world):
    world.facts[CHASSIS] = set()
    world.run()
    world.delete(world.me)
    world.run()
    ((_, name, _, _, _, encaps, _),) = world.facts[CHASSIS]
    assert (name, encaps) == ("hv1", (("geneve", "192.0.2.1", (("csum", "true"),)),))


def test_the_encap_of_the_default_address_is_marked():
    ids = {"ovn-encap-ip": "192.0.2.1,192.0.2.2", "ovn-encap-type": "geneve", "ovn-encap-ip-default": "192.0.2.2"}
    plain = (("csum", "true"),)
    assert wanted_encaps(read_settings(ids)) == [
        ("geneve", "192.0.2.1", plain),
        ("geneve", "192.0.2.2", (*plain, ("is_default", "true"))),
    ]
    strange = read_settings(ids | {"ovn-encap-ip-default": "192.0.2.9"})
    assert {options for _, _, options in wanted_encaps(strange)} == {plain}
    assert strange.problems == ("external_ids:ovn-encap-ip-default=192.0.2.9: none of ovn-encap-ip, none is preferred",)


@pytest.mark.parametrize("text", ["0-5", "5-4", "1-65536", "7", "a-b", "-", "1-2-3"])
def test_a_range_of_zones_that_is_none_is_reported(text):
    assert read_settings({"ct-zone-range": "7-7"}).ct_zone_range == (7, 7)
    mine = read_settings({"ct-zone-range": text})
    assert mine.ct_zone_range == (1, 65_535)
    (problem,) = mine.problems
    assert problem == f"external_ids:ct-zone-range={text}: not MIN-MAX from 1 to 65535, 1-65535 is used"


@pytest.mark.parametrize(
    ("given", "wanted"), [((), None), (("OpenFlow13",), {"OpenFlow13", "OpenFlow15"}), (("OpenFlow15",), None)]
)
def test_a_bridge_with_a_list_of_protocols_is_given_the_one_that_is_spoken(world, given, wanted):
    world.set(world.bridge, protocols=frozenset(given))
    world.run()
    changes = dict(change for fact in world.facts[EDIT] if fact[2] == world.bridge.uuid for change in fact[3])
    assert changes.get("protocols") == wanted


def test_only_local_datapaths_are_monitored(world):
    one, two = world.switch(1), world.switch(2)
    world.lport(one, "p1", 1)
    world.lport(two, "q1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    interest = MonitorConditions()
    interest.absorb(added=world.facts[MONITOR_CLAUSE], removed=[])
    assert interest.datapaths() == {one.uuid}
    conditions = final(interest.steps())
    assert conditions["Logical_Flow"] == [["logical_datapath", "==", ["uuid", one.uuid]]]
    assert ["logical_port", "==", "p1"] in conditions["Port_Binding"]
    assert conditions["FDB"] == [["dp_key", "==", 1]]
    assert two.uuid not in str(conditions)


def test_switches_of_a_local_router_are_local(world):
    one, two, router = world.switch(1), world.switch(2), world.switch(3)
    world.lport(one, "p1", 1)
    for name, datapath, peer in (("a", one, "b"), ("b", router, "a"), ("c", router, "d"), ("d", two, "c")):
        world.lport(datapath, name, 9, type="patch", options={"peer": peer})
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    interest = MonitorConditions()
    interest.absorb(added=world.facts[MONITOR_CLAUSE], removed=[])
    assert interest.datapaths() == {one.uuid, two.uuid, router.uuid}


def final(steps):
    return {name: clauses for step in steps for name, clauses in step.items()}


def clauses_about(datapaths):
    uuids = [f"{n:04}" for n in datapaths]
    rows = [MONITOR_CLAUSE("Datapath_Binding", "_uuid", "==", uuid) for uuid in uuids]
    return [*rows, *(MONITOR_CLAUSE("Logical_Flow", "logical_datapath", "==", uuid) for uuid in uuids)]


def test_logical_flows_are_asked_for_last():
    interest = MonitorConditions()
    interest.absorb(added=[MONITOR_CLAUSE("Port_Binding", "type", "==", "patch"), *clauses_about(range(3))], removed=[])
    others, flows = interest.steps()
    assert others["Port_Binding"] == [["type", "==", "patch"]]
    assert list(flows) == ["Logical_Flow"]


def test_many_datapaths_come_in_parts_and_none_goes_meanwhile():
    interest = MonitorConditions()
    interest.absorb(added=clauses_about(range(100)), removed=[])
    steps = interest.steps()
    assert [len(step["Datapath_Binding"]) for step in steps[:4]] == [25, 50, 75, 100]
    assert [len(step["Logical_Flow"]) for step in steps[4:]] == [25, 50, 75, 100]
    before = final(interest.steps())
    assert steps[3] | steps[7] == before
    interest.absorb(added=clauses_about(range(100, 150)), removed=[])
    steps = interest.steps()
    assert [len(step["Logical_Flow"]) for step in steps[2:]] == [125, 150]
    assert all(clause in steps[2]["Logical_Flow"] for clause in before["Logical_Flow"])
    interest.absorb(added=[], removed=clauses_about([7]))
    assert [len(step["Logical_Flow"]) for step in interest.steps()[1:]] == [149]


def test_from_monitoring_everything_to_the_conditions_is_one_step():
    interest = MonitorConditions()
    assert interest.steps(everywhere=True) == [everything()]
    interest.absorb(added=clauses_about(range(100)), removed=[])
    assert [len(step.get("Logical_Flow", [])) for step in interest.steps()] == [0, 100]
