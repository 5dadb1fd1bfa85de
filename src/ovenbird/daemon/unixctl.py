"""The control socket, for `ovs-appctl` and `ovn-appctl`.

JSON-RPC 1.0 over a unix socket: the method is a command's name, the parameters are its arguments as strings; the reply
is a text, or an error that is a text, with an end of line (ovs-appctl(8), ovs-vswitchd(8) "RUNTIME MANAGEMENT
COMMANDS"). After `set-options --format json` the replies of a connection are JSON objects (ovs-appctl(8) of Open
vSwitch 3.5, `--format`). Only the owner of the process may connect; even so, callers have limits in number, bytes and
time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.counters.coverage import counter
from ovenbird.daemon.errors import UsageError
from ovenbird.dataclass import dataclass
from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer
from ovenbird.sockets.listener import Limits, Listener, unix_socket

if TYPE_CHECKING:
    from collections.abc import Iterable
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


_RECEIVED, _REPLIED = counter("unixctl_received"), counter("unixctl_replied")
_LISTENED = counter("pstream_open")


class UnixctlError(Exception):
    """A command has failed; the text is the answer."""


Command = Callable[[list[str]], str]
"""A command: takes arguments, returns the answer."""


@dataclass(frozen=True, slots=True)
class UnixctlCommand:
    """One command: what it does, its arguments for the help text, and how many it takes."""

    run: Command
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
        self.absent: dict[str, str] = {}
        """Commands of the original that are not here, and why."""
        self.callers: set[_Caller] = set()
        self._listener: Listener | None = None
        self.register("version", lambda _: version + "\n")
        self.register("list-commands", lambda _: self._help())
        self.register("help", lambda _: self._help())
        self.register("set-options", lambda _: "", "[--format text|json]", 1, 2)  # a matter of each connection

    def register(self, name: str, run: Command, usage: str = "", least: int = 0, most: int = 0) -> None:
        """Add a command.

        Arguments:
            name: its name.
            run: called with the arguments; returns the answer.
            usage: its arguments in `list-commands`.
            least: the fewest arguments.
            most: the most arguments.
        """
        self.commands[name] = UnixctlCommand(run, usage, least, max(least, most))

    def refuse(self, names: Iterable[str], because: str) -> None:
        """Answer commands of the original that have no meaning here with the reason.

        Arguments:
            names: theirs.
            because: the reason, behind the word "because".
        """
        self.absent |= dict.fromkeys(names, because)

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
        _LISTENED.count += 1

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
        if command is None and (why := self.absent.get(str(method))):
            return None, f'"{method}" is not here, because {why}'
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

    @property
    def usages(self) -> dict[str, str]:
        """The arguments of each command."""
        return {name: command.usage for name, command in sorted(self.commands.items())}

    def _help(self) -> str:
        lines = [f"  {name:<23} {usage}".rstrip() for name, usage in self.usages.items()]
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
        self._as_json = False
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
                _RECEIVED.count += 1
                result, error = self._reply(message["method"], message.get("params", []))
                self._transport.write(orjson.dumps({"id": message.get("id"), "result": result, "error": error}))
                _REPLIED.count += 1
        self._watch(late=self._clogged or self._framer.pending > 0)

    def _reply(self, method: object, params: object) -> tuple[object, str | None]:
        """Return the result and the error of a command, in the form that this caller asks for."""
        if method == "set-options":
            result, error = self._set_options(params)
        else:
            result, error = self._unixctl.answer(method, params)
        if result is None:
            return None, _line(error or "")
        if not self._as_json:
            return _line(result), None
        if method == "list-commands":
            return self._unixctl.usages, None
        return {"reply-format": "plain", "reply": result}, None

    def _set_options(self, params: object) -> tuple[str | None, str | None]:
        """Choose the form of this connection's replies."""
        match params:
            case ["--format", ("text" | "json") as form]:
                self._as_json = form == "json"
                return "", None
            case ["--format", form]:
                return None, f"option format has invalid value {form}"
            case [option, *_]:
                return None, f"unrecognized option '{option}'"
            case _:
                return None, '"set-options" command requires at least 1 arguments'

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


def _line(text: str) -> str:
    """Return a reply that ends its line, unless it is empty."""
    return text if not text or text.endswith("\n") else f"{text}\n"
