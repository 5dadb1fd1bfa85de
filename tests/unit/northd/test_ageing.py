"""What chassis learned of neighbours grows old where the router says so."""

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


def test_each_goes_at_its_time(networks, learned):
    learned("10.0.0.1", 50_000)
    young = learned("10.0.0.2", 55_000)
    assert known(networks, 59_999) == ["10.0.0.1", "10.0.0.2"]
    assert known(networks, 60_000) == ["10.0.0.2"]
    networks.update(young, timestamp=64_000)
    assert known(networks, 65_000) == ["10.0.0.2"]
    assert known(networks, 74_000) == []


def test_without_a_threshold_they_stay_and_with_a_new_one_they_go(networks, learned):
    learned("10.0.0.1", 50_000)
    networks.settle()
    networks.update(networks.router, options={})
    assert known(networks, 900_000) == ["10.0.0.1"]
    networks.update(networks.router, options={"mac_binding_age_threshold": "5"})
    assert known(networks, 900_001) == []


def test_no_more_go_at_once_than_the_limit(networks, learned):
    (settings,) = networks.nb.store.table(nb.NBGlobal).rows.values()
    networks.update(settings, options={**settings.options, "mac_binding_removal_limit": "2"})
    for n in range(1, 6):
        learned(f"10.0.0.{n}", 50_000)
    assert len(known(networks, 50_001)) == 5
    assert len(known(networks, 60_000)) == 3
    assert len(known(networks, 64_999)) == 3
    assert len(known(networks, 65_000)) == 1
    assert len(known(networks, 70_000)) == 0


def test_one_that_goes_concerns_no_other(networks, learned):
    for n in range(1, 6):
        learned(f"10.0.0.{n}", 50_000 + n)
    known(networks, 50_010)
    networks.time = 60_001
    assert networks.wave() == {"learned": 1}
