"""A controller that is told to go for good ends, whatever it can reach."""

from __future__ import annotations

import asyncio

from ovenbird.controller.controller import Controller
from ovenbird.model import vswitch
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server


async def test_a_controller_ends_before_it_has_connected(tmp_path):
    controller = Controller(f"unix:{tmp_path}/db.sock")
    running = asyncio.create_task(controller.run())
    await asyncio.sleep(0)
    await controller.close()
    await running


async def test_it_ends_where_the_local_database_has_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path of a socket has to be short
    monkeypatch.setenv("OVS_RUNDIR", ".")
    server = Server()
    client = server.add(Database(vswitch.schema(), vswitch.ROWS))
    await server.listen("punix:db.sock")
    rows = client.transaction()
    interface = rows.insert(vswitch.Interface, {"name": "ovn-hv2-0", "type": "geneve"})
    port = rows.insert(
        vswitch.Port,
        {
            "name": "ovn-hv2-0",
            "interfaces": frozenset([interface]),
            "external_ids": {"ovn-chassis-id": "hv2@192.0.2.2"},
        },
    )
    bridge = rows.insert(vswitch.Bridge, {"name": "br-int", "ports": frozenset([port])})
    rows.insert(vswitch.OpenVSwitch, {"bridges": frozenset([bridge])})
    await client.commit(rows)
    controller = Controller("unix:db.sock")
    running = asyncio.create_task(controller.run())
    await controller._vswitch.start()
    controller._vswitch._calls.connection = None  # lost, and nobody has noticed yet
    await controller.close()
    await running
    await server.close()
