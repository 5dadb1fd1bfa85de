"""Crashes: whatever is killed in the midst of traffic costs no packet, forgets nothing, and is back within seconds."""

import contextlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from ovenbird.lab import demo_topology, programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import ApiError
from ovenbird.lab.hypervisor import listening
from ovenbird.lab.lab import Lab
from support.live import traffic
from support.live.traffic import Traffic, flow_ages, kill
from support.waiting import until

pytestmark = pytest.mark.live

T = TypeVar("T")

IN_ONE = ("central", "hv1-controller", "hv2-controller", "supervisor", "standby")
IN_PARTS = ("db-nb", "db-sb", "db-cloud", "northd", "api")


def _with_demo(lab: Lab) -> Lab:
    demo_topology.create(lab, lambda _step: None)
    return lab


@pytest.fixture(scope="module")
def whole(make_module_lab: Callable[..., Lab]) -> Lab:
    """A cloud whose central programs are one process."""
    return _with_demo(make_module_lab())


@pytest.fixture(scope="module")
def parts(make_module_lab: Callable[..., Lab]) -> Lab:
    """A cloud whose central programs are a process each."""
    return _with_demo(make_module_lab(central=programs.split()))


def _flows(lab: Lab) -> dict[str, dict[str, float]]:
    """Return every host's flows with their ages in seconds, but for multicast groups: these change with each boot."""
    dumps = {host: flow_ages(lab.hypervisor(host).ofctl("dump-flows", "br-int")) for host in lab.layout.hosts}
    return {host: {flow: age for flow, age in ages.items() if "reg15=0x8" not in flow} for host, ages in dumps.items()}


def _back(lab: Lab) -> bool:
    return None not in lab.processes().values()


def _active(lab: Lab) -> bool:
    try:
        with lab.neutron() as neutron:
            ports = neutron.list("port", device_owner="compute:lab")
    except ApiError:
        return False
    return {port["status"] for port in ports} == {"ACTIVE"}


def _patiently(request: Callable[[], T]) -> T:
    """Ask the API until it answers: for a moment after a crash it may be gone, or say that a database is."""

    def answered() -> tuple[T] | None:
        try:
            return (request(),)
        except ApiError as error:
            if error.status in {0, 503}:
                return None
            raise

    return until(answered)[0]


def _opens_and_closes(lab: Lab, port: int) -> None:
    """See a rule work on both hosts, and its end too; that takes every program of ours."""
    one, two = lab.instance("test1"), lab.instance("test2")
    ways = ((one, two.address or ""), (two, one.address or ""))
    with lab.neutron() as neutron:
        group = _patiently(lambda: neutron.find("security_group", demo_topology.SECURITY_GROUP))["id"]
        rule = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
        ports = {"port_range_min": port, "port_range_max": port}
        made = _patiently(lambda: neutron.create("security_group_rule", security_group_id=group, **rule, **ports))
        for source, address in ways:
            until(lambda s=source, a=address: traffic.connects(s, a, port, 0.2), what=f"{source.name} to be let in")
        _patiently(lambda: neutron.delete("security_group_rule", made["id"]))
        for source, address in ways:
            until(lambda s=source, a=address: not traffic.connects(s, a, port, 0.2), what=f"{source.name} kept out")


