"""Queues of physical interfaces: the number of the queue for a port's packets that leave a chassis.

ovn-nb(5), Logical_Switch_Port, `qos_max_rate`, `qos_min_rate`, `qos_burst`; ovn-sb(5), Port_Binding,
`qdisc_queue_id`. An interface has one set of queues for all ports of its chassis, so the numbers of ports on the same
chassis are distinct. A localnet port is on every chassis, so its number differs from that of every other port.
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
"""The largest queue number (ovn-sb(5), `set_queue`)."""

RATES = ("qos_max_rate", "qos_min_rate", "qos_burst")
"""The options of a port that require a queue."""

_DECISIVE = frozenset((*RATES, QUEUE))

QUEUES = Pool("queue of a port", 1, LAST_QUEUE // 2)
"""Queue numbers by the ports' names; each chassis is a scope."""

LOCALNET_QUEUES = Pool("queue of a localnet port", LAST_QUEUE // 2 + 1, LAST_QUEUE)


def queue_of(port: SwitchPort) -> int | None:
    """Return the queue of a switch port; None if the port needs none, or is not bound to a chassis yet.

    That none is free is one of the port's troubles.
    """
    options = port.options
    if _DECISIVE.isdisjoint(options):
        return None
    given = number(options, QUEUE, high=LAST_QUEUE)
    rates = [rate for rate in RATES if rate in options]  # all are looked up, as the page of features lists them
    if port.type == "router" or not (given or rates):
        return given
    localnet = port.type == "localnet"
    pool, scope = (LOCALNET_QUEUES, None) if localnet else (QUEUES, _chassis(port.name))
    if (scope is None and not localnet) or (given and not pool.low <= given <= pool.high):
        return given
    try:
        own = pool.get(port.name, scope=scope, want=given or None)
    except IdsExhaustedError as error:  # until another port's is released
        if not given:
            port.troubles.append(f"it has no queue, so that its rates are not limited: {error}")
        return given
    return given or own  # ports that configure the same number share the queue


@view
def _chassis(name: str) -> UUID | None:
    """Return the chassis of a port."""
    for binding in select(sb.PortBinding.logical_port, name):
        chassis: UUID | None = sb.PortBinding.chassis.raw(binding)
        return chassis
    return None


def keep_queues(engine: Engine, _: Store, southbound: Store) -> None:
    """Keep the queue numbers that Southbound has.

    Arguments:
        engine: the engine whose numbers are reserved.
        southbound: Southbound's rows.
    """
    for binding in southbound.table(sb.PortBinding).rows.values():
        queue = number(binding.options, QUEUE, high=LAST_QUEUE)
        if not queue:
            continue
        if binding.type == "localnet":
            seed(engine, LOCALNET_QUEUES, binding.logical_port, queue)
        elif (chassis := binding.values[sb.PortBinding.chassis.index]) is not None:
            seed(engine, QUEUES, binding.logical_port, queue, chassis)
