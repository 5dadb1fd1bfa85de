"""Requests beside Neutron's policy engine: what it would forbid is 403 here, and nothing else is.

One difference is left out: an attribute that is given the value which it has anyway is no request here, whereas Neutron
forbids even that where its attribute has no default. Skipped where Neutron is not installed; OVENBIRD_NEUTRON_PYTHON
names the Python of the environment that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import httpx
import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support import SUPPORT

PROGRAM = SUPPORT / "beside_neutron" / "neutron_enforcement.py"

CALLERS = {
    "reader": ["reader"],
    "member": ["member", "reader"],
    "manager": ["manager", "member", "reader"],
    "service": ["service"],
    "admin": ["admin", "manager", "member", "reader"],
}

PAIR = {"ip_address": "192.0.2.4"}

NETWORKS = [
    {"name": "x"}, {"shared": True}, {"shared": False}, {"router:external": True}, {"router:external": False},
    {"port_security_enabled": False}, {"mtu": 1400}, {"dns_domain": "x.org."}, {"admin_state_up": False},
]  # fmt: skip
NEW_NETWORKS = [
    *NETWORKS, {"provider:network_type": "geneve"}, {"availability_zone_hints": []},
    {"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": 7},
]  # fmt: skip
PORTS = [
    {"name": "x"}, {"mac_address": "fa:16:3e:11:22:33"}, {"fixed_ips": [{"subnet_id": "SUBNET"}]},
    {"fixed_ips": [{"subnet_id": "SUBNET", "ip_address": "10.0.0.51"}]}, {"device_owner": "compute:nova"},
    {"device_owner": "network:dhcp"}, {"device_owner": ""}, {"device_id": "x"}, {"binding:host_id": "h"},
    {"binding:profile": {"a": 1}}, {"binding:vnic_type": "normal"}, {"port_security_enabled": True},
    {"port_security_enabled": False, "security_groups": []}, {"allowed_address_pairs": [PAIR]},
    {"allowed_address_pairs": [PAIR | {"mac_address": "fa:16:3e:11:22:34"}]}, {"security_groups": []},
    {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1"}]}, {"dns_name": "a"},
]  # fmt: skip
NEW_PORTS = [*PORTS, {}, {"fixed_ips": [{"ip_address": "10.0.0.50"}]}, {"binding:vnic_type": "direct"}]
OUT = {"network_id": "OUTSIDE"}
ROUTERS = [
    {"name": "x"}, {"admin_state_up": False}, {"external_gateway_info": OUT}, {"external_gateway_info": None},
    {"external_gateway_info": OUT | {"enable_snat": True}}, {"external_gateway_info": OUT | {"enable_snat": False}},
    {"external_gateway_info": OUT | {"external_fixed_ips": [{"ip_address": "203.0.113.77"}]}},
]  # fmt: skip
FLOATING_IPS = [
    {"floating_network_id": "OUTSIDE"} | more
    for more in ({}, {"floating_ip_address": "203.0.113.99"}, {"floating_ip_address": None}, {"dns_name": "x"})
]
SUBNETS = [{"cidr": "10.9.0.0/24", "ip_version": 4}, {"cidr": "10.9.0.0/24", "ip_version": 4, "enable_dhcp": False}]

CASES = [
    *(("create", "network", body, None) for body in NEW_NETWORKS),
    *(("update", "network", body, None) for body in NETWORKS),
    *(("create", "port", body, on) for body in NEW_PORTS for on in ("own", "shared")),
    *(("update", "port", body, on) for body in PORTS for on in ("own", "shared")),
    *(("create", "subnet", body, on) for body in SUBNETS for on in ("own", "shared")),
    *(("create", "router", body, None) for body in ROUTERS),
    *(("update", "router", body, None) for body in ROUTERS),
    *(("create", "floatingip", body, None) for body in FLOATING_IPS),
    *(("create", "security_group", body, None) for body in ({"name": "a"}, {"stateful": False})),
    *(("create", "address_group", body, None) for body in ({"name": "a"}, {"addresses": ["10.0.0.0/8"]})),
]


def neutrons_answers():
    """Return Neutron's decisions, in the order of CASES and, in each, of CALLERS."""
    asked = []
    for verb, member, body, on in CASES:
        target = dict(body, project_id="red", tenant_id="red")
        if on is not None:
            owner = {"own": "red", "shared": "blue"}[on]
            target |= {"network_id": "n", "network:project_id": owner, "shared": on == "shared"}
        if member == "port":
            target.setdefault("device_owner", "")
        if verb == "update":
            target["attributes_to_update"] = list(body)
        asked += [(roles, f"{verb}_{member}", f"{member}s", target) for roles in CALLERS.values()]
    python = os.environ.get("OVENBIRD_NEUTRON_PYTHON", sys.executable)
    text = json.dumps(asked)
    done = subprocess.run([python, PROGRAM], input=text, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("Neutron is not installed (OVENBIRD_NEUTRON_PYTHON)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Trusting:
    """Believes the X-Role header."""

    restricted = True

    def known(self, headers):
        role = dict(headers)[b"x-role"].decode()
        return Caller(project="red", user="somebody", roles=frozenset(CALLERS[role]))

    async def identify(self, headers):
        raise AssertionError

    async def close(self):
        pass


class Api:
    """The API in this process."""

    def __init__(self):
        database = Server().add(Database(cloud.schema(), cloud.ROWS))
        app = create_app(database, authenticator=Trusting(), policy=Policy(RULES))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://neutron/v2.0")

    async def ask(self, role, method, path, body=None):
        answer = await self.http.request(method, f"/{path}", json=body, headers={"X-Role": role})
        return answer.status_code, answer.json() if answer.content else {}

    async def make(self, member, **values):
        status, body = await self.ask("admin", "POST", f"{member}s", {member: {"project_id": "red"} | values})
        assert status == 201, body
        return body[member]["id"]

    async def world(self):
        """Make what the cases name."""
        unlimited = dict.fromkeys(("network", "subnet", "port", "router", "floatingip", "security_group"), -1)
        assert (await self.ask("admin", "PUT", "quotas/red", {"quota": unlimited}))[0] == 200
        provider = {"provider:network_type": "flat", "provider:physical_network": "public"}
        self.outside = await self.make("network", **{"router:external": True} | provider)
        await self.make("subnet", network_id=self.outside, cidr="203.0.113.0/24", ip_version=4)
        self.networks = {
            "own": await self.make("network"),
            "shared": await self.make("network", project_id="blue", shared=True),
        }
        self.subnets = {
            on: await self.make("subnet", network_id=network, cidr="10.0.0.0/24", ip_version=4)
            for on, network in self.networks.items()
        }

    async def allows(self, role, verb, member, body, on):
        """Return whether a request is not forbidden; what it makes is removed."""
        text = json.dumps(body).replace("OUTSIDE", self.outside).replace("SUBNET", self.subnets.get(on, ""))
        values = json.loads(text)
        path = f"{member}s".replace("_", "-")
        network = {"network_id": self.networks[on]} if on is not None else {}
        if verb == "update":
            uuid = await self.make(member, **network)
            status, answer = await self.ask(role, "PUT", f"{path}/{uuid}", {member: values})
        else:
            status, answer = await self.ask(role, "POST", path, {member: values | network})
            uuid = answer[member]["id"] if status == 201 else None
        if uuid is not None:
            await self.ask("admin", "DELETE", f"{path}/{uuid}")
        assert status < 500, answer
        # what the caller may not even see, as a service does not see a project's routers, is not there instead
        return status != 403 and not (verb == "update" and status == 404)


async def test_callers_get_403_or_404_for_the_same_requests_as_in_neutron():
    theirs = iter(neutrons_answers())
    api = Api()
    different = []
    async with api.http:
        await api.world()
        for case in CASES:
            for role in CALLERS:
                allowed = next(theirs)
                if await api.allows(role, *case) != allowed:
                    different.append((role, *case, f"Neutron says {allowed}"))
    assert different == []
