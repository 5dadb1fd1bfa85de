"""An address that several ports may use makes its own port virtual, for as long as they may."""

from __future__ import annotations

import pytest

from ovenbird.model import cloud, nb
from support.cloud.world import World

VIP = "10.0.0.100"
VIP6 = "fd00::100"


class Shared(World):
    """A network with a port that holds an address, and two that may use it."""

    def __init__(self):
        super().__init__()
        self.wire = self.network()
        self.v4 = self.subnet(self.wire)
        self.v6 = self.subnet(self.wire, cidr="fd00::/64", gateway_ip="fd00::1")
        self.vip = self.port(self.wire, [(self.v4, VIP)], mac_address="fa:16:3e:00:01:00")
        self.first, self.second = (self.member(i) for i in (1, 2))
        self.settle()

    def member(self, number, pair=VIP, network=None):
        mac = f"fa:16:3e:00:00:{number:02x}"
        pairs = frozenset([f"{mac} {pair}"] if pair else [])
        return self.port(network or self.wire, mac_address=mac, allowed_address_pairs=pairs, host=f"hv{number}")

    def shown(self, port=None):
        self.settle()
        row = self.one(nb.LogicalSwitchPort, name=(port or self.vip).uuid)
        options = {name: value for name, value in row.options.items() if name.startswith("virtual")}
        return row.type, options.get("virtual-ip"), set(filter(None, options.get("virtual-parents", "").split(",")))

    def pair(self, port, *pairs):
        self.change(port, allowed_address_pairs=frozenset(f"{port.mac_address} {pair}" for pair in pairs))


PLAIN = "", None, set()


@pytest.fixture
def shared():
    return Shared()


def test_a_port_whose_address_others_may_use_is_virtual(shared):
    assert shared.shown() == ("virtual", VIP, {shared.first.uuid, shared.second.uuid})
    row = shared.one(nb.LogicalSwitchPort, name=shared.vip.uuid)
    assert row.addresses == {f"fa:16:3e:00:01:00 {VIP}"}
    assert row.port_security == {f"fa:16:3e:00:01:00 {VIP}"}
    assert "requested-chassis" not in row.options
    assert shared.shown(shared.first) == PLAIN


def test_pairs_come_and_go(shared):
    shared.pair(shared.first)
    assert shared.shown() == ("virtual", VIP, {shared.second.uuid})
    shared.drop(shared.second)
    assert shared.shown() == PLAIN
    shared.pair(shared.first, "10.0.0.101", f"{VIP}/32")
    assert shared.shown() == ("virtual", VIP, {shared.first.uuid})
    third = shared.member(3)
    assert shared.shown() == ("virtual", VIP, {shared.first.uuid, third.uuid})


def test_the_address_comes_and_goes(shared):
    [fixed] = shared.vip.referrers(cloud.FixedAddress.port)
    shared.drop(fixed)
    assert shared.shown() == PLAIN
    shared.add(cloud.FixedAddress, port=shared.vip.uuid, subnet=shared.v4.uuid, address=VIP)
    assert shared.shown()[:2] == ("virtual", VIP)
    shared.drop(shared.vip, *shared.vip.referrers(cloud.FixedAddress.port))
    late = shared.port(shared.wire, [(shared.v4, VIP)], mac_address="fa:16:3e:00:02:00")
    assert shared.shown(late)[:2] == ("virtual", VIP)


def test_an_ipv6_address_may_be_shared_alone(shared):
    shared.add(cloud.FixedAddress, port=shared.vip.uuid, subnet=shared.v6.uuid, address=VIP6)
    shared.pair(shared.first, VIP6)
    shared.pair(shared.second, f"{VIP6}/128")
    assert shared.shown() == ("virtual", VIP6, {shared.first.uuid, shared.second.uuid})


@pytest.mark.parametrize("pair", ["10.0.0.0/24", f"{VIP}/31", "10.0.0.101", "nonsense"])
def test_an_address_pair_with_another_address_makes_no_port_virtual(shared, pair):
    for port in (shared.first, shared.second):
        shared.pair(port, pair)
    assert shared.shown() == PLAIN


@pytest.mark.parametrize("own", [{"host": "hv9"}, {"device_owner": "network:distributed"}])
def test_a_port_with_a_host_or_owner_is_not_virtual(shared, own):
    before = shared.vip.host, shared.vip.device_owner
    shared.change(shared.vip, **own)
    assert shared.shown()[0] in ("", "localport")
    shared.change(shared.vip, host=before[0], device_owner=before[1])
    assert shared.shown()[0] == "virtual"


def test_a_router_that_others_may_answer_for_stays_a_router(shared):
    router = shared.router()
    interface = shared.interface(router, [(shared.v4, "10.0.0.1")], mac_address="fa:16:3e:00:03:00")
    shared.pair(shared.first, "10.0.0.1")
    assert shared.shown(interface.port)[0] == "router"


def test_pairs_of_another_network_and_of_the_port_itself_do_not_count(shared):
    for port in (shared.first, shared.second):
        shared.pair(port)
    shared.member(4, network=shared.network(name="other"))
    shared.pair(shared.vip, VIP)
    assert shared.shown() == PLAIN


def test_a_pair_runs_the_rule_of_the_ports_concerned_alone(shared):
    for i in range(10, 30):
        shared.member(i, pair=None)
    shared.settle()
    ran = shared.engine.ran["switch_port"]
    shared.member(40)
    shared.settle()
    assert shared.engine.ran["switch_port"] - ran <= 2
