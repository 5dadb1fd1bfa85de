"""The API as a service: the application on a socket, run by uvicorn within a running event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import uvicorn

from ovenbird.api.app import create_app
from ovenbird.api.auth import Open, require_loopback
from ovenbird.api.quotas import NONE, USUAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.api.auth import Authenticator
    from ovenbird.api.policy import Policy
    from ovenbird.ovsdb.transaction import Client

GRACE = 5
"""Seconds that requests under way have to finish when the service stops."""


class Service:
    """The API on one address.

    Arguments:
        cloud: client of Cloud.
        northbound: client of Northbound, for ports' status.
        southbound: client of Southbound, for chassis.
        host: address to listen on; where nobody has to log in a loopback one, so that nobody else may connect.
        port: TCP port; 0 picks a free one.
        durable: whether a change is on disk before it is answered.
        authenticator: knows who is asking; None believes everybody. It is closed when the service stops.
        policy: says who may do what; None lets everybody do everything.

    Raises:
        NotLoopbackError: another machine could connect.
    """

    def __init__(
        self,
        cloud: Client,
        northbound: Client | None = None,
        southbound: Client | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 9696,
        durable: bool = True,
        authenticator: Authenticator | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._authenticator = authenticator or Open()
        if not self._authenticator.restricted or policy is None:
            require_loopback(host)
        config = uvicorn.Config(
            create_app(
                cloud,
                northbound,
                southbound,
                durable=durable,
                authenticator=self._authenticator,
                policy=policy,
                quotas=USUAL if self._authenticator.restricted else NONE,
            ),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=75,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self.host = host

    async def start(self) -> None:
        """Listen; return when connections are accepted.

        Raises:
            OSError: the address cannot be had.
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
        except SystemExit as error:  # uvicorn's way to say that it cannot bind, after logging why
            raise OSError(f"the API cannot listen on {self.host}:{self._server.config.port}") from error

    @property
    def port(self) -> int:
        """The TCP port that it listens on."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address that clients are given."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def stop(self) -> None:
        """Finish the requests under way and stop listening; nothing happens where nothing was started."""
        self._server.should_exit = True
        task, self._task = self._task, None
        if task is not None:
            await task
        await self._authenticator.close()


class _Server(uvicorn.Server):
    """A server that leaves signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
