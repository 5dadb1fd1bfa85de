"""The use of learned addresses: the timestamps in FDB and MAC_Binding, from which northd computes their age.

In a switch with `fdb_age_threshold` a MAC address expires unless its host sends. The switch counts the packets that the
flows of `lookup_fdb` match. The counters are read several times before a row could expire, and the row of a host that
has sent since the last reading gets a new timestamp. As in OVN, the interval between two readings, and the least age of
a timestamp that is replaced, are three sixteenths of the threshold. The neighbours of routers are treated alike where
northd makes flows that count their packets (`mac_cache_use` of OVN 23.09 and later) and writes
`mac_binding_age_threshold` to the datapath.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from ovenbird.controller.facts import cookie_of
from ovenbird.model.sb import FDB, MACBinding
from ovenbird.model.southbound_lookup import datapath_by_key
from ovenbird.net.addresses import mac_text
from ovenbird.openflow.errors import ConnectionLostError, SwitchError
from ovenbird.openflow.match import Match
from ovenbird.openflow.messages import FlowStatsReply, FlowStatsRequest
from ovenbird.ovsdb.errors import Disconnected, OvsdbError
from ovenbird.pipeline.openflow_tables import OFTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.controller.facts import AgedDatapath
    from ovenbird.openflow.transport import OpenFlowSession
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)

_AT_ONCE = 500
"""How many rows one transaction updates."""

_LEAST_PERIOD = 0.25
"""Fewest seconds between two readings."""

_M64 = (1 << 64) - 1


class StationUse:
    """The use of MAC addresses and neighbours on one chassis.

    Arguments:
        southbound: has the rows.
        session: returns the session with the switch; None if it is not connected.
    """

    def __init__(self, southbound: Replica, session: Callable[[], OpenFlowSession | None]) -> None:
        self._southbound = southbound
        self._session = session
        self._thresholds: dict[tuple[int, bool], int] = {}
        self._counts: dict[tuple[int, bool, int], int] = {}
        self._changed = asyncio.Event()

    def absorb(self, *, added: Iterable[AgedDatapath], removed: Iterable[AgedDatapath]) -> None:
        """Process a wave's datapaths."""
        for gone in removed:
            self._thresholds.pop((gone.key, gone.neighbours), None)
        for datapath in added:
            self._thresholds[datapath.key, datapath.neighbours] = datapath.threshold
        self._changed.set()

    def forget(self) -> None:
        """Forget all datapaths, before the rules run anew."""
        self._thresholds.clear()

    @property
    def period(self) -> float | None:
        """Seconds between two readings; None if there is nothing to read."""
        return max(_least_age(min(self._thresholds.values())) / 1000, _LEAST_PERIOD) if self._thresholds else None

    async def run(self) -> None:
        """Keep the times of used addresses recent, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._refresh()
            except (SwitchError, ConnectionLostError, Disconnected, OvsdbError) as error:
                log.debug("the use of learned MAC addresses is not known: %s", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.period)

    async def _refresh(self) -> None:
        session = self._session()
        if session is None or not self._southbound.connected:
            return
        used: list[FDB | MACBinding] = []
        counts: dict[tuple[int, bool, int], int] = {}
        for (key, neighbours), threshold in list(self._thresholds.items()):
            table = OFTable.MAC_CACHE_USE if neighbours else OFTable.LOOKUP_FDB
            replies = await session.request(FlowStatsRequest(table, Match({"metadata": (key, _M64)})))
            found = _by_cookie(replies) if neighbours else dict(_counted(replies))
            counts |= {(key, neighbours, name): packets for name, packets in found.items()}
            busy = [name for name, packets in found.items() if packets > self._counts.get((key, neighbours, name), 0)]
            before = now() - _least_age(threshold)
            used += self._unheard_of(key, busy, before) if neighbours else self._outdated(key, busy, before)
        self._counts = counts
        for start in range(0, len(used), _AT_ONCE):
            transaction = self._southbound.transaction()
            for row in used[start : start + _AT_ONCE]:
                transaction.update(row, {"timestamp": now()})
            await self._southbound.commit(transaction)

    def _outdated(self, key: int, macs: Iterable[int], before: int) -> Iterator[FDB]:
        """Yield the rows of MAC addresses with a time before another one.

        Arguments:
            key: the tunnel key of their switch.
            macs: the addresses.
            before: in milliseconds since the epoch.
        """
        index = self._southbound.store.table(FDB).index(FDB.mac, FDB.dp_key)
        for mac in macs:
            yield from [row for row in index.rows((mac_text(mac), key)) if row.timestamp <= before]

    def _unheard_of(self, key: int, cookies: Iterable[int], before: int) -> Iterator[MACBinding]:
        """Yield the rows of neighbours with a time before another one.

        Arguments:
            key: the tunnel key of their router.
            cookies: those of their flows.
            before: in milliseconds since the epoch.
        """
        busy, store = frozenset(cookies), self._southbound.store
        datapath = datapath_by_key(store, key) if busy else None
        if datapath is not None:
            rows = store.select(MACBinding.datapath, datapath.uuid)
            yield from [row for row in rows if row.timestamp <= before and cookie_of(row) in busy]


def now() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _least_age(threshold: int) -> int:
    return 3 * threshold // 16


def _counted(replies: Iterable[object]) -> Iterator[tuple[int, int]]:
    """Yield the MAC address and the number of packets of each flow."""
    for reply in replies:
        for flow in reply.flows if isinstance(reply, FlowStatsReply) else ():
            if "eth_src" in flow.match:
                yield flow.match["eth_src"][0], flow.n_packets


def _by_cookie(replies: Iterable[object]) -> Counter[int]:
    """Return the number of packets by the cookie of their flows."""
    found: Counter[int] = Counter()
    for reply in replies:
        for flow in reply.flows if isinstance(reply, FlowStatsReply) else ():
            found[flow.cookie] += flow.n_packets
    return found
