"""Our controller on real switches, under the originals' databases and northd, beside the original's controller."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import programs
from ovenbird.lab.errors import CommandError
from ovenbird.lab.process import ProcessSpec
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]

ARRANGEMENTS = {"ours with the original's": {"hv2": programs.ORIGINAL_CONTROLLER}, "ours on both": {}}
MACS = {"a": "02:00:00:00:07:01", "b": "02:00:00:00:07:02", "c": "02:00:00:00:07:03"}

_LISTEN = "import socket\ns = socket.create_server(('0.0.0.0', {port}))\nwhile True: s.accept()[0].close()"
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()"


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(central=programs.originals, controllers=ARRANGEMENTS[request.param])


@pytest.fixture(scope="module")
def instances(lab: Lab, nb: Nbctl) -> dict[str, Instance]:
    """Instances a on hv1, b on hv2: ICMP and TCP 22 come in, TCP 81 is refused, everything else is dropped."""
    nb("ls-add", "net")
    options = nb(
        "create", "DHCP_Options", "cidr=10.7.0.0/24",
        'options={server_id="10.7.0.254",server_mac="02:00:00:00:07:fe",lease_time="3600",router="10.7.0.254",mtu="1400"}',
    ).strip()  # fmt: skip
    for number, (name, mac) in enumerate(MACS.items(), 1):
        address = f"{mac} 10.7.0.{number}"
        nb(
            *("lsp-add", "net", name, "--", "lsp-set-addresses", name, address),
            *("--", "lsp-set-port-security", name, address, "--", "lsp-set-dhcpv4-options", name, options),
        )
    nb("pg-add", "pg", *MACS)
    for priority, match, action in (
        (1002, "outport == @pg && ip4 && icmp4", "allow-related"),
        (1002, "outport == @pg && ip4 && ip4.src == $pg_ip4 && tcp.dst == 22", "allow-related"),
        (1003, "outport == @pg && ip4 && tcp.dst == 81", "reject"),
        (1001, "outport == @pg && ip", "drop"),
    ):
        nb("acl-add", "pg", "to-lport", str(priority), match, action)
    nb("acl-add", "pg", "from-lport", "1002", "inport == @pg && ip4", "allow-related")
    nb("--wait=hv", "sync")
    found = {
        name: lab.attach(name, host=host, port_id=name, mac=MACS[name]) for name, host in (("a", "hv1"), ("b", "hv2"))
    }
    for port in (22, 80, 81):
        argv = (sys.executable, "-c", _LISTEN.format(port=port))
        log, namespace = str(found["b"].rundir / f"{port}.log"), found["b"].namespace.name
        lab.keep(ProcessSpec(f"b-tcp{port}", argv, log, namespace=namespace))
    until(lambda: connect(found["b"], "127.0.0.1", 22) == "open", what="b to listen")
    until(lambda: found["a"].pings("10.7.0.2"), what="the first answer")
    return found


def connect(source: Instance, address: str, port: int, patience: float = 1.0) -> str:
    """Return what became of a connection: open, refused or dropped."""
    try:
        source.run(sys.executable, "-c", _CONNECT, address, str(port), str(patience))
    except CommandError as error:
        if "refused" in error.stderr:
            return "refused"
        if "timed out" in error.stderr:
            return "dropped"
        raise
    return "open"


def test_addresses_come_by_dhcp(instances: dict[str, Instance]) -> None:
    assert {name: i.address for name, i in instances.items()} == {"a": "10.7.0.1", "b": "10.7.0.2"}
    lease = instances["a"].lease
    assert lease is not None
    assert lease.mtu == 1400


def test_the_security_group_decides_which_ports_are_open(instances: dict[str, Instance]) -> None:
    one = instances["a"]
    until(lambda: connect(one, "10.7.0.2", 22) == "open", what="port 22")
    assert connect(one, "10.7.0.2", 80, 0.4) == "dropped"
    assert connect(one, "10.7.0.2", 81) == "refused"


def test_rules_come_and_go(instances: dict[str, Instance], nb: Nbctl) -> None:
    rule = ("pg", "to-lport", "1002", "outport == @pg && ip4 && tcp.dst == 80")
    nb("--wait=hv", "acl-add", *rule, "allow-related")
    assert connect(instances["a"], "10.7.0.2", 80) == "open"
    nb("--wait=hv", "acl-del", *rule)
    assert connect(instances["a"], "10.7.0.2", 80, 0.4) == "dropped"


def test_packets_from_a_foreign_address_are_dropped(instances: dict[str, Instance]) -> None:
    one = instances["a"]
    one.run("ip", "address", "add", "10.7.0.77/24", "dev", "eth0")
    try:
        answer = one.run("sh", "-c", "ping -n -c 1 -W 0.4 -I 10.7.0.77 10.7.0.2 || true")
        assert "0 received" in answer
        assert one.pings("10.7.0.2")
    finally:
        one.run("ip", "address", "del", "10.7.0.77/24", "dev", "eth0")


def test_ports_are_up_and_bound_where_they_are(instances: dict[str, Instance], sb: Nbctl) -> None:
    for name, instance in instances.items():
        columns = sb("--bare", "--columns=up,chassis", "find", "Port_Binding", f"logical_port={name}").split()
        chassis = sb("--bare", "--columns=_uuid", "find", "Chassis", f"name={instance.host}").split()
        assert sorted(columns) == sorted(["true", *chassis])


def test_a_port_that_moves_is_up_again(lab: Lab, instances: dict[str, Instance], sb: Nbctl) -> None:
    def up() -> str:
        return sb("--bare", "--columns=up", "find", "Port_Binding", "logical_port=c").strip()

    for host in ("hv1", "hv2", "hv1"):
        lab.attach("c", host=host, port_id="c", mac=MACS["c"])
        try:
            until(lambda: up() == "true", what="c to be up")
            until(lambda: instances["a"].pings("10.7.0.3"), what="c to answer")
        finally:
            lab.delete("c")
        until(lambda: up() == "false", what="c to be down")


def installed(lab: Lab) -> set[str]:
    text = lab.hypervisor("hv1").ofctl("--no-stats", "dump-flows", "br-int")
    return {re.sub(r"^ *", "", line) for line in text.splitlines() if "actions=" in line}


def test_a_killed_controller_costs_no_packet_and_its_successor_changes_no_flow(
    lab: Lab, instances: dict[str, Instance], nb: Nbctl
) -> None:
    nb("--wait=hv", "sync")
    before = installed(lab)
    victim = lab.process("hv1-controller")
    assert victim is not None
    ping = instances["a"].namespace.enter("ping", "-n", "-i", "0.01", "-c", "300", "-W", "1", "10.7.0.2")
    with subprocess.Popen(ping, stdout=subprocess.PIPE, text=True) as pinging:
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: lab.process("hv1-controller") not in {None, victim}, what="another controller")
        nb("--wait=hv", "--timeout=20", "sync")
        output, _ = pinging.communicate(timeout=20)
    assert "300 received" in output
    assert installed(lab) == before


def test_a_restarted_switch_is_filled_again(lab: Lab, instances: dict[str, Instance], nb: Nbctl) -> None:
    before = {line.split(" actions=")[0] for line in installed(lab)}
    victim = lab.process("hv1-ovs-vswitchd")
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: lab.process("hv1-ovs-vswitchd") not in {None, victim}, what="another switch")
    until(lambda: instances["a"].pings("10.7.0.2"), what="an answer")
    until(lambda: len(installed(lab)) >= len(before), what="every flow")


def test_a_deleted_flow_is_put_back_on_request(lab: Lab, instances: dict[str, Instance]) -> None:
    hypervisor = lab.hypervisor("hv1")
    before = installed(lab)
    hypervisor.ofctl("del-flows", "br-int", "table=65")
    assert not instances["a"].pings("10.7.0.2", wait=0.3)
    hypervisor.appctl("inc-engine/recompute", target="ovn-controller")
    until(lambda: installed(lab) == before, what="the flows")
    assert instances["a"].pings("10.7.0.2")


def test_a_controller_that_is_told_to_exit_takes_its_chassis_and_tunnels_along(
    lab: Lab, instances: dict[str, Instance], sb: Nbctl
) -> None:
    before = sb("--bare", "--columns=_uuid", "find", "Chassis", "name=hv1")
    lab.hypervisor("hv1").appctl("exit", target="ovn-controller")

    def is_another() -> bool:
        return sb("--bare", "--columns=_uuid", "find", "Chassis", "name=hv1") not in {"", before}

    until(is_another, what="another chassis of that name")
    until(lambda: instances["a"].pings("10.7.0.2"), what="an answer")


def test_packets_flow_while_southbound_is_away(lab: Lab, instances: dict[str, Instance], nb: Nbctl) -> None:
    victim = lab.process("db-sb")
    assert victim is not None
    ping = instances["a"].namespace.enter("ping", "-n", "-i", "0.02", "-c", "100", "-W", "1", "10.7.0.2")
    with subprocess.Popen(ping, stdout=subprocess.PIPE, text=True) as pinging:
        os.kill(victim.pid, signal.SIGKILL)
        output, _ = pinging.communicate(timeout=20)
    assert "100 received" in output
    until(lambda: lab.process("db-sb") not in {None, victim}, what="another Southbound server")
    nb("--wait=hv", "--timeout=30", "sync")


def test_a_bridge_that_was_deleted_is_made_and_filled_again(
    lab: Lab, instances: dict[str, Instance], nb: Nbctl
) -> None:
    hypervisor, one = lab.hypervisor("hv1"), instances["a"]
    hypervisor.vsctl("del-br", "br-int")
    until(lambda: "br-int" in hypervisor.vsctl("list-br").split(), what="the bridge")
    hypervisor.plug(one.device, port_id=one.port_id, mac=one.mac)
    until(lambda: one.pings("10.7.0.2"), what="an answer")
    assert hypervisor.vsctl("get-fail-mode", "br-int").strip() == "secure"
