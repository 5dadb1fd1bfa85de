"""Events that flows report for the cloud: rows of Southbound's Controller_Event (ovn-sb(5)), which the cloud removes.

An event is written once, until the cloud has removed its row; then the next packet reports it again. Sequence numbers
are those of one chassis, and go on from the highest that its rows have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.lang.actions.report import TriggerEvent
from ovenbird.lang.actions.userdata import Userdata
from ovenbird.model.sb import Chassis, ControllerEvent

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.transaction import Transaction

MOST_EVENTS = 1000
"""Rows that one chassis has at most, of events that the cloud has not dealt with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedEvent:
    """An event, and the chassis that saw it, by name."""

    event: str
    info: tuple[tuple[str, str], ...]
    chassis: str
    heard_by_many: bool = False


def reported(packet_in: PacketIn, chassis: str) -> ReportedEvent:
    """Return what a flow reports.

    Arguments:
        packet_in: the packet that it is about.
        chassis: the name of this chassis.

    Raises:
        DecodeError: the flow does not say.
    """
    found = TriggerEvent.decode(Userdata.decode(packet_in.userdata).payload)
    return ReportedEvent(event=found.event, info=found.options, chassis=chassis)


def stage_reported(store: Store, transaction: Transaction, what: ReportedEvent, *, number: int) -> int:
    """Write an event down, unless there is a row of it, or too many others.

    Arguments:
        store: Southbound's.
        transaction: on it.
        what: the event.
        number: the sequence number of the last event.

    Returns:
        The sequence number of the last event now.
    """
    chassis = store.find(Chassis.name, what.chassis)
    if chassis is None:
        return number
    rows, info = store.select(ControllerEvent.chassis, chassis.uuid), dict(what.info)
    if len(rows) >= MOST_EVENTS or any((row.event_type, row.event_info) == (what.event, info) for row in rows):
        return number
    number = max([number, *[row.seq_num for row in rows]]) + 1
    values = {"event_type": what.event, "event_info": info, "chassis": chassis.uuid, "seq_num": number}
    transaction.insert(ControllerEvent, values)
    return number
