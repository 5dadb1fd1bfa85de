"""Sends Nova's server external events: Nova waits for them when it starts an instance.

There is no queue of events. The state is the set of ports whose status has changed; the event for each is derived from
the port's status when Nova is reached. The number of events is therefore bounded by the number of ports, however long
Nova is unreachable. For a port that went down and up in the meantime the event is sent again, since Nova may be waiting
for it. Events are idempotent, and a process that takes over first sends those again that may have been lost.

`POST /os-server-external-events` of the Compute API defines the names and members of events.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from ovenbird.dataclass import dataclass
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Port
from ovenbird.model.nb import LogicalSwitchPort
from ovenbird.ovsdb.errors import Disconnected
from ovenbird.ovsdb.types import is_uuid

if TYPE_CHECKING:
    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

PLUGGED, UNPLUGGED, DELETED = "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"

LOCK = "ovenbird_nova"
"""The lock in Northbound that the active notifier holds."""
COMPUTE = "compute:"
"""Prefix of the device owner of Nova's ports."""
BATCH = 500
"""Maximum events of one request."""
GATHER = 0.05
"""Seconds for which events are collected into one request."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a failed request is repeated: at first, and at most; doubled in between."""
NOVA_TIMEOUT = 30.0
"""Seconds for Nova to answer."""
RECENT = 300
"""Seconds for which Nova waits for a port to become active, its ``vif_plugging_timeout``: a notifier that takes over
repeats the events of this period."""
_TOLD_OF = ("admin_state_up", "device_id", "device_owner", "host", "binding_profile")
"""Columns of a port whose changes cause events."""
MOST_GONE = 10_000
"""How many deleted ports are kept while Nova cannot be reached; beyond that, the oldest are dropped."""


