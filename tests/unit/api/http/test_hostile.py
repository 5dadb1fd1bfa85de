# ruff: noqa: E501, RUF001 (requests are one to a line; digits of other scripts are the point)
"""One tenant's request, or one row that makes no sense, costs nobody else anything; a 500 means that nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.attributes import MOST_AT_ONCE
from ovenbird.api.errors.base import NeutronError
from ovenbird.api.errors.request import TooManyBodies
from ovenbird.api.http.json_body import LARGEST, Bodies
from ovenbird.api.http.request_log import CALLER
from ovenbird.api.resources.port import _address_pairs, _dhcp_options, _fixed_ips
from ovenbird.api.values import list_of, text
from ovenbird.engine.rows import UUID
from ovenbird.model import cloud, nb, sb, settings

ZONES = ["fd00::5%a b", "fd00::5%", "fe80::1%eth0", "fd00:77::9%x"]


@pytest.fixture
async def world(neutron):
    network = await neutron.network()
    await neutron.subnet(network)
    subnet = await neutron.subnet(network, ip_version=6, cidr="fd00:77::/64")
    router = await neutron.create("router")
    await neutron.act(router, "add_router_interface", subnet_id=subnet["id"])
    return network, subnet, router, await neutron.port(network)


async def everything(neutron):
    paths = ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "address-groups")
    return [await neutron.list(path) for path in paths]


@pytest.mark.parametrize("address", [*ZONES, "fd00::٥", "10.0.0.5\n", "10.0.0.05", " 10.0.0.5", 5, None, ["10.0.0.5"]])
async def test_invalid_addresses_are_refused_in_every_attribute(neutron, world, address):
    network, subnet, router, port = world
    before = await everything(neutron)
    prefix = f"{address}/64"
    group = (await neutron.list("security-groups"))[0]["id"]
    requests = [
        ("POST", "ports", {"port": {"network_id": network["id"], "allowed_address_pairs": [{"ip_address": address}]}}),
        ("POST", "ports", {"port": {"network_id": network["id"], "allowed_address_pairs": [{"ip_address": prefix}]}}),
        ("POST", "ports", {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": address}]}}),
        ("PUT", f"ports/{port['id']}", {"port": {"allowed_address_pairs": [{"ip_address": address}]}}),
        ("PUT", f"ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": address}]}}),
        ("PUT", f"subnets/{subnet['id']}", {"subnet": {"host_routes": [{"destination": "fd01::/64", "nexthop": address}]}}),
        ("PUT", f"subnets/{subnet['id']}", {"subnet": {"host_routes": [{"destination": prefix, "nexthop": "fd00::1"}]}}),
        ("PUT", f"subnets/{subnet['id']}", {"subnet": {"dns_nameservers": [address]}}),
        ("PUT", f"subnets/{subnet['id']}", {"subnet": {"allocation_pools": [{"start": address, "end": "fd00:77::f"}]}}),
        ("PUT", f"routers/{router['id']}", {"router": {"routes": [{"destination": "fd01::/64", "nexthop": address}]}}),
        ("PUT", f"routers/{router['id']}", {"router": {"routes": [{"destination": prefix, "nexthop": "fd00:77::2"}]}}),
        ("PUT", f"routers/{router['id']}/add_extraroutes", {"router": {"routes": [{"destination": prefix, "nexthop": "fd00:77::2"}]}}),
        ("POST", "subnets", {"subnet": {"network_id": network["id"], "ip_version": 6, "cidr": prefix}}),
        ("POST", "address-groups", {"address_group": {"addresses": [prefix]}}),
        ("POST", "security-group-rules", {"security_group_rule": {"security_group_id": group, "direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": prefix}}),
    ]  # fmt: skip
    if address is not None:
        requests.append(("PUT", f"subnets/{subnet['id']}", {"subnet": {"gateway_ip": address}}))
    for method, path, body in requests:
        status, answer = await neutron.ask(method, path, body)
        assert status == 400, (path, body, answer)
    assert await everything(neutron) == before


def damage(client, row_class, uuid, **values):
    """Write what no request can."""
    transaction = client.transaction()
    transaction.update(client.store.table(row_class).get(UUID(uuid)), values)
    transaction.commit()


@pytest.mark.parametrize(
    ("row_class", "path", "values"),
    [
        (cloud.Port, "ports", {"allowed_address_pairs": frozenset(["one"])}),
        (cloud.Port, "ports", {"binding_profile": "{"}),
        (cloud.Subnet, "subnets", {"allocation_pools": frozenset(["x-y"])}),
        (cloud.Subnet, "subnets", {"host_routes": frozenset(["x"])}),
        (cloud.Router, "routers", {"routes": frozenset(["a b c"])}),
    ],
)
async def test_a_row_that_cannot_be_shown_is_shown_by_what_is_left_and_can_be_deleted(
    neutron, row_class, path, values, caplog
):
    network = await neutron.network()
    await neutron.subnet(network, enable_dhcp=False)
    makers = {
        "ports": lambda: neutron.port(network, fixed_ips=[], name="bad"),
        "subnets": lambda: neutron.subnet(network, name="bad", cidr="10.1.0.0/24", enable_dhcp=False),
        "routers": lambda: neutron.create("router", name="bad"),
    }
    good, bad = await makers[path](), await makers[path]() if path != "subnets" else None
    bad = bad or await neutron.subnet(network, name="bad", cidr="10.2.0.0/24", enable_dhcp=False)
    damage(neutron.cloud, row_class, bad["id"], **values)
    listed = {one["id"]: one for one in await neutron.list(path)}
    assert listed[good["id"]] == good
    left = listed[bad["id"]]
    assert left["name"] == "bad"
    assert left["project_id"] == bad["project_id"]
    assert left.get("status", "ERROR") == "ERROR"
    assert set(bad) - set(left) <= {"tags"}
    assert caplog.text.count("cannot be shown") == 1
    assert (await neutron.ask("GET", f"{path}/{bad['id']}"))[0] == 200
    assert len(await neutron.list(f"{path}?name=bad&sort_key=name&limit=5")) >= 1
    assert (await neutron.ask("DELETE", f"{path}/{bad['id']}"))[0] == 204
    assert bad["id"] not in {one["id"] for one in await neutron.list(path)}


async def test_a_corrected_row_is_shown_again(neutron):
    port = await neutron.port(await neutron.network())
    damage(neutron.cloud, cloud.Port, port["id"], allowed_address_pairs=frozenset(["one"]))
    assert (await neutron.list("ports"))[0]["status"] == "ERROR"
    damage(neutron.cloud, cloud.Port, port["id"], allowed_address_pairs=frozenset())
    assert await neutron.list("ports") == [port]


async def test_times_that_no_calendar_has_are_shown_all_the_same(neutron):
    network = await neutron.network()
    damage(neutron.cloud, cloud.Network, network["id"], updated_at=2**63 - 1)
    assert (await neutron.list("networks"))[0]["updated_at"] == "9999-12-31T23:59:59Z"


async def test_one_chassis_with_invalid_values_does_not_hide_others(neutron):
    neutron.chassis("one")
    neutron.chassis("two", ids={"neutron:ovn-metadata-id": "m", "neutron:ovn-metadata-sb-cfg": "9" * 5000})
    private = neutron.southbound.store.find(sb.ChassisPrivate.name, "one")
    damage(neutron.southbound, sb.ChassisPrivate, private.uuid, nb_cfg_timestamp=2**63 - 1)
    transaction = neutron.northbound.transaction()
    transaction.insert(nb.NBGlobal, {})
    transaction.commit()
    assert {agent["host"] for agent in await neutron.list("agents")} == {"one", "two"}


async def test_a_setting_that_is_not_a_number_counts_as_not_set(neutron):
    transaction = neutron.cloud.transaction()
    transaction.insert(cloud.CloudGlobal, {"options": {settings.AGENT_DOWN_TIME.name: "soon"}})
    transaction.commit()
    neutron.chassis("one")
    assert len(await neutron.list("agents")) == 1


async def test_a_committed_change_is_never_answered_by_500(neutron, monkeypatch):
    def fail(self, access, uuid):
        raise RuntimeError("a fault of ours")

    network = await neutron.network()
    monkeypatch.setattr("ovenbird.api.http.collection.Collection._shown", fail)
    status, body = await neutron.ask("POST", "networks", {"network": {"name": "x"}})
    assert status == 201
    assert body["network"].keys() == {"id"}
    status, _ = await neutron.ask("PUT", f"networks/{network['id']}", {"network": {"name": "y"}})
    assert status == 200


# -- what no database can hold -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "networks", {"network": {"name": "a\0b"}}),
        ("POST", "networks", {"network": {"description": "\0"}}),
        ("POST", "networks", {"networks": [{"name": "good"}, {"name": "\0"}]}),
        ("POST", "networks", {"network": {"project_id": "\0"}}),
        ("POST", "networks", {"network": {"availability_zone_hints": ["\0"]}}),
        ("POST", "ports", {"port": {"binding:profile": {"a": {"b": ["\0"]}}}}),
        ("POST", "ports", {"port": {"binding:profile": {"a\0": 1}}}),
        ("POST", "ports", {"port": {"extra_dhcp_opts": [{"opt_name": "x\0", "opt_value": "y"}]}}),
        ("PUT", "networks/ID", {"network": {"name": "\0"}}),
        ("PUT", "networks/ID/tags", {"tags": ["a\0"]}),
        ("PUT", "networks/ID/tags/a%00b", None),
        ("PUT", "networks/ID/tags/a%2500b", None),
        ("PUT", "quotas/a%00b", {"quota": {"port": 5}}),
        ("PUT", "quotas/a%2500b", {"quota": {"port": 5}}),
        ("POST", "networks", {"network": {"provider:segmentation_id": 2**63}}),
        ("POST", "networks", {"network": {"provider:segmentation_id": 2**64 - 1}}),
        ("POST", "networks", {"network": {"mtu": 2**200}}),
        ("POST", "networks", {"network": {"name": "x" * 256}}),
        ("PUT", "networks/ID/tags/" + "x" * 256, None),
    ],
)
async def test_values_that_no_database_can_hold_are_refused(neutron, method, path, body):
    network = await neutron.network()
    if "port" in (body or {}):
        body = {"port": {"network_id": network["id"]} | body["port"]}
    status, answer = await neutron.ask(method, path.replace("ID", network["id"]), body)
    assert status == 400, answer
    assert await neutron.list("networks") == [network]
    assert await neutron.list("ports") == []


async def test_unpaired_surrogates_are_no_json(neutron):
    headers = {"content-type": "application/json"}
    for raw in (
        rb'{"network":{"name":"\ud800"}}',
        b'{"network":{"name":"\xed\xa0\x80"}}',
        b'{"network":{"name":"\x00"}}',
    ):
        answer = await neutron.http.post("/v2.0/networks", content=raw, headers=headers)
        assert answer.status_code == 400
    assert await neutron.list("networks") == []


@pytest.mark.parametrize("depth", [40, 900, 100_000])
async def test_deeply_nested_json_does_not_exhaust_the_stack(neutron, depth):
    port = await neutron.port(await neutron.network())
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        value = opening * depth + "1" + closing * depth
        raw = f'{{"port":{{"binding:profile":{{"a":{value}}}}}}}'
        answer = await neutron.http.put(f"/v2.0/ports/{port['id']}", content=raw)
        assert answer.status_code == 400
        assert len(answer.content) < 3000


# -- what takes long ---------------------------------------------------------------------------------------------------


def steps(call):
    """Return the number of lines of ours that a call runs through: a measure that no other load disturbs."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(
    ("convert", "item"),
    [
        (_fixed_ips, lambda i: {"ip_address": f"10.0.{i >> 8 & 255}.{i & 255}"}),
        (_address_pairs, lambda i: {"ip_address": f"10.0.{i >> 8 & 255}.{i & 255}"}),
        (_dhcp_options, lambda i: {"opt_name": f"{i}", "opt_value": "x"}),
        (list_of(text()), str),
        (list_of(text(), most=10**6), str),
    ],
)
def test_a_long_list_is_refused_or_read_in_time_that_its_length_explains(convert, item):
    def measured(length):
        items = [item(i) for i in range(length)]

        def call():
            with contextlib.suppress(ValueError, NeutronError):
                convert(items)

        return steps(call)

    assert measured(4000) < 3 * measured(2000) + 100


