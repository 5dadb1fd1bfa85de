"""Where packets enter and leave."""

from __future__ import annotations

from ovenbird.controller.facts import ZONE
from ovenbird.controller.local.bridge import ADD_PORT
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions import Output, PopVlan, PushVlan, Resubmit, SetField


def outputs(actions):
    return [action.port for action in actions if isinstance(action, Output)]


def copies(actions):
    """Return the ports to which a multicast flow sends copies here."""
    found, key = [], None
    for action in actions:
        if isinstance(action, SetField) and action.field.name == "reg15":
            key = action.value
        elif isinstance(action, Resubmit) and action.table == 41:
            found.append(key)
    return found


def test_flows_of_a_local_port(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 3)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    enter = world.flows(0, 100)["in_port_oxm=0x5"]
    values = {a.field.name: a.value for a in enter if isinstance(a, SetField)}
    assert values["metadata"] == 7
    assert values["reg14"] == 3
    assert {values["reg11"], values["reg12"], values["reg13"]} == {1, 2, 3}
    assert enter[-1] == Resubmit(8)
    assert world.flows(65, 100) == {"metadata=0x7,reg15=0x3": (Output(5),)}
    assert world.flows(41, 100) == {"metadata=0x7,reg10=0x0/0x1,reg14=0x3,reg15=0x3": ()}