class TokenSource(Protocol):
    """A source of tokens for this service."""

    async def login(self, failed: str) -> str:
        """Return a token for Nova, a new one if the last was ``failed``."""

    async def close(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An external event for Nova.

    Arguments:
        name: what happened.
        server: id of the instance.
        port: id of the port.
    """

    name: str
    server: str
    port: str

    @property
    def json(self) -> dict[str, str]:
        """The event in the Compute API's form."""
        return {"name": self.name, "server_uuid": self.server, "status": "completed", "tag": self.port}


class Notifier:
    """Notifies Nova of ports of instances that become active, inactive or deleted.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' `up`.
        url: the Compute API, with its version: `http://controller:8774/v2.1`.
        tokens: the source of tokens; None for a Nova without authentication.
    """

    def __init__(self, cloud: Client, *, northbound: Client, url: str, tokens: TokenSource | None = None) -> None:
        self.cloud = cloud
        self.northbound = northbound
        self.url = f"{url.rstrip('/')}/os-server-external-events"
        self.tokens = tokens
        self.changed: dict[str, None] = {}
        """Ports whose state may differ from Nova's last event, in the order in which they changed."""
        self.gone: dict[str, str] = {}
        """The instance of each deleted port."""
        self.told: dict[str, str] = {}
        """The instance of each port that Nova knows to be active."""
        self._refused = ""
        """The token that Nova refused."""
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Wait for the lock, send events while it is held, and start over when it is lost."""
        async with (
            httpx.AsyncClient(timeout=NOVA_TIMEOUT, trust_env=False) as http,
            contextlib.AsyncExitStack() as stack,
        ):
            if self.tokens is not None:
                stack.push_async_callback(self.tokens.close)
            while True:
                lost = asyncio.Event()
                await self.northbound.lock(LOCK, lost.set)
                telling = asyncio.ensure_future(self._tell_all(http))
                losing = asyncio.ensure_future(lost.wait())
                try:
                    await asyncio.wait([telling, losing], return_when=asyncio.FIRST_COMPLETED)
                    if telling.done() and (error := telling.exception()) is not None:  # the API does not end with it
                        log.error("notifying Nova failed, and starts again", exc_info=error)
                        await asyncio.sleep(LONGEST_PAUSE)
                finally:
                    telling.cancel()
                    losing.cancel()
                    await asyncio.wait([telling])
                    with contextlib.suppress(Disconnected):  # the server has released it then
                        await self.northbound.unlock(LOCK)

    # -- what changed -------------------------------------------------------------------------------------------------

    def look_around(self, now: float) -> None:
        """Record active ports as known to Nova, except those that changed recently, for which Nova may be waiting."""
        self.changed.clear()
        self.gone.clear()
        self.told.clear()
        for row in self.northbound.store.table(LogicalSwitchPort):
            port = self.cloud.store.table(Port).get(UUID(row.name))
            server = _server(port) if port is not None else None
            if port is None or server is None or not self._works(port):
                continue
            self.told[port.uuid] = server
            if now - port.updated_at < RECENT:
                self._note(port.uuid)

    def northbound_changed(self, commit: Commit) -> None:
        """Record the ports that came up or went down."""
        for change in commit.changes.get(LogicalSwitchPort.TABLE, ()):
            if _concerns(change, "up"):
                values = change.new if change.new is not None else change.old
                if values is not None:
                    self._note(values[change.table.position["name"]])

    def cloud_changed(self, commit: Commit) -> None:
        """Record the ports that got an instance, move to another host, were enabled or disabled, or deleted.

        A live migration waits for the event that a port is active on the new host before it moves there.
        """
        for change in commit.changes.get(Port.TABLE, ()):
            if change.old is None:  # a new one does not work yet
                continue
            if change.new is None:
                at = change.table.position
                server = _server_of(change.old[at["device_owner"]], change.old[at["device_id"]])
                if server is not None:
                    self.gone[change.uuid] = server
                    if len(self.gone) > MOST_GONE:
                        forgotten = next(iter(self.gone))
                        del self.gone[forgotten]
                        self.changed.pop(forgotten, None)
                        log.warning(
                            "port %s was deleted, and Nova is not notified: it has been unreachable for too long",
                            forgotten,
                        )
                    self._note(change.uuid)
            elif _concerns(change, *_TOLD_OF):
                self._note(change.uuid)

    def _note(self, port: str) -> None:
        self.changed[port] = None
        self._wake.set()

    def _works(self, port: Port) -> bool:
        row = self.northbound.store.find(LogicalSwitchPort.name, port.uuid)
        return port.admin_state_up and row is not None and bool(row.up)

    # -- telling ------------------------------------------------------------------------------------------------------

    def event(self, uuid: str) -> Event | None:
        """Return the event for a changed port, if it is an instance's."""
        port = self.cloud.store.table(Port).get(UUID(uuid))
        known = self.told.get(uuid)
        if port is None:
            server = self.gone.get(uuid, known)
            return None if server is None else Event(name=DELETED, server=server, port=uuid)
        server = _server(port)
        if server is not None and self._works(port):
            return Event(name=PLUGGED, server=server, port=uuid)
        return None if known is None else Event(name=UNPLUGGED, server=known, port=uuid)

    async def _tell_all(self, http: httpx.AsyncClient) -> None:
        """Send the events of one change after the other until cancelled."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.cloud.on_change(self.cloud_changed))
            stack.callback(self.northbound.on_change(self.northbound_changed))
            self.look_around(time.time())
            while True:
                await self._wake.wait()
                await asyncio.sleep(GATHER)
                self._wake.clear()
                pause = FIRST_PAUSE
                while self.changed:
                    if not await self._tell_some(http):
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, LONGEST_PAUSE)
                    else:
                        pause = FIRST_PAUSE

    async def _tell_some(self, http: httpx.AsyncClient) -> bool:
        """Send the events of some of the changed ports; return whether Nova accepted them."""
        taken = list(self.changed)[:BATCH]
        events = [event for uuid in taken if (event := self.event(uuid)) is not None]
        for uuid in taken:
            del self.changed[uuid]
        if not events:
            return True
        try:
            heard = await self._post(http, events)
        except BaseException:
            self._put_back(events)
            raise
        if not heard:
            self._put_back(events)
            return False
        for event in events:
            if event.name == PLUGGED:
                self.told[event.port] = event.server
            else:
                self.told.pop(event.port, None)
                self.gone.pop(event.port, None)
        return True

    def _put_back(self, events: list[Event]) -> None:
        """Queue events that were not delivered again, before newer ones."""
        self.changed = {**dict.fromkeys(event.port for event in events), **self.changed}

    async def _post(self, http: httpx.AsyncClient, events: list[Event]) -> bool:
        """Send events; return False if the request should be repeated."""
        try:
            token = await self.tokens.login(self._refused) if self.tokens is not None else ""
            headers = {"X-Auth-Token": token} if token else {}
            answer = await http.post(self.url, json={"events": [event.json for event in events]}, headers=headers)
        except Exception as error:  # noqa: BLE001 (any error is one of Nova, Keystone or the network)
            log.warning("Nova cannot be notified of %d ports: %s", len(events), error or type(error).__name__)
            return False
        status = answer.status_code
        if status == httpx.codes.UNAUTHORIZED:
            self._refused = token
        if status >= 500 or status in (401, 403, 408, 429):
            log.warning("Nova refuses the notification of %d ports: %s", len(events), status)
            return False
        if status >= 400 and status != httpx.codes.NOT_FOUND:  # 404: it has none of the instances any more
            log.error("Nova rejects the events of %d ports: %s %s", len(events), status, answer.text)
        _log_failures(answer)
        return True


def _log_failures(answer: httpx.Response) -> None:
    """Log the events that Nova could not deliver; they are not repeated."""
    if answer.status_code != httpx.codes.MULTI_STATUS:
        return
    try:
        events: list[dict[str, Any]] = answer.json()["events"]
        failed = [event for event in events if event.get("code", 200) != 200]
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("Nova's answer is invalid: %.200s", answer.text)
        return
    for event in failed:
        log.info("Nova did not pass on %s", event)


def _concerns(change: RowChange, *columns: str) -> bool:
    """Return whether one of these columns changed, or the row was inserted or deleted."""
    if change.old is None or change.new is None:
        return True
    return any(change.table.position[column] in change.columns for column in columns)


def _server(port: Port) -> str | None:
    return _server_of(port.device_owner, port.device_id)


def _server_of(owner: str, device: str) -> str | None:
    """Return the instance of a port, if it is Nova's."""
    return device if owner.startswith(COMPUTE) and is_uuid(device) else None
