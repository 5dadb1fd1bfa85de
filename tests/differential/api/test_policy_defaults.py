"""The default rules beside Neutron's own; skipped where Neutron is not installed.

Neutron may be in another environment than the tests: OVENBIRD_NEUTRON_PYTHON names that one's Python.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Access, parse
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.resources.bgp_peer import BGPPeers
from ovenbird.api.resources.bgp_speaker import BGPSpeakers
from ovenbird.api.resources.tap_mirror import TapMirrors

DUMP = """
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    from neutron.conf import policies
except ImportError:
    sys.exit(3)
print(json.dumps({rule.name: rule.check_str for rule in policies.list_rules()}))
"""

ROLES = [(), ("reader",), ("member", "reader"), ("manager", "member", "reader"), ("service",), ("advsvc",), ("admin",)]


@pytest.fixture(scope="module")
def neutrons():
    python = os.environ.get("OVENBIRD_NEUTRON_PYTHON", sys.executable)
    done = subprocess.run([python, "-c", DUMP], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("Neutron is not installed (OVENBIRD_NEUTRON_PYTHON)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


OURS = {
    "get_finding",
    "update_security_group_rule",
    "update_default_security_group_rule",
    *(f"{verb}_address_group:tags" for verb in ("get", "create", "update", "delete")),
    *BGPPeers.rules,
    *BGPSpeakers.rules,
    *TapMirrors.rules,
}
"""Rules about what cannot be done in Neutron, which has none for it, or has them in packages beside it."""

PLUGINS = ("bgp_", "tap_mirror", "gateway_network", "advertised_routes")
"""Parts of the names of rules that come with neutron-dynamic-routing and tap-as-a-service."""


def test_every_rule_is_one_of_neutrons(neutrons):
    own = {name for name in RULES if not any(part in name for part in PLUGINS)}
    assert sorted(own - set(neutrons)) == sorted(OURS)


@pytest.mark.parametrize("roles", ROLES)
@pytest.mark.parametrize("service", [(), ("service",)])
def test_rules_decide_as_neutrons_do(neutrons, roles, service):
    caller = Caller(project="red", user="somebody", roles=frozenset(roles), service_roles=frozenset(service))
    ours = Access(parse(RULES, {}), caller)
    original = Access(parse(RULES, {name: neutrons[name] for name in RULES if name in neutrons}), caller)
    targets = [
        {"project_id": own, "network:project_id": parent, "security_group:project_id": parent,
         "ext_parent:project_id": parent, "shared": shared, "router:external": external, "device_owner": owner}
        for own, parent, shared, external, owner in itertools.product(
            ("red", "blue"), ("red", "blue"), (True, False), (True, False),
            ("", "network:dhcp", "compute:nova", "baremetal:x"))
    ]  # fmt: skip
    different = [
        (name, target)
        for name in RULES
        if name not in OURS
        for target in targets
        if ours.allows(name, target.__getitem__) != original.allows(name, target.__getitem__)
    ]
    assert different == []
