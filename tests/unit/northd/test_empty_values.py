"""Columns and options that are there but empty: such a value is one, where it means something."""

from ovenbird.model import nb
from support.northd.networks import Networks


def test_a_log_says_the_empty_name_and_meter():
    made = Networks()
    switch = made.switch("s")
    made.acl(switch, "from-lport", "ip4", "drop", 3, log=True, name="", meter="")
    made.settle()
    said = [flow[3] for flow in made.flows("ls_in_acl") if "log(" in flow[3]]
    assert said == ['log(name="", severity=info, verdict=drop, meter=""); /* drop */']


def test_a_router_without_an_address_to_answer_for_answers_for_none():
    made = Networks()
    router = made.insert(nb.LogicalRouter, name="r")
    values = {"name": "in", "mac": "00:00:00:00:ff:01", "networks": frozenset(["10.0.0.1/24"])}
    made.insert(nb.LogicalRouterPort, (router, "ports"), **values)
    switch = made.switch("s")
    made.port(switch, "vm", options={"arp_proxy": "10.0.0.7"})
    made.port(switch, "to-in", "router", type="router", options={"router-port": "in", "arp_proxy": ""})
    made.settle()
    assert not [flow for flow in made.flows("ls_in_arp_rsp") if flow[1] in (30, 40)]


def test_dhcp_replies_pass_to_ports_without_an_address():
    made = Networks()
    options = {"server_id": "10.0.0.254", "server_mac": "00:00:00:00:ff:01", "lease_time": "60"}
    four = made.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=options)
    switch = made.switch("s")
    made.port(switch, "vm", "00:00:00:00:00:01", dhcpv4_options=four.uuid)
    made.acl(switch, "to-lport", "ip4", "drop", 3)
    made.settle()
    said = "eth.src == 00:00:00:00:ff:01 && ip4.src == 10.0.0.254 && udp && udp.src == 67 && udp.dst == 68"
    passes = [flow[2] for flow in made.flows("ls_out_acl") if flow[1] == 34_000]
    assert passes == [f'outport == "vm" && {said}']
