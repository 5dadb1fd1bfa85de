"""The demo topology for its user: its security group holds, nobody can take another address, the commands work."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovenbird.lab import demo_topology
from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from support.live import traffic
from support.waiting import until

pytestmark = pytest.mark.live

Ovenbird = Callable[..., str]


def _ovenbird(rundir: Path) -> Ovenbird:
    def command(*arguments: str) -> str:
        return run([sys.executable, "-m", "ovenbird.cli", *arguments], env={"OVENBIRD_RUNDIR": str(rundir)}, timeout=60)

    return command


@pytest.fixture
def pair(cloud: Lab) -> tuple[Instance, Instance]:
    return cloud.instance("test1"), cloud.instance("test2")


@pytest.fixture
def web_rule(cloud: Lab) -> Iterator[Callable[[], Callable[[], None]]]:
    """`web_rule()` lets in TCP 80 through the API; what it returns takes that back."""
    with cloud.neutron() as neutron:
        group = neutron.find("security_group", demo_topology.SECURITY_GROUP)["id"]
        made = []

        def allow() -> Callable[[], None]:
            web = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
            ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
            rule = neutron.create("security_group_rule", **ingress, **web)["id"]
            made.append(rule)
            return lambda: neutron.delete("security_group_rule", rule)

        yield allow
        for rule in made:
            neutron.delete("security_group_rule", rule)


def test_the_instances_reach_each_other_across_hosts(pair: tuple[Instance, Instance]) -> None:
    one, two = pair
    assert (one.host, two.host) == ("hv1", "hv2")
    for source, target in (pair, pair[::-1]):
        assert "5 received" in source.run("ping", "-n", "-c", "5", "-i", "0.02", target.address or "")
        assert "5 received" in source.run("ping", "-n", "-c", "5", "-i", "0.02", "-s", "1400", target.address or "")


def test_the_security_group_decides_which_connections_are_made(
    pair: tuple[Instance, Instance], web_rule: Callable[[], Callable[[], None]]
) -> None:
    one, two = pair
    address = two.address or ""
    with traffic.serve(two, 22, 80):
        assert traffic.connects(two, "127.0.0.1", 80)
        assert traffic.connects(one, address, 22)
        assert not traffic.connects(one, address, 80, 0.3)
        disallow = web_rule()
        until(lambda: traffic.connects(one, address, 80, 0.3), what="port 80 to open")
        disallow()
        until(lambda: not traffic.connects(one, address, 80, 0.3), what="port 80 to close")
        assert traffic.connects(one, address, 22)


def test_a_port_sends_from_its_own_addresses_only(pair: tuple[Instance, Instance]) -> None:
    one, two = pair
    macs, addresses = (one.mac, two.mac), (one.address or "", two.address or "")
    stranger, nobody = "02:00:00:00:00:66", "10.0.0.66"
    frames = {
        b"its own": traffic.echo_request(macs, addresses, b"its own address."),
        b"another's IP": traffic.echo_request(macs, (nobody, addresses[1]), b"another's IP...."),
        b"another's MAC": traffic.echo_request((stranger, two.mac), addresses, b"another's MAC..."),
        b"ARP for another's IP": traffic.announcement(one.mac, one.mac, nobody, b"ARP for another's IP"),
        b"ARP for another's MAC": traffic.announcement(one.mac, stranger, addresses[0], b"ARP for another's MAC"),
        b"ARP from another's MAC": traffic.announcement(stranger, stranger, addresses[0], b"ARP from another's MAC"),
        b"ARP of its own": traffic.announcement(one.mac, one.mac, addresses[0], b"ARP of its own"),
        b"the last": traffic.echo_request(macs, addresses, b"the last one...."),
    }
    arrived = traffic.arrivals(one, two, [(frame, mark) for mark, frame in frames.items()])
    assert arrived == {b"its own", b"ARP of its own", b"the last"}


def test_a_port_without_port_security_may_use_foreign_addresses(cloud: Lab, pair: tuple[Instance, Instance]) -> None:
    one, two = pair
    pretence = traffic.announcement("02:00:00:00:00:66", "02:00:00:00:00:66", "10.0.0.66", b"a pretence")
    last = traffic.announcement(one.mac, one.mac, one.address or "", b"the last one")
    frames = [(pretence, b"a pretence"), (last, b"the last one")]
    free = cloud.boot("free", network=demo_topology.NETWORK, host="hv1", port_security_enabled=False)
    try:
        assert free.address is not None
        assert traffic.arrivals(free, two, [frames[0]]) == {b"a pretence"}
    finally:
        cloud.delete("free")
    assert traffic.arrivals(one, two, frames) == {b"the last one"}


def test_instances_come_and_go_by_command(cloud: Lab) -> None:
    ovenbird = _ovenbird(cloud.layout.rundir)
    where = ("--network", demo_topology.NETWORK, "--host", "hv2", "--security-group", demo_topology.SECURITY_GROUP)
    booted = ovenbird("lab", "boot", "test3", *where)
    try:
        address = cloud.instance("test3").address
        assert address is not None
        assert f"test3 runs on hv2 with {address}" in booted
        assert "3 received" in ovenbird("lab", "exec", "test1", "--", "ping", "-nc3", "-i0.02", address)
        assert "test3" in ovenbird("lab", "list")
        status = json.loads(ovenbird("status", "--json"))
        mine = {instance["name"]: instance for instance in status["instances"]}["test3"]
        assert (mine["host"], mine["address"], mine["status"]) == ("hv2", address, "ACTIVE")
        with pytest.raises(CommandError, match="exists already"):
            ovenbird("lab", "boot", "test3", *where)
    finally:
        assert "test3 is deleted" in ovenbird("lab", "delete", "test3")
    assert "test3" not in ovenbird("lab", "list")
    with pytest.raises(CommandError, match="no instance is named test3"):
        ovenbird("lab", "exec", "test3", "--", "true")
    with cloud.neutron() as neutron:
        assert not neutron.list("port", name="test3")
        assert not neutron.list("port", fixed_ips=f"ip_address={address}")


def test_status_leads_programs_to_every_part(cloud: Lab) -> None:
    status = json.loads(_ovenbird(cloud.layout.rundir)("status", "--json"))
    assert status["healthy"]
    assert [host["name"] for host in status["hosts"]] == ["hv1", "hv2"]
    assert {"test1", "test2"} <= {instance["name"] for instance in status["instances"]}
    for part, database in (("nb", "OVN_Northbound"), ("sb", "OVN_Southbound"), ("cloud", "Cloud")):
        assert database in run(["ovsdb-client", "list-dbs", status[part]]).split()
    assert run(["curl", "-sf", f"{status['api']}/v2.0/networks"])