def _proved(lab: Lab, *names: str, lossless: bool = True) -> None:
    """Kill processes during traffic, and see that nothing is lost and that the cloud goes on.

    New instances wait for the end of the traffic: the switch itself may lose a packet when a port comes or goes,
    under the original's controllers as well.

    Args:
        lab: where.
        names: of the processes.
        lossless: whether no packet may be lost; in any case the TCP stream must go on.
    """
    one, two = lab.instance("test1"), lab.instance("test2")
    until(lambda: _back(lab), what="all processes")
    before = _flows(lab)
    with traffic.serve(one, 80), traffic.serve(two, 80), Traffic(one, two) as running:
        victims = {name: kill(lab.process(name)) for name in names}
        for name, victim in victims.items():
            until(lambda n=name, v=victim: lab.process(n) not in {None, v}, what=f"{name} to be back")
        until(lambda: _active(lab), what="every port to be ACTIVE")
        _opens_and_closes(lab, 80)
        account = running.account()
    assert account.complete or not lossless, account
    assert account.messages > 10
    until(lambda: all(set(before[host]) == set(now) for host, now in _flows(lab).items()), what="the same flows")
    for host, flows in _flows(lab).items():
        renewed = [flow for flow, age in flows.items() if age < before[host][flow]]
        assert not renewed, f"{len(renewed)} flows of {host} were made anew"
    for host in lab.layout.hosts:
        name = f"new-{host}"
        new = _patiently(
            lambda h=host, n=name: lab.boot(
                n, network=demo_topology.NETWORK, host=h, security_groups=(demo_topology.SECURITY_GROUP,), wait=15
            )
        )
        one.run("ip", "neighbour", "flush", "to", new.address or "")  # somebody else had the address before
        until(lambda i=new: one.pings(i.address or ""), what=f"{name} to answer")
        lab.delete(name)


@pytest.mark.parametrize("name", IN_ONE)
def test_a_crash_costs_no_packet(whole: Lab, name: str) -> None:
    _proved(whole, name)


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_crash_of_a_part_costs_no_packet(parts: Lab, name: str) -> None:
    _proved(parts, name)


def test_a_crash_of_all_at_once_costs_no_packet(whole: Lab) -> None:
    _proved(whole, *(name for name in IN_ONE if name != "standby"))


def test_a_crash_of_the_hosts_databases_breaks_no_connection(whole: Lab) -> None:
    # Without its database ovs-vswitchd stands still, and with it the userspace datapath: until it tries again, 1 s.
    _proved(whole, "hv1-ovsdb-server", "hv2-ovsdb-server", lossless=False)


