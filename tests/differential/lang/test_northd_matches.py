"""Every match that the original ovn-northd writes parses and compiles, by a template as without one."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovenbird.lang.bindings import Bindings
from ovenbird.lang.compile import compile_match
from ovenbird.lang.parser import parse
from ovenbird.lang.templates.match import Templates
from support.waiting import until

PROGRAMS = ("ovn-northd", "ovsdb-server", "ovsdb-tool", "ovn-nbctl", "ovn-sbctl", "ovn-trace")
SCHEMAS = (Path("/usr/share/ovn/ovn-nb.ovsschema"), Path("/usr/share/ovn/ovn-sb.ovsschema"))
MISSING = [name for name in PROGRAMS if not shutil.which(name)] + [str(path) for path in SCHEMAS if not path.exists()]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

# One of everything that makes northd write other matches.
NORTHBOUND = """
ls-add s1
ls-add s2
lr-add r1
lrp-add r1 r1-s1 0a:00:00:00:01:01 10.0.1.1/24 fd00:1::1/64
lrp-add r1 r1-s2 0a:00:00:00:02:01 10.0.2.1/24
lsp-add s1 s1-r1
lsp-set-type s1-r1 router
lsp-set-addresses s1-r1 router
set logical_switch_port s1-r1 options:router-port=r1-s1
lsp-add s2 s2-r1
lsp-set-type s2-r1 router
lsp-set-addresses s2-r1 router
set logical_switch_port s2-r1 options:router-port=r1-s2
lsp-add s1 p1
lsp-set-addresses p1 "0a:00:00:00:01:0a 10.0.1.10 fd00:1::a" unknown
lsp-set-port-security p1 "0a:00:00:00:01:0a 10.0.1.10 fd00:1::a"
lsp-add s1 p2
lsp-set-addresses p2 "0a:00:00:00:01:0b 10.0.1.11"
lsp-set-port-security p2 "0a:00:00:00:01:0b 10.0.1.0/24"
lsp-add s2 p3
lsp-set-addresses p3 "0a:00:00:00:02:0a 10.0.2.10"
lsp-add s2 ln
lsp-set-type ln localnet
lsp-set-options ln network_name=phys
lsp-add s1 lp
lsp-set-type lp localport
lsp-set-addresses lp "0a:00:00:00:01:0f 10.0.1.2"
pg-add pg1 p1 p3
create address_set name=as1 addresses='"10.0.0.1","10.9.0.0/16"'
acl-add pg1 to-lport 1001 "outport == @pg1 && ip4 && ip4.src == $as1 && tcp.dst == {22, 80}" allow-related
acl-add pg1 from-lport 1001 "inport == @pg1 && ip4" allow-related
acl-add s1 to-lport 900 "ip6 && icmp6" reject
acl-add s1 from-lport 900 "udp.dst == 1024 || (tcp && 100 <= tcp.src <= 200)" drop
--apply-after-lb acl-add s1 from-lport 800 "ip4.src == $pg1_ip4" allow
lb-add lb1 10.0.1.100:80 10.0.1.10:80,10.0.1.11:80
ls-lb-add s1 lb1
lr-lb-add r1 lb1
lb-add lb2 [fd00:1::ff]:80 [fd00:1::a]:80
ls-lb-add s1 lb2
lrp-set-gateway-chassis r1-s2 hv1 10
lr-nat-add r1 snat 10.0.2.100 10.0.1.0/24
lr-nat-add r1 dnat_and_snat 10.0.2.101 10.0.1.10
lr-nat-add r1 dnat_and_snat 10.0.2.102 10.0.1.11 p2 0a:00:00:00:09:09
lr-route-add r1 0.0.0.0/0 10.0.2.254
--ecmp lr-route-add r1 10.8.0.0/16 10.0.2.7
--ecmp lr-route-add r1 10.8.0.0/16 10.0.2.8
lr-policy-add r1 100 "ip4.src == 10.0.1.0/24" reroute 10.0.2.9
--policy=src-ip lr-route-add r1 10.7.0.0/16 10.0.2.6
set logical_switch s1 other_config:mcast_snoop=true
set logical_switch s1 other_config:mcast_querier=false
set logical_router r1 options:mcast_relay=true
set logical_router_port r1-s1 ipv6_ra_configs:address_mode=slaac
"""


@pytest.fixture(scope="module")
def southbound() -> Iterator[dict[str, list[dict[str, object]]]]:
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="nd.") as directory:
        env = os.environ | dict.fromkeys(
            ("OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR"), directory
        )

        def run(*words: str) -> str:
            done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, (words, done.stderr)
            return done.stdout

        def start(*words: str) -> None:
            processes.append(subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        try:
            for name, schema in zip(("nb", "sb"), SCHEMAS, strict=True):
                run("ovsdb-tool", "create", f"{directory}/{name}.db", str(schema))
                start("ovsdb-server", f"--remote=punix:{directory}/{name}.sock", f"--unixctl={directory}/{name}.ctl",
                      f"{directory}/{name}.db")  # fmt: skip
            until(lambda: all(Path(directory, f"{name}.sock").exists() for name in ("nb", "sb")))
            nb, sb = (f"unix:{directory}/{name}.sock" for name in ("nb", "sb"))
            start("ovn-northd", f"--ovnnb-db={nb}", f"--ovnsb-db={sb}", f"--unixctl={directory}/northd.ctl")
            nbctl = ("ovn-nbctl", f"--db={nb}", "--timeout=30")
            run(*nbctl, "init")
            run("ovn-sbctl", f"--db={sb}", "--timeout=30", "init")
            run("ovn-sbctl", f"--db={sb}", "--timeout=30", "chassis-add", "hv1", "geneve", "127.0.0.1")
            for line in NORTHBOUND.strip().splitlines():
                run(*nbctl, *shlex.split(line))
            run(*nbctl, "--wait=sb", "sync")
            tables = {}
            for table in ("Logical_Flow", "Port_Binding", "Address_Set", "Port_Group"):
                found = json.loads(run("ovn-sbctl", f"--db={sb}", "--format=json", "list", table))
                tables[table] = [dict(zip(found["headings"], row, strict=True)) for row in found["data"]]
            yield tables
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def names(value: object) -> list[str]:
    """Read a column of a set of strings in RFC 7047's notation."""
    return list(value[1]) if isinstance(value, list) else [str(value)]  # type: ignore[index]


def test_every_match_of_the_original_northd(southbound: dict[str, list[dict[str, object]]]) -> None:
    matches = [str(row["match"]) for row in southbound["Logical_Flow"]]
    assert len(matches) > 300
    bindings = Bindings(
        address_sets={str(row["name"]): names(row["addresses"]) for row in southbound["Address_Set"]},
        port_groups={str(row["name"]).split("_", 1)[1]: names(row["ports"]) for row in southbound["Port_Group"]},
        ports={str(row["logical_port"]): n for n, row in enumerate(southbound["Port_Binding"], 1)},
        resident=lambda port: port.startswith("cr-"),
    )
    templates = Templates()
    for text in matches:
        expr = parse(text)
        assert parse(str(expr)) == expr
        compiled = compile_match(text, bindings)
        assert templates.compile(text, bindings) == compiled
        for flow in compiled.flows:
            assert flow.match.encode()
    assert len(templates._templates) < len(set(matches))
