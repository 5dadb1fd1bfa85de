"""The originals' tools and clients, as they come from Debian and PyPI, at work on our databases."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import ovs.db.idl
import ovs.poller
import pytest
from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.schema.ovn_northbound.impl_idl import OvnNbApiIdlImpl
from ovsdbapp.schema.ovn_southbound.impl_idl import OvnSbApiIdlImpl

from ovenbird.lab import demo_topology
from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from support.waiting import until

pytestmark = pytest.mark.live

Tool = Callable[..., str]


@pytest.fixture
def nb(originals: None, cloud: Lab) -> Tool:
    return lambda *arguments: run(["ovn-nbctl", "-t", "20", f"--db={cloud.layout.remote('nb')}", *arguments])


@pytest.fixture
def sb(originals: None, cloud: Lab) -> Tool:
    return lambda *arguments: run(["ovn-sbctl", "-t", "20", f"--db={cloud.layout.remote('sb')}", *arguments])


@pytest.fixture
def switch(nb: Tool) -> Iterator[str]:
    """Make a logical switch with ports `<switch>-a` and `<switch>-b`, 10.8.0.1 and 10.8.0.2."""
    name = f"s{uuid.uuid4().hex[:8]}"
    nb("ls-add", name)
    for number, letter in enumerate("ab", 1):
        port = f"{name}-{letter}"
        nb("lsp-add", name, port, "--", "lsp-set-addresses", port, f"{_mac(number)} 10.8.0.{number}")
    yield name
    nb("--if-exists", "ls-del", name)


def _mac(number: int) -> str:
    return f"02:00:00:00:08:{number:02x}"


def _plugged(lab: Lab, switch: str) -> list[Instance]:
    found = []
    for number, letter in enumerate("ab", 1):
        instance = lab.attach(
            f"{switch}{letter}", host=f"hv{number}", port_id=f"{switch}-{letter}", mac=_mac(number), dhcp=False
        )
        instance.run("ip", "address", "add", f"10.8.0.{number}/24", "dev", "eth0")
        found.append(instance)
    return found


def test_show_names_what_the_api_made(cloud: Lab, nb: Tool, sb: Tool) -> None:
    one, two = cloud.instance("test1"), cloud.instance("test2")
    shown = nb("show")
    assert f"(aka {demo_topology.NETWORK})" in shown
    for instance in (one, two):
        assert f"port {instance.port_id}" in shown
        assert f'addresses: ["{instance.mac} {instance.address} {demo_topology.SUBNET6.partition("/")[0]}' in shown
    chassis = sb("show")
    for host, instance in (("hv1", one), ("hv2", two)):
        section = chassis.partition(f"Chassis {host}")[2].partition("\nChassis")[0]
        assert f"hostname: {host}" in section
        assert f'ip: "{cloud.layout.encap_address(host)}"' in section
        assert f'Port_Binding "{instance.port_id}"' in section


def test_packets_pass_when_nbctl_wait_hv_returns(cloud: Lab, nb: Tool, switch: str) -> None:
    try:
        one, _ = _plugged(cloud, switch)
        nb("--wait=hv", "sync")
        assert nb("get", "Logical_Switch_Port", f"{switch}-a", "up").strip() == "true"
        until(lambda: one.pings("10.8.0.2"), what="the first answer")
        nb("--wait=hv", "acl-add", switch, "to-lport", "1001", f'outport == "{switch}-b" && icmp4', "drop")
        assert not one.pings("10.8.0.2", wait=0.2)
        assert "drop" in nb("acl-list", switch)
        nb("--wait=hv", "acl-del", switch)
        assert one.pings("10.8.0.2")
    finally:
        for letter in "ab":
            cloud.delete(f"{switch}{letter}")
    before = time.monotonic()
    nb("--wait=hv", "sync")
    assert time.monotonic() - before < 30  # not waiting for anything that has happened already
    assert nb("get", "NB_Global", ".", "nb_cfg") == nb("get", "NB_Global", ".", "hv_cfg")


def test_sbctl_lists_the_logical_flows(nb: Tool, sb: Tool, switch: str) -> None:
    nb("--wait=sb", "acl-add", switch, "from-lport", "1002", f'inport == "{switch}-a" && tcp.dst == 25', "drop")
    flows = sb("lflow-list", switch)
    assert "Pipeline: ingress" in flows
    assert "Pipeline: egress" in flows
    assert "(ls_in_l2_lkup" in flows
    assert f'inport == "{switch}-a" && tcp.dst == 25' in flows
    nb("--wait=sb", "ls-del", switch)
    assert switch not in sb("lflow-list")
    assert switch not in sb("list", "Port_Binding")


def test_ovn_trace_follows_our_logical_flows(cloud: Lab, sb: Tool) -> None:
    one, two = cloud.instance("test1"), cloud.instance("test2")
    packet = f'inport == "{one.port_id}" && eth.src == {one.mac} && eth.dst == {two.mac} && ip.ttl == 64'
    ends = f" && ip4.src == {one.address} && ip4.dst == {two.address}"

    def trace(rest: str) -> str:
        remote = cloud.layout.remote("sb")
        return run(["ovn-trace", f"--db={remote}", "--minimal", "--ct=new", "--ct=new", packet + ends + rest])

    assert 'output("test2")' in trace(" && tcp.dst == 22")
    assert "output(" not in trace(" && tcp.dst == 80")


def test_ovsdb_client_reads_follows_and_writes(cloud: Lab, switch: str) -> None:
    remote = cloud.layout.remote("nb")
    assert f"{switch}-a" in run(["ovsdb-client", "dump", remote, "OVN_Northbound", "Logical_Switch_Port", "name"])
    follow = ["ovsdb-client", "monitor", remote, "OVN_Northbound", "Logical_Switch", "name,external_ids"]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        assert "initial" in "".join(monitor.stdout.readline() for _ in range(3))
        mutation = {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [["name", "==", switch]],
            "mutations": [["external_ids", "insert", ["map", [["told", "you"]]]]],
        }
        written = run(["ovsdb-client", "transact", remote, json.dumps(["OVN_Northbound", mutation])])
        assert json.loads(written) == [{"count": 1}]
        while "told=you" not in (line := monitor.stdout.readline()):
            assert line
        monitor.terminate()
    refused = run(["ovsdb-client", "transact", remote, json.dumps(["OVN_Northbound", {**mutation, "table": "Nope"}])])
    assert "error" in json.loads(refused)[0]


def test_ovsdb_client_backs_up_what_ovsdb_tool_reads(cloud: Lab, switch: str) -> None:
    copy = cloud.layout.rundir / "copy.db"
    copy.write_text(run(["ovsdb-client", "backup", cloud.layout.remote("nb"), "OVN_Northbound"]))
    names = {"op": "select", "table": "Logical_Switch", "where": [["name", "==", switch]], "columns": ["name"]}
    query = json.dumps(["OVN_Northbound", names])
    assert json.loads(run(["ovsdb-tool", "query", str(copy), query])) == [{"rows": [{"name": switch}]}]
    journal = str(cloud.layout.journal("nb"))
    assert json.loads(run(["ovsdb-tool", "query", journal, query])) == [{"rows": [{"name": switch}]}]
    assert "record 0" in run(["ovsdb-tool", "show-log", journal])


def _until(idl: Any, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        idl.run()
        if condition():
            return
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.timer_wait(100)
        poller.block()


def test_the_originals_python_client_follows_and_writes(cloud: Lab, switch: str) -> None:
    helper = ovs.db.idl.SchemaHelper(schema_json=json.loads(_schema(cloud)))
    helper.register_columns("Logical_Switch", ["name", "external_ids"])
    idl = ovs.db.idl.Idl(cloud.layout.remote("nb"), helper)
    try:
        rows = idl.tables["Logical_Switch"].rows
        _until(idl, lambda: any(row.name == switch for row in rows.values()), "the switch")
        row = next(row for row in rows.values() if row.name == switch)
        transaction = ovs.db.idl.Transaction(idl)
        row.setkey("external_ids", "by", "idl")
        assert transaction.commit_block() == ovs.db.idl.Transaction.SUCCESS
        _until(idl, lambda: row.external_ids.get("by") == "idl", "its own write")
    finally:
        idl.close()


def _schema(lab: Lab) -> str:
    return run(["ovsdb-client", "get-schema", lab.layout.remote("nb"), "OVN_Northbound"])


def test_neutrons_own_client_library_works(cloud: Lab, switch: str) -> None:
    def connect(database: str, schema: str) -> connection.Connection:
        idl = connection.OvsdbIdl.from_server(cloud.layout.remote(database), schema)
        return connection.Connection(idl, timeout=10)

    north = connect("nb", "OVN_Northbound")
    south = connect("sb", "OVN_Southbound")
    try:
        api, below = OvnNbApiIdlImpl(north), OvnSbApiIdlImpl(south)
        assert switch in {row.name for row in api.ls_list().execute(check_error=True)}
        with api.transaction(check_error=True) as transaction:
            transaction.add(api.lsp_add(switch, f"{switch}-c"))
            transaction.add(api.lsp_set_addresses(f"{switch}-c", ["02:00:00:00:08:03 10.8.0.3"]))
        assert api.lsp_get_addresses(f"{switch}-c").execute() == ["02:00:00:00:08:03 10.8.0.3"]
        ports = below.db_list("Port_Binding")

        def bound() -> bool:
            return f"{switch}-c" in {row["logical_port"] for row in ports.execute(check_error=True)}

        until(bound, what="the new port in Southbound")
        api.lsp_del(f"{switch}-c", switch).execute(check_error=True)
        assert {row.name for row in below.chassis_list().execute(check_error=True)} == {"hv1", "hv2"}
    finally:
        north.stop()
        south.stop()


def test_the_tools_refusals_are_clear(nb: Tool, switch: str) -> None:
    with pytest.raises(CommandError, match="already exists"):
        nb("ls-add", switch)
    with pytest.raises(CommandError, match="port name not found"):
        nb("lsp-del", "never-made")
    with pytest.raises(CommandError, match="constraint violation"):
        nb("create", "ACL", "priority=99999", "direction=to-lport", "match=1", "action=drop")
