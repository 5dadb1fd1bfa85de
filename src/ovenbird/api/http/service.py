"""The API as a service: the application on a socket, run by uvicorn within a running event loop.

The listener bounds the number of connections, and each connection is bounded in bytes and time
(`api/http/connection.py`), so that clients cannot exhaust the memory or file descriptors of the databases in the same
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import uvicorn

from ovenbird.api.access.auth import Open, require_loopback
from ovenbird.api.access.quotas import DEFAULT_QUOTAS, NONE
from ovenbird.api.http.app import create_app
from ovenbird.api.http.connection import Bounds, Connections, HttpConnection
from ovenbird.sockets.listener import Limits, Listener, bound

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator

    from ovenbird.api.access.auth import Authenticator
    from ovenbird.api.access.policy import Policy
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

GRACE = 0.7
"""Seconds for requests to finish when the service stops: a daemon ends within a second."""

LIMITS = Limits(connections=1024, per_source=512, reserve=256)
"""Connections at once, of all peers and of one, and the descriptors that are left to the databases."""


class ApiService:
    """The API on one address.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' status.
        southbound: client of Southbound, for chassis.
        host: address to listen on; without authentication, a loopback address is required.
        port: TCP port; 0 picks a free one.
        durable: whether a response waits until the change is on disk.
        authenticator: authenticates callers; None accepts every request. It is closed when the service stops.
        policy: authorizes callers; None permits everything.
        limits: on the number of connections.
        bounds: the limits of each connection.
        context: for TLS: returns the SSL context of the next connection; it may raise `OSError`.

    Raises:
        NotLoopbackError: another machine could connect.
    """

    def __init__(
        self,
        cloud: Client,
        *,
        northbound: Client | None = None,
        southbound: Client | None = None,
        host: str = "127.0.0.1",
        port: int = 9696,
        durable: bool = True,
        authenticator: Authenticator | None = None,
        policy: Policy | None = None,
        limits: Limits = LIMITS,
        bounds: Bounds | None = None,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._authenticator = authenticator or Open()
        if not self._authenticator.restricted or policy is None:
            require_loopback(host)
        bounds = bounds or Bounds()
        config = uvicorn.Config(
            create_app(
                cloud,
                northbound=northbound,
                southbound=southbound,
                durable=durable,
                authenticator=self._authenticator,
                policy=policy,
                quotas=DEFAULT_QUOTAS if self._authenticator.restricted else NONE,
            ),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE,  # type: ignore[arg-type]  # seconds, whole or not
            timeout_keep_alive=bounds.idle_seconds,  # type: ignore[arg-type]  # seconds, whole or not
        )
        self._server = _Server(config, limits, Connections(bounds), context)
        self._task: asyncio.Task[None] | None = None
        self.host = host
        self._scheme = "http" if context is None else "https"

    async def start(self) -> None:
        """Listen; return when connections are accepted.

        Raises:
            OSError: the address cannot be bound.
        """
        self._task = asyncio.create_task(self._serve(), name="api")
        while not self._server.started:
            if self._task.done():
                failed, self._task = self._task, None
                await failed
                raise OSError(f"the API cannot listen on {self.host}:{self._server.config.port}")
            await asyncio.sleep(0.005)

    async def _serve(self) -> None:
        try:
            await self._server.serve()
        except OSError as error:
            where = f"{self.host}:{self._server.config.port}"
            raise OSError(f"the API cannot listen on {where}: {error.strerror or error}") from error

    @property
    def connections(self) -> frozenset[Any]:
        """The present connections."""
        return frozenset(self._server.server_state.connections)

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        port: int = self._server.listener.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}"

    async def stop(self) -> None:
        """Finish the present requests and stop listening; do nothing if the service was not started."""
        self._server.should_exit = True
        task, self._task = self._task, None
        if task is not None:
            await task
        await self._authenticator.close()


class _Server(uvicorn.Server):
    """A server with limited connections, which leaves signals to its process.

    Arguments:
        config: uvicorn's.
        limits: on the number of connections.
        connections: the connections, with their limits.
        context: returns the keys for the next connection, where connections are TLS.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        limits: Limits,
        connections: Connections,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        super().__init__(config)
        self._connections = connections
        self.listener = Listener("API", self._connection, limits, context)

    def _connection(self) -> HttpConnection:
        return HttpConnection(self._connections, self.config, self.server_state)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen (called by uvicorn).

        Raises:
            OSError: the address cannot be bound.
        """
        await self.lifespan.startup()
        self.listener.start(sockets or await bound(self.config.host, self.config.port))
        self.servers = [self.listener]  # type: ignore[list-item]  # all that is asked of it is to close
        self.started = True
        for one in self.listener.sockets:
            host, port = one.getsockname()[:2]
            log.info("listening at %s, port %d", host, port)

    async def on_tick(self, counter: int) -> bool:
        """Hold connections to their deadlines (called by uvicorn ten times a second)."""
        if counter % 10 == 0:
            self._connections.check(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
