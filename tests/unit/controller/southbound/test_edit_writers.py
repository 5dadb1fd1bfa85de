"""An edit that the database refuses is left out by itself, reported once, and tried again more and more rarely."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

import ovenbird.controller
from ovenbird.controller.chassis_driver import EDITS
from ovenbird.controller.edits import EDIT, EditRelation, to
from ovenbird.controller.southbound.edit_writers import EditWriter
from ovenbird.controller.southbound.row_edits import REFUSAL_PAUSE
from ovenbird.model import sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support.waiting import until_async


def test_the_edits_at_fault_alone_are_left_out(caplog):
    async def run():
        client = Server().add(Database(sb.schema(), sb.ROWS))
        new = client.transaction()
        datapath = new.insert(sb.DatapathBinding, {"tunnel_key": 1})
        ports = [
            new.insert(sb.PortBinding, {"logical_port": f"p{n}", "datapath": datapath, "tunnel_key": n})
            for n in range(1, 40)
        ]
        client.commit_now(new)
        bad = {ports[3], ports[4], ports[30]}
        values = {uuid: 0 if uuid in bad else 1000 + n for n, uuid in enumerate(ports)}
        stored = client.store.table(sb.PortBinding).rows
        facts = {uuid: EDIT(stored[uuid], to(sb.PortBinding.tunnel_key, key)) for uuid, key in values.items()}
        now = 0.0

        async def seen():
            rows = client.store.table(sb.PortBinding).rows
            done = [fact for uuid, fact in facts.items() if rows[uuid].tunnel_key >= 1000]
            writer.edits.absorb(added=[], removed=done)

        writer = EditWriter(client, seen)
        writer.edits.clock = lambda: now
        writer.edits.absorb(added=facts.values(), removed=[])
        writing = asyncio.create_task(writer.run())
        writer.wake()
        await until_async(lambda: len(writer.edits.outstanding) == len(bad))
        assert {fact.uuid for fact in writer.edits.outstanding} == bad
        assert len(caplog.records) == len(bad)
        for tenth in range(10 * int(REFUSAL_PAUSE[1])):
            now = tenth / 10
            writer.wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert len(caplog.records) == len(bad)
        attempts = list(writer.edits._refused.values())
        assert all(pause == REFUSAL_PAUSE[1] for _, pause in attempts)
        writing.cancel()
        await asyncio.wait([writing])

    asyncio.run(run())


def test_every_kind_of_edit_is_written():
    found = set()
    for module in pkgutil.walk_packages(ovenbird.controller.__path__, "ovenbird.controller."):
        values = vars(importlib.import_module(module.name)).values()
        found |= {value for value in values if isinstance(value, EditRelation)}
    assert found == set(EDITS)
