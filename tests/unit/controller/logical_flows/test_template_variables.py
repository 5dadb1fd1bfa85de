"""Template variables in flows: this chassis's values, and what a change of one costs."""

from __future__ import annotations

from ovenbird.controller.facts import MONITOR_CLAUSE
from ovenbird.controller.southbound.monitor_conditions import MonitorConditions
from ovenbird.lang.template_variables import MOST_EXPANDED
from ovenbird.model import sb


def test_a_change_of_a_variable_concerns_the_flows_that_have_it(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    mine = world.add(sb.ChassisTemplateVar, chassis="hv1", variables={"vip": "10.0.0.1", "port": "80"})
    other = world.add(sb.ChassisTemplateVar, chassis="hv2", variables={"vip": "10.0.0.2"})
    for number in range(5):
        world.flow(switch, f"ip4.dst == 10.1.0.{number}", "next;")
    world.flow(switch, "ip4.dst == ^vip", "ip4.src = ^vip; next;")
    world.flow(switch, "ip4 && tcp.dst == ^port", "next;")
    world.flow(switch, "ip4.dst == ^gone", "next;")
    world.run()
    assert sum("ip_dst=0xa000001" in match for match in world.flows(8)) == 1
    assert len(world.flows(8)) == 7  # without a value it is no match, which is reported
    world.set(mine, variables={"vip": "10.0.0.3", "port": "80"})
    ran = world.run()
    assert ran["logical_flow"] == 1
    assert sum("ip_dst=0xa000003" in match for match in world.flows(8)) == 1
    world.set(mine, variables={"vip": "10.0.0.3", "port": "80", "gone": "10.0.0.9"})
    assert world.run()["logical_flow"] == 1
    assert len(world.flows(8)) == 8
    world.set(other, variables={"vip": "10.0.0.4"})
    assert not world.run().get("logical_flow")
    world.delete(mine)
    world.run()
    assert len(world.flows(8)) == 5


def test_the_value_of_a_variable_may_contain_names(world):
    switches = [world.switch(key) for key in (1, 2)]
    for key, switch in enumerate(switches, 1):
        world.lport(switch, f"p{key}", key)
        world.port_on_bridge(f"tap{key}", key, iface_id=f"p{key}")
    world.add(sb.ChassisTemplateVar, chassis="hv1", variables={"where": 'inport == "p2"'})
    world.flow(switches, "^where && ip4", "next;")
    world.run()
    (match,) = [match for match in world.flows(8) if "eth_type=0x800" in match]
    assert "reg14=0x2" in match
    assert "metadata=0x2" in match


def test_affinity_of_a_template_is_learned_with_its_values(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    mine = world.add(sb.ChassisTemplateVar, chassis="hv1", variables={"vip": "30.0.0.1", "one": "10.0.0.1"})
    learn = 'commit_lb_aff(vip = "^vip:80", backend = "^one:81", proto = tcp, timeout = 60);'
    world.flow(switch, "ip4.dst == ^one && tcp", learn)
    world.run()
    assert sum("ip_dst=0xa000001" in match for match in world.flows(8)) == 1
    world.set(mine, variables={"vip": "30.0.0.1", "one": "10.0.0.2"})
    assert world.run()["logical_flow"] == 1
    assert sum("ip_dst=0xa000002" in match for match in world.flows(8)) == 1


def test_hairpins_of_a_template_have_values_too(world):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    mine = world.add(
        sb.ChassisTemplateVar, chassis="hv1", variables={"vip": "30.0.0.1", "behind": "10.0.0.1:1,10.0.0.2:2"}
    )
    vips = {"^vip:80": "^behind", "[^six]:80": "[fd00::1]:80"}
    world.add(sb.LoadBalancer, vips=vips, options={"template": "true"}, datapaths=frozenset([switch.uuid]))
    world.run()
    assert len([match for match in world.flows(68) if "reg1=0x1e000001" in match]) == 2
    world.set(mine, variables={"vip": "30.0.0.2", "behind": "10.0.0.1:1", "six": "fd30::1"})
    world.run()
    assert len(world.flows(68)) == 2


def test_a_flow_with_too_long_values_is_left_out_with_a_short_message(world, caplog):
    switch = world.switch(7)
    world.lport(switch, "p1", 1)
    world.port_on_bridge("tap1", 5, iface_id="p1")
    variables = {"long": "x" * (MOST_EXPANDED // 4), "vip": "30.0.0.1"}
    world.add(sb.ChassisTemplateVar, chassis="hv1", variables=variables)
    world.flow(switch, "ip4.dst == ^vip && tcp", "next;")
    world.flow(switch, " ".join(["^long"] * 10_000), "next;")
    world.flow(switch, "^long", "next;")
    vips = {"^vip:80": "10.0.0.1:1", "^vip:81": ",".join(["^long"] * 10_000)}
    world.add(sb.LoadBalancer, vips=vips, options={"template": "true"}, datapaths=frozenset([switch.uuid]))
    world.run()
    assert [match for match in world.flows(8) if "ip_dst=0x1e000001" in match]
    assert len(world.flows(68)) == 1
    assert len(caplog.messages) == 2
    assert any("more than" in message for message in caplog.messages)
    assert max(map(len, caplog.messages)) < 5000


def test_own_variables_alone_are_asked_for(world):
    world.set(world.progress, everything=False)
    world.run()
    conditions = MonitorConditions()
    conditions.absorb(added=world.facts[MONITOR_CLAUSE], removed=[])
    asked = [step["Chassis_Template_Var"] for step in conditions.steps() if "Chassis_Template_Var" in step]
    assert asked == [[["chassis", "==", "hv1"]]]