async def test_a_body_has_a_longest_length(neutron):
    answer = await neutron.http.post("/v2.0/networks", content=b" " * (LARGEST + 1))
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("raw", [b'{"networks":[' + b"[]," * 600_000 + b"1]}", b"[" * 600_000, b'{"a":' * 600_000])
async def test_a_body_has_a_number_of_values(neutron, raw):
    answer = await neutron.http.post("/v2.0/networks", content=raw)
    assert answer.status_code == 400
    assert b"values" in answer.content


async def test_bodies_together_have_a_bound(neutron, monkeypatch):
    monkeypatch.setattr("ovenbird.api.http.json_body.BODIES", bodies := Bodies(most=100))
    answer = await neutron.http.post("/v2.0/networks", content=b" " * 101)
    assert answer.status_code == 503
    assert bodies.held == 0
    assert (await neutron.network())["name"] == "net"


class Upload:
    """A request whose body comes when it is told to."""

    def __init__(self, user, address):
        self.scope = {CALLER: Caller(user=user), "client": (address, 1)}
        self.parts = asyncio.Queue()

    async def stream(self):
        while part := await self.parts.get():
            yield part


async def test_one_caller_cannot_use_up_the_space_for_all_bodies():
    bodies = Bodies(most=100, most_of_one=50)

    def begin(user, address="1.1.1.1"):
        upload = Upload(user, address)
        upload.parts.put_nowait(b"x" * 30)
        return upload, asyncio.create_task(bodies.read(upload))

    held = begin("alice")
    await asyncio.sleep(0)  # it begins
    assert bodies.held == 30
    with pytest.raises(TooManyBodies):
        await begin("alice", "2.2.2.2")[1]
    for user, address in (("bob", "1.1.1.1"), ("", "1.1.1.1")):
        upload, reading = begin(user, address)
        upload.parts.put_nowait(b"")
        assert await reading == b"x" * 30
    held[0].parts.put_nowait(b"")
    assert await held[1] == b"x" * 30
    assert (bodies.held, bodies.held_of) == (0, {})


