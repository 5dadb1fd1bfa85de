"""Whatever JSON a request holds, the answer is a resource or a clear refusal, and a refusal changes nothing."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovenbird.api import query
from ovenbird.api.errors.base import BadRequest
from ovenbird.api.resources import RESOURCES
from support.api.neutron import Neutron

ID = "0b2b8b6e-2a7f-4c88-9b63-7a1d4c9b0b6f"
LIKELY = ["", "x", "10.0.0.5", "10.0.0.0/24", "fd00::/64", "fd00::1", "-1", "65536", "tcp", "icmp", "IPv4", "ingress",
          "true", "vlan", "flat", "physnet", "slaac", ID, "fa:16:3e:00:00:01", "\x00", "é" * 300,
          "fd00::5%a b", "fe80::1%x/64", "10.0.0.05", "10.0.0.0/255.255.255.0", "\u0665", "a\nb", 2**63,
          2**64 - 1]  # fmt: skip
NAMES = ["subnet_id", "ip_address", "start", "end", "destination", "nexthop", "opt_name", "opt_value", "mac_address"]

atoms = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    atoms | st.sampled_from(LIKELY) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def requests(draw):
    resource = draw(st.sampled_from([one for one in RESOURCES if not one.alias]))
    names = st.sampled_from([*sorted(resource.attributes), "tenant_id", "bogus"])
    return resource, draw(st.dictionaries(names, values, max_size=4))


async def check(resource, given):
    neutron = Neutron()
    async with neutron.http:
        network = await neutron.network()
        await neutron.subnet(network)
        port = await neutron.port(network)
        router = await neutron.create("router")
        outside, _ = await neutron.outside()
        floating = await neutron.create("floatingip", floating_network_id=outside["id"])
        [group] = await neutron.list("security-groups")
        _, policy = await neutron.ask("POST", "qos/policies", {"policy": {}})
        needed = {"network_id": network["id"], "cidr": "10.1.0.0/24"} if resource.member == "subnet" else {}
        needed |= {"network_id": network["id"]} if resource.member == "port" else {}
        if resource.member == "security_group_rule":
            needed |= {"security_group_id": group["id"], "direction": "ingress"}
        if resource.member == "floatingip":
            needed = {"floating_network_id": outside["id"]}
        path = resource.path
        if resource.within:
            parent = next(one for one in RESOURCES if one.collection == resource.within)
            ids = {"floatingips": floating["id"], "policies": policy["policy"]["id"]}
            path = f"{parent.path}/{ids[resource.within]}/{path}"
        before = await neutron.list(path)
        status, body = await neutron.ask("POST", path, {resource.member: needed | given})
        assert status in (201, 400, 404, 409, 501), (status, body)
        if status != 201:
            error = body["NeutronError"]
            assert error["type"]
            assert error["message"]
            assert await neutron.list(path) == before
        made = {"network": network, "port": port, "security_group": group, "router": router, "floatingip": floating}
        mine = made.get(resource.member) or (before or [{"id": port["id"]}])[0]
        status, body = await neutron.ask("PUT", f"{path}/{mine['id']}", {resource.member: given})
        assert status in (200, 400, 404, 409), (status, body)
        for one in RESOURCES:
            if not one.within and not one.alias:
                assert not [x for x in await neutron.list(one.path) if x.get("status") == "ERROR"]


@given(requests())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_json_is_answered(request):
    asyncio.run(check(*request))


@given(st.binary(max_size=60) | st.text("limtsorkeydfagn=&%_0123x,", max_size=60).map(str.encode))
@settings(max_examples=300)
def test_any_query_is_understood_or_refused(text):
    with contextlib.suppress(BadRequest):
        asked = query.parse(text, {"name": None, "mtu": None})
        assert asked.limit is None or asked.limit > 0
        assert query.matches({"name": None, "mtu": 1}, asked.filters) in (True, False)
