"""Ports that ask for dynamic addresses are given what nobody else has, and keep it."""

import pytest

from ovenbird.model import nb, sb
from support.northd.networks import Networks


@pytest.fixture
def made(networks):
    networks.insert(nb.NBGlobal, options={"mac_prefix": "0a:0b:0c"})
    networks.net = networks.switch("net", other_config={"subnet": "10.0.0.0/29"})
    networks.settle()
    return networks


def ask(made, name, text="dynamic"):
    port = made.port(made.net, name, text)
    made.settle()
    return port


def given(port):
    return (port.dynamic_addresses or "").split()


def test_each_gets_an_address_of_its_own_until_there_are_none(made):
    ports = [ask(made, f"p{n}") for n in range(6)]
    addresses = [given(port)[1] for port in ports[:5]]
    assert sorted(addresses) == [f"10.0.0.{n}" for n in range(2, 7)]
    assert len({given(port)[0] for port in ports[:5]}) == 5
    assert all(given(port)[0].startswith("0a:0b:0c:") for port in ports[:5])
    assert given(ports[5]) == ["0a:0b:0c:00:00:06"]  # what there is
    assert made.findings() == ["port p5 asks for 'dynamic': no IPv4 address of 10.0.0.0/29 is free"]
    made.delete(ports[2], (made.net, "ports"))
    made.settle()
    assert given(ports[5])[1] == addresses[2]
    assert not made.findings()


def test_dynamic_addresses_are_used_like_configured_ones(made):
    port = ask(made, "p")
    (binding,) = made.rows(sb.PortBinding)
    assert binding.mac == frozenset([port.dynamic_addresses])
    mac, ip = given(port)
    assert any(f"arp.tpa == {ip}" in match and mac in act for _, _, match, act in made.flows("ls_in_arp_rsp"))
    made.update(port, addresses=frozenset(["00:00:00:00:00:01"]))
    made.settle()
    assert port.dynamic_addresses is None


def test_configured_addresses_routers_and_exclusions_are_not_given(made):
    made.update(made.net, other_config={"subnet": "10.0.0.0/29", "exclude_ips": "10.0.0.3 10.0.0.5..10.0.0.9 nonsense"})
    router = made.insert(nb.LogicalRouter, name="r")
    made.insert(
        nb.LogicalRouterPort, (router, "ports"), name="rp", mac="00:00:00:00:ff:01", networks=frozenset(["10.0.0.2/29"])
    )
    made.port(made.net, "to-r", "router", type="router", options={"router-port": "rp"})
    assert given(ask(made, "p"))[1] == "10.0.0.4"
    assert len(given(ask(made, "q"))) == 1


def test_a_configured_address_is_taken_from_a_dynamic_port(made):
    first = ask(made, "first")
    address = given(first)[1]
    made.port(made.net, "fixed", f"00:00:00:00:00:01 {address}")
    made.settle()
    assert given(first)[1] != address
    mac = given(first)[0]
    made.port(made.net, "same-mac", mac)
    made.settle()
    assert given(first)[0] != mac


def test_a_configured_address_is_taken_from_a_dynamic_port_in_a_full_subnet(made):
    ports = [ask(made, f"p{n}") for n in range(5)]
    (holder,) = [port for port in ports if given(port)[1] == "10.0.0.4"]
    made.port(made.net, "fixed", "00:00:00:00:00:01 10.0.0.4")
    made.settle()
    assert "fixed" in {binding.logical_port for binding in made.rows(sb.PortBinding)}
    assert len(given(holder)) == 1
    assert made.findings() == [f"port {holder.name} asks for 'dynamic': no IPv4 address of 10.0.0.0/29 is free"]
    other = next(port for port in ports if port is not holder)
    made.delete(other, (made.net, "ports"))
    made.settle()
    addresses = [given(port)[1] for port in ports if port is not other]
    assert len(set(addresses)) == 4
    assert "10.0.0.4" not in addresses


def test_ranges_that_are_not_given_are_bounded_together(made):
    ranges = " ".join(["10.0.0.0..10.0.255.255"] * 5)
    made.update(made.net, other_config={"subnet": "10.0.0.0/8", "exclude_ips": ranges})
    made.settle()
    word = "10.0.0.0..10.0.255.255"
    assert made.findings() == [
        f"switch net: exclude_ips {word} is left out: more than 131072 addresses would be excluded"
    ]
    assert given(ask(made, "p"))[1] == "10.1.0.0"


