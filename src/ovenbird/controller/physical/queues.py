"""Queues of the physical interfaces, which limit the rate of a port's packets that leave this chassis.

northd allocates a number (`qdisc_queue_id`) to each port with `qos_max_rate`, `qos_min_rate` or `qos_burst` on a
chassis (ovn-sb(5), Port_Binding), and flows select this queue. The queues belong to the ports of Open vSwitch with an
interface that has `external_ids:ovn-egress-iface` (ovn-northd(8)); the switch implements them as classes of the
kernel's HTB (ovs-vswitchd.conf.db(5), QoS and Queue). A QoS that another program has set on a port is not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import EDIT, EditRelation, keys
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import own_chassis
from ovenbird.controller.physical.patch import physical_bridge
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.options import flag, number
from ovenbird.model.sb import PortBinding
from ovenbird.model.vswitch import Interface, Port, QoS
from ovenbird.model.vswitch import Queue as QueueRow
from ovenbird.net.numbers import INT64, integer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.transaction import Transaction

EGRESS = "ovn-egress-iface"
OURS = "ovn_qos"
"""The key of QoS.external_ids that marks the rows made here."""
PORT = "ovn_port"
"""The key of Queue.external_ids that names the logical port."""

HTB = "linux-htb"
LEFT_ALONE = "linux-noop"
"""The QoS type with which ovn-controller stops the switch from managing a port's classes."""

UNLIMITED = "34359738360"
"""Rate of all queues of an interface together, in bit/s: the largest that HTB's 32 bits of bytes per second can hold.
By default the switch uses the speed of the link, or 100 Mbit/s if it does not know the speed."""

LAST_QUEUE = 61_440

OPTIONS = {"qos_max_rate": "max-rate", "qos_min_rate": "min-rate", "qos_burst": "burst"}
"""Options of ports, and the keys of Queue.other_config for the same."""

_PB = PortBinding


def _places(values: list[Any]) -> tuple[str, ...]:
    """Return the location of a port with a queue: its chassis, or all chassis."""
    if "qdisc_queue_id" not in values[_PB.options.index]:
        return ()
    place = "localnet" if values[_PB.type.index] == "localnet" else values[_PB.chassis.index]
    return (place,) if place is not None else ()


_QUEUED = ComputedIndex(_PB.options, _PB.type, _PB.chassis, keys=_places)
"""The ports with queues, by chassis."""

_LABELLED = ComputedIndex(
    Interface.external_ids,
    keys=lambda values: ("egress",) if flag(values[Interface.external_ids.index], EGRESS) else (),
)
"""The physical interfaces that have queues."""


class Queue(NamedTuple):
    """The intended queue: its logical port, and its `other_config` as pairs."""

    port: str
    config: tuple[tuple[str, str], ...]

    @property
    def values(self) -> dict[str, dict[str, str]]:
        """The columns of its row."""
        return {"other_config": dict(self.config), "external_ids": {PORT: self.port}}


Queues = tuple[tuple[int, Queue], ...]


@view
def queue(port: PortBinding) -> tuple[int, Queue] | None:
    """Return the number and the queue of a port; None if it has no queue on this chassis."""
    chosen = number(port.options, "qdisc_queue_id", low=1, high=LAST_QUEUE)
    if chosen is None or (port.type == "localnet" and physical_bridge(port) is None):
        return None
    rates = [(key, integer(port.options.get(name, ""), low=1, high=INT64)) for name, key in OPTIONS.items()]
    config = tuple(sorted([(key, str(rate)) for key, rate in rates if rate is not None]))
    return (chosen, Queue(port.logical_port, config)) if config else None


@view
def queues() -> Queues:
    """Return the queues of this chassis by number; if several ports have the same number, that of the first by name."""
    ports = [*_QUEUED.rows(own_chassis() or ""), *_QUEUED.rows("localnet")] if _LABELLED.rows("egress") else []
    found: dict[int, Queue] = {}
    for each in sorted(filter(None, map(queue, ports)), key=lambda each: each[1].port):
        found.setdefault(*each)
    return tuple(sorted(found.items()))


class NewQoS(NamedTuple):
    """The queues of a port that has none yet."""

    relation: EditRelation[..., Any]
    port: UUID
    queues: Queues

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return QoS

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the queues of port {self.port}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the queues, unless the port is gone.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        row = store.table(Port).rows.get(self.port)
        if row is None:
            return
        made = {chosen: transaction.insert(QueueRow, each.values) for chosen, each in self.queues}
        config = {"max-rate": UNLIMITED}
        values = {"type": HTB, "queues": made, "other_config": config, "external_ids": {OURS: "true"}}
        transaction.update(row, {"qos": transaction.insert(QoS, values)})


