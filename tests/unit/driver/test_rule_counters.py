"""Runs of rules are told node by node, as `inc-engine/show-stats` does."""

from __future__ import annotations

from ovenbird.driver.rule_counters import RuleCounters


def test_runs_are_told_by_node_and_kind():
    counters = RuleCounters()
    counters.know(["idle"])
    counters.absorb({"b": 3, "a": 1}, failed={}, first=True)
    counters.absorb({"b": 2}, failed={"b": 1}, first=False)
    node = "Node: b\n- recompute:            3\n- compute:              2\n- abort:                1\n"
    assert counters.show("b") == node
    assert [line for line in counters.show().splitlines() if line.startswith("Node")] == [
        "Node: a",
        "Node: b",
        "Node: idle",
    ]
    assert counters.show("b", counter="compute") == "2\n"
    assert counters.show("b", counter="other") == "Invalid stat type : other\n"
    assert counters.show("c") == ""
    counters.clear()
    assert counters.show("b", counter="recompute") == "0\n"
