"""Bad input from end to end: a clear error for whoever sent it, nothing half-done, and everybody else goes on."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ovenbird.lab import demo_topology
from ovenbird.lab.command import run
from ovenbird.lab.errors import ApiError
from ovenbird.lab.lab import Lab
from ovenbird.lab.neutron import Neutron
from support.waiting import until

pytestmark = pytest.mark.live

Refused = Callable[..., str]


def _databases(lab: Lab) -> dict[str, str]:
    """Return the tables of Cloud and Northbound as they are now, in text, without the numbers of turns."""
    names = {"cloud": "Cloud", "nb": "OVN_Northbound"}
    dumps = {db: run(["ovsdb-client", "-f", "csv", "dump", lab.layout.remote(db), name]) for db, name in names.items()}
    tables = {db: dump.split("\n\n") for db, dump in dumps.items()}
    return {db: "\n\n".join(t for t in all_of if not t.startswith("Quota_Turn")) for db, all_of in tables.items()}


@pytest.fixture
def untouched(cloud: Lab) -> Iterator[None]:
    """See that the test leaves no trace: not in the databases, and the programs that ran run on."""
    databases, processes = _databases(cloud), cloud.processes()
    yield
    assert _databases(cloud) == databases
    assert cloud.processes() == processes
    one, two = cloud.instance("test1"), cloud.instance("test2")
    assert one.pings(two.address or "")


@pytest.fixture
def neutron(cloud: Lab) -> Iterator[Neutron]:
    with cloud.neutron() as connection:
        yield connection


@pytest.fixture
def network(neutron: Neutron) -> str:
    return str(neutron.find("network", demo_topology.NETWORK)["id"])


def _refusal(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value.status, caught.value.kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Malformed request body"),
        (b'{"network": ', "Malformed request body"),
        (b"\xff\xfe{", "Malformed request body"),
        (b"[" * 100_000, "Malformed request body"),
        (b"[]", "Resource body required"),
        (b'{"port": {}}', "Unable to find 'network'"),
        (b'{"network": {"nmae": "x"}}', "Unrecognized attribute"),
        (b'{"network": {"name": 7}}', "name"),
        (b'{"network": {"admin_state_up": "perhaps"}}', "'perhaps' cannot be converted to boolean"),
        (b'{"networks": [{"name": "good"}, {"name": {}}]}', "name"),
    ],
)
def test_the_api_says_what_is_wrong_with_a_body(cloud: Lab, untouched: None, body: bytes, message: str) -> None:
    answer = httpx.post(f"{cloud.layout.api}/v2.0/networks", content=body, trust_env=False)
    assert answer.status_code == 400
    assert message in answer.json()["NeutronError"]["message"]


def test_the_api_says_what_it_does_not_have(cloud: Lab, untouched: None) -> None:
    with httpx.Client(base_url=f"{cloud.layout.api}/v2.0/", trust_env=False) as api:
        for method, path, status in (
            ("GET", "nothings", 404),
            ("GET", "networks/nope", 404),
            ("DELETE", "ports/00000000-0000-0000-0000-000000000000", 404),
            ("PATCH", "networks", 405),
        ):
            answer = api.request(method, path)
            assert (answer.status_code, method, path) == (status, method, path)
            assert answer.json()["NeutronError"]["message"]


def test_addresses_are_given_once(cloud: Lab, neutron: Neutron, network: str, untouched: None) -> None:
    taken, mac = cloud.instance("test1").address, cloud.instance("test1").mac

    def port(**attributes: Any) -> tuple[int, str]:
        return _refusal(lambda: neutron.create("port", network_id=network, **attributes))

    assert port(fixed_ips=[{"ip_address": taken}]) == (409, "IpAddressAlreadyAllocated")
    assert port(fixed_ips=[{"ip_address": "10.9.0.1"}]) == (400, "InvalidIpForNetwork")
    assert port(fixed_ips=[{"ip_address": "10.0.0.256"}])[0] == 400
    assert port(fixed_ips=[{"ip_address": "10.0.0.77"}, {"ip_address": "10.0.0.77"}])[0] == 400
    assert port(mac_address=mac) == (409, "MacAddressInUse")
    assert port(mac_address="01:02")[0] == 400
    assert port(security_groups=["nope"])[0] in {400, 404}


def test_resources_in_use_cannot_be_deleted(cloud: Lab, neutron: Neutron, network: str, untouched: None) -> None:
    subnet = neutron.find("subnet", demo_topology.NETWORK)["id"]
    group = neutron.find("security_group", demo_topology.SECURITY_GROUP)["id"]
    assert _refusal(lambda: neutron.delete("network", network)) == (409, "NetworkInUse")
    assert _refusal(lambda: neutron.delete("subnet", subnet)) == (409, "SubnetInUse")
    assert _refusal(lambda: neutron.delete("security_group", group)) == (409, "SecurityGroupInUse")
    overlapping = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.128/25"}
    assert _refusal(lambda: neutron.create("subnet", **overlapping)) == (400, "InvalidInput")
    ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
    again = {**ingress, "protocol": "icmp"}
    assert _refusal(lambda: neutron.create("security_group_rule", **again)) == (409, "SecurityGroupRuleExists")
    backwards = {**ingress, "protocol": "tcp", "port_range_min": 90, "port_range_max": 80}
    assert _refusal(lambda: neutron.create("security_group_rule", **backwards))[0] == 400


def test_an_exhausted_pool_says_so_until_an_address_is_free(cloud: Lab, neutron: Neutron, untouched: None) -> None:
    network = neutron.create("network", name="small")["id"]
    made: list[str] = []
    try:
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.77.0.0/29", gateway_ip=None)
        made += (neutron.create("port", network_id=network)["id"] for _ in range(6))
        before = _databases(cloud)
        assert _refusal(lambda: neutron.create("port", network_id=network)) == (409, "IpAddressGenerationFailure")
        assert _databases(cloud) == before
        neutron.delete("port", made.pop())
        made.append(neutron.create("port", network_id=network)["id"])
        assert _refusal(lambda: neutron.create("port", network_id=network)) == (409, "IpAddressGenerationFailure")
    finally:
        for port in made:
            neutron.delete("port", port)
        neutron.delete("network", network)
    until(lambda: network not in _databases(cloud)["nb"], what="Northbound to forget the network")


def _ask(path: str, raw: bytes) -> Any:
    """Send bytes to a database and return its answer, None if it hangs up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(raw)
        data = b""
        while more := client.recv(65536):
            data += more
            try:
                return json.loads(data)
            except json.JSONDecodeError:
                continue
    assert not data
    return None


DATABASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "nb": ("OVN_Northbound", "Logical_Switch", {"name": "half"}),
    "sb": ("OVN_Southbound", "Chassis_Private", {"name": "half"}),
    "cloud": ("Cloud", "Network", {"name": "half", "mtu": 1442}),
}
"""Of each database, the schema's name, and a table with a row that could be inserted."""


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_closes_a_connection_with_an_invalid_message(cloud: Lab, untouched: None, database: str) -> None:
    path = str(cloud.layout.socket(database))
    for raw in (b"garbage", b"[1,2]", b"\xff\xff\xff", b'{"id":null}', b'{"method":7,"params":[],"id":1}', b"{}" * 5):
        assert _ask(path, raw) is None
        assert _ask(path, b'{"method":"echo","params":["well?"],"id":1}')["result"] == ["well?"]


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_says_what_is_wrong_with_a_request(cloud: Lab, untouched: None, database: str) -> None:
    path = str(cloud.layout.socket(database))
    name, table, row = DATABASES[database]

    def ask(method: str, *params: Any) -> Any:
        return _ask(path, json.dumps({"method": method, "params": params, "id": 1}).encode())

    assert ask("frobnicate")["error"] == "unknown method"
    assert ask("transact", "Nope")["error"]["error"] == "unknown database"
    assert ask("monitor", name, 1, {"Nope": {}})["error"]["error"] == "syntax error"
    assert ask("transact", name, 7)["result"][0]["error"] == "syntax error"
    insert = {"op": "insert", "table": table, "row": {}}
    for operation, error in (
        ({**insert, "table": "Nope"}, "syntax error"),
        ({**insert, "row": {"nope": 1}}, "unknown column"),
        ({**insert, "row": {"name": 7}}, "syntax error"),
        ({**insert, "uuid-name": 5}, "syntax error"),
        ({**insert, "op": "frobnicate"}, "syntax error"),
        ({"op": "update", "table": table, "where": [["nope", "==", 1]], "row": {}}, "unknown column"),
        ({"op": "delete", "table": table, "where": [["name", "is", "x"]]}, "unknown function"),
        ({"op": "abort"}, "aborted"),
    ):
        answer = ask("transact", name, {**insert, "row": row}, operation)["result"]
        assert (answer[0].keys(), answer[1]["error"]) == ({"uuid"}, error), operation


def test_an_acl_that_does_not_parse_is_reported_and_the_others_hold(originals: None, cloud: Lab) -> None:
    def nbctl(*arguments: str) -> str:
        return run(["ovn-nbctl", "-t", "20", f"--db={cloud.layout.remote('nb')}", "--wait=hv", *arguments])

    one, two = cloud.instance("test1"), cloud.instance("test2")
    switch = f"neutron-{_network(cloud)}"
    bad, good = "ip4.nosuch == 1 && tcp", f"icmp4 && ip4.src == {one.address}"
    logs = [cloud.layout.host_rundir(host) / "controller.log" for host in ("hv1", "hv2")]
    told = [len(log.read_text()) for log in logs]
    processes = cloud.processes()
    try:
        nbctl("acl-add", switch, "to-lport", "1500", bad, "drop")
        assert one.pings(two.address or "")
        nbctl("acl-add", switch, "to-lport", "1501", good, "drop")
        assert not one.pings(two.address or "", wait=0.2)
        assert two.pings(one.address or "")
        nbctl("acl-del", switch, "to-lport", "1501", good)
        assert one.pings(two.address or "")
        for log, length in zip(logs, told, strict=True):
            reports = [line for line in log.read_text()[length:].splitlines() if bad in line and "|WARN|" in line]
            assert reports
            assert all("egress table 4 " in line and "expecting field name" in line for line in reports)
            assert len(reports) == len({line.partition("|")[2].partition("|")[2] for line in reports})
    finally:
        nbctl("acl-del", switch)
    assert cloud.processes() == processes
    assert one.pings(two.address or "")


def _network(lab: Lab) -> str:
    with lab.neutron() as neutron:
        return str(neutron.find("network", demo_topology.NETWORK)["id"])
