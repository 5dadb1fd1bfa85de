"""`ovenbird status` names what is wrong, and only that; `up` is done when nothing is; `down` leaves what is others'."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ovenbird.lab import process, programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import LabError
from ovenbird.lab.health import examine
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from support.waiting import until

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(make_module_lab: Callable[..., Lab]) -> Lab:
    return make_module_lab(gateways=("hv1",), settings={"metadata": "true"}, central=programs.split())


@pytest.fixture(scope="module")
def test1(lab: Lab) -> Instance:
    with lab.neutron() as neutron:
        network = neutron.create("network", name="private")["id"]
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.0.0.0/24")
    return lab.boot("test1", network=network, host="hv1")


def _status(lab: Lab, *options: str) -> tuple[int, str]:
    line = [sys.executable, "-m", "ovenbird.cli", "status", "--rundir", str(lab.layout.rundir), *options]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


def _problems(lab: Lab) -> list[str]:
    return sorted(map(str, examine(lab, patience=20).problems))  # a busy machine is slow


def _heals(lab: Lab) -> None:
    until(lambda: not examine(lab).problems, what="nothing to be wrong")


def _stop(lab: Lab, name: str) -> Callable[[], None]:
    found = lab.process(name)
    assert found is not None
    found.signal(signal.SIGSTOP)
    until(lambda: found.stopped, what=f"{name} to stop")
    return lambda: found.signal(signal.SIGCONT)


def test_each_fault_is_reported_at_its_part(lab: Lab, test1: Instance) -> None:
    _heals(lab)
    one, stopped = lab.hypervisor("hv1"), r"is stopped by a signal (`kill -CONT {}` lets it go on)"
    resume = [_stop(lab, name) for name in ("supervisor", "standby", "db-cloud", "hv2-controller", "hv2-metadata")]
    pids = {name: found.pid if found else 0 for name, found in lab.processes().items()}
    api, tunnel = (
        lab.process("api"),
        lab.hypervisor("hv2").vsctl("--bare", "--columns=name", "find", "Interface", "type=geneve"),
    )
    assert api is not None
    process.kill([api])
    lab.hypervisor("hv2").vsctl("del-port", "br-int", tunnel.strip())
    one.unplug(test1.device)
    assert _problems(lab) == sorted(
        [
            "api: does not run",
            "hv2: has no tunnel to hv1",
            "test1: is not plugged into the switch of hv1",
            f"hv2: controller {stopped.format(pids['hv2-controller'])}",
            f"hv2: metadata {stopped.format(pids['hv2-metadata'])}",
            *(f"{name}: {stopped.format(pids[name])}" for name in ("supervisor", "standby", "db-cloud")),
        ]
    )
    code, shown = _status(lab)
    assert code == 1
    assert "Problems:\n" in shown
    assert "  api: does not run\n" in shown
    one.plug(test1.device, port_id=test1.port_id, mac=test1.mac)
    for go_on in resume:
        go_on()
    _heals(lab)
    code, shown = _status(lab, "--json")
    assert (code, json.loads(shown)["healthy"], json.loads(shown)["problems"]) == (0, True, [])


@pytest.mark.parametrize("name", ["db-nb", "db-sb", "northd", "hv1-ovs-vswitchd", "hv1-ovsdb-server"])
def test_a_stopped_process_is_the_only_problem_reported(lab: Lab, test1: Instance, name: str) -> None:
    resume = _stop(lab, name)
    (problem,) = _problems(lab)
    assert problem.startswith(name if name.startswith(("db", "northd")) else name.replace("-", ": ", 1))
    assert "is stopped by a signal" in problem
    resume()
    _heals(lab)


def test_links_hosts_and_namespaces_are_looked_at(lab: Lab, test1: Instance) -> None:
    underlay, one = f"{lab.layout.prefix}underlay", lab.hypervisor("hv1")
    run(["ip", "-netns", underlay, "link", "set", "host2", "down"])
    assert _problems(lab) == ["hv2: its link eth0 has no carrier"]
    run(["ip", "-netns", underlay, "link", "set", "host2", "nomaster"])
    run(["ip", "-netns", underlay, "link", "set", "host2", "up"])
    until(lambda: "on the underlay" in str(examine(lab, patience=1).problems), what="a lost packet")
    run(["ip", "-netns", underlay, "link", "set", "host2", "master", "br-underlay"])
    lab.kill_host("hv2")
    assert _problems(lab) == ["hv2: was killed (`ovenbird lab host start hv2` starts it again)"]
    lab.start_host("hv2")
    _heals(lab)
    one.namespace.run("ip", "link", "delete", "eth0")
    test1.namespace.run("ip", "link", "delete", "eth0")
    assert _problems(lab) == ["hv1: its link eth0 is gone", "test1: its link eth0 is gone"]


def test_a_namespace_that_belongs_to_another_program_now_is_left(lab: Lab, test1: Instance, tmp_path: Path) -> None:
    name = test1.namespace.name
    lab.drop(test1.process_name)
    run(["ip", "netns", "delete", name])
    assert f"test1: its namespace {name} is gone" in _problems(lab)
    run(["ip", "netns", "add", name])
    try:
        assert f"test1: its namespace {name} was made by another program" in _problems(lab)
        with pytest.raises(LabError):
            lab.exec("test1", "ip", "link", "show", "eth0")
        assert [space.name for space in lab.down()] == [name]
        assert run(["ip", "netns", "list"]).split().count(name) == 1
    finally:
        run(["ip", "netns", "delete", name])
