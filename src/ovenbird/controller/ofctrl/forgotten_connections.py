"""The removal of connections from conntrack when what they belong to is removed.

A fact represents a kind of connections: those of a load balancer's backend, or those with a label. When the fact is
withdrawn, these connections are flushed from conntrack, after the flows of the same wave have been installed.

A switch older than Open vSwitch 3.4 ignores properties of the message that it does not know (ofp-ct.c), so that a
message for connections with a label would flush the whole zone. Each switch is therefore tested once, before the first
such message, by a message with a label that is too short and for connections that cannot exist: a switch that knows
labels refuses it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.controller.facts import BalancedConnections, LabelledConnections
from ovenbird.openflow.messages import CtFlush, CtFlushProbe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.openflow.transport import OpenFlowSession

log = logging.getLogger(__name__)

MOST_FORGOTTEN = 65_536
"""Kinds of connections that may wait to be forgotten, as while there is no switch."""

Connections = BalancedConnections | LabelledConnections


class ForgottenConnections:
    """The kinds of connections that wait to be forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[Connections, None] = {}
        self._asked: OpenFlowSession | None = None
        self._knows_labels = False

    def __bool__(self) -> bool:
        """Return whether any wait."""
        return bool(self._waiting)

    def absorb(self, *, added: Sequence[Connections], removed: Sequence[Connections]) -> None:
        """Take in a wave's facts: those withdrawn are to be forgotten, unless they are back."""
        self._waiting |= dict.fromkeys(removed[: MOST_FORGOTTEN - len(self._waiting)])
        for fact in added:
            self._waiting.pop(fact, None)

    async def forget(self, session: OpenFlowSession) -> None:
        """Have the switch forget what waits."""
        waiting, self._waiting = self._waiting, {}
        for fact in waiting:
            message = _balanced(fact) if isinstance(fact, BalancedConnections) else await self._labelled(session, fact)
            if message is not None:
                session.send(message)

    async def _labelled(self, session: OpenFlowSession, fact: LabelledConnections) -> CtFlush | None:
        """Return the message about connections with a label, None if the switch does not know labels."""
        if self._asked is not session:
            self._asked, self._knows_labels = session, not await session.accepts(CtFlushProbe())
            if not self._knows_labels:
                log.info("the switch cannot forget connections by their labels, Open vSwitch 3.4 can")
        if not self._knows_labels:
            return None
        mask = (1 << fact.width) - 1 << fact.low
        return CtFlush(zone=fact.zone, labels=fact.value << fact.low, labels_mask=mask)


def _balanced(fact: BalancedConnections) -> CtFlush:
    return CtFlush(
        protocol=fact.protocol,
        destination=fact.vip,
        destination_port=fact.vip_port,
        source=fact.backend,
        source_port=fact.backend_port,
    )
