"""Probes of load balancers' backends on this chassis, from Southbound's Service_Monitor table.

A backend is probed by the chassis on which its port is up. Probes are output to the port directly; flows of the switch
punt the answers to the controller (`handle_svc_check`). The result is written to Service_Monitor.status as soon as it
is determined.

A chassis probes a limited number of backends, and sends a limited number of probes a second; further probes wait.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, to
from ovenbird.controller.facts import PROBED_BACKEND, ProbeTimes
from ovenbird.controller.inject import deliver_actions
from ovenbird.controller.local.local_data import hosted_row, is_main_chassis
from ovenbird.controller.local.local_store import outcome, record
from ovenbird.controller.packet_registers import register
from ovenbird.controller.protocols.backend_probe import BackendProbe, answer_of
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.model.options import number
from ovenbird.model.sb import PortBinding, ServiceMonitor
from ovenbird.net.addresses import is_mac
from ovenbird.net.errors import PacketError
from ovenbird.net.ip import ip_address, is_address
from ovenbird.net.tcp import Tcp
from ovenbird.openflow.messages import PacketOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.controller.facts import ProbedBackend
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import Message, PacketIn

log = logging.getLogger(__name__)

MOST_PROBED = 4096
"""The largest number of backends that one chassis probes."""
PROBES_PER_SECOND = 500
_DAY = 86_400
_LAST_PORT = 0xFFFF
_PAUSE = 1.0
"""Seconds between two checks whether the switch is ready, while it is not."""
_FIRST = 0.05
"""Seconds before the first packet, so that the flows of the same wave are installed."""

_End = tuple[int, int, str, str, int]
"""The key of a datapath, the key of a port, a protocol, an IP address and a transport port."""


@rule(ServiceMonitor)
def probes(row: ServiceMonitor) -> Iterator[Fact]:
    """Yield a backend that this chassis probes."""
    port = find(PortBinding.logical_port, row.logical_port)
    if port is None or port.up is not True or not is_main_chassis(port):
        return
    datapath = hosted_row(PortBinding.datapath.raw(port))
    if datapath is None or not (is_address(row.ip) and is_address(row.src_ip) and is_mac(row.src_mac)):
        return
    address, source = ip_address(row.ip), ip_address(row.src_ip)
    mac = mac_for(port, str(address))
    if address.version != source.version or not mac or not 0 < row.port <= _LAST_PORT:
        return
    options = row.options
    yield PROBED_BACKEND(
        uuid=row.uuid,
        datapath=datapath.tunnel_key,
        port=port.tunnel_key,
        protocol=row.protocol or "tcp",
        mac=mac,
        address=str(address),
        number=row.port,
        source_mac=row.src_mac,
        source=str(source),
        times=ProbeTimes(
            interval=number(options, "interval", 5, low=1, high=_DAY),
            timeout=number(options, "timeout", 3, low=1, high=_DAY),
            success_count=number(options, "success_count", 1, low=1),
            failure_count=number(options, "failure_count", 1, low=1),
        ),
    )


def mac_for(port: PortBinding, address: str) -> str:
    """Return the MAC of a port's entry that has an IP address, or that has no addresses; empty if there is none."""
    plain = ""
    for entry in sorted(port.mac):
        mac, *ips = entry.split() or [""]
        if not is_mac(mac):
            continue
        if address in [str(ip_address(ip)) for ip in ips if is_address(ip)]:
            return mac
        if not ips:
            plain = plain or mac
    return plain


@rule(ServiceMonitor)
def probe_status(row: ServiceMonitor) -> Iterator[Fact]:
    """Yield the status of a backend for Southbound."""
    status = outcome(row.uuid)
    if status is not None and row.status != status:
        yield EDIT(row, to(ServiceMonitor.status, status))


class _Run:
    """A probe and its timer."""

    __slots__ = ("probe", "timer")

    def __init__(self, probe: BackendProbe) -> None:
        self.probe = probe
        self.timer: asyncio.TimerHandle | None = None

    @property
    def end(self) -> _End:
        """The key by which answers are matched to the probe."""
        fact = self.probe.fact
        return fact.datapath, fact.port, fact.protocol, fact.address, fact.number


