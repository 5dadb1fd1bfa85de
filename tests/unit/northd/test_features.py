"""Rules about features as such."""

from importlib import import_module
from pkgutil import iter_modules

import pytest

from ovenbird.model import nb
from ovenbird.northd import router, shared, switch
from ovenbird.northd.features import FEATURES

MODULES = [
    import_module(found.name)
    for package in (switch, router, shared)
    for found in iter_modules(package.__path__, f"{package.__name__}.")
]


def test_names_are_distinct_and_each_does_something():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.rules or feature.port for feature in FEATURES)


def test_every_rule_is_listed_once():
    rules = [rule for feature in FEATURES for rule in feature.rules]
    assert len(set(rules)) == len(rules)
    assert {rule.subject for rule in rules} >= {nb.LogicalSwitch, nb.ACL, nb.PortGroup}


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_flows_carry_their_features_name(feature):
    (module,) = [module for module in MODULES if getattr(module, "FEATURE", None) is feature]
    author = getattr(module, "flow", None)
    assert module.__name__.endswith(f".{feature.name}")
    assert author is None or author._source == ("source", feature.name)
