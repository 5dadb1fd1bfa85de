"""The session with the integration bridge over OpenFlow.

At each connection the controller reads the switch's flows. Nothing is changed before the first full computation is
done, so that the switch continues to forward while a controller starts or reconnects; then the difference is sent. From
then on every change is one bundle, and edits that wait for flows are written when the switch has confirmed them.

To a switch that has no flows yet, flows are sent in an open bundle while the rest is being computed, so that both work
at the same time; the bundle is committed with the last of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from ovenbird.controller.encapsulation import GENEVE_OPTION
from ovenbird.controller.facts import ADDRESS_SET_FLOW, FLOW, GROUP, METER, PART
from ovenbird.controller.ofctrl.address_set_flows import AddressSetFlows
from ovenbird.controller.ofctrl.flow_table import FlowTable, in_order
from ovenbird.controller.ofctrl.forgotten_connections import ForgottenConnections
from ovenbird.controller.ofctrl.group_table import GroupTable, SelectGroup
from ovenbird.controller.ofctrl.meter_table import MeterTable
from ovenbird.counters.coverage import counter
from ovenbird.counters.stopwatch import stopwatch
from ovenbird.openflow.errors import DecodeError, EncodeError, SwitchError
from ovenbird.openflow.messages import (
    CtFlushZone,
    Error,
    FlowStatsReply,
    FlowStatsRequest,
    GroupDescReply,
    GroupDescRequest,
    GroupMod,
    Message,
    MeterConfigReply,
    MeterConfigRequest,
    ModCommand,
    PacketIn,
    SetConfig,
    SetPacketInFormat,
    TlvCommand,
    TlvTableMod,
    TlvTableReply,
    TlvTableRequest,
)
from ovenbird.openflow.messages.group import ALL_GROUPS
from ovenbird.openflow.transport import OpenFlowSession, keep_connected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovenbird.controller.edits import Edit
    from ovenbird.controller.facts import SwitchGroup, SwitchMeter
    from ovenbird.controller.ofctrl.forgotten_connections import Connections
    from ovenbird.driver.engine_driver import Sink
    from ovenbird.engine.facts import Relation
    from ovenbird.openflow.bundle import Bundle
    from ovenbird.openflow.messages import FlowChange

log = logging.getLogger(__name__)

REFRESH = 3.0
"""Seconds without a change after which a bundle is used again: the switch discards it after 10."""

GROUPS_WAIT = 30.0
"""Seconds within which the switch must have described its groups."""

_WATCH = stopwatch("flow-installation")
_CHANGES, _REFUSED = counter("ofctrl_flow_change"), counter("ofctrl_flow_refused")


class BridgeSession:
    """One bridge.

    Arguments:
        waiting: returns the edits that wait for the present flows.
        confirmed: called with those edits when the switch has the flows.
        on_packet: called with each packet-in.
    """

    def __init__(
        self,
        waiting: Callable[[], Sequence[Edit]],
        confirmed: Callable[[Sequence[Edit]], None],
        on_packet: Callable[[PacketIn], None],
    ) -> None:
        self.table = FlowTable()
        self.sets = AddressSetFlows(self.table)
        self.groups = GroupTable()
        self.meters = MeterTable()
        self.session: OpenFlowSession | None = None
        self._waiting = waiting
        self._confirmed = confirmed
        self._on_packet = on_packet
        self.on_met: Callable[[], None] = lambda: None
        """Called at each connection."""
        self._computed = asyncio.Event()
        self._wake = asyncio.Event()
        self._flush: list[int] = []
        self._forgotten = ForgottenConnections()
        self.has_flows = False
        """Whether the bridge is connected and has had what should be installed since."""
        self._doubted = False
        self._unreadable = False  # whether the switch's groups could not be read
        self._probe_interval = 0.0
        self._bundle: Bundle | None = None
        self._bundled: list[FlowChange] = []
        self.refresh = REFRESH
        """Seconds after which an open bundle is used again."""

    @property
    def connected(self) -> bool:
        """Whether the bridge is connected and its flows are kept up to date."""
        return self.session is not None

    def sinks(self) -> list[tuple[Relation, Sink]]:
        """Return the consumers of groups, meters and flows, by relation; `install_soon` sends the changes."""
        return [
            (GROUP, self._absorb_groups), (METER, self._absorb_meters), (FLOW, self.table.absorb),
            (PART, self.table.absorb_parts), (ADDRESS_SET_FLOW, self.sets.absorb),
        ]  # fmt: skip

    def _absorb_groups(self, *, added: Sequence[SwitchGroup], removed: Sequence[SwitchGroup]) -> None:
        self.groups.absorb(added=added, removed=removed)
        self.wake()

    def _absorb_meters(self, *, added: Sequence[SwitchMeter], removed: Sequence[SwitchMeter]) -> None:
        self.meters.absorb(added=added, removed=removed)
        self.wake()

    def install_soon(self) -> None:
        """Schedule the sending of changed flows, if there are any."""
        if self.table.dirty:
            self.wake()

    def computed(self) -> None:
        """Declare the desired flows complete: from now on they are installed."""
        self._computed.set()
        self.wake()

    def hold(self) -> None:
        """Declare the desired flows incomplete until `computed` is called again; for the next connection."""
        self._computed.clear()

    @property
    def installing(self) -> bool:
        """Whether flows are installed at all yet."""
        return self._computed.is_set()

    def wake(self) -> None:
        """Schedule the sending of changes."""
        self._wake.set()

    def compare(self) -> None:
        """Read the switch's tables again, and correct what differs."""
        self._doubted = True
        self.wake()

    def forget_connections(self, *, added: Sequence[Connections], removed: Sequence[Connections]) -> None:
        """Forget the connections that nothing stands for any more, after the next flows are installed."""
        self._forgotten.absorb(added=added, removed=removed)
        if self._forgotten:
            self.wake()

    def flush_zones(self, zones: Sequence[int]) -> None:
        """Flush the connections of zones before the next flows are installed."""
        self._flush += zones

    async def run(self, target: str) -> None:
        """Follow the bridge at `target` until cancelled."""
        while True:
            await keep_connected(target, self._serve, self._receive)

    def set_probe(self, interval: float) -> None:
        """Probe the switch after these seconds of silence; 0 for never."""
        if interval != self._probe_interval:
            self._probe_interval = interval
            if self.session is not None:
                self.session.set_probe(interval)

    def send(self, message: Message) -> None:
        """Send a message, if the switch is there."""
        if self.session is not None:
            self.session.send(message)

    async def _serve(self, session: OpenFlowSession) -> None:
        session.set_probe(self._probe_interval)
        session.send(SetPacketInFormat())
        session.send(SetConfig())
        await self._map_option(session)
        await self._recall(session)
        self.session = session
        self._wake.set()
        self.on_met()
        is_empty = not self.table.installed
        try:
            if not is_empty:
                await self._computed.wait()
            while True:
                await self._woken(session)
                self._wake.clear()
                began = time.perf_counter()
                if not self.installing:
                    await self._send_ahead(session)
                    continue
                if self._doubted:
                    if self._bundle is not None:
                        await self._install(session)  # what it holds is part of the answer
                    await self._recall(session)
                await self._install(session)
                _WATCH.since(began)
        finally:
            self.session = self._bundle = None
            self.has_flows = False

    async def _recall(self, session: OpenFlowSession) -> None:
        """Read the switch's flows, groups and meters."""
        self._doubted = False
        if self._unreadable:
            session.send(GroupMod(ModCommand.DELETE, ALL_GROUPS))  # and with them the flows that refer to them
        stats = await session.request(FlowStatsRequest())
        self.table.recall([flow for part in stats if isinstance(part, FlowStatsReply) for flow in part.flows])
        self.groups.recall(await self._described_groups(session))
        configurations = await session.request(MeterConfigRequest())
        meters = [meter for part in configurations if isinstance(part, MeterConfigReply) for meter in part.meters]
        self.meters.recall({meter.meter_id: meter for meter in meters})
        log.info("the bridge holds %d flows", len(self.table.installed))

    async def _described_groups(self, session: OpenFlowSession) -> dict[int, SelectGroup]:
        """Return the switch's groups.

        What Open vSwitch 3.1 says of a group that is larger than a message, which other controllers make, has wrong
        lengths, and so has no end or no meaning. The session ends then, and the next one deletes all groups first.

        Raises:
            DecodeError: the groups cannot be read.
        """
        self._unreadable = True
        try:
            async with asyncio.timeout(GROUPS_WAIT):
                descriptions = await session.request(GroupDescRequest())
                await session.barrier()
        except TimeoutError:
            raise DecodeError(f"no end of the description of groups after {GROUPS_WAIT:g} s") from None
        self._unreadable = False
        groups = [group for part in descriptions if isinstance(part, GroupDescReply) for group in part.groups]
        return {group.group_id: SelectGroup(group.buckets, group.selection) for group in groups}

    async def _map_option(self, session: OpenFlowSession) -> None:
        """Map OVN's Geneve option to tun_metadata0, unless it is mapped already."""
        (reply,) = await session.request(TlvTableRequest())
        if isinstance(reply, TlvTableReply) and GENEVE_OPTION not in reply.maps:
            same = tuple(
                m for m in reply.maps if m.index == GENEVE_OPTION.index or m.option_class == GENEVE_OPTION.option_class
            )
            if same:
                session.send(TlvTableMod(TlvCommand.DELETE, same))
            session.send(TlvTableMod(TlvCommand.ADD, (GENEVE_OPTION,)))
            await session.barrier()

    async def _woken(self, session: OpenFlowSession) -> None:
        """Wait for changes; meanwhile repeat the last, lest the switch discards the bundle of a long computation."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.refresh if self._bundle is not None else None):
                    await self._wake.wait()
                    return
            if self._bundled:
                await self._bundle_up(session, self._bundled[-1:])

    async def _send_ahead(self, session: OpenFlowSession) -> None:
        """Add the flows that are known so far to the bundle that `_install` will commit."""
        self._number_things(session)
        if changes := self.table.take():
            await self._bundle_up(session, in_order(changes))

    async def _install(self, session: OpenFlowSession) -> None:
        waiting = self._waiting()
        for zone in self._flush:
            session.send(CtFlushZone(zone))
        self._flush.clear()
        gone = [*self.groups.after(), *self.meters.after()]  # and not what goes while these flows are installed
        self._number_things(session)
        while (changes := self.table.take()) or self._bundle is not None:
            if await self._commit(await self._bundle_up(session, in_order(changes))):
                break
            self._number_things(session)  # what comes next may refer to some that are new
        else:
            if waiting:
                await session.barrier()
        for message in gone:
            session.send(message)
        await self._forgotten.forget(session)
        self.has_flows = True
        if waiting:
            self._confirmed(waiting)

    def _number_things(self, session: OpenFlowSession) -> None:
        """Send the groups and meters that flows refer to."""
        for message in (*self.meters.before(), *self.groups.before()):
            try:
                session.send(message)
            except EncodeError as error:  # the flows that refer to it are refused in their turn
                log.warning("%s is not sent to the switch: %s", type(message).__name__, error)

    async def _bundle_up(self, session: OpenFlowSession, changes: list[FlowChange]) -> Bundle:
        """Add changes to the bundle that is open, or to a new one, and return it."""
        if self._bundle is None:
            self._bundle, self._bundled = await session.open_bundle(), []
        self._bundled += changes
        _CHANGES.count += len(changes)
        await self._bundle.add_flows(changes)
        return self._bundle

    async def _commit(self, bundle: Bundle) -> bool:
        """Commit the bundle; return whether the switch has made the changes; if not, they have to be taken again."""
        self._bundle = None
        try:
            await bundle.commit()
        except SwitchError as refusal:
            self.table.put_back()
            if not bundle.forgotten:
                self._refuse(refusal)
            return False
        self.table.confirm()
        self._bundled = []
        return True

    def _refuse(self, refusal: SwitchError) -> None:
        """Leave out the flow that the switch refused; raise the refusal if it does not identify a flow."""
        key, content = self._bundled[refusal.index] if refusal.index is not None else (None, None)
        if key is None or content is None:
            raise refusal
        _REFUSED.count += 1
        log.error("the switch refuses flow %#x, table %d priority %d: %s", content[1], key[0], key[1], refusal)
        self.table.refuse(key, content)

    def _receive(self, xid: int, message: Message) -> None:
        if isinstance(message, PacketIn):
            self._on_packet(message)
        elif isinstance(message, Error):
            log.warning("the switch refuses a message: %s", message.exception(xid))