class Writer(threading.Thread):
    """Somebody who creates networks, and deletes every other one, and keeps account of what was acknowledged."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab
        self.ended = threading.Event()
        self.tried = 0
        self.created: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.doubtful: set[str] = set()

    def run(self) -> None:
        with self._lab.neutron() as neutron:
            while not self.ended.is_set():
                self.tried += 1
                name = f"write-{self.tried}"
                try:
                    ident = neutron.create("network", name=name)["id"]  # all that is told of one that a restore undid
                except ApiError:
                    continue
                self.created[ident] = name
                if self.tried % 2:
                    self.doubtful.add(ident)
                    with contextlib.suppress(ApiError):
                        neutron.delete("network", ident)
                        self.doubtful.remove(ident)
                        self.deleted.add(ident)


@pytest.mark.parametrize("arrangement", ["whole", "parts"])
def test_no_acknowledged_write_is_lost(request: pytest.FixtureRequest, arrangement: str) -> None:
    lab: Lab = request.getfixturevalue(arrangement)
    victims = ("central",) if arrangement == "whole" else ("db-cloud", "api", "db-nb")
    writer = Writer(lab)
    writer.start()
    try:
        for name in victims * 4 if arrangement == "whole" else victims:
            goal = len(writer.created) + 20
            until(lambda g=goal: len(writer.created) >= g, what="20 more acknowledged writes")
            victim = kill(lab.process(name))
            until(lambda n=name, v=victim: lab.process(n) not in {None, v}, what=f"{name} to be back")
        goal = len(writer.created) + 20
        until(lambda: len(writer.created) >= goal, what="20 more acknowledged writes")
    finally:
        writer.ended.set()
        writer.join()
    with lab.neutron() as neutron:
        found = {network["id"]: network["name"] for network in neutron.list("network")}
        kept = {ident: name for ident, name in writer.created.items() if ident not in writer.deleted | writer.doubtful}
        assert {ident: found.get(ident) for ident in kept} == kept
        assert not writer.deleted & set(found)

        def switches() -> set[str]:
            listed = run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", "ls-list"])
            return set(re.findall(r"neutron-([-0-9a-f]{36})", listed))

        until(lambda: listening(lab.layout.socket("nb")), what="Northbound to listen")
        until(lambda: switches() == set(found), what="Northbound to have the same")
        for ident, name in found.items():
            if name.startswith("write-"):
                neutron.delete("network", ident)
    until(lambda: len(switches()) == 1, what="Northbound to forget them")


RESOURCES = ("network", "subnet", "port", "security_group", "security_group_rule", "router")


def _everything(lab: Lab) -> dict[str, dict[str, dict[str, object]]]:
    """Return every resource of the API by its id, but for what writers make."""
    with lab.neutron() as neutron:
        everything = {kind: {found["id"]: found for found in neutron.list(kind)} for kind in RESOURCES}
    networks = everything["network"].items()
    return everything | {"network": {i: found for i, found in networks if not found["name"].startswith("write-")}}


def test_backups_are_restored_under_traffic_with_every_id(whole: Lab, tmp_path: Path) -> None:
    """Restore all three databases, as docs/operate.md has it, while instances talk and the API is written to."""
    databases = {"cloud": "Cloud", "nb": "OVN_Northbound", "sb": "OVN_Southbound"}
    one, two = whole.instance("test1"), whole.instance("test2")
    until(lambda: _back(whole), what="all processes")
    with whole.neutron() as neutron:
        lost = neutron.create("network", name="lost")
        neutron.create("subnet", name="lost", network_id=lost["id"], ip_version=4, cidr="10.9.0.0/24")
        router = neutron.create("router", name="lost")
        before = _everything(whole)
        for short, name in databases.items():
            text = run(["ovsdb-client", "backup", whole.layout.remote(short), name])
            (tmp_path / f"{short}.backup").write_text(text)
        neutron.delete("network", lost["id"])
        neutron.delete("router", router["id"])
        neutron.create("network", name="later")
        neutron.update("port", one.port_id, description="changed")
        writer = Writer(whole)
        with traffic.serve(one, 80), traffic.serve(two, 80), Traffic(one, two) as running:
            writer.start()
            try:
                for short, name in databases.items():
                    goal = len(writer.created) + 10
                    until(lambda g=goal: len(writer.created) >= g, what="10 more acknowledged writes")
                    line = 'ovsdb-client restore "$0" "$1" < "$2"'
                    run(["sh", "-c", line, whole.layout.remote(short), name, str(tmp_path / f"{short}.backup")])
                    assert _everything(whole) == before, "every id, and all that it stands for"
            finally:
                writer.ended.set()
                writer.join()
            _opens_and_closes(whole, 80)
            account = running.account()
        assert account.complete, account
        nbctl = ["ovn-nbctl", f"--db={whole.layout.remote('nb')}"]
        for row in (f"Logical_Switch neutron-{lost['id']}", f"Logical_Router neutron-{router['id']}"):
            until(lambda r=row: "neutron-" in run([*nbctl, "--if-exists", "get", *r.split(), "name"]), what=row)
        assert writer.created
        for network in neutron.list("network"):
            if network["name"].startswith(("write-", "lost")):
                neutron.delete("network", network["id"])
        neutron.delete("router", router["id"])


@pytest.mark.parametrize("host", ["hv1", "hv2"])
def test_a_switch_that_crashed_gets_its_flows_again(whole: Lab, host: str) -> None:
    one, two = whole.instance("test1"), whole.instance("test2")
    before = {flow.partition(" ")[2] for flow in _flows(whole)[host]}
    victim = kill(whole.process(f"{host}-ovs-vswitchd"))
    until(lambda: whole.process(f"{host}-ovs-vswitchd") not in {None, victim}, what="the switch to be back")
    until(lambda: one.pings(two.address or "", wait=0.2), what="an answer through the new switch")
    until(lambda: whole.hypervisor(host).switching, what="the switch to be whole")
    after = {flow.partition(" ")[2] for flow in _flows(whole)[host]}
    assert len(after) == len(before)
    with traffic.serve(one, 80), traffic.serve(two, 80):
        _opens_and_closes(whole, 80)
