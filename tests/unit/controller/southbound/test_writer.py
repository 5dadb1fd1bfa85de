"""An edit that the database refuses is left out by itself, reported once, and tried again more and more rarely."""

from __future__ import annotations

import asyncio

from ovenbird.controller.edits import EDIT
from ovenbird.controller.southbound.row_edits import REFUSAL_PAUSE, RowEdits
from ovenbird.controller.southbound.writer import Writer
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
        now = 0.0
        book = RowEdits(client.store, clock=lambda: now)
        bad = {ports[3], ports[4], ports[30]}
        values = {uuid: (("tunnel_key", 0 if uuid in bad else 1000 + n),) for n, uuid in enumerate(ports)}
        facts = {uuid: EDIT(sb.PortBinding, uuid, changes) for uuid, changes in values.items()}
        book.absorb(added=facts.values(), removed=[])
        wanted = asyncio.Event()

        async def written():
            rows = client.store.table(sb.PortBinding).rows
            done = [fact for uuid, fact in facts.items() if rows[uuid].tunnel_key >= 1000]
            book.absorb(added=[], removed=done)

        writing = asyncio.create_task(Writer(client, book, wanted, written).run())
        wanted.set()
        await until_async(lambda: len(book.outstanding) == len(bad))
        assert {fact[2] for fact in book.outstanding} == bad
        assert len(caplog.records) == len(bad)
        for tenth in range(10 * int(REFUSAL_PAUSE[1])):
            now = tenth / 10
            wanted.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert len(caplog.records) == len(bad)
        attempts = list(book._refused.values())
        assert all(pause == REFUSAL_PAUSE[1] for _, pause in attempts)
        writing.cancel()
        await asyncio.wait([writing])

    asyncio.run(run())
