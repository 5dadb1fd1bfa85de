"""What zones tell each other: who registers, which keys transit switches get, which rows are whose."""

from __future__ import annotations

import pytest

from ovenbird.model import ic_nb, ic_sb, nb, sb
from support.ic.zones import Shared, change, delete, insert


@pytest.fixture
def shared():
    return Shared()


def test_a_transit_switch_has_one_key_in_all_zones(shared):
    east, west = shared.zone("east"), shared.zone("west")
    first, second = shared.switch("ts1"), shared.switch("ts2")
    assert sorted(row.name for row in shared.all(ic_sb.AvailabilityZone)) == ["east", "west"]
    keys = {row.transit_switch: row.tunnel_key for row in shared.all(ic_sb.DatapathBinding)}
    assert sorted(keys) == ["ts1", "ts2"]
    assert set(keys.values()) == {16_711_681, 16_711_682}
    for zone in (east, west):
        for name, key in keys.items():
            assert zone.transit(name).other_config == {"interconn-ts": name, "requested-tnl-key": str(key)}
            assert zone.one(sb.DatapathBinding, tunnel_key=key).external_ids["interconn-ts"] == name
    delete(shared.nb, first)
    shared.settle()
    assert [row.name for row in east.all(nb.LogicalSwitch)] == ["ts2"]
    assert [row.tunnel_key for row in shared.all(ic_sb.DatapathBinding)] == [keys["ts2"]]
    assert second.name == "ts2"


def test_other_settings_of_a_transit_switch_are_the_operators(shared):
    east = shared.zone("east")
    shared.switch("ts1")
    switch = east.transit("ts1")
    east.change(switch, other_config={"interconn-ts": "ts1", "mcast_snoop": "true"}, name="mine")
    assert switch.other_config == {"interconn-ts": "ts1", "mcast_snoop": "true", "requested-tnl-key": "16711681"}
    assert switch.name == "ts1"


def test_of_two_datapaths_for_one_switch_the_lower_key_stays(shared):
    shared.switch("ts1")
    for key in (16_711_700, 16_711_690):
        insert(shared.sb, ic_sb.DatapathBinding, transit_switch="ts1", tunnel_key=key)
    east = shared.zone("east")
    assert [row.tunnel_key for row in shared.all(ic_sb.DatapathBinding)] == [16_711_690]
    assert east.transit("ts1").other_config["requested-tnl-key"] == "16711690"


def test_gateways_are_remote_chassis_elsewhere(shared):
    east, west = shared.zone("east"), shared.zone("west")
    gateway = east.chassis("gw1", "192.0.2.1")
    east.chassis("hv1", "192.0.2.2", **{"is-interconn": "false"})
    assert [row.name for row in shared.all(ic_sb.Gateway)] == ["gw1"]
    remote = west.one(sb.Chassis, name="gw1")
    assert remote.other_config == {"is-remote": "true"}
    assert remote.hostname == "gw1.example"
    assert [(e.type, e.ip, e.chassis_name) for e in remote.encaps] == [("geneve", "192.0.2.1", "gw1")]
    change(east.sb, gateway.encaps[0], ip="192.0.2.9")
    change(east.sb, gateway, hostname="moved")
    shared.settle()
    assert [(e.ip, remote.hostname) for e in remote.encaps] == [("192.0.2.9", "moved")]
    assert [row.ip for row in shared.all(ic_sb.Encap)] == ["192.0.2.9"]
    east.change(gateway, other_config={})
    assert west.all(sb.Chassis) == []
    assert shared.all(ic_sb.Gateway) == []