@pytest.mark.parametrize(
    ("text", "config", "expected"),
    [
        ("00:00:00:00:00:0A dynamic", {"subnet": "10.0.0.0/29"}, "00:00:00:00:00:0a 10.0.0.2"),
        ("dynamic 10.0.0.4", {"subnet": "10.0.0.0/29"}, "0a:0b:0c:00:00:01 10.0.0.4"),
        (
            "00:00:00:00:00:0a dynamic",
            {"subnet": "10.0.0.0/29", "ipv6_prefix": "fd00:1::"},
            "00:00:00:00:00:0a 10.0.0.2 fd00:1::200:ff:fe00:a",
        ),
        ("dynamic fd00::7", {"subnet": "10.0.0.0/29"}, "0a:0b:0c:00:00:01 10.0.0.2"),
        ("dynamic 10.0.0.4 fd00::7", {"ipv6_prefix": "fd00::"}, "0a:0b:0c:00:00:01 fd00::7"),
        ("dynamic 10.9.9.9", {"subnet": "10.0.0.0/29"}, "0a:0b:0c:00:00:01 10.0.0.2"),
        ("dynamic", {"mac_only": "true"}, "0a:0b:0c:00:00:01"),
        ("dynamic", {}, None),
        ("dynamic 10.0.0.444", {"subnet": "10.0.0.0/29"}, "0a:0b:0c:00:00:01 10.0.0.2"),
        ("dynamic", {"subnet": "nonsense"}, "0a:0b:0c:00:00:01"),
    ],
)
def test_forms(made, text, config, expected):
    made.update(made.net, other_config=config)
    assert ask(made, "p", text).dynamic_addresses == expected


def test_a_restart_keeps_all_addresses(made):
    ports = [ask(made, f"p{n}") for n in range(3)]
    made.delete(ports.pop(0), (made.net, "ports"))
    made.settle()
    before = [given(port) for port in ports]
    again = Networks(made.nb, made.sb)
    again.quiet = True
    again.wave()
    assert again.quiet
    assert [given(port) for port in ports] == before


def test_a_new_dynamic_port_runs_the_rules_of_one_port(made):
    for n in range(3):
        ask(made, f"p{n}")
    made.port(made.net, "q", "dynamic")
    assert made.wave()["switch_port"] == 1
    assert made.wave()["switch_port"] == 1  # as what was given comes back


def test_the_smallest_subnet_has_one_address_to_give(made):
    made.update(made.net, other_config={"subnet": "10.0.0.0/30"})
    assert given(ask(made, "p"))[1] == "10.0.0.2"
    assert len(given(ask(made, "q"))) == 1


def test_of_two_ports_that_request_an_address_the_first_gets_it(made):
    made.update(made.net, other_config={"subnet": "10.0.0.0/29", "ipv6_prefix": "fd00:1::/64"})
    first, second = (ask(made, name, "dynamic 10.0.0.4 fd00:1::4") for name in ("first", "second"))
    assert given(first)[1:] == ["10.0.0.4", "fd00:1::4"]
    assert "10.0.0.4" not in given(second)
    assert "fd00:1::4" not in given(second)
    assert len(given(second)) == 3
    assert [text.rpartition(": ")[2] for text in made.findings()] == ["another port has it"] * 2
    made.delete(first, (made.net, "ports"))
    made.settle()
    assert given(second)[1:] == ["10.0.0.4", "fd00:1::4"]
    assert not made.findings()


def test_a_configured_address_is_not_given_to_a_port_that_requests_it(made):
    asks = ask(made, "asks", "dynamic 10.0.0.4")
    made.port(made.net, "fixed", "00:00:00:00:00:01 10.0.0.4")
    made.settle()
    assert given(asks)[1] not in ("10.0.0.4", None)
    assert len(made.findings()) == 1


@pytest.mark.parametrize(
    ("config", "expected", "found"),
    [
        ({"subnet": "10.0.0.0/29", "ipv6_prefix": "fd00:1::/64"}, 3, 0),
        ({"subnet": "10.0.0.0/29", "ipv6_prefix": "fd00:1::/80"}, 2, 1),
        ({"subnet": "10.0.0.0/29", "ipv6_prefix": "nonsense"}, 2, 1),
        ({"subnet": "nonsense", "ipv6_prefix": "fd00:1::"}, 2, 1),
        ({"subnet": "10.0.0.1/255.255.255.248"}, 2, 0),
        ({"subnet": "10.0.0.0/29", "exclude_ips": "10.0.0.2 .. 10.0.0.3 x 10.0.0.4..10.0.0.6"}, 1, 2),
        ({"mac_only": "TRUE"}, 1, 0),
    ],
)
def test_invalid_parts_of_the_configuration_do_not_affect_others(made, config, expected, found):
    made.update(made.net, other_config=config)
    made.settle()
    assert len(given(ask(made, "p"))) == expected
    assert len(made.findings()) == found


@pytest.mark.parametrize(
    ("text", "prefix"), [("0A:b:0c", "0a:0b:0c"), ("0a:0b:0c:0d:0e:0f", "0a:0b:0c"), ("0a:0b:0c junk", "0a:0b:0c")]
)
def test_the_prefix_of_made_up_addresses_is_three_octets(made, text, prefix):
    (row,) = made.nb.store.table(nb.NBGlobal).rows.values()
    made.update(row, options={"mac_prefix": text})
    made.settle()
    mac = given(ask(made, "p"))[0]
    assert mac.startswith(f"{prefix}:")
    assert len(mac) == 17
    assert row.options["mac_prefix"] == prefix


@pytest.mark.parametrize("text", ["", "nonsense", "0a:0b", "00:00:00"])
def test_an_invalid_mac_prefix_is_replaced(made, text):
    (row,) = made.nb.store.table(nb.NBGlobal).rows.values()
    made.update(row, options={"mac_prefix": text})
    made.settle()
    assert given(ask(made, "p"))[0].startswith(row.options["mac_prefix"])
    assert len(row.options["mac_prefix"]) == 8
