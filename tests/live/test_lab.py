"""The lab itself, with OVN's own programs in every place: real DHCP, real packets across Geneve, nothing left."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from ovenbird.lab import dhcp, process, programs, supervisor
from ovenbird.lab.command import run
from ovenbird.lab.errors import (
    AlreadyRunningError,
    ClashError,
    CommandError,
    DuplicateInstanceError,
    LabError,
    LayoutError,
    NotRunningError,
    ProcessDiedError,
    WaitTimeoutError,
)
from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace, existing
from ovenbird.lab.process import ProcessSpec
from ovenbird.lab.requirements import find_program
from support.waiting import until

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]


def _mac(number: int) -> str:
    return f"02:00:00:00:01:{number:02x}"


@pytest.fixture
def switch(nbctl: Nbctl) -> str:
    """Make a logical switch with two DHCP ports, 10.9.0.11 and 10.9.0.12, of a fresh name."""
    name = uuid.uuid4().hex[:8]
    nbctl("ls-add", name)
    options = nbctl(
        "create",
        "DHCP_Options",
        "cidr=10.9.0.0/24",
        'options={server_id="10.9.0.1",server_mac="02:00:00:00:00:01",lease_time="3600",router="10.9.0.1",mtu="1400",'
        'dns_server="{10.9.0.3}",classless_static_route="{10.8.4.0/22,10.9.0.2, 0.0.0.0/0,10.9.0.1}"}',
    ).strip()
    for number in (1, 2):
        port = f"{name}-p{number}"
        nbctl(
            *("lsp-add", name, port),
            *("--", "lsp-set-addresses", port, f"{_mac(number)} 10.9.0.1{number}"),
            *("--", "lsp-set-dhcpv4-options", port, options),
        )
    nbctl("--wait=hv", "sync")
    return name


def _ifaces(lab: Lab, host: str) -> list[str]:
    return lab.hypervisor(host).vsctl("list-ports", "br-int").split()


@pytest.mark.parametrize("client", ["udhcpc", "dhclient"])
def test_instances_get_addresses_by_dhcp_and_meet_across_hosts(
    originals_lab: Lab, nbctl: Nbctl, switch: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not find_program(client):
        pytest.skip(f"{client} is missing")
    monkeypatch.setattr(dhcp, "dhcp_client", lambda: client)
    lab = originals_lab
    one = lab.attach("one", host="hv1", port_id=f"{switch}-p1", mac=_mac(1))
    two = lab.attach("two", host="hv2", port_id=f"{switch}-p2", mac=_mac(2))
    try:
        assert (one.address, two.address) == ("10.9.0.11", "10.9.0.12")
        lease = one.lease
        assert lease is not None
        assert (lease.dns, lease.mtu) == (("10.9.0.3",), 1400)
        assert lease.routes == ("10.8.4.0/22", "10.9.0.2", "0.0.0.0/0", "10.9.0.1")
        routes = lab.exec("one", "ip", "route")
        assert "default via 10.9.0.1" in routes
        assert "10.8.4.0/22 via 10.9.0.2" in routes
        assert "mtu 1400" in lab.exec("one", "ip", "link", "show", "eth0")
        until(lambda: one.pings("10.9.0.12"), what="the first answer")
        assert "3 received" in lab.exec("one", "ping", "-n", "-c", "3", "-i", "0.05", "10.9.0.12")
        assert not one.pings("10.9.0.99", wait=0.2)
        with pytest.raises(DuplicateInstanceError):
            lab.attach("one", host="hv1", port_id=f"{switch}-p1", mac=_mac(1))
        assert [instance.name for instance in lab.list()] == ["one", "two"]
    finally:
        lab.delete("one")
        lab.delete("two")
    assert lab.list() == []
    assert not one.namespace.exists
    assert not one.rundir.exists()
    assert lab.process("one-dhcp") is None
    assert not [name for name in _ifaces(lab, "hv1") if name.startswith("tap")]


def test_an_instance_without_a_lease_leaves_nothing(originals_lab: Lab) -> None:
    lab = originals_lab
    with pytest.raises(WaitTimeoutError, match="nobody to get an address"):
        lab.attach("nobody", host="hv2", port_id="no-such-port", mac=_mac(9), wait=0.5)
    assert lab.list() == []
    assert f"{lab.layout.prefix}vm-nobody" not in run(["ip", "netns", "list"])
    assert not [name for name in _ifaces(lab, "hv2") if name.startswith("tap")]


@pytest.mark.parametrize(
    "name", ["northd", "db-sb", "hv1-ovsdb-server", "hv1-controller", "supervisor", "standby", "one-dhcp"]
)
def test_a_killed_process_is_restarted_and_no_other_is(originals_lab: Lab, switch: str, name: str) -> None:
    lab = originals_lab
    one = lab.attach("one", host="hv1", port_id=f"{switch}-p1", mac=_mac(1))
    try:
        until(lambda: None not in lab.processes().values(), what="all processes")
        before = lab.processes()
        victim = before[name]
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: lab.process(name) not in {None, victim}, what=f"{name} to be back")
        until(lambda: None not in lab.processes().values(), what="all processes")
        guards = {supervisor.NAME, supervisor.STANDBY, name}
        assert {n: p for n, p in lab.processes().items() if n not in guards} == {
            n: p for n, p in before.items() if n not in guards
        }
        assert one.address == "10.9.0.11"
    finally:
        lab.delete("one")


def test_a_switch_that_died_carries_packets_again(originals_lab: Lab, switch: str) -> None:
    lab = originals_lab
    one = lab.attach("one", host="hv1", port_id=f"{switch}-p1", mac=_mac(1))
    lab.attach("two", host="hv2", port_id=f"{switch}-p2", mac=_mac(2))
    try:
        until(lambda: one.pings("10.9.0.12"), what="the first answer")
        victim = lab.process("hv1-ovs-vswitchd")
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: lab.process("hv1-ovs-vswitchd") not in {None, victim}, what="the switch to be back")
        until(lambda: one.pings("10.9.0.12"), what="an answer through the new switch")
    finally:
        lab.delete("one")
        lab.delete("two")


def test_a_hypervisors_tools_speak_to_its_own_switch(originals_lab: Lab) -> None:
    for host in ("hv1", "hv2"):
        hypervisor = originals_lab.hypervisor(host)
        assert hypervisor.vsctl("get", "Open_vSwitch", ".", "external_ids:system-id").strip() == host
        assert "table=0" in hypervisor.ofctl("dump-flows", "br-int")
        assert "netdev@ovs-netdev" in hypervisor.appctl("dpif/show")
        assert "running" in hypervisor.appctl("debug/status", target="ovn-controller")
        assert hypervisor.vsctl("get-fail-mode", "br-int").strip() == "secure"


def test_only_the_switch_answers_for_a_hypervisors_address(originals_lab: Lab) -> None:
    one, two = originals_lab.hypervisor("hv1"), originals_lab.hypervisor("hv2")
    for _ in range(5):
        assert one.reaches(two)
        neighbours = one.namespace.run("ip", "neighbour", "show", two.encap_address)
        assert originals_lab.layout.encap_mac("hv2") in neighbours
    assert originals_lab.layout.encap_mac("hv2") in one.appctl("tnl/neigh/show")
    mac = two.namespace.run("cat", "/sys/class/net/eth0/address").strip()
    assert mac not in originals_lab.hypervisor("hv1").appctl("fdb/show", "br-phys")


def test_a_tunnels_port_is_left_alone_until_the_switch_has_made_it(machine: None, rundir: Path) -> None:
    hypervisor = Hypervisor(Layout.make(rundir, ("hv1",)), "hv1")
    space, finish = hypervisor.namespace, hypervisor.switch_process().after
    try:
        space.make()
        space.run("ip", "tuntap", "add", "br-phys", "mode", "tap")
        with pytest.raises(CommandError):
            space.run(*finish, timeout=0.3)
        assert "UP" not in space.run("ip", "link", "show", "br-phys").split(">")[0]
        space.run("ip", "link", "set", "br-phys", "address", hypervisor.layout.encap_mac("hv1"))
        space.run(*finish)
        assert hypervisor.encap_address in space.run("ip", "-br", "address", "show", "up", "dev", "br-phys")
    finally:
        space.remove()


def test_a_controller_is_replaced_while_the_rest_runs(originals_lab: Lab) -> None:
    lab = originals_lab
    old, switch = lab.process("hv2-controller"), lab.process("hv2-ovs-vswitchd")
    spec = programs.controller(lab.hypervisor("hv2"), ("ovn-controller", "-vconsole:warn"))
    lab.keep(spec)
    until(lambda: lab.process("hv2-controller") not in {None, old}, what="the new controller")
    new = lab.process("hv2-controller")
    assert new is not None
    until(lambda: b"-vconsole:warn" in _command_line(new.pid), what="its own command line")
    assert lab.process("hv2-ovs-vswitchd") == switch


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_cloud_that_cannot_start_says_why_and_leaves_nothing(make_lab: Callable[..., Lab], rundir: Path) -> None:
    def central(layout: Layout) -> programs.Central:
        dies = ("sh", "-c", "echo no luck; sleep 0.05; exit 1")
        spec = ProcessSpec("central", dies, str(layout.rundir / "central.log"))
        return programs.Central((spec,), ("nb",), api=False)

    with pytest.raises(ProcessDiedError, match="central keeps dying") as caught:
        Lab.up(rundir, ("hv1",), central=central)
    assert any("no luck" in note for note in caught.value.__notes__)
    assert not rundir.exists()
    assert process.marked(rundir) == []
    assert Layout.make(rundir).prefix not in run(["ip", "netns", "list"])


def test_concurrent_ups_are_refused_and_an_interrupted_one_leaves_nothing(originals: None, rundir: Path) -> None:
    """One that is ended takes back what it did; one that is killed leaves that to `down`."""
    script = (
        "from pathlib import Path; from ovenbird.cli import main; from ovenbird.lab import programs\n"
        "from ovenbird.lab.lab import Lab\n"
        f"up = lambda rundir, *_, **__: Lab.up(Path({str(rundir)!r}), central=programs.originals, progress=say)\n"
        "def say(step): print(step, flush=True); 'making' in step and input()\n"
        "from ovenbird.cli import up as command\n"
        "command.Lab = type('Slow', (), {'up': staticmethod(up)})\n"
        f"main.main(['up', '--no-scene', '--rundir', {str(rundir)!r}])\n"
    )
    prefix = Layout.make(rundir).prefix
    for number in (signal.SIGTERM, signal.SIGKILL):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as half:
            assert half.stdout is not None
            while "making 2 hypervisors" not in half.stdout.readline():
                assert half.poll() is None
            assert process.marked(rundir)
            with pytest.raises(AlreadyRunningError, match=r"^the cloud in \S+ is being started, changed or removed"):
                Lab.up(rundir, central=programs.originals)
            half.send_signal(number)
            half.communicate()
        assert (number == signal.SIGKILL) == rundir.exists() == bool(process.marked(rundir))
    with pytest.raises(AlreadyRunningError, match="down` ends it"):
        Lab.up(rundir, central=programs.originals)
    assert Lab.open(rundir).down() == []
    assert existing(prefix) == process.marked(rundir) == []
    Lab.up(rundir, ("hv1",), central=programs.originals, controllers={"hv1": programs.ORIGINAL_CONTROLLER})
    assert existing(prefix) == [f"{prefix}hv1", f"{prefix}outside", f"{prefix}underlay"]
    shutil.rmtree(rundir)  # the record is lost, what runs goes on
    with pytest.raises(NotRunningError):
        Lab.open(rundir)
    assert "is removed" in run([sys.executable, "-m", "ovenbird.cli", "down", "--rundir", str(rundir)])
    assert not rundir.exists()
    with pytest.raises(LayoutError, match="has no settings"):
        Lab.up(rundir, ("hv1",), central=programs.originals, settings={"metadata": "true"})
    assert not rundir.exists()
    assert process.marked(rundir) == []
    assert existing(prefix) == []


def test_down_removes_everything_after_a_kill_of_everything(originals: None, make_lab: Callable[..., Lab]) -> None:
    controllers = dict.fromkeys(("hv1", "hv2"), programs.ORIGINAL_CONTROLLER)
    lab = make_lab(central=programs.originals, controllers=controllers)
    run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", "--wait=hv", "sync"])
    with pytest.raises(AlreadyRunningError, match="already running"):
        Lab.up(lab.layout.rundir)
    while left := process.marked(lab.layout.rundir):
        process.kill(left)  # and wait: one that is ending has no environment to be found by, but runs
    assert supervisor.active(lab.layout.rundir) is None
    assert lab.layout.prefix in run(["ip", "netns", "list"])
    Lab.open(lab.layout.rundir).down()
    assert lab.layout.prefix not in run(["ip", "netns", "list"])
    assert not lab.layout.rundir.exists()
    assert process.marked(lab.layout.rundir) == []


def test_a_conflict_of_names_is_reported_and_does_not_affect_the_other_cloud(originals_lab: Lab, rundir: Path) -> None:
    lab, before = originals_lab, existing(originals_lab.layout.prefix)
    for hosts in (("hv1",), ("hv9",)):
        with pytest.raises(ClashError, match=rf"^the namespace {lab.layout.prefix}\w+ exists .* {lab.layout.rundir}:"):
            Lab.up(rundir, hosts, prefix=lab.layout.prefix, central=programs.originals)
    assert not rundir.exists()
    other = Hypervisor(Layout.make(rundir, ("hv1",), prefix=lab.layout.prefix), "hv1").namespace
    with pytest.raises(ClashError):
        other.make()
    other.remove()
    assert existing(lab.layout.prefix) == before
    assert lab.hypervisor("hv1").reaches(lab.hypervisor("hv2"))


@pytest.mark.parametrize("step", ["starting", "making", "the databases", "reach each other", "every part"])
def test_an_up_that_fails_leaves_nothing_of_its_own_and_all_of_others(
    originals_lab: Lab, rundir: Path, step: str
) -> None:
    def fail(said: str) -> None:
        if step in said:
            raise LabError(f"failed while {said}")

    other, before = originals_lab.layout, existing(originals_lab.layout.prefix)
    prefix = f"{other.prefix}x-"  # looks like one of the other's
    with pytest.raises(LabError, match=r"^failed while"):
        Lab.up(rundir, ("hv1",), prefix=prefix, central=programs.originals, progress=fail)
    assert not rundir.exists()
    assert process.marked(rundir) == []
    assert existing(other.prefix) == before
    assert None not in originals_lab.processes().values()


def test_a_namespace_that_no_cloud_made_stays(machine: None, rundir: Path) -> None:
    layout = Layout.make(rundir, ("hv1",))
    strange = Namespace(layout.outside)
    run(["ip", "netns", "add", strange.name])
    try:
        with pytest.raises(ClashError, match="was made by another program"):
            Lab.up(rundir, ("hv1",), prefix=layout.prefix)
        assert strange.whole
        assert not rundir.exists()
    finally:
        strange.remove()
    assert not strange.exists


def test_a_host_that_cannot_be_added_leaves_nothing(originals_lab: Lab) -> None:
    lab, before = originals_lab, existing(originals_lab.layout.prefix)
    with pytest.raises(LabError):
        lab.add_host("hv9", program=("no-such-controller",))
    assert Lab.open(lab.layout.rundir).layout.hosts == lab.layout.hosts == ("hv1", "hv2")
    assert existing(lab.layout.prefix) == before
    assert not [name for name in lab.processes() if name.startswith("hv9")]
