"""Learning of MACs behind ports with unknown addresses, as by a plain Ethernet switch.

Source MACs are learned at ports with unknown addresses and without port security, as all are that lead to another
switch; at a localnet port if its option `localnet_learn_fdb` is set. ovn-northd(8), "Ingress Table 2" and "3".

A row of FDB is kept as long as its port exists, and until it expires: `other_config:fdb_age_threshold` of its switch,
`options:fdb_removal_limit` of NB_Global, as from OVN 23.06 on. Controllers write the time when an address was learned
or last seen; rows without one, from controllers of earlier releases, do not expire.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ovenbird.engine.alarms import due
from ovenbird.engine.facts import KeyRows
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.model.southbound_lookup import datapath_by_key, port_in
from ovenbird.northd.ir.ageing import fdb_age_threshold, removal_limit
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.southbound_rows import northbound_uuid
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import FDB_KNOWN
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.northd.ir.switch_port import SwitchPort

LOOKUP_FDB = stage("ls_in_lookup_fdb")
PUT = stage("ls_in_put_fdb")

LEARNED = KeyRows(sb.FDB)
"""MAC addresses that chassis learned; rows that no rule wants to keep are removed."""

flow = flow_builder("fdb")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Look up and learn source MACs at a port with unknown addresses."""
    if not port.enabled:
        return
    learns = port.type in ("", "switch") or (port.type == "localnet" and flag(port.options, "localnet_learn_fdb"))
    if not learns or port.security:
        return
    match = f"inport == {port.quoted}"
    look = f"{FDB_KNOWN} = lookup_fdb(inport, eth.src); next;"
    yield flow(LOOKUP_FDB, port.datapath, 100, match, look, hint=port.hint, port=port.name)
    learn = "put_fdb(inport, eth.src); next;"
    yield flow(PUT, port.datapath, 100, f"{match} && {FDB_KNOWN} == 0", learn, hint=port.hint, port=port.name)


@rule(sb.FDB)
def station(row: sb.FDB) -> Iterator[Fact]:
    """Keep a learned MAC address as long as its port exists, until it is too old."""
    southbound = row.home.store
    binding = datapath_by_key(southbound, row.dp_key)
    network = northbound_uuid(binding) if binding is not None else None
    if binding is None or network is None or port_in(southbound, binding.uuid, row.port_key) is None:
        return
    age = oldest_station(network)
    if age is None:
        return
    learned = row.timestamp
    if not age or not learned or not due(row, learned + age):
        yield LEARNED(row.uuid)


@view
def oldest_station(uuid: UUID) -> int | None:
    """Return after how many milliseconds a switch's learned MAC addresses expire; 0 for never, None for no switch."""
    switch = get(nb.LogicalSwitch, uuid)
    return fdb_age_threshold(switch.other_config) * 1000 if switch is not None else None


def limit_removals(engine: Engine, northbound: Store, _: Store) -> None:
    """Limit how many MAC addresses expire at once (`fdb_removal_limit`).

    Arguments:
        engine: the engine whose alarms are limited.
        northbound: has the limit, which may change at any time.
    """
    engine.alarms.limits[sb.FDB] = partial(removal_limit, northbound, "fdb_removal_limit")


FEATURE = Feature(
    "fdb",
    rules=(station,),
    port=port,
    needs=("unknown",),
    outputs=(LEARNED,),
    start=limit_removals,
    hints=(HintedTable(nb.LogicalSwitchPort),),
)
