"""What northd takes from Northbound about itself."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ovenbird.daemon.northd import probe_interval
from ovenbird.engine.rows import UUID, Store
from ovenbird.model import nb


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
