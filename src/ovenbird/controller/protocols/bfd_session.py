"""One BFD session in asynchronous mode, without I/O and without a clock (RFC 5880, section 6.8).

The caller passes received control packets and the time, and gets the control packets to send. Intervals are in
microseconds as on the wire, times in seconds.
"""

from __future__ import annotations

import random

from ovenbird.net.bfd import BfdState, Control, Diagnostic

SLOW = 1_000_000
"""The minimum interval between packets of a session that is not up (section 6.8.3)."""

_FIRST = 2
"""How many packets of an end that has just come up may still come at the slow rate, as ovn-controller's do."""

_LEAST = 1_000
"""The minimum interval between packets, whatever the ends agree on: Northbound's unit."""

_MICRO = 1e-6


class BfdEndpoint:
    """One end of a session.

    Arguments:
        discriminator: this end's number of the session, not 0.
        min_tx: the interval at which this end would like to send.
        min_rx: the interval at which it can take packets; 0 for none at all.
        detect_mult: how many packets may be lost before the other end declares the session down.
        now: the time.
    """

    def __init__(self, *, discriminator: int, min_tx: int, min_rx: int, detect_mult: int, now: float) -> None:
        self.discriminator = discriminator
        self.state = BfdState.DOWN
        self.diagnostic = Diagnostic.NONE
        self.remote_discriminator = 0
        self.next_packet = now
        self._min_tx, self._min_rx, self._mult = min_tx, min_rx, detect_mult
        self._used_tx, self._used_rx = max(min_tx, SLOW), min_rx
        self._remote_tx = 0
        self._remote_rx = 1
        self._remote_mult = 0
        self._polling = False
        self._settling = 0
        self._heard: float | None = None
        self._sent = now

    # -- what the rest of the system wants ----------------------------------------------------------------------------

    def configure(self, *, min_tx: int, min_rx: int, detect_mult: int) -> None:
        """Change the intervals; while the session is up, a poll sequence precedes the change (section 6.8.3).

        Arguments:
            min_tx: minimum milliseconds between two packets of this end.
            min_rx: minimum milliseconds between two packets of the other end.
            detect_mult: how many packets of this end may be lost before the other end declares the session down.
        """
        if (min_tx, min_rx, detect_mult) == (self._min_tx, self._min_rx, self._mult):
            return
        before = self._desired_tx
        self._min_tx, self._min_rx, self._mult = min_tx, min_rx, detect_mult
        self._negotiate(before)

    def disable(self, now: float) -> None:
        """Hold the session administratively down."""
        if self.state != BfdState.ADMIN_DOWN:
            self._become(BfdState.ADMIN_DOWN, Diagnostic.ADMINISTRATIVELY_DOWN)
            self.next_packet = now

    def enable(self, now: float) -> None:
        """Let the session come up."""
        if self.state == BfdState.ADMIN_DOWN:
            self._become(BfdState.DOWN, Diagnostic.NONE)
            self.next_packet = now

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def detection_time(self) -> float:
        """The seconds of silence after which the session is declared down; 0 for never (section 6.8.4)."""
        if not self._used_rx:
            return 0.0
        slowest = SLOW if self.state != BfdState.UP or self._settling else 0
        return self._remote_mult * max(self._used_rx, self._remote_tx, slowest) * _MICRO

    @property
    def deadline(self) -> float:
        """The time at which `tick` is due."""
        if self._heard is not None and self.detection_time:
            return min(self.next_packet, self._heard + self.detection_time)
        return self.next_packet

    def tick(self, now: float) -> Control | None:
        """Advance to the present time, and return the packet that is due, if any."""
        if self._heard is not None and self.detection_time and now >= self._heard + self.detection_time:
            self._heard = None
            self.remote_discriminator = 0
            if self.state in (BfdState.INIT, BfdState.UP):
                self._become(BfdState.DOWN, Diagnostic.TIME_EXPIRED)
        if now < self.next_packet:
            return None
        silent = not self._remote_rx and not self._polling
        self._sent = now
        self._schedule(now)
        return None if silent else self._packet(final=False)

    # -- packets ------------------------------------------------------------------------------------------------------

    def receive(self, packet: Control, now: float) -> Control | None:
        """Process a packet of the other end, and return the reply, if any (section 6.8.6)."""
        faster = packet.required_min_rx != self._remote_rx
        self.remote_discriminator = packet.my_discriminator
        self._remote_tx, self._remote_rx = packet.desired_min_tx, packet.required_min_rx
        self._remote_mult = packet.detect_mult
        if packet.final and self._polling:
            self._polling = False
            self._used_tx, self._used_rx = self._desired_tx, self._min_rx
        if self.state == BfdState.ADMIN_DOWN:
            return None
        self._heard = now
        before = self.state
        if self._settling and not packet.final:
            self._settling -= 1
        self._follow(packet.state)
        if before != self.state:
            self.next_packet = now
            self._settling = _FIRST
        elif faster:
            self._schedule(self._sent, now)
        return self._packet(final=True) if packet.poll else None

    def _follow(self, remote: BfdState) -> None:
        match self.state, remote:
            case (BfdState.INIT | BfdState.UP, BfdState.ADMIN_DOWN) | (BfdState.UP, BfdState.DOWN):
                self._become(BfdState.DOWN, Diagnostic.NEIGHBOR_DOWN)
            case BfdState.DOWN, BfdState.DOWN:
                self._become(BfdState.INIT, Diagnostic.NONE)
            case (BfdState.DOWN, BfdState.INIT) | (BfdState.INIT, BfdState.INIT | BfdState.UP):
                self._become(BfdState.UP, Diagnostic.NONE)

    def _become(self, state: BfdState, diagnostic: Diagnostic) -> None:
        before = self._desired_tx
        self.state, self.diagnostic = state, diagnostic
        self._negotiate(before)

    @property
    def _desired_tx(self) -> int:
        return self._min_tx if self.state == BfdState.UP else max(self._min_tx, SLOW)

    def _negotiate(self, before: int) -> None:
        """Start a poll sequence; until it ends, the shorter transmit interval and longer detection time apply."""
        if self.state != BfdState.UP:
            self._polling = False
            self._used_tx, self._used_rx = self._desired_tx, self._min_rx
            return
        self._used_tx = min(before, self._desired_tx)
        self._used_rx = max(self._used_rx, self._min_rx)
        self._polling = True

    def _schedule(self, since: float, now: float | None = None) -> None:
        """Schedule the next packet after the agreed interval, less at most a quarter at random (section 6.8.7)."""
        interval = max(self._used_tx, self._remote_rx, _LEAST) * _MICRO
        jittered = interval * random.uniform(0.75, 0.9 if self._mult == 1 else 1.0)  # noqa: S311
        self.next_packet = max(since + jittered, now if now is not None else since)

    def _packet(self, *, final: bool) -> Control:
        return Control(
            state=self.state,
            my_discriminator=self.discriminator,
            your_discriminator=self.remote_discriminator,
            detect_mult=self._mult,
            desired_min_tx=self._desired_tx,
            required_min_rx=self._min_rx,
            diagnostic=self.diagnostic,
            poll=self._polling and not final,
            final=final,
        )
