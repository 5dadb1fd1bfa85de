from __future__ import annotations

import pytest

from ovenbird.engine.rows import Store
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.metadata.errors import UnknownInstanceError
from ovenbird.metadata.instance_lookup import find_instance
from ovenbird.metadata.network import networks
from ovenbird.model.sb import Chassis, PortBinding

ME, ELSEWHERE, ONE, TWO = serial_uuids(4)


@pytest.fixture
def store():
    return Store("OVN_Southbound", (Chassis, PortBinding))


def add(store, name, datapath=ONE, *, ips="10.0.0.5/24", chassis=ME, mac="02:00:00:00:00:05", **values):
    device = values.pop("device", name)
    row = list(PortBinding.DEFAULTS)
    given = {
        "logical_port": name,
        "datapath": datapath,
        "chassis": chassis,
        "mac": frozenset([" ".join([mac, *(ip.partition("/")[0] for ip in ips.split())])]),
        "external_ids": {"neutron:device_id": device, "neutron:cidrs": ips, "neutron:project_id": "p"},
        **values,
    }
    for column, value in given.items():
        row[PortBinding.BY_NAME[column].index] = value
    return store.table(PortBinding).insert(serial_uuids(1)[0], row)


def localport(store, network, datapath=ONE, **values):
    device = f"ovnmeta-{network}"
    return add(store, f"meta-{network}", datapath, chassis=None, type="localport", device=device, **values)


def test_a_caller_is_known_by_network_and_address(store):
    add(store, "a", ONE)
    add(store, "b", TWO, ips="10.0.0.5/24 fd00::5/64")
    assert find_instance(store, ME, "one", ONE, "10.0.0.5").device == "a"
    found = find_instance(store, ME, "two", TWO, "fd00::5")
    assert (found.device, found.project, found.cidrs) == ("b", "p", ("10.0.0.5/24", "fd00::5/64"))


def test_the_floating_ip_of_an_instance_is_found(store):
    ids = {"neutron:device_id": "a", "neutron:cidrs": "10.0.0.5/24"}
    add(store, "a", external_ids={**ids, "neutron:port_fip": "172.24.4.9"})
    add(store, "b", TWO, external_ids=ids)
    assert find_instance(store, ME, "one", ONE, "10.0.0.5").public == "172.24.4.9"
    assert find_instance(store, ME, "two", TWO, "10.0.0.5").public == ""


def test_a_caller_may_use_its_link_local_address(store):
    add(store, "a")
    assert find_instance(store, ME, "one", ONE, "fe80::ff:fe00:5").port == "a"


def test_addresses_of_other_chassis_and_of_two_ports_identify_no_instance(store):
    add(store, "a", chassis=ELSEWHERE)
    with pytest.raises(UnknownInstanceError, match="no port that is bound here has that address"):
        find_instance(store, ME, "one", ONE, "10.0.0.5")
    add(store, "b")
    add(store, "c", mac="02:00:00:00:00:06")
    with pytest.raises(UnknownInstanceError, match="several ports here have that address: b, c"):
        find_instance(store, ME, "one", ONE, "10.0.0.5")


def test_a_port_without_a_device_is_not_an_instance(store):
    add(store, "a", device="")
    with pytest.raises(UnknownInstanceError, match="its port a has no device_id"):
        find_instance(store, ME, "one", ONE, "10.0.0.5")


def test_networks_with_instances_here_are_served(store):
    localport(store, "net-1")
    localport(store, "net-2", TWO)
    assert networks(store, ME) == {}
    port = add(store, "a")
    (found,) = networks(store, ME).values()
    assert (found.id, found.port, found.mac) == ("net-1", "meta-net-1", "02:00:00:00:00:05")
    assert (found.outer, found.inner) == ("tapnet-10", "tapnet-11")
    store.table(PortBinding).delete(port)
    assert networks(store, ME) == {}


def test_a_network_of_a_migrating_instance_is_served(store):
    localport(store, "net-1")
    add(store, "a", chassis=ELSEWHERE, additional_chassis=frozenset([ME]))
    assert set(networks(store, ME)) == {"net-1"}


@pytest.mark.parametrize("network", ["../x", "", "a b"])
def test_a_localport_with_an_invalid_network_name_is_not_served(store, network):
    localport(store, network)
    add(store, "a")
    assert networks(store, ME) == {}


def test_a_port_whose_row_makes_no_sense_hides_no_other(store):
    add(store, "a")
    add(store, "b", mac="", ips="", external_ids={"neutron:device_id": "b", "neutron:cidrs": "x fd00::5%a/64"})
    add(store, "c", mac="dynamic", ips="", external_ids={"neutron:mtu": "9" * 5000})
    assert find_instance(store, ME, "one", ONE, "10.0.0.5").device == "a"
