"""Which switches and routers relay DHCP, with which addresses, and what that costs."""

import pytest

from ovenbird.model import nb, sb

STAGES = ("lr_in_dhcp_relay_req", "lr_in_dhcp_relay_resp_chk", "lr_in_dhcp_relay_resp")


@pytest.fixture
def relay(networks):
    """A switch with two instances whose router relays to 172.16.0.2."""
    networks.insert(nb.NBGlobal)
    networks.net = networks.switch("net", other_config={"dhcp_relay_port": "to-r"})
    networks.row = networks.insert(nb.DHCPRelay, name="relay", servers="172.16.0.2")
    networks.router = networks.insert(nb.LogicalRouter, name="r")
    networks.lrp = networks.insert(
        nb.LogicalRouterPort, (networks.router, "ports"), name="lrp", mac="00:00:00:00:ff:01",
        networks=frozenset(["10.0.0.1/24", "10.0.1.1/24"]), dhcp_relay=networks.row.uuid,
    )  # fmt: skip
    networks.port(networks.net, "to-r", "router", type="router", options={"router-port": "lrp"})
    networks.port(networks.net, "vm1", "00:00:00:00:00:01 10.0.0.11", "00:00:00:00:00:02", "00:00:00:00:00:01")
    networks.port(networks.net, "vm2", "00:00:00:00:00:03", "unknown")
    networks.settle()
    return networks


def sent(networks):
    return [match for _, priority, match, _ in networks.flows("ls_in_l2_lkup") if priority == 100 and "68" in match]


def relayed(networks):
    return [(stage, match) for stage, _, match, _ in networks.flows(*STAGES)]


def test_each_mac_of_an_instance_is_relayed_and_any_where_any_may_be(relay):
    assert [match[:48] for match in sent(relay)] == [
        'inport == "vm1" && eth.src == 00:00:00:00:00:01 ', 'inport == "vm1" && eth.src == 00:00:00:00:00:02 ',
        'inport == "vm2" && ip4.src == {0.0.0.0, 10.0.0.0',
    ]  # fmt: skip


def test_a_port_of_several_addresses_relays_with_the_first_or_the_one_chosen(relay):
    assert "10.0.0.1, 172.16.0.2" in relay.flows("lr_in_dhcp_relay_resp_chk")[0][3]
    relay.update(relay.lrp, options={"dhcpv4_primary_ip": "10.0.1.1"})
    relay.settle()
    assert "10.0.1.1, 172.16.0.2" in relay.flows("lr_in_dhcp_relay_resp_chk")[0][3]
    assert all("{0.0.0.0, 10.0.1.0/24}" in match for match in sent(relay))
    relay.update(relay.lrp, options={"dhcpv4_primary_ip": "10.0.9.1"})
    relay.settle()
    assert not sent(relay) + relayed(relay)
    assert relay.findings() == ["port lrp relays no DHCP: dhcpv4_primary_ip=10.0.9.1 is none of its addresses"]


@pytest.mark.parametrize("servers", [None, "", "fd00::2", "172.16.0.2,172.16.0.3", "dhcp.example.org"])
def test_an_invalid_server_address_is_a_finding(relay, servers):
    relay.update(relay.row, servers=servers)
    relay.settle()
    assert not sent(relay) + relayed(relay)
    assert len(relay.findings()) == 1


@pytest.mark.parametrize("config", [{}, {"dhcp_relay_port": "vm1"}, {"dhcp_relay_port": "nowhere"}])
def test_a_switch_that_names_no_relay_sends_nothing_to_one(relay, config):
    relay.update(relay.net, other_config=config)
    relay.settle()
    assert not sent(relay)
    assert bool(relayed(relay)) is bool(config)  # as ovn-northd: the broadcast reaches the router, which relays it


def test_native_dhcp_is_off_where_dhcp_is_relayed(relay):
    options = {"server_id": "10.0.0.9", "server_mac": "00:00:00:00:ff:09", "lease_time": "60"}
    given = relay.insert(nb.DHCPOptions, cidr="10.0.0.0/24", options=options)
    relay.update(relay.nb.store.find(nb.LogicalSwitchPort.name, "vm1"), dhcpv4_options=given.uuid)
    relay.settle()
    native = "ls_in_dhcp_options"
    assert all(priority == 0 for _, priority, _, _ in relay.flows(native))
    relay.update(relay.net, other_config={})
    relay.settle()
    assert any(priority == 100 for _, priority, _, _ in relay.flows(native))


def test_a_meter_limits_what_reaches_the_controllers(relay):
    band = relay.nb.transaction()
    bands = frozenset([band.insert(nb.MeterBand, {"action": "drop", "rate": 5})])
    band.insert(nb.Meter, {"name": "few", "unit": "pktps", "bands": bands})
    protection = band.insert(nb.Copp, {"name": "c", "meters": {"dhcpv4-relay": "few"}})
    band.update(relay.router, {"copp": protection})
    band.commit()
    relay.settle()
    rows = [row for row in relay.rows(sb.LogicalFlow) if row.controller_meter == "few"]
    assert sorted(row.external_ids["stage-name"] for row in rows) == ["lr_in_dhcp_relay_resp_chk", "lr_in_ip_input"]


def test_networks_without_a_relay_have_no_flow_of_its_stages(relay):
    relay.update(relay.lrp, dhcp_relay=None)
    relay.settle()
    assert relay.flows(*STAGES) == []


def test_one_more_instance_costs_one_port(relay):
    relay.port(relay.net, "vm3", "00:00:00:00:00:04")
    few = relay.wave()
    relay.settle()
    for n in range(20):
        relay.port(relay.net, f"more{n}", f"00:00:00:00:01:{n:02x}")
    relay.settle()
    relay.port(relay.net, "vm4", "00:00:00:00:00:05")
    assert relay.wave() == few