class ServiceMonitors:
    """Probes the backends of one chassis.

    Arguments:
        send: sends a message to the switch.
        own: the controller's local rows, in which results are recorded.
        wake: called when there is a new result.
        reaches: returns whether the switch is connected and has its flows.
    """

    def __init__(
        self, send: Callable[[Message], None], own: Store, wake: Callable[[], None], reaches: Callable[[], bool]
    ) -> None:
        self._reaches = reaches
        self._send = send
        self._own = own
        self._wake = wake
        self._runs: dict[str, _Run] = {}
        self._by_end: dict[_End, _Run] = {}
        self._beyond: dict[str, ProbedBackend] = {}
        self._due: dict[_Run, None] = {}  # those that wait for their turn to send, in this order
        self._turn: asyncio.TimerHandle | None = None  # the next turn, while there are any

    def absorb(self, *, added: Iterable[ProbedBackend], removed: Iterable[ProbedBackend]) -> None:
        """Process a wave's facts; a probe whose settings change starts again."""
        for fact in removed:
            self._stop(fact.uuid)
        for fact in added:
            if len(self._runs) < MOST_PROBED:
                self._begin(fact)
                continue
            if not self._beyond:
                log.warning("there are more than %d backends to probe here: the others are not probed", MOST_PROBED)
            self._beyond[fact.uuid] = fact
        while self._beyond and len(self._runs) < MOST_PROBED:
            self._begin(self._beyond.pop(next(iter(self._beyond))))

    def close(self) -> None:
        """Stop all probes."""
        self._beyond.clear()
        for uuid in list(self._runs):
            self._stop(uuid)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def receive(self, packet_in: PacketIn) -> None:
        """Process a backend's answer to a probe.

        Raises:
            PacketError: it is not an answer to any probe.
        """
        source, answer = answer_of(packet_in.packet)
        protocol, port = ("tcp", answer.sport) if isinstance(answer, Tcp) else ("udp", answer.dport)
        where = register(packet_in, "metadata"), register(packet_in, "reg14")
        run = self._by_end.get((*where, protocol, source, port))
        if run is None:
            raise PacketError(f"an answer from {source}, {protocol} port {port}, which is not probed")
        frame = run.probe.receive(answer, asyncio.get_running_loop().time())
        if frame is not None:
            self._out(run, frame)
        self._follow(run)

    def _begin(self, fact: ProbedBackend) -> None:
        run = _Run(BackendProbe(fact))
        self._runs[fact.uuid] = self._by_end[run.end] = run
        run.timer = asyncio.get_running_loop().call_later(_FIRST, self._tick, run)

    def _stop(self, uuid: str) -> None:
        self._beyond.pop(uuid, None)
        run = self._runs.pop(uuid, None)
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        self._due.pop(run, None)
        if self._by_end.get(run.end) is run:
            del self._by_end[run.end]
        record(self._own, uuid, value=None)
        self._wake()

    def _follow(self, run: _Run) -> None:
        """Record the status of a probe, and set its timer again."""
        status = run.probe.status
        if status is not None and record(self._own, run.probe.fact.uuid, value=status):
            self._wake()
        if run.timer is not None:
            run.timer.cancel()
        run.timer = asyncio.get_running_loop().call_at(run.probe.deadline, self._tick, run)

    def _tick(self, run: _Run) -> None:
        """Do what is due; what sends has to wait for its turn."""
        if not run.probe.sends or not self._reaches():
            self._advance(run)
            return
        self._due[run] = None
        if self._turn is None:
            self._take_turns()

    def _take_turns(self) -> None:
        """Have the next one send, and the others in turn, as long as any wait."""
        self._turn = None
        run = next(iter(self._due), None)
        if run is not None:
            del self._due[run]
            try:
                self._advance(run)
            finally:
                self._turn = asyncio.get_running_loop().call_later(1 / PROBES_PER_SECOND, self._take_turns)

    def _advance(self, run: _Run) -> None:
        """Send what is due, or take note that no answer has come; what there is no switch for is put off."""
        now = asyncio.get_running_loop().time()
        if not self._reaches():  # what no switch delivers says nothing of a backend
            run.probe.put_off(now + _PAUSE)
        elif (frame := run.probe.tick(now)) is not None:
            self._out(run, frame)
        self._follow(run)

    def _out(self, run: _Run, frame: bytes) -> None:
        fact = run.probe.fact
        self._send(PacketOut(packet=frame, actions=deliver_actions(datapath=fact.datapath, port=fact.port)))