def test_ports_of_transit_switches_are_remote_ports_elsewhere(shared):
    east, west = shared.zone("east"), shared.zone("west")
    shared.switch("ts1")
    east.router("r1", "ts1", 1)
    west.router("r2", "ts1", 2)
    rows = {row.logical_port: row for row in shared.all(ic_sb.PortBinding)}
    assert {name: row.availability_zone.name for name, row in rows.items()} == {
        "lsp-ts1-r1": "east",
        "lsp-ts1-r2": "west",
    }
    assert sorted(row.tunnel_key for row in rows.values()) == [1, 2]
    for zone, mine, other in ((east, "r1", "r2"), (west, "r2", "r1")):
        own, remote = zone.one(nb.LogicalSwitchPort, name=f"lsp-ts1-{mine}"), f"lsp-ts1-{other}"
        assert own.options["requested-tnl-key"] == str(rows[own.name].tunnel_key)
        assert own.options["router-port"] == f"lrp-{mine}-ts1"
        far = zone.one(nb.LogicalSwitchPort, name=remote)
        assert (far.type, far.addresses) == ("remote", {rows[remote].address})
        for name in (own.name, remote):
            assert zone.one(sb.PortBinding, logical_port=name).tunnel_key == rows[name].tunnel_key
    assert rows["lsp-ts1-r1"].address == "aa:aa:aa:00:00:01 169.254.100.1/24"
    delete(east.nb, east.one(nb.LogicalRouter, name="r1"))
    change(east.nb, east.transit("ts1"), ports=frozenset({east.one(nb.LogicalSwitchPort, name="lsp-ts1-r2").uuid}))
    shared.settle()
    assert [row.logical_port for row in shared.all(ic_sb.PortBinding)] == ["lsp-ts1-r2"]
    assert [row.name for row in west.all(nb.LogicalSwitchPort)] == ["lsp-ts1-r2"]


def test_a_remote_port_is_bound_where_its_gateway_is(shared):
    east, west = shared.zone("east"), shared.zone("west")
    shared.switch("ts1")
    gateway = east.chassis("gw1", "192.0.2.1")
    router = east.router("r1", "ts1", 1)
    port = router.ports[0]
    chosen = insert_gateway(east, port, "gw1")
    redirect = east.one(sb.PortBinding, logical_port=f"cr-{port.name}")
    east.change(redirect, chassis=gateway.uuid)
    assert shared.one(ic_sb.PortBinding).gateway == "gw1"
    far = west.one(sb.PortBinding, logical_port="lsp-ts1-r1")
    assert far.chassis is west.one(sb.Chassis, name="gw1")
    east.change(redirect, chassis=None)
    assert far.chassis is None
    assert chosen


def insert_gateway(zone, port, chassis):
    transaction = zone.nb.transaction()
    values = {"name": f"{port.name}-{chassis}", "chassis_name": chassis, "priority": 1}
    row = transaction.insert(nb.GatewayChassis, values)
    transaction.update(port, {"gateway_chassis": frozenset({row})})
    transaction.commit()
    zone.shared.settle()
    return row


def test_rows_of_other_zones_stay_as_they_are(shared):
    """Also where they contradict ours, and where nobody is there to look after them."""
    east = shared.zone("east")
    shared.switch("ts1")
    transaction = shared.sb.transaction()
    far = transaction.insert(ic_sb.AvailabilityZone, {"name": "far"})
    encap = transaction.insert(ic_sb.Encap, {"type": "geneve", "ip": "192.0.2.7", "gateway_name": "gw7"})
    gateway = {"name": "gw7", "availability_zone": far, "encaps": frozenset({encap})}
    transaction.insert(ic_sb.Gateway, gateway)
    port = {"logical_port": "p7", "transit_switch": "ts1", "availability_zone": far, "tunnel_key": 1, "gateway": "gw7"}
    transaction.insert(ic_sb.PortBinding, port)
    transaction.insert(ic_sb.PortBinding, port | {"logical_port": "p8", "transit_switch": "unknown"})
    route = {"transit_switch": "ts1", "availability_zone": far, "ip_prefix": "nonsense", "nexthop": "x"}
    transaction.insert(ic_sb.Route, route | {"origin": "static"})
    transaction.commit()
    before = {uuid: list(row.values) for table in shared.sb.store.tables.values() for uuid, row in table.rows.items()}
    shared.settle()
    east.router("r1", "ts1", 1)
    east.engine.close()
    east.start()
    shared.settle()
    after = {uuid: list(row.values) for table in shared.sb.store.tables.values() for uuid, row in table.rows.items()}
    assert {uuid: after.get(uuid) for uuid in before} == before
    assert shared.one(ic_sb.PortBinding, logical_port="lsp-ts1-r1").tunnel_key == 2
    assert east.one(nb.LogicalSwitchPort, name="p7").type == "remote"
    assert east.one(sb.PortBinding, logical_port="p7").chassis is east.one(sb.Chassis, name="gw7")


