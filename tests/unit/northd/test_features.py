"""Rules about features as such."""

from collections import Counter
from importlib import import_module
from pkgutil import iter_modules

import pytest

from ovenbird import northd
from ovenbird.engine.facts import Members, Rows
from ovenbird.model import nb
from ovenbird.northd import build, ir, router, shared, switch
from ovenbird.northd.build import port_hooks
from ovenbird.northd.features import EXPLANATIONS, FEATURES
from ovenbird.pipeline.stages import stage
from support.northd.networks import Networks

MODULES = [
    import_module(found.name)
    for package in (switch, router, shared, ir, northd)
    for found in iter_modules(package.__path__, f"{package.__name__}.")
]
OUTPUTS = Networks().engine.outputs


def test_names_are_distinct_and_each_does_something():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.rules or feature.port for feature in FEATURES)


def test_a_feature_that_is_not_used_is_not_asked_about_a_port(monkeypatch):
    used = {"binding", "arp", "l2_lookup", "neighbor_resolution"}
    asked = []

    def recorded(port):
        asked.append(port_hooks(port))
        return asked[-1]

    monkeypatch.setattr(build, "port_hooks", recorded)
    networks = Networks()
    networks.port(networks.switch("sw0"), "p1", "0a:00:00:00:00:01 10.0.0.1")
    networks.settle()
    assert asked == [tuple(feature.port for feature in FEATURES if feature.name in used)]


def test_every_rule_is_listed_once():
    rules = [rule for feature in FEATURES for rule in feature.rules]
    assert len(set(rules)) == len(rules)
    assert {rule.subject for rule in rules} >= {nb.LogicalSwitch, nb.ACL, nb.PortGroup}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_flows_carry_their_features_name(feature):
    (module,) = [module for module in MODULES if getattr(module, "FEATURE", None) is feature]
    author = getattr(module, "flow", None)
    assert module.__name__.endswith(f".{feature.name}")
    assert author is None or ("source", feature.name) in author(stage("ls_in_acl"), "dp", 0, "1", "next;")[-1]


def test_every_kind_of_row_that_a_file_declares_is_written():
    declared = {each for module in MODULES for each in vars(module).values() if isinstance(each, Rows | Members)}
    assert declared <= {*OUTPUTS, *(members for output in OUTPUTS.values() for members in output.members)}


def test_each_column_has_one_owner():
    owned = [
        c for rows, output in OUTPUTS.items() for c in (*rows.columns, *rows.empty, *(m.column for m in output.members))
    ]
    assert [column.name for column, times in Counter(owned).items() if times > 1] == []


def test_each_table_of_hints_is_described_by_one_feature():
    tables = [table.row_class for table in EXPLANATIONS.tables]
    assert len(set(tables)) == len(tables)