async def test_more_resources_than_one_request_may_make(neutron):
    body = {"networks": [{}] * (MOST_AT_ONCE + 1)}
    message = await neutron.refused(400, "HTTPBadRequest", "POST", "networks", body)
    assert "maximum" in message


async def test_an_error_quotes_a_bounded_part_of_a_value(neutron):
    message = await neutron.refused(400, "HTTPBadRequest", "POST", "networks", {"network": {"name": "x" * 100_000}})
    assert len(message) < 3000


async def test_options_do_not_pile_up(neutron):
    port = await neutron.port(await neutron.network())
    first, second = ([{"opt_name": f"{kind}{i}", "opt_value": "x"} for i in range(100)] for kind in "ab")
    assert (await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"extra_dhcp_opts": first}}))[0] == 200
    assert (await neutron.ask("PUT", f"ports/{port['id']}", {"port": {"extra_dhcp_opts": second}}))[0] == 400


async def test_if_match_that_is_no_revision(neutron):
    network = await neutron.network()
    for wanted in ("9" * 5000, "٥", "1_0", ""):
        headers = {"if-match": f"revision_number={wanted}".encode()}
        answer = await neutron.http.put(f"/v2.0/networks/{network['id']}", json={"network": {}}, headers=headers)
        assert answer.status_code == 412