class NewQueue(NamedTuple):
    """A further queue of a port."""

    relation: EditRelation[..., Any]
    qos: UUID
    number: int
    queue: Queue

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return QueueRow

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"queue {self.number}, of {self.queue.port}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the queue, unless the port's QoS is gone.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        row = store.table(QoS).rows.get(self.qos)
        if row is not None:
            made = transaction.insert(QueueRow, self.queue.values)
            transaction.mutate(row, "queues", delete=[self.number], insert={self.number: made})


class SurplusQueue(NamedTuple):
    """A queue that no logical port uses any more."""

    relation: EditRelation[..., Any]
    qos: UUID
    number: int
    queue: UUID

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return QueueRow

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the removal of queue {self.number}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Remove the queue from its QoS and delete it.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        qos, queue = store.table(QoS).rows.get(self.qos), store.table(QueueRow).rows.get(self.queue)
        if qos is not None:
            transaction.mutate(qos, "queues", delete=[self.number])
        if queue is not None:
            transaction.delete(queue)


class SurplusQoS(NamedTuple):
    """The queues of a port that are not needed any more, with the port if it exists."""

    relation: EditRelation[..., Any]
    qos: UUID
    port: UUID | None

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return QoS

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the removal of the queues {self.qos}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Delete the queues.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        port = store.table(Port).rows.get(self.port) if self.port is not None else None
        if port is not None:
            transaction.update(port, {"qos": None})
        qos = store.table(QoS).rows.get(self.qos)
        if qos is None:
            return
        for uuid in qos["queues"].values():
            queue = store.table(QueueRow).rows.get(uuid)
            if queue is not None and PORT in queue["external_ids"]:
                transaction.delete(queue)
        transaction.delete(qos)


NEW_QOS = EditRelation("queues to make", NewQoS)
NEW_QUEUE = EditRelation("queue to add", NewQueue)
DROP_QUEUE = EditRelation("queue to remove", SurplusQueue)
DROP_QOS = EditRelation("queues to remove", SurplusQoS)


def _is_ours(qos: QoS) -> bool:
    return qos.external_ids.get(OURS) == "true"


@rule(Port)
def port_queues(port: Port) -> Iterator[Fact]:
    """Yield the changes of a port's queues: only ports to physical networks have queues, those of this chassis."""
    egress = any(flag(interface.external_ids, EGRESS) for interface in port.interfaces)
    qos = port.qos
    if (not egress and qos is None) or progress().stopping or not progress().settled:
        return
    wanted = queues() if egress else ()
    if qos is not None and not _is_ours(qos):
        if qos.type == LEFT_ALONE and not qos.external_ids and wanted:
            yield NEW_QOS(port=port.uuid, queues=wanted)
            yield DROP_QOS(qos=qos.uuid, port=None)
        elif wanted:
            yield warning(f"port {port.name} has a QoS that is not the controller's: logical ports get no queues there")
    elif qos is None:
        if wanted:
            yield NEW_QOS(port=port.uuid, queues=wanted)
    elif wanted:
        yield from _differences(qos, dict(wanted))
    else:
        yield DROP_QOS(qos=qos.uuid, port=port.uuid)


def _differences(qos: QoS, wanted: Mapping[int, Queue]) -> Iterator[Fact]:
    """Yield the changes from a port's existing queues to the intended ones."""
    there = qos.queues
    for chosen, each in wanted.items():
        row = get(QueueRow, there[chosen]) if chosen in there else None
        if row is None:
            yield NEW_QUEUE(qos=qos.uuid, number=chosen, queue=each)
            continue
        for column in (QueueRow.other_config, QueueRow.external_ids):
            found, value = column.raw(row), each.values[column.name]
            if found != value:
                yield EDIT(row, keys(column, *[(key, value.get(key)) for key in sorted(found.keys() | value.keys())]))
    for chosen, uuid in there.items():
        if chosen not in wanted:
            yield DROP_QUEUE(qos=qos.uuid, number=chosen, queue=uuid)


@rule(QoS)
def stale_queues(qos: QoS) -> Iterator[Fact]:
    """Remove queues whose port is gone."""
    if _is_ours(qos) and not qos.referrers(Port.qos) and not progress().stopping:
        yield DROP_QOS(qos=qos.uuid, port=None)


@rule(PortBinding)
def wrong_rates(port: PortBinding) -> Iterator[Fact]:
    """Yield a notice for each rate of a port that is invalid."""
    if "qdisc_queue_id" not in port.options:
        return
    if physical_bridge(port) is None if port.type == "localnet" else PortBinding.chassis.raw(port) != own_chassis():
        return
    for name in OPTIONS:
        text = port.options.get(name)
        if text is not None and integer(text, high=INT64) is None:
            yield warning(f"port {port.logical_port}: {name}={text} is not a number, and is left out")