def test_a_remote_port_goes_by_tunnel(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    remote = world.lport(switch, "p2", 2)
    world.run()
    assert world.flows(39, 100) == {}
    world.set(remote, chassis=world.other.uuid)
    world.run()
    (actions,) = world.flows(39, 100).values()
    assert outputs(actions) == [100]
    values = {a.field.name: a.value for a in actions if isinstance(a, SetField)}
    assert values == {"tun_id": 7, "tun_metadata0": 2}


def test_nothing_is_made_for_datapaths_that_are_not_hosted(world):
    world.run()
    before = len(world.desired())
    switch = world.switch(7)
    world.lport(switch, "p2", 2, chassis=world.other.uuid)
    world.flow(switch, "ip4", "next;")
    world.run()
    assert len(world.desired()) == before


def test_a_flood_reaches_local_ports_once_and_each_chassis_once(world):
    switch = world.switch(7)
    ports = [world.lport(switch, f"p{n}", n) for n in (1, 2)]
    for n in (1, 2):
        world.port_on_bridge(f"tap{n}", n, iface_id=f"p{n}")
    ports += [world.lport(switch, f"r{n}", n, chassis=world.other.uuid) for n in (3, 4, 5)]
    ports.append(world.lport(switch, "nowhere", 6))
    group = world.add(
        sb.MulticastGroup, datapath=switch.uuid, name="_MC_flood", tunnel_key=0x8000,
        ports=frozenset(p.uuid for p in ports),
    )  # fmt: skip
    world.run()
    key = "metadata=0x7,reg15=0x8000"
    assert copies(world.flows(40)[key]) == [1, 2]
    away = world.flows(39, 100)[key]
    assert outputs(away) == [100]
    assert away[-1] == Resubmit(40)
    world.set(group, ports=group["ports"] - {ports[0].uuid})
    world.run()
    assert copies(world.flows(40)[key]) == [2]
    for port in ports[2:5]:
        world.delete(port)
    world.run()
    assert key not in world.flows(39, 100)


def test_localnet_replaces_tunnels(world):
    world.set(world.root, external_ids=world.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    world.add(vswitch.Bridge, name="br-ex")
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.lport(switch, "p2", 2, chassis=world.other.uuid)
    world.lport(switch, "ln", 9, type="localnet", tag=42, options={"network_name": "net1"})
    world.run()
    (pair_here, pair_there) = sorted(fact[2] for fact in world.facts[ADD_PORT])
    assert (pair_here, pair_there) == ("patch-br-int-to-ln", "patch-ln-to-br-int")
    world.port_on_bridge("patch-br-int-to-ln", 8, port_ids={"ovn-localnet-port": "ln"})
    world.run()
    assert world.flows(39, 100) == {}
    assert world.flows(40)["metadata=0x7,reg15=0x2"] == (SetField.of("reg15", 9), Resubmit(40))
    enter = world.flows(0, 150)["in_port_oxm=0x8,vlan_vid=0x102a"]
    assert isinstance(enter[0], PopVlan)
    leave = world.flows(65)["metadata=0x7,reg15=0x9"]
    assert leave == (PushVlan(), SetField.of("vlan_vid", 0x102A), Output(8), PopVlan())


def test_a_cloud_that_always_tunnels_uses_the_physical_network_for_what_is_for_many(world):
    world.set(world.root, external_ids=world.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    world.add(vswitch.Bridge, name="br-ex")
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    there = world.lport(switch, "p2", 2, chassis=world.other.uuid)
    way_out = world.lport(switch, "ln", 9, type="localnet", options={"network_name": "net1"})
    members = frozenset([there.uuid, way_out.uuid])
    world.add(sb.MulticastGroup, name="_MC_flood", datapath=switch.uuid, tunnel_key=32768, ports=members)
    world.run()
    to_many = world.flows(39)
    assert world.flows(39, 100).keys() <= {"metadata=0x7,reg15=0x8000"}
    head = world.add(sb.SBGlobal, options={"always_tunnel": "true"})
    world.run()
    tunnelled = world.flows(39, 100).pop("metadata=0x7,reg15=0x2")
    assert any(type(action) is Output for action in tunnelled)
    assert "metadata=0x7,reg15=0x2" not in world.flows(40)
    assert world.flows(39).get("metadata=0x7,reg15=0x8000") == to_many.get("metadata=0x7,reg15=0x8000")
    world.set(head, options={})
    world.run()
    assert world.flows(40)["metadata=0x7,reg15=0x2"] == (SetField.of("reg15", 9), Resubmit(40))


def test_packets_to_an_unmapped_physical_network_are_not_sent_to_it(world):
    ids = world.root["external_ids"]
    world.set(world.root, external_ids=ids | {"ovn-bridge-mappings": "net1:br-ex"})
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.lport(switch, "p2", 2, chassis=world.other.uuid)
    for key, network in ((8, "elsewhere"), (9, "net1")):
        world.lport(switch, f"ln{key}", key, type="localnet", options={"network_name": network})
    world.run()
    assert world.flows(39, 100) == {}
    assert world.flows(40)["metadata=0x7,reg15=0x2"] == (SetField.of("reg15", 9), Resubmit(40))
    world.set(world.root, external_ids=ids | {"ovn-bridge-mappings": "net2:br-ex"})
    world.run()
    assert list(world.flows(39, 100)) == ["metadata=0x7,reg15=0x2"]
    assert "metadata=0x7,reg15=0x2" not in world.flows(40)


def test_an_l2_gateway_is_reached_from_other_chassis(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    options = {"network_name": "net1", "l2gateway-chassis": "hv2"}
    world.lport(switch, "gw", 2, type="l2gateway", options=options, chassis=world.other.uuid)
    world.run()
    assert list(world.flows(39, 100)) == ["metadata=0x7,reg15=0x2"]


def test_a_gateway_router_has_its_copy_of_what_comes_by_a_tunnel(world):
    switch, router = world.switch(7), world.switch(8)
    there = {"type": "l3gateway", "chassis": world.me.uuid}
    to = {"l3gateway-chassis": "hv1"}
    inner = world.lport(switch, "s-r", 2, options={**to, "peer": "r-s"}, **there)
    world.lport(router, "r-s", 1, options={**to, "peer": "s-r"}, **there)
    group = {"name": "_MC_flood", "tunnel_key": 0x8000, "ports": frozenset([inner.uuid])}
    world.add(sb.MulticastGroup, datapath=switch.uuid, **group)
    world.run()
    assert copies(world.flows(40)["metadata=0x7,reg15=0x8000"]) == [2]
    assert "metadata=0x7,reg15=0x8000" not in world.flows(39)
    zones = {fact[1]: fact[2] for fact in world.facts[ZONE]}
    (crossing,) = world.flows(65, 100)["metadata=0x7,reg15=0x2"]
    assert SetField.of("reg13", zones["r-s"]) in crossing.actions, "its connections are tracked in a zone of its own"


def test_packets_of_a_localport_never_leave_the_chassis(world):
    switch = world.switch(7)
    port = world.lport(switch, "meta", 4, type="localport")
    world.port_on_bridge("tap1", 5, iface_id="meta")
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap2", 6, iface_id="p1")
    world.run()
    assert world.flows(39, 150)["metadata=0x7,reg14=0x4"] == (Resubmit(40),)
    assert port.exists()


def test_a_port_to_a_gateway_port_has_a_zone_where_its_acls_are_stateful(world):
    switch, router = world.switch(7), world.switch(8)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    port = world.lport(switch, "s-r", 2, type="patch", options={"peer": "r-s"})
    world.lport(router, "r-s", 1, type="patch", options={"peer": "s-r"})
    world.facts[ZONE] = set()
    world.run()
    assert "s-r" not in {fact.name for fact in world.facts[ZONE]}
    world.set(port, options={"peer": "r-s", "enable_router_port_acl": "true"})
    world.run()
    zones = {fact.name: fact.number for fact in world.facts[ZONE]}
    assert zones["s-r"] not in {zones["p1"], 0}
    (enter,) = [actions for actions in world.flows(65, 100).values() if SetField.of("reg14", 2) in enters(actions)]
    assert SetField.of("reg13", zones["s-r"]) in enters(enter)


def enters(actions):
    """Return the actions by which a packet enters a peer's datapath, inside of a clone or not."""
    return [inner for each in actions for inner in (each, *getattr(each, "actions", ()))]


def test_tables_for_original_destinations_are_filled_for_flows_that_ask(world):
    """Flows of OVN 25.03's northd alone do; a chassis of other releases has no such flows."""
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    world.run()
    tables = (81, 82, 83)
    assert not any(world.flows(table) for table in tables)
    asking = world.flow(switch, "ip4", "reg1 = ct_nw_dst(); next;", table_id=3)
    world.run()
    assert all(world.flows(table) for table in tables)
    world.delete(asking)
    world.run()
    assert not any(world.flows(table) for table in tables)
