"""A requesting router for prefix delegation, without I/O and without a clock (RFC 8415, section 18.2).

One client requests one prefix for one router port. The caller passes messages and the time, and gets messages to send.
The first server that offers a prefix receives the request.
"""

from __future__ import annotations

import random
from enum import Enum, auto

from ovenbird.net import dhcp6
from ovenbird.net.dhcp6 import FOREVER, Dhcp6, IaNa, IaPrefix

DUID_LINK_LAYER = bytes.fromhex("00030001")
"""DUID-LL of Ethernet (section 11.4)."""


class Phase(Enum):
    """Where the exchange is."""

    SOLICIT = auto()
    REQUEST = auto()
    BOUND = auto()
    RENEW = auto()
    REBIND = auto()


_TYPES = {
    Phase.SOLICIT: dhcp6.SOLICIT, Phase.REQUEST: dhcp6.REQUEST, Phase.RENEW: dhcp6.RENEW, Phase.REBIND: dhcp6.REBIND,
}  # fmt: skip
_TIMES = {Phase.SOLICIT: (1, 3600), Phase.REQUEST: (1, 30), Phase.RENEW: (10, 600), Phase.REBIND: (10, 600)}
"""First and longest seconds between a message and its repetition (section 7.6)."""

_REQUESTS = 10


class PrefixClient:
    """Asks for a prefix and keeps it.

    Arguments:
        mac: the router port's hardware address, by which servers know the client.
        iaid: the number of the association, the same on every chassis.
        now: the time, in seconds.
        known: the prefix that it had before, if any.
    """

    def __init__(self, mac: bytes, *, iaid: int, now: float, known: IaPrefix | None = None) -> None:
        self.iaid = iaid
        self.prefix: IaPrefix | None = None
        self.stage = Phase.SOLICIT
        self.due = now
        self._duid = DUID_LINK_LAYER + mac
        self._hint = known
        self._server = b""
        self._xid = 0
        self._began = now
        self._pause = 0.0
        self._sent = 0
        self._ends: dict[Phase, float] = {}

    def tick(self, now: float) -> Dhcp6 | None:
        """Take note of the time, and return the message that is due."""
        if now < self.due:
            return None
        self._advance(now)
        if self.stage is Phase.BOUND:
            return None
        first, longest = _TIMES[self.stage]
        self._pause = min(self._pause * 2 if self._pause else first, longest) * random.uniform(0.9, 1.1)  # noqa: S311
        self._sent += 1
        self.due = min([now + self._pause, *(end for stage, end in self._ends.items() if end > now)])
        return self._message(now)

    def _advance(self, now: float) -> None:
        """Enter the phase that the present time requires."""
        if self._ends:
            if now >= self._ends[Phase.BOUND]:
                self.prefix, self._ends = None, {}
                self._enter(Phase.SOLICIT, now)
            elif now >= self._ends[Phase.REBIND]:
                self._enter(Phase.REBIND, now)
            elif now >= self._ends[Phase.RENEW]:
                self._enter(Phase.RENEW, now)
        elif self.stage is Phase.REQUEST and self._sent >= _REQUESTS:
            self._enter(Phase.SOLICIT, now)
        if not self._xid:
            self._xid = random.randrange(1, 1 << 24)  # noqa: S311 - to tell exchanges apart

    def _enter(self, stage: Phase, now: float) -> None:
        if stage is not self.stage or stage is Phase.SOLICIT:
            self.stage, self._began = stage, now
            self._pause, self._sent, self._xid = 0.0, 0, 0
            self.due = now

    def _message(self, now: float) -> Dhcp6:
        elapsed = min(int((now - self._began) * 100), 0xFFFF)
        options = [(dhcp6.CLIENT_ID, self._duid), (dhcp6.ELAPSED_TIME, elapsed.to_bytes(2, "big"))]
        if self.stage in (Phase.REQUEST, Phase.RENEW):
            options.append((dhcp6.SERVER_ID, self._server))
        wanted = self.prefix or self._hint
        inner = (
            ((dhcp6.IA_PREFIX, IaPrefix(prefix=wanted.prefix, length=wanted.length).encode()),)
            if wanted is not None
            else ()
        )
        options.append((dhcp6.IA_PD, IaNa(iaid=self.iaid, options=inner).encode()))
        return Dhcp6(type=_TYPES[self.stage], xid=self._xid, options=tuple(options))

    def receive(self, message: Dhcp6, now: float) -> bool:
        """Process a server's message; return whether it was for this client.

        Raises:
            PacketError: the message's association is malformed.
        """
        if message.xid != self._xid or message.option(dhcp6.CLIENT_ID) != self._duid or self.stage is Phase.BOUND:
            return False
        server = message.option(dhcp6.SERVER_ID)
        association = self._association(message)
        if server is None or association is None:
            return False
        offered = next((IaPrefix.decode(value) for code, value in association.options if code == dhcp6.IA_PREFIX), None)
        good = offered is not None and offered.valid and not dhcp6.status_of(association.options)
        if self.stage is Phase.SOLICIT:
            if message.type != dhcp6.ADVERTISE or not good:
                return False
            self._server, self._hint = server, offered
            self._enter(Phase.REQUEST, now)
        elif message.type != dhcp6.REPLY or dhcp6.status_of(message.options):
            return False
        elif good and offered is not None:
            self._server = server
            self._bind(offered, association, now)
        else:
            self.prefix, self._ends = None, {}
            self._enter(Phase.SOLICIT, now)
            self.due = now + _TIMES[Phase.SOLICIT][0]
        return True

    def _association(self, message: Dhcp6) -> IaNa | None:
        found = [IaNa.decode(value) for code, value in message.options if code == dhcp6.IA_PD]
        return next((one for one in found if one.iaid == self.iaid), None)

    def _bind(self, prefix: IaPrefix, association: IaNa, now: float) -> None:
        """Use a prefix until its lifetime ends, and schedule its renewal (section 21.21)."""
        self.prefix = self._hint = prefix
        self.stage, self._xid = Phase.BOUND, 0
        t1 = association.t1 or _part(prefix.preferred, 0.5)
        t2 = association.t2 or _part(prefix.preferred, 0.8)
        times = {Phase.RENEW: t1, Phase.REBIND: max(t1, t2), Phase.BOUND: prefix.valid}
        self._ends = {stage: float("inf") if time >= FOREVER else now + time for stage, time in times.items()}
        self.due = min(self._ends.values())


def _part(lifetime: int, share: float) -> int:
    return FOREVER if lifetime == FOREVER else int(lifetime * share)
