"""Rules about features as such."""

from importlib import import_module

import pytest

from ovenbird.features import FEATURES
from ovenbird.model import nb


def test_names_are_distinct_and_each_does_something():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.rules or feature.port for feature in FEATURES)


def test_every_rule_is_listed_once():
    rules = [rule for feature in FEATURES for rule in feature.rules]
    assert len(set(rules)) == len(rules)
    assert {rule.subject for rule in rules} >= {nb.LogicalSwitch, nb.ACL, nb.PortGroup}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_flows_carry_their_features_name(feature):
    module = import_module(f"ovenbird.features.{feature.name}")
    author = getattr(module, "flow", None)
    assert module.FEATURE is feature
    assert author is None or author._source == ("source", feature.name)
