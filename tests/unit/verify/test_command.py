"""`ovenbird trace` against a server on real sockets."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from ovenbird.cli.commands import ovenbird
from ovenbird.lab.layout import Layout
from ovenbird.lab.state import Kind, State
from ovenbird.model import cloud, sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.schema import DatabaseSchema
from ovenbird.ovsdb.tls_keys import KeyFiles
from support.verify.traced import Served

SSH = (
    'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.1 && '
    "ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.src == 1000 && tcp.dst == 22"
)


def run(*words):
    return CliRunner().invoke(ovenbird, ["trace", *words])


@pytest.fixture
def served(two):
    two.compile()
    with (
        tempfile.TemporaryDirectory(prefix="ovb-") as directory,
        Served(directory, sb=two.sb, nb=two.nb, cloud=Database(cloud.schema(), cloud.ROWS)) as remotes,
    ):
        yield remotes


def test_a_microflow_in_any_southbound(served):
    found = run("--db", served["sb"], "sw0", SSH)
    assert found.exit_code == 0, found.output
    assert 'ingress(dp="sw0", inport="p1")' in found.output
    assert "18. ls_in_stateful" in found.output
    assert "# acl" not in found.output
    assert found.output.endswith('=> delivered to "p2" (web)\n')


def test_northbound_tells_what_is_behind_flows(served):
    found = run("--db", served["sb"], "--nb", served["nb"], SSH)
    assert "    # acl to-lport 1002 allow-related of port group pg0: outport == @pg0" in found.output


def test_a_query_with_its_reply_as_json(served):
    found = run("--db", served["sb"], "--from", "p1", "--to", "web", "--tcp", "22", "--reply", "--json")
    there, back = json.loads(found.output)
    assert (there["outputs"], back["outputs"]) == (["p2"], ["p1"])
    flow = there["steps"][0]["steps"][0]
    assert (flow["kind"], flow["stage"], flow["table"], flow["pipeline"]) == (
        *("flow", "ls_in_check_port_sec", 0),
        "ingress",
    )


def test_forms(served):
    question = ("--db", served["sb"], "--from", "p1", "--to", "p2", "--arp")
    assert "arp.op = 2;" in run(*question, "--minimal").output
    assert 'ingress(dp="sw0", inport="p1") {' in run(*question, "--summary").output
    assert len(run(*question, "--all").output) > len(run(*question).output)
    assert "ls_in_pre_lb" not in run("--db", served["sb"], SSH).output
    assert "ls_in_pre_lb" in run("--db", served["sb"], SSH, "--all").output


def test_the_running_cloud_is_the_default(served):
    rundir = served["sb"].removeprefix("unix:").removesuffix("/sb.sock")
    State(Path(rundir)).add(Kind.LAYOUT, "lab", Layout.make(Path(rundir), api_port=9).to_json())
    found = run("--rundir", rundir, SSH)
    assert found.exit_code == 0, found.output
    assert "# acl to-lport 1002" in found.output


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ((), 2, "give [DATAPATH] MICROFLOW"),
        (("a", "b", "c"), 2, "give [DATAPATH] MICROFLOW"),
        (("--from", "p1", "--to", "p2", "--tcp", "1", "--udp", "1"), 2, "give one of --tcp"),
        (("sw9", 'inport == "p1"'), 1, "there is no logical switch or router named sw9"),
        (('inport == "p1" && tcp.dst ==',), 1, "^"),
        (("--from", "p1", "--to", "p7"), 1, "there is no logical port with the name or address p7"),
        (("--from", "p1", "--to", "p2", "--arp", "--dhcp"), 2, "give one of --tcp, --udp, --icmp, --arp and --dhcp"),
        (("--from", "p1", "--to", "p2", "--icmp", "--tcp", "0"), 2, "not --tcp and --icmp"),
        (("--from", "p1", "--to", "p2", "--json", "--summary"), 2, "not --summary and --json"),
        (("--from", "p1", "--to", "p2", "--all", "--minimal"), 2, "--minimal shows no stages"),
        (("--from", "p1", "--to", "p2", "sw0", SSH), 2, "--from takes no microflow"),
        (("p1", "p2"), 2, "p2 is not a microflow; for a packet between ports give --from WHO --to WHO"),
        (("--to", "p2", SSH), 2, "--to needs --from"),
        (("--udp", "0", SSH), 2, "--udp needs --from"),
        (("--from", "p1"), 1, "a target is needed"),
        (("--from", "p1", "--to", "p2", "--dhcp"), 1, "leave the target out"),
        (("--from", "p1", "--to", "fd00::2", "--arp"), 1, "ARP is for IPv4"),
        (("--from", "p1", "--dhcp", "--reply"), 1, "so there is no reply"),
        (("--ct", "old", SSH), 1, "old is not a connection tracking flag"),
    ],
)
def test_mistakes_are_named(served, words, status, text):
    found = run("--db", served["sb"], *words)
    assert found.exit_code == status
    assert text in found.output


def test_a_database_that_is_not_there_is_named(served):
    assert "/nowhere/sb.sock: No such file or directory" in run("--db", "unix:/nowhere/sb.sock", SSH).output
    assert "is not a remote" in run("--db", "sb.sock", SSH).output
    assert "pssl:6642:0.0.0.0: databases are read at" in run("--db", "pssl:6642", SSH).output
    with (
        tempfile.TemporaryDirectory(prefix="ovb-") as directory,
        Served(directory, cloud=Database(cloud.schema(), cloud.ROWS)) as remotes,
    ):
        found = run("--db", remotes["cloud"], SSH)
    assert found.exit_code == 1
    assert "get_schema OVN_Southbound" in found.output


def test_a_database_with_columns_of_other_types_is_reported():
    schema = sb.schema().to_json()
    schema["tables"]["Port_Binding"]["columns"]["tunnel_key"] = {"type": "string"}
    with (
        tempfile.TemporaryDirectory(prefix="ovb-") as directory,
        Served(directory, sb=Database(DatabaseSchema.from_json(schema))) as remotes,
    ):
        found = run("--db", remotes["sb"], SSH)
    assert found.exit_code == 1
    assert "OVN_Southbound cannot be read: Port_Binding.tunnel_key is string, not integer\n" in found.output


def test_help_names_the_variables_that_are_honoured(served, monkeypatch):
    words = " ".join(run("--help").output.split())
    for variable in ("OVN_SB_DB", "OVN_NB_DB", "OVENBIRD_CLOUD_DB", "OVENBIRD_RUNDIR"):
        assert variable in words
    monkeypatch.setenv("OVN_SB_DB", served["sb"])
    assert run(SSH).exit_code == 0


def test_a_run_directory_on_the_command_line_goes_before_the_environment(served, monkeypatch):
    rundir = served["sb"].removeprefix("unix:").removesuffix("/sb.sock")
    for variable in ("OVN_SB_DB", "OVN_NB_DB", "OVENBIRD_CLOUD_DB"):
        monkeypatch.setenv(variable, "unix:/nowhere/at.sock")
    assert "/nowhere/at.sock" in run(SSH).output
    found = run("--rundir", rundir, SSH)  # of a central, which has made no plan
    assert found.exit_code == 0, found.output
    assert "# acl to-lport 1002" in found.output
    assert "/nowhere" not in found.output
    found = run("--rundir", rundir, "--nb", "unix:/nowhere/nb.sock", SSH)
    assert found.exit_code == 1
    assert "/nowhere/nb.sock" in found.output
    assert "give one of --db and --rundir" in run("--rundir", rundir, "--db", served["sb"], SSH).output
    found = run("--db", served["sb"], SSH)  # what others have set does not stand in the way
    assert (found.exit_code, "shown without the rows behind them" in found.output) == (0, True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_databases_are_read_by_tls(two, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=all")
    made = ("openssl", "req", "-x509", *new, "-keyout", key, "-out", certificate)
    subprocess.run(made, check=True, capture_output=True)
    two.compile()
    keys = ("--private-key", str(key), "--certificate", str(certificate), "--ca-cert", str(certificate))
    files = KeyFiles(private_key=str(key), certificate=str(certificate), ca_cert=str(certificate))
    with (
        tempfile.TemporaryDirectory(prefix="ovb-") as directory,
        Served(directory, files, sb=two.sb, nb=two.nb) as remotes,
    ):
        found = run("--db", remotes["sb"], "--nb", remotes["nb"], *keys, SSH)
        assert found.exit_code == 0, found.output
        assert "# acl to-lport 1002" in found.output
        assert "needs --private-key" in run("--db", remotes["sb"], SSH).output
        assert "TLS needs all of" in run("--db", remotes["sb"], *keys[:2], SSH).output
        wrong = run("--db", remotes["sb"], *keys[:2], "--certificate", str(key), *keys[4:], SSH)
    assert wrong.exit_code == 1
    assert "do not" in wrong.output or "private key" in wrong.output


def test_without_a_cloud_commands_report_that(tmp_path):
    found = run("--rundir", str(tmp_path), SSH)
    assert found.exit_code == 1
    assert f"Southbound is not at {tmp_path}/sb.sock: give its remote by --db" in found.output
