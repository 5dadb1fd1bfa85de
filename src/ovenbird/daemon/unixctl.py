"""The control socket that `ovs-appctl` and `ovn-appctl` speak to.

JSON-RPC 1.0 over a unix socket: the method is a command's name, the parameters its arguments as strings; the answer is
a text, or an error that is a text (ovs-appctl(8), ovs-vswitchd(8) "RUNTIME MANAGEMENT COMMANDS").
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.daemon.errors import UsageError
from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)


class CommandError(Exception):
    """A command cannot do what it was asked to; the text is the answer."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it does, its arguments for the help text, and how many it takes."""

    run: Callable[[list[str]], str]
    usage: str = ""
    least: int = 0
    most: int = 0


class Unixctl:
    """The server of one daemon's commands.

    Arguments:
        path: the socket.
        version: what `version` answers.
    """

    def __init__(self, path: Path, version: str) -> None:
        self.path = path
        self.commands: dict[str, Command] = {}
        self.callers: set[_Caller] = set()
        self._server: asyncio.Server | None = None
        self.register("version", lambda _: version + "\n")
        self.register("list-commands", lambda _: self._help())
        self.register("help", lambda _: self._help())

    def register(
        self, name: str, run: Callable[[list[str]], str], usage: str = "", least: int = 0, most: int = 0
    ) -> None:
        """Add a command that takes from `least` to `most` arguments."""
        self.commands[name] = Command(run, usage, least, max(least, most))

    async def start(self) -> None:
        """Listen.

        Raises:
            UsageError: the socket cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Caller(self), self.path)
        except OSError as e:
            raise UsageError(f"{self.path}: could not create control socket: {e.strerror or e}") from e

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for caller in tuple(self.callers):
            caller.close()
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
        except (CommandError, UsageError) as e:
            return None, str(e)

    def _help(self) -> str:
        lines = [f"  {name:<23} {command.usage}".rstrip() for name, command in sorted(self.commands.items())]
        return "The available commands are:\n" + "\n".join(lines) + "\n"


class _Caller(asyncio.Protocol):
    """One connection of an `appctl`.

    Arguments:
        unixctl: whose commands it may give.
    """

    def __init__(self, unixctl: Unixctl) -> None:
        self._unixctl = unixctl
        self._framer = Framer()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (called by asyncio)."""
        self._transport = transport
        self._unixctl.callers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End (called by asyncio)."""
        del exc
        self._unixctl.callers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer the commands that are complete (called by asyncio)."""
        try:
            messages = self._framer.feed(data)
        except ProtocolError as e:
            log.warning("%s: %s", self._unixctl.path, e)
            self.close()
            return
        for message in messages:
            if "method" in message:
                result, error = self._unixctl.answer(message["method"], message.get("params", []))
                self._transport.write(orjson.dumps({"id": message.get("id"), "result": result, "error": error}))

    def close(self) -> None:
        """Hang up, once what was answered is sent."""
        self._transport.close()
