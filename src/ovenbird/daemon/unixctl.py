"""The control socket, for `ovs-appctl` and `ovn-appctl`.

JSON-RPC 1.0 over a unix socket: the method is a command's name, the parameters are its arguments as strings; the reply
is a text, or an error that is a text (ovs-appctl(8), ovs-vswitchd(8) "RUNTIME MANAGEMENT COMMANDS"). Only the owner of
the process may connect; even so, callers have limits in number, bytes and time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.daemon.errors import UsageError
from ovenbird.dataclass import dataclass
from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer
from ovenbird.sockets.listener import Limits, Listener, unix_socket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

LIMITS = Limits(connections=64, per_source=64, reserve=8)
"""Maximum callers at once; descriptors are reserved for them, which databases and the API cannot use."""
LONGEST = 1 << 20
"""Maximum bytes of a command with its arguments."""
UNREAD = 1 << 20
"""Bytes of unread answers from which no more commands of a caller are read."""
CALL_TIMEOUT = 60.0
"""Seconds for a caller to complete a command, and to read an answer."""


class UnixctlError(Exception):
    """A command has failed; the text is the answer."""


@dataclass(frozen=True, slots=True)
class UnixctlCommand:
    """One command: what it does, its arguments for the help text, and how many it takes."""

    run: Callable[[list[str]], str]
    usage: str = ""
    least: int = 0
    most: int = 0


class Unixctl:
    """The server of one daemon's commands.

    Arguments:
        path: the socket; None for no control socket.
        version: the answer of `version`.
    """

    def __init__(self, path: Path | None, version: str) -> None:
        self.path = path
        self.commands: dict[str, UnixctlCommand] = {}
        self.callers: set[_Caller] = set()
        self._listener: Listener | None = None
        self.register("version", lambda _: version + "\n")
        self.register("list-commands", lambda _: self._help())
        self.register("help", lambda _: self._help())

    def register(
        self, name: str, run: Callable[[list[str]], str], usage: str = "", least: int = 0, most: int = 0
    ) -> None:
        """Add a command.

        Arguments:
            name: its name.
            run: called with the arguments; returns the answer.
            usage: its arguments in `list-commands`.
            least: the fewest arguments.
            most: the most arguments.
        """
        self.commands[name] = UnixctlCommand(run, usage, least, max(least, most))

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the socket cannot be made.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            listener = Listener(str(self.path), lambda: _Caller(self), LIMITS)
            listener.start([unix_socket(str(self.path))])
        except OSError as e:
            raise UsageError(f"{self.path}: could not create control socket: {e.strerror or e}") from e
        self._listener = listener

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for caller in tuple(self.callers):
            caller.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def answer(self, method: object, params: object) -> tuple[str | None, str | None]:
        """Run one command.

        Returns:
            The result and the error, one of which is None.
        """
        command = self.commands.get(method) if isinstance(method, str) else None
        if command is None:
            return None, f'"{method}" is not a valid command (use "list-commands" to see a list of valid commands)'
        if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            return None, f'"{method}" command takes only strings as arguments'
        if len(params) < command.least:
            return None, f'"{method}" command requires at least {command.least} arguments'
        if len(params) > command.most:
            return None, f'"{method}" command takes at most {command.most} arguments'
        try:
            return command.run(params), None
        except (UnixctlError, UsageError) as e:
            return None, str(e)

    def _help(self) -> str:
        lines = [f"  {name:<23} {command.usage}".rstrip() for name, command in sorted(self.commands.items())]
        return "The available commands are:\n" + "\n".join(lines) + "\n"


class _Caller(asyncio.Protocol):
    """One connection of an `appctl`.

    Arguments:
        unixctl: the server of the commands.
    """

    def __init__(self, unixctl: Unixctl) -> None:
        self._unixctl = unixctl
        self._framer = Framer(LONGEST)
        self._transport: Any = None
        self._waiting: deque[dict[str, Any]] = deque()
        self._clogged = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection (called by asyncio)."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=UNREAD)
        self._unixctl.callers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection (called by asyncio)."""
        del exc
        self._watch(late=False)
        self._waiting.clear()
        self._unixctl.callers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Execute complete commands (called by asyncio)."""
        try:
            self._waiting += self._framer.feed(data)
        except ProtocolError as e:
            log.warning("%s: %s", self._unixctl.path, e)
            self.close()
            return
        self._answer()

    def pause_writing(self) -> None:
        """Stop reading commands: the caller does not read answers (called by asyncio)."""
        self._clogged = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume reading commands (called by asyncio)."""
        self._clogged = False
        self._answer()
        if not self._clogged and not self._transport.is_closing():
            self._transport.resume_reading()

    def _answer(self) -> None:
        while self._waiting and not self._clogged:
            message = self._waiting.popleft()
            if "method" in message:
                result, error = self._unixctl.answer(message["method"], message.get("params", []))
                self._transport.write(orjson.dumps({"id": message.get("id"), "result": result, "error": error}))
        self._watch(late=self._clogged or self._framer.pending > 0)

    def _watch(self, *, late: bool) -> None:
        """Start the time limit while a command is incomplete or an answer is unread; it is not restarted meanwhile."""
        if late and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CALL_TIMEOUT, self._give_up)
        elif not late and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        log.warning("%s: a caller takes more than %g s to end a command or to read", self._unixctl.path, CALL_TIMEOUT)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection once the answers are sent."""
        self._transport.close()
