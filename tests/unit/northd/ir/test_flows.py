"""Stages, flows and datapath groups."""

from ovenbird.model.sb import LogicalFlow
from ovenbird.northd.ir.datapath_groups import SWITCHES, DatapathGroup, named_uuid, port_group
from ovenbird.northd.ir.flow import LOGICAL_FLOW, flow_builder
from ovenbird.pipeline.stages import ROUTER_EGRESS, ROUTER_INGRESS, STAGES, SWITCH_EGRESS, SWITCH_INGRESS, stage


def test_stage_numbers_are_positions():
    for stages in (SWITCH_INGRESS, SWITCH_EGRESS, ROUTER_INGRESS, ROUTER_EGRESS):
        assert [each.table for each in stages] == list(range(len(stages)))
    assert len(STAGES) == sum(map(len, (SWITCH_INGRESS, SWITCH_EGRESS, ROUTER_INGRESS, ROUTER_EGRESS)))


def test_a_flow_says_where_it_comes_from():
    flow = flow_builder("acl")
    fact = flow(stage("ls_in_acl"), "dp", 7, "ip4", "next;", hint="0123456789", port="p0")
    row = dict(zip((c.name for c in LOGICAL_FLOW.columns), fact[1:], strict=True))
    assert row["logical_datapath"] == "dp"
    assert row["logical_dp_group"] is None
    assert (row["pipeline"], row["table_id"], row["priority"]) == ("ingress", 8, 7)
    assert row["external_ids"] == (("source", "acl"), ("stage-hint", "01234567"), ("stage-name", "ls_in_acl"))
    assert row["tags"] == (("in_out_port", "p0"),)
    assert tuple(sorted(row["external_ids"])) == row["external_ids"], "facts hold maps sorted"
    assert {c.name for c in LOGICAL_FLOW.columns} == {c.name for c in LogicalFlow.COLUMNS} - {"flow_desc"}


def test_a_flow_of_a_datapath_group_refers_to_the_group():
    fact = flow_builder("x")(stage("ls_in_acl"), SWITCHES, 0, "1", "next;")
    assert fact[1:3] == (None, SWITCHES.uuid)


def test_a_name_always_gives_the_same_uuid():
    assert named_uuid("a", "b") == named_uuid("a", "b") != named_uuid("ab")
    assert DatapathGroup("switches").uuid == SWITCHES.uuid
    assert port_group("u1", tracks=True) is port_group("u1", tracks=True)
    uuids = {port_group(group, tracks=tracks).uuid for group in ("u1", "u2") for tracks in (True, False)}
    assert len(uuids) == 4
    assert [len(part) for part in SWITCHES.uuid.split("-")] == [8, 4, 4, 4, 12]
