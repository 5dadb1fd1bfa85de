"""Events that flows report to the CMS: rows of Southbound's Controller_Event (ovn-sb(5)), which the CMS deletes.

An event is written once; after the CMS has deleted its row, the next packet reports it again. Each chassis has its own
sequence numbers, which continue from the highest in its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.report import TriggerEvent
from ovenbird.lang.actions.userdata import Userdata
from ovenbird.model.sb import Chassis, ControllerEvent

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.transaction import Transaction

MOST_EVENTS = 1000
"""The largest number of a chassis's rows that the CMS has not deleted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedEvent:
    """An event, and the name of the chassis that reports it."""

    event: str
    info: tuple[tuple[str, str], ...]
    chassis: str
    heard_by_many: bool = False


def reported(packet_in: PacketIn, chassis: str) -> ReportedEvent:
    """Return the event that a flow reports.

    Arguments:
        packet_in: the punted packet.
        chassis: the name of this chassis.

    Raises:
        DecodeError: the userdata is malformed.
    """
    found = TriggerEvent.decode(Userdata.decode(packet_in.userdata).payload)
    return ReportedEvent(event=found.event, info=found.options, chassis=chassis)


def stage_reported(store: Store, transaction: Transaction, what: ReportedEvent, *, number: int) -> int:
    """Insert the row of an event, unless it exists already, or there are too many rows.

    Arguments:
        store: Southbound's rows.
        transaction: the transaction on Southbound.
        what: the event.
        number: the sequence number of the last event.

    Returns:
        The new sequence number of the last event.
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
