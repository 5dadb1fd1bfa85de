"""The calls of a client to its server (JSON-RPC 1.0): which replies are awaited, and how late ones are handled."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from ovenbird.namedtuple import NamedTuple
from ovenbird.ovsdb import jsonrpc
from ovenbird.ovsdb.errors import Disconnected, OvsdbError, ProtocolError, from_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.ovsdb.transport import Connection

_log = logging.getLogger(__name__)

T = TypeVar("T")

LATE = 5.0
"""Seconds after which a missing reply is logged; and between two echoes to a server without inactivity probes, whose
connection is not closed for silence."""


class _Awaited(NamedTuple):
    """An answer that is awaited, and what is called with the result before anything behind it is looked at."""

    future: asyncio.Future[Any]
    on_result: Callable[[Any], None] | None


class Calls:
    """The calls of one client, on one connection after the other.

    Arguments:
        database: what messages call the server.
    """

    def __init__(self, database: str) -> None:
        self.database = database
        self.connection: Connection | None = None
        self._awaited: dict[int, _Awaited] = {}
        self._last_number = 0
        self._echo: asyncio.Task[bool] | None = None  # whether the server answers
        self._late = False

    async def call(self, method: str, params: Any, on_result: Callable[[Any], None] | None = None) -> Any:
        """Call a method of the server.

        Arguments:
            method: its name.
            params: as RFC 7047 says.
            on_result: is called with the result when it comes, before any message behind it is received.

        Raises:
            OvsdbError: the server answers with an error.
            Disconnected: there is no connection, or it was lost before the answer.
            ProtocolError: the parameters have a string that OVSDB cannot have; nothing was sent.
        """
        if self.connection is None:
            raise Disconnected(f"no connection to database {self.database}")
        number = self._last_number + 1
        message = jsonrpc.request(method, params, id_=number)
        if jsonrpc.has_nul(message):
            raise ProtocolError("a string contains U+0000 (RFC 7047, section 3.1)")
        self._last_number = number
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._awaited[number] = _Awaited(future, on_result)
        late = loop.call_later(LATE, self._report_late, method)
        self.connection.send(message)
        try:
            return await future
        finally:
            late.cancel()
            self._awaited.pop(number, None)

    async def answered(self, shape: type[T], method: str, params: Any) -> T:
        """Call a method whose result must have a certain form; otherwise the connection is closed.

        Arguments:
            shape: `list` or `dict`.
            method: the method's name.
            params: as RFC 7047 says.

        Raises:
            OvsdbError: the server answers with an error.
            Disconnected: there is no connection, or it was lost, or given up, before a proper answer.
        """
        answer = await self.call(method, params)
        if not isinstance(answer, shape):
            _log.warning("database %s: the server's answer to %s is invalid", self.database, method)
            self.give_up()
            raise Disconnected(f"the answer of database {self.database} to {method} is invalid")
        return answer

    async def answers(self, seconds: float) -> bool:
        """Return whether the server answers within some seconds; concurrent callers share one echo."""
        echo = self._echo
        if echo is None or echo.done():
            echo = self._echo = asyncio.create_task(self._echoes())
        done, _ = await asyncio.wait((echo,), timeout=seconds)
        return bool(done) and echo.result()

    async def _echoes(self) -> bool:
        try:
            await self.call("echo", [])
        except (OvsdbError, Disconnected):
            return False
        return True

    def receive(self, message: dict[str, Any]) -> None:
        """Take an answer from the server."""
        awaited = self._awaited.get(message.get("id"))  # type: ignore[arg-type]
        if awaited is None or awaited.future.done():
            return
        if self._late:
            self._late = False
            _log.info("database %s: the server answers", self.database)
        error = message.get("error")
        if error is not None:
            awaited.future.set_exception(from_json(error))
            return
        result = message.get("result")
        if awaited.on_result is not None:
            awaited.on_result(result)
        awaited.future.set_result(result)

    def give_up(self) -> None:
        """End the connection."""
        if self.connection is not None:
            self.connection.abort()

    def drop(self) -> None:
        """Forget a connection that ended: what is awaited does not come any more."""
        connection, self.connection = self.connection, None
        self._late = False
        if connection is not None:
            connection.on_lost = lambda _error: None
            connection.abort()
        for future, _ in self._awaited.values():
            if not future.done():
                future.set_exception(Disconnected(f"connection to database {self.database} lost"))
        self._awaited = {}

    def _report_late(self, method: str) -> None:
        if not self._late:
            self._late = True
            _log.warning("database %s: the server has not answered %s for %g s", self.database, method, LATE)
