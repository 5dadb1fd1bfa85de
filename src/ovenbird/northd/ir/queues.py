"""Queues of physical interfaces: the number of the one that a port's packets leave a chassis by.

ovn-nb(5), Logical_Switch_Port, `qos_max_rate`, `qos_min_rate`, `qos_burst`; ovn-sb(5), Port_Binding,
`qdisc_queue_id`. An interface has one set of queues for all ports of its chassis, so a number is a port's own among
those on one chassis. A localnet port is on every chassis: its number differs from every other port's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.ids import Pool, seed
from ovenbird.engine.lookups import select
from ovenbird.engine.views import view
from ovenbird.model import sb
from ovenbird.model.options import number

if TYPE_CHECKING:
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.northd.ir.switch_port import SwitchPort

QUEUE = "qdisc_queue_id"
LAST_QUEUE = 61_440
"""ovn-sb(5), `set_queue`."""

RATES = ("qos_max_rate", "qos_min_rate", "qos_burst")
"""The options by which a port asks for a queue."""

QUEUES = Pool("queue", 1, LAST_QUEUE // 2)
"""Queues of ports by name, within the chassis where they are."""

LOCALNET_QUEUES = Pool("queue of a localnet port", LAST_QUEUE // 2 + 1, LAST_QUEUE)


def queue_of(port: SwitchPort) -> int | None:
    """Return the queue of a switch port; None for a port that asks for none, or that is on no chassis yet."""
    options = port.options
    given = number(options, QUEUE, high=LAST_QUEUE)
    asks = any(rate in options for rate in RATES)
    if port.type == "router" or not (given or asks):
        return given
    localnet = port.type == "localnet"
    pool, scope = (LOCALNET_QUEUES, None) if localnet else (QUEUES, _chassis(port.name))
    if (scope is None and not localnet) or (given and not pool.low <= given <= pool.high):
        return given
    try:
        own = pool.get(port.name, scope=scope, want=given or None)
    except IdsExhaustedError:  # until another port's is free it has none
        return given
    return given or own  # ports that name the same one share it


@view
def _chassis(name: str) -> UUID | None:
    """Return the chassis where a port is."""
    for binding in select(sb.PortBinding.logical_port, name):
        chassis: UUID | None = sb.PortBinding.chassis.raw(binding)
        return chassis
    return None


def keep_queues(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the queues that Southbound has.

    Arguments:
        engine: whose numbers.
        southbound: the database as it is.
    """
    for binding in southbound.table(sb.PortBinding).rows.values():
        queue = number(binding.options, QUEUE, high=LAST_QUEUE)
        if not queue:
            continue
        if binding.type == "localnet":
            seed(engine, LOCALNET_QUEUES, binding.logical_port, queue)
        elif (chassis := binding.values[sb.PortBinding.chassis.index]) is not None:
            seed(engine, QUEUES, binding.logical_port, queue, chassis)
