"""What there is no number left for costs itself alone, and is a finding of the chassis until one is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovenbird.controller.facts import NOTICE, ZONE
from ovenbird.controller.host import Host
from ovenbird.controller.local.ct_zones import ZONES
from ovenbird.controller.logical_flows.action_context import GROUPS
from ovenbird.controller.logical_flows.logical_flow import CONJUNCTIONS
from ovenbird.controller.logical_flows.meters import METER_IDS
from ovenbird.engine.findings import FINDING, finding
from support.controller.world import World

if TYPE_CHECKING:
    from pathlib import Path

_MANY = "ip4.src == {{10.0.0.{n}, 10.0.1.8, 10.0.1.9}} && tcp.dst == {{{n}, 90, 91}}"
"""A match of several alternatives of each of two fields, which needs a conjunction."""


@pytest.fixture
def net():
    world = World()
    world.facts |= {NOTICE: set(), FINDING: set()}
    world.datapath = world.switch(7)
    return world


def bound(net, name, key):
    net.port_on_bridge(f"tap-{name}", 10 + key, iface_id=name)
    return net.lport(net.datapath, name, key, chassis=net.me.uuid)


def test_zones(net, monkeypatch):
    monkeypatch.setattr(ZONES, "high", 4)  # two are the datapath's
    ports = {"vm1": bound(net, "vm1", 1)}
    net.run()
    ports |= {"vm2": bound(net, "vm2", 2), "vm3": bound(net, "vm3", 3)}
    net.run()
    zones = {fact.name for fact in net.facts[ZONE]}
    assert len(zones) == 4
    (lost,) = ports.keys() - zones
    texts = {fact[3] for fact in net.facts[FINDING]}
    assert texts == {f"Port_Binding {lost}: no conntrack zone from 1 to 4 is free; what needs one is left out"}
    assert not net.engine.failures
    net.delete(next(port for name, port in ports.items() if name != lost))
    net.run()
    assert not net.facts[FINDING]
    assert lost in {fact.name for fact in net.facts[ZONE]}


@pytest.mark.parametrize(
    ("pool", "match", "actions", "what"),
    [
        (METER_IDS, "ip.ttl == {n}", "set_meter({n}000); next;", "meter id"),
        (GROUPS, "ip.ttl == {n}", "reg0 = select({n}=1, {n}1=2);", "group id"),
        (CONJUNCTIONS, _MANY, "drop;", "conjunction id"),
    ],
)
def test_ids_of_flows(net, monkeypatch, pool, match, actions, what):
    monkeypatch.setattr(pool, "high", pool.low + 1)
    bound(net, "vm", 1)
    flows = [net.flow(net.datapath, match.format(n=n), actions.format(n=n)) for n in (1, 2, 3)]
    net.run()
    (notice,) = net.facts[NOTICE]
    assert notice.text.startswith("flow left out: ingress table 0 priority 100 match (")
    assert notice.text.endswith(f"no {what} from {pool.low} to {pool.low + 1} is free")
    assert not net.engine.failures
    lost = next(flow for flow in flows if f"({flow.match})" in notice.text)
    net.delete(next(flow for flow in flows if flow is not lost))
    net.run()
    assert not net.facts[NOTICE]


async def test_the_engines_findings_are_the_chassis_s(net, tmp_path: Path):
    host = Host(f"unix:{tmp_path}/db.sock", system_id="hv1", run_directory=tmp_path)
    port = bound(net, "vm", 1)
    fact = finding(port, "Port_Binding vm: no conntrack zone is free")
    absorb = dict(host.sinks())[FINDING]
    absorb(added=[fact], removed=[])
    assert list(host.notices) == ["Port_Binding vm: no conntrack zone is free"]
    absorb(added=[], removed=[fact])
    assert not list(host.notices)
    host.close()


def test_zones_of_a_range_stay_and_others_move(net):
    bound(net, "vm1", 1)
    bound(net, "vm2", 2)
    net.run()
    before = {fact.name: fact.number for fact in net.facts[ZONE]}
    assert sorted(before.values()) == [1, 2, 3, 4]
    plain = net.root["external_ids"]
    net.set(net.root, external_ids=plain | {"ct-zone-range": "3-40"})
    net.run()
    after = {fact.name: fact.number for fact in net.facts[ZONE]}
    stay = {name for name, zone in before.items() if zone >= 3}
    assert {name: after[name] for name in stay} == {name: before[name] for name in stay}
    assert len(set(after.values())) == 4
    assert all(3 <= zone <= 40 for zone in after.values())
    net.set(net.root, external_ids=plain | {"ct-zone-range": "3-5"})
    net.run()
    assert len(net.facts[ZONE]) == 3
    assert len(net.facts[FINDING]) == 1
    net.set(net.root, external_ids=plain)
    net.run()
    assert len(net.facts[ZONE]) == 4
    assert not net.facts[FINDING]


def test_a_zone_that_a_router_requests_is_outside_of_the_range(net):
    net.set(net.root, external_ids=net.root["external_ids"] | {"ct-zone-range": "1000-2000"})
    net.set(net.datapath, external_ids=dict(net.datapath["external_ids"]) | {"snat-ct-zone": "7"})
    bound(net, "vm1", 1)
    net.run()
    zones = {fact.name: fact.number for fact in net.facts[ZONE]}
    assert zones.pop(f"{net.datapath.uuid}_snat") == 7
    assert sorted(zones.values()) == [1000, 1001]