def test_a_port_here_keeps_its_name(shared):
    """Another zone's port of the same name costs only itself."""
    east = shared.zone("east")
    shared.switch("ts1")
    transaction = shared.sb.transaction()
    far = transaction.insert(ic_sb.AvailabilityZone, {"name": "far"})
    values = {"transit_switch": "ts1", "availability_zone": far}
    transaction.insert(ic_sb.PortBinding, values | {"logical_port": "web", "tunnel_key": 1})
    transaction.insert(ic_sb.PortBinding, values | {"logical_port": "p2", "tunnel_key": 2})
    transaction.commit()
    delete(shared.sb, *[])
    port = nb_port(east, "web")
    shared.settle()
    assert port.type == ""
    assert {row.name for row in east.all(nb.LogicalSwitchPort)} == {"web", "p2"}


def nb_port(zone, name):
    transaction = zone.nb.transaction()
    port = transaction.insert(nb.LogicalSwitchPort, {"name": name})
    transaction.insert(nb.LogicalSwitch, {"name": "net", "ports": frozenset({port})})
    transaction.commit()
    return zone.nb.store.table(nb.LogicalSwitchPort).get(port)


def test_a_zone_takes_its_rows_along_to_a_new_name(shared):
    east = shared.zone("east")
    west = shared.zone("west")
    shared.switch("ts1")
    east.chassis("gw1", "192.0.2.1")
    east.router("r1", "ts1", 1)
    rows = shared.all(ic_sb.Gateway) + shared.all(ic_sb.PortBinding)
    east.rename("north")
    assert sorted(row.name for row in shared.all(ic_sb.AvailabilityZone)) == ["north", "west"]
    assert [row.availability_zone.name for row in rows] == ["north", "north"]
    assert shared.all(ic_sb.Gateway) + shared.all(ic_sb.PortBinding) == rows
    change(east.nb, east.head, name="")
    shared.settle()
    assert [row.name for row in shared.all(ic_sb.AvailabilityZone)] == ["west"]
    assert west.all(sb.Chassis) == []


def test_a_start_over_what_is_there_changes_nothing(shared):
    zones = [shared.zone("east"), shared.zone("west")]
    shared.switch("ts1")
    for number, zone in enumerate(zones, 1):
        zone.chassis(f"gw{number}", f"192.0.2.{number}")
        zone.router(f"r{number}", "ts1", number, networks=[f"10.0.{number}.1/24"])
    for zone in zones:
        zone.engine.close()
        zone.start()
        assert not zone.settle()


def test_a_change_of_one_port_runs_the_rules_of_that_port(shared):
    east = shared.zone("east")
    shared.switch("ts1")
    for number in range(1, 9):
        east.router(f"r{number}", "ts1", number)
    binding = shared.one(ic_sb.PortBinding, logical_port="lsp-ts1-r3")
    change(shared.sb, binding, address="")
    east.engine.run()
    assert sum(east.engine.ran.values()) <= 4


def test_clients_are_told_the_number_that_all_zones_have_applied(shared):
    east, west = shared.zone("east"), shared.zone("west")
    asked = insert(shared.nb, ic_nb.ICNBGlobal, nb_ic_cfg=1)
    told = insert(shared.sb, ic_sb.ICSBGlobal)
    shared.settle()
    assert (asked.sb_ic_cfg, told.nb_ic_cfg) == (1, 1)
    change(shared.nb, asked, nb_ic_cfg=2)
    shared.zones = [east]
    shared.settle()
    assert (asked.sb_ic_cfg, told.nb_ic_cfg) == (1, 1), "the other zone has not applied it"
    assert {row.name: row.nb_ic_cfg for row in shared.all(ic_sb.AvailabilityZone)} == {"east": 2, "west": 1}
    shared.zones = [east, west]
    shared.settle()
    assert (asked.sb_ic_cfg, told.nb_ic_cfg) == (2, 2)
    change(east.nb, east.head, name="")
    shared.settle()
    assert asked.sb_ic_cfg == 2, "a zone that takes no part is not waited for"
