"""What chassis learned of neighbours and MAC addresses grows old where the router or switch says so."""

import pytest

from ovenbird.model import nb, sb


@pytest.fixture
def learned(networks):
    """A router that forgets after ten seconds; ``learned(address, milliseconds)`` is what a chassis does."""
    networks.insert(nb.NBGlobal)
    networks.router = networks.insert(nb.LogicalRouter, name="r", options={"mac_binding_age_threshold": "10"})
    networks.insert(
        nb.LogicalRouterPort, (networks.router, "ports"), name="rp", mac="00:00:00:00:ff:01",
        networks=frozenset(["10.0.0.254/24"]),
    )  # fmt: skip
    networks.settle()

    def learn(ip, timestamp):
        (where,) = networks.rows(sb.DatapathBinding)
        return networks.insert(
            sb.MACBinding, database=networks.sb, logical_port="rp", ip=ip, mac="00:00:00:00:00:09",
            timestamp=timestamp, datapath=where.uuid,
        )  # fmt: skip

    return learn


def known(made, now):
    made.time = now
    made.settle()
    made.settle()  # what is late already goes one wave later
    return sorted(row.ip for row in made.rows(sb.MACBinding))


def test_each_neighbour_expires_at_its_own_time(networks, learned):
    learned("10.0.0.1", 50_000)
    young = learned("10.0.0.2", 55_000)
    assert known(networks, 59_999) == ["10.0.0.1", "10.0.0.2"]
    assert known(networks, 60_000) == ["10.0.0.2"]
    networks.update(young, timestamp=64_000)
    assert known(networks, 65_000) == ["10.0.0.2"]
    assert known(networks, 74_000) == []


def test_neighbours_expire_only_with_a_threshold(networks, learned):
    learned("10.0.0.1", 50_000)
    networks.settle()
    networks.update(networks.router, options={})
    assert known(networks, 900_000) == ["10.0.0.1"]
    networks.update(networks.router, options={"mac_binding_age_threshold": "5"})
    assert known(networks, 900_001) == []


def test_no_more_neighbours_expire_at_once_than_the_limit(networks, learned):
    (settings,) = networks.nb.store.table(nb.NBGlobal).rows.values()
    networks.update(settings, options={**settings.options, "mac_binding_removal_limit": "2"})
    for n in range(1, 6):
        learned(f"10.0.0.{n}", 50_000)
    assert len(known(networks, 50_001)) == 5
    assert len(known(networks, 60_000)) == 3
    assert len(known(networks, 64_999)) == 3
    assert len(known(networks, 65_000)) == 1
    assert len(known(networks, 70_000)) == 0


def test_the_expiry_of_one_neighbour_runs_one_rule(networks, learned):
    for n in range(1, 6):
        learned(f"10.0.0.{n}", 50_000 + n)
    known(networks, 50_010)
    networks.time = 60_001
    assert networks.wave() == {"learned": 1}


@pytest.mark.parametrize(
    ("threshold", "expired"),
    [
        ("10.0.0.0/24:5;20", ["10.0.0.1", "10.0.0.200"]), ("10.0.0.0/24:5;10.0.0.128/25:0", ["10.0.0.1"]),
        ("20;10.0.0.1/32:5", ["10.0.0.1"]), (" fe80::/10:5 ; 0 ", ["fe80::9"]), ("::/0:5;0.0.0.0/0:5", "all"),
        ("5", "all"), ("", []), ("0", []), ("nonsense", []), ("10.0.0.0/24:5;x", []), ("10.0.0.0/33:5", []),
        (";5", []), ("10.0.0.0/24", []), ("10.0.0.0/24:-1", []), ("10.0.0.0/24:4294967296", []),
        ("10.0.0.1/24:5", ["10.0.0.1", "10.0.0.200"]), (":5", "all"), ("5;" * 5000, []),
    ],
)  # fmt: skip
def test_thresholds_by_network(networks, learned, threshold, expired):
    addresses = ["10.0.0.1", "10.0.0.200", "10.0.1.1", "fe80::9"]
    networks.update(networks.router, options={"mac_binding_age_threshold": threshold})
    for ip in addresses:
        learned(ip, 50_000)
    gone = addresses if expired == "all" else expired
    assert known(networks, 57_000) == sorted(set(addresses) - set(gone))
    valid = bool(gone) or threshold in ("", "0")
    assert bool(networks.findings()) is not valid


@pytest.fixture
def stations(networks):
    """A switch that forgets after ten seconds; ``stations(n, milliseconds)`` is what a chassis learns."""
    networks.insert(nb.NBGlobal)
    networks.net = networks.switch("net", other_config={"fdb_age_threshold": "10"})
    networks.port(networks.net, "nested", "unknown")
    networks.settle()

    def learn(n, timestamp):
        (where,), (port,) = networks.rows(sb.DatapathBinding), networks.rows(sb.PortBinding)
        return networks.insert(
            sb.FDB, database=networks.sb, mac=f"00:00:00:00:00:{n:02x}", dp_key=where.tunnel_key,
            port_key=port.tunnel_key, timestamp=timestamp,
        )  # fmt: skip

    return learn


def stations_known(made, now):
    made.time = now
    made.settle()
    made.settle()
    return sorted(int(row.mac[-2:], 16) for row in made.rows(sb.FDB))


def test_mac_addresses_go_at_their_time_unless_they_are_used_or_have_none(networks, stations):
    stations(1, 50_000)
    used = stations(2, 50_000)
    stations(3, 0)  # from a controller that writes no times
    assert stations_known(networks, 59_999) == [1, 2, 3]
    networks.update(used, timestamp=58_000)
    assert stations_known(networks, 60_000) == [2, 3]
    networks.update(networks.net, other_config={})
    assert stations_known(networks, 900_000) == [2, 3]
    networks.update(networks.net, other_config={"fdb_age_threshold": "5"})
    assert stations_known(networks, 900_001) == [3]


def test_controllers_are_told_where_mac_addresses_expire(networks, stations):
    def told():
        (where,) = networks.rows(sb.DatapathBinding)
        return where.external_ids.get("fdb_age_threshold")

    assert told() == "10"
    for text, expected in (("0", None), ("x", None), ("4294967295", "4294967295"), ("4294967296", None)):
        networks.update(networks.net, other_config={"fdb_age_threshold": text})
        networks.settle()
        assert told() == expected


def test_mac_addresses_and_neighbours_have_limits_of_their_own(networks, stations):
    (settings,) = networks.nb.store.table(nb.NBGlobal).rows.values()
    limits = {"fdb_removal_limit": "2", "mac_binding_removal_limit": "1"}
    networks.update(settings, options={**settings.options, **limits})
    for n in range(1, 6):
        stations(n, 50_000)
    assert len(stations_known(networks, 50_001)) == 5
    assert len(stations_known(networks, 60_000)) == 3
    assert len(stations_known(networks, 64_999)) == 3
    assert len(stations_known(networks, 65_000)) == 1
    assert len(stations_known(networks, 70_000)) == 0
