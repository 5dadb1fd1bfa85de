"""Asks Neutron's policy engine about requests; a program of its own, since Neutron may live in another environment.

Standard input is a list of [role names, action, plural, target]; the answers are a list of booleans on standard output.
"""

import importlib
import json
import pkgutil
import sys
import warnings

warnings.simplefilter("ignore")

try:
    from neutron import policy
    from neutron_lib import context
    from neutron_lib.api import attributes, definitions
    from oslo_config import cfg
except ImportError:
    sys.exit(3)

for module in pkgutil.iter_modules(definitions.__path__):
    found = importlib.import_module(f"neutron_lib.api.definitions.{module.name}")
    for collection, table in (getattr(found, "RESOURCE_ATTRIBUTE_MAP", None) or {}).items():
        for name, attribute in table.items():
            attributes.RESOURCES.setdefault(collection, {}).setdefault(name, {}).update(attribute)
cfg.CONF([], project="neutron", default_config_files=[])
policy.init()

answers = []
for roles, action, plural, target in json.load(sys.stdin):
    who = context.Context(user_id="somebody", project_id="red", roles=roles, is_admin="admin" in roles)
    answers.append(bool(policy.check(who, action, target, pluralized=plural)))
json.dump(answers, sys.stdout)
