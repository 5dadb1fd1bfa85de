"""What northd takes from Northbound about itself."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from ovenbird.daemon.northd import driver, probe_interval
from ovenbird.engine.rows import UUID, Store
from ovenbird.model import nb, sb
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support.waiting import until_async


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, 5), ({"northd_probe_interval": "0"}, 0), ({"northd_probe_interval": "10"}, 1),
     ({"northd_probe_interval": "60000"}, 60), ({"northd_probe_interval": "often"}, 5)],
)  # fmt: skip
def test_databases_are_probed_as_northbound_says(options, seconds):
    store = Store("OVN_Northbound", nb.ROWS)
    northbound = SimpleNamespace(store=store)
    assert probe_interval(northbound) == 5
    values = list(nb.NBGlobal.DEFAULTS)
    values[nb.NBGlobal.options.index] = options
    store.table(nb.NBGlobal).insert(UUID("00000000-0000-4000-8000-000000000001"), values)
    assert probe_interval(northbound) == seconds


def test_a_number_and_its_arrival_in_southbound_are_written_to_northbound_together():
    async def run():
        northbound, southbound = (Server().add(Database(model.schema(), model.ROWS)) for model in (nb, sb))
        compiling = asyncio.ensure_future(driver(northbound, southbound=southbound, findings=CompilerFindings()).run())
        try:
            await until_async(lambda: any(row.options for row in northbound.store.table(nb.NBGlobal)))
            (row,) = northbound.store.table(nb.NBGlobal)
            before = northbound.database.serial
            change = northbound.transaction()
            change.update(row, {"nb_cfg": 7})
            change.commit()
            await until_async(lambda: row.sb_cfg == 7)
            assert row.nb_cfg_timestamp > 0
            assert row.hv_cfg == 7
            assert northbound.database.serial == before + 2  # the client's, and one of northd's
        finally:
            compiling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await compiling

    asyncio.run(run())
