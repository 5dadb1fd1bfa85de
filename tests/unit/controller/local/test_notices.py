"""What a chassis says of its configuration: what has no effect, once, and for as long as that is so."""

from __future__ import annotations

import json
import logging

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import NOTICE
from ovenbird.controller.local.notices import Notices, info, warning
from ovenbird.controller.local.settings import read_settings
from ovenbird.model import sb, vswitch
from ovenbird.model.chassis_findings import KEY, LONGEST_TEXT, MOST_TEXTS


@pytest.fixture
def said(world):
    """Return what has been said and holds, after the rules have run on what the world is now."""
    notices = Notices()
    run = world.engine.run

    def running():
        deltas = run()
        if (delta := deltas.get(NOTICE)) is not None:
            notices.absorb(added=delta.added, removed=delta.removed)
        return deltas

    world.engine.run = running

    def after(**ids):
        values = {**world.root.values[vswitch.OpenVSwitch.external_ids.index], **ids}
        world.set(world.root, external_ids={key: value for key, value in values.items() if value is not None})
        world.run()
        return list(notices)

    return after


def test_each_is_logged_when_it_comes_and_when_it_goes(caplog):
    caplog.set_level(logging.INFO)
    notices = Notices()
    notices.absorb(added=[warning("b is wrong"), info("a is odd")], removed=[])
    notices.absorb(added=[warning("b is wrong")], removed=[warning("b is wrong")])
    assert list(notices) == ["a is odd", "b is wrong"]
    notices.absorb(added=[], removed=[warning("b is wrong")])
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "b is wrong"), ("INFO", "a is odd"), ("INFO", "resolved: b is wrong")
    ]  # fmt: skip


def test_southbound_has_so_many_warnings_of_such_a_length():
    notices = Notices()
    assert notices.findings == ""
    notices.absorb(
        added=[warning(f"{number:03} is wrong") for number in range(MOST_TEXTS)] + [info("that is odd")], removed=[]
    )
    assert json.loads(notices.findings) == [f"{number:03} is wrong" for number in range(MOST_TEXTS)]
    notices.absorb(added=[warning("€" * 5000), warning("and more")], removed=[])
    *_, last = json.loads(notices.findings)
    assert last == "2 more: this controller's findings/list has all"
    notices.forget()
    notices.absorb(added=[warning("€" * 5000)], removed=[])
    assert json.loads(notices.findings) == ["€" * (LONGEST_TEXT - 1) + "…"]


def test_warnings_are_written_to_the_row_of_the_chassis(world):
    (private,) = [row for row in world.sb.table(sb.ChassisPrivate).rows.values() if row.name == "hv1"]
    world.set(private, external_ids={"of": "others"})

    def edits():
        world.run()
        return [fact[3] for fact in world.facts[EDIT] if fact[2] == private.uuid and fact[3][0][0] == "external_ids"]

    assert not edits(), "not before it is known"
    world.set(world.progress, findings="[1]")
    assert edits() == [(("external_ids", ((KEY, "[1]"),)),)]
    world.set(private, external_ids={"of": "others", KEY: "[1]"})
    assert not edits()
    world.set(world.progress, findings="")
    assert edits() == [(("external_ids", ((KEY, None),)),)]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("ovn-monitor-all", "yes", "ovn-monitor-all=yes: neither true nor false, false is used"),
        ("ovn-encap-csum", "off", "neither true nor false, true is used"),
        ("ovn-remote-probe-interval", "1m", "not a number, or too large, 5000 is used"),
        ("ovn-ct-zone-limit", "-1", "not a number, or too large, 65536 is used"),
        ("ovn-bridge-mappings", "net1:br-ex,net2", "'net2' is not NETWORK:BRIDGE, and is left out"),
        ("ovn-chassis-mac-mappings", "net1:aa:bb", "'net1:aa:bb' is not NETWORK:MAC"),
        ("ovn-bridge-remote", "tcp:host:x", "'tcp:host:x' is not unix:FILE or tcp:HOST:PORT, and is left out"),
        ("ovn-encap-ip", "192.0.2.1,host1", "'host1' is not an IP address"),
        ("ovn-encap-ip-hv1", "fe80::1%eth0", "is not an IP address"),
    ],
)
def test_values_that_mean_nothing_are_named(key, value, words):
    [problem] = read_settings({"system-id": "hv1", key: value}).problems
    assert words in problem


