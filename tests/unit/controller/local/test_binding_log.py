"""What is logged of claims and releases: the words of ovn-controller, once each, and nothing of what was so before."""

from __future__ import annotations

import pytest

from ovenbird.controller.local.binding_log import report_bindings, report_interfaces
from ovenbird.model import sb, vswitch
from ovenbird.ovsdb.database import Database


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO")
    southbound, switch = Database(sb.schema(), sb.ROWS), Database(vswitch.schema(), vswitch.ROWS)
    southbound.subscribe(lambda commit: report_bindings(southbound.store, "hv1", commit))
    switch.subscribe(report_interfaces)

    def change(database, row, **values):
        caplog.clear()
        txn = database.transaction()
        if values:
            txn.update(row, values)
        else:
            txn.delete(row)
        txn.commit()
        return [f"{record.levelname} {record.name} {record.getMessage()}" for record in caplog.records]

    return southbound, switch, change


def bound(database, **values):
    txn = database.transaction()
    chassis = [txn.insert("Chassis", {"name": f"hv{i}", "encaps": {encap(txn, f"hv{i}")}}) for i in (1, 2)]
    datapath = txn.insert("Datapath_Binding", {"tunnel_key": 1})
    given = {name: value(chassis) for name, value in values.items()}
    port = txn.insert(
        "Port_Binding",
        {"logical_port": "p", "datapath": datapath, "tunnel_key": 1, "mac": {"0a:00:00:00:00:01 10.0.0.1"}, **given},
    )
    txn.commit()
    return (*chassis, port)


def encap(txn, name):
    return txn.insert("Encap", {"type": "geneve", "ip": f"192.0.2.{name[-1]}", "chassis_name": name})


def test_a_port_that_comes_and_goes(told, caplog):
    database, _, change = told
    one, two, port = bound(database)
    assert caplog.messages == []
    mac, info = "p: Claiming 0a:00:00:00:00:01 10.0.0.1", "INFO ovenbird.binding "
    assert change(database, port, chassis=one) == [f"{info}Claiming lport p for this chassis.", info + mac]
    assert change(database, port, up=True) == [f"{info}Setting lport p up in Southbound"]
    assert change(database, port, options={"x": "y"}) == []
    assert change(database, port, chassis=None, up=False) == [
        f"{info}Releasing lport p from this chassis (sb_readonly=0)",
        f"{info}Setting lport p down in Southbound",
    ]
    assert change(database, port, chassis=two) == []
    assert change(database, port, chassis=one) == [
        f"{info}Changing chassis for lport p from hv2 to hv1.",
        info + mac,
    ]
    assert change(database, port, chassis=two) == [f"{info}Releasing lport p from this chassis (sb_readonly=0)"]
    assert change(database, port, additional_chassis={one}) == [f"{info}Claiming lport p for this additional chassis."]
    assert change(database, port, additional_chassis=set()) == [
        f"{info}Releasing lport p from this additional chassis."
    ]


def test_a_port_that_is_deleted_is_released(told, caplog):
    database, _, change = told
    _, _, port = bound(database, chassis=lambda chassis: chassis[0])
    assert caplog.messages == [], "it is what a controller finds when it starts"
    assert change(database, port) == ["INFO ovenbird.binding Releasing lport p from this chassis (sb_readonly=0)"]


def test_interfaces_that_are_installed(told):
    _, database, change = told
    txn = database.transaction()
    interface = txn.insert("Interface", {"name": "tap", "external_ids": {"iface-id": "p"}})
    port = txn.insert("Port", {"name": "tap", "interfaces": {interface}})
    bridge = txn.insert("Bridge", {"name": "br", "ports": {port}})
    txn.insert("Open_vSwitch", {"bridges": {bridge}})
    txn.commit()
    ids, info = {"iface-id": "p", "ovn-installed": "true"}, "INFO ovenbird.binding "
    assert change(database, interface, external_ids=ids) == [f"{info}Setting lport p ovn-installed in OVS"]
    assert change(database, interface, external_ids={**ids, "x": "y"}) == []
    assert change(database, interface, external_ids={"iface-id": "p"}) == [
        f"{info}Removing lport p ovn-installed in OVS"
    ]