def test_intervals_have_their_least():
    mine = read_settings({"ovn-remote-probe-interval": "10", "ovn-openflow-probe-interval": "1"})
    assert (mine.remote_probe_ms, mine.openflow_probe_s) == (1000, 5)
    mine = read_settings({"ovn-remote-probe-interval": "0", "ovn-openflow-probe-interval": "0"})
    assert (mine.remote_probe_ms, mine.openflow_probe_s) == (0, 0)
    mine = read_settings({"ovn-openflow-probe-interval": "7", "ovn-bridge-remote-probe-interval": "2500"})
    assert mine.openflow_probe_s == 2.5, "what newer releases read takes precedence"


@pytest.mark.parametrize("remote", ["unix:/run/br.mgmt", "tcp:127.0.0.1:6653", "tcp:[::1]:6653"])
def test_the_bridge_can_be_reached_elsewhere(remote):
    assert read_settings({"ovn-bridge-remote": remote}).bridge_remote == remote
    assert not read_settings({}).bridge_remote


def test_encapsulations(world, said):
    assert said() == []
    assert said(**{"ovn-encap-type": "geneve,gre"}) == ["Unknown tunnel type: gre"]
    lacking, tunnel, unknown = said(**{"ovn-encap-type": "gre"})
    assert lacking.startswith("Need to specify an encap type and ip")
    assert tunnel == "No supported encaps for 'hv2': there is no tunnel to it"
    assert unknown == "Unknown tunnel type: gre"
    assert said(**{"ovn-encap-type": None, "ovn-encap-ip": None})[0] == lacking
    assert said(**{"ovn-encap-type": "geneve", "ovn-encap-ip": "192.0.2.1"}) == []
    twin = world.add(sb.Encap, type="geneve", ip="192.0.2.2", chassis_name="hv3")
    world.add(sb.Chassis, name="hv3", encaps=frozenset([twin.uuid]))
    assert said() == ["192.0.2.2 of 'hv2' is also the address of another chassis, which has the tunnel"]


def test_physical_networks(world, said):
    assert said(**{"ovn-bridge-mappings": "net1:br-ex"}) == ["bridge 'br-ex' not found for network 'net1'"]
    world.add(vswitch.Bridge, name="br-ex", ports=frozenset())
    switch = world.switch(1)
    world.lport(switch, "ln", 1, type="localnet", options={"network_name": "net2"})
    world.lport(switch, "p1", 2)
    assert said() == []
    world.port_on_bridge("tap1", 5, iface_id="p1")
    assert said() == ["bridge not found for localnet port 'ln' with network name 'net2'"]
    assert said(**{"ovn-bridge-mappings": "net2:br-ex"}) == []
    options = {"network_name": "net9", "l2gateway-chassis": "hv1"}
    world.lport(switch, "gw", 3, type="l2gateway", options=options)
    assert said() == ["bridge not found for l2gateway port 'gw' with network name 'net9'"]


def test_interfaces_whose_ports_are_not_claimed_are_reported(world, said):
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1, options={"requested-chassis": "hv2"})
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.port_on_bridge("tap2", 6, iface_id="p2")
    assert said() == [
        "Not claiming lport p1, chassis hv1 requested-chassis hv2",
        "interface tap2: there is no lport p2 in Southbound",
    ]
    world.set(port, options={"iface-id-ver": "2"})
    world.lport(switch, "p2", 2)
    assert said() == ["Not claiming lport p1: interface tap1 has another iface-id-ver than the port"]
    world.set(port, options={"requested-chassis": "hv1"})
    [tap] = [row for row in world.vs.table(vswitch.Interface).rows.values() if row.name == "tap1"]
    world.set(tap, external_ids={"iface-id": "p1", "encap-ip": "192.0.2.9"})
    assert said() == ["interface tap1: encap-ip 192.0.2.9 is not an address of this chassis; the default one is used"]


def test_a_gateway_whose_bfd_sessions_are_all_down_says_so(world, said):
    members = [(world.me, 2), (world.other, 1)]
    rows = [world.add(sb.HAChassis, chassis=chassis.uuid, priority=rank) for chassis, rank in members]
    group = world.add(sb.HAChassisGroup, name="g", ha_chassis=frozenset(row.uuid for row in rows))
    world.lport(world.switch(1), "cr-lrp", 1, type="chassisredirect", ha_chassis_group=group.uuid)
    assert said() == ["BFD receives nothing from any other chassis: this one hosts no gateways that others can host"]
    [tunnel] = [row for row in world.vs.table(vswitch.Interface).rows.values() if row.name == "ovn-hv2-0"]
    world.set(tunnel, bfd_status={"state": "up"})
    assert said() == []
