"""Commands of `ovs-vswitchd` over its control socket (ovs-vswitchd(8), "RUNTIME MANAGEMENT COMMANDS").

JSON-RPC 1.0 over `ovs-vswitchd.<pid>.ctl` in the daemon's run directory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.ovsdb.errors import ProtocolError
from ovenbird.ovsdb.jsonrpc import Framer, request

if TYPE_CHECKING:
    from pathlib import Path

COMMAND_TIMEOUT = 5.0
"""Seconds that an answer may take."""
_PIECE = 65536


class SwitchCommandError(Exception):
    """A command could not be sent to the switch, or was refused."""


def _control_socket(directory: Path) -> Path:
    """Return the control socket of the switch that runs in a directory.

    Raises:
        SwitchCommandError: there is none.
    """
    try:
        pid = (directory / "ovs-vswitchd.pid").read_text(encoding="ascii").strip()
        return directory / f"ovs-vswitchd.{int(pid)}.ctl"
    except (OSError, ValueError):  # started without --pidfile
        found = sorted(directory.glob("ovs-vswitchd.*.ctl"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise SwitchCommandError(f"no ovs-vswitchd in {directory}") from None
        return found[-1]


async def command(directory: Path, name: str, *arguments: str) -> str:
    """Send a command to ovs-vswitchd and return its answer.

    Arguments:
        directory: the switch's run directory.
        name: the command.
        arguments: of the command.

    Raises:
        SwitchCommandError: it cannot be sent, or is refused.
    """
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT):
            return await _asked(_control_socket(directory), name, arguments)
    except (OSError, TimeoutError, ProtocolError) as error:
        raise SwitchCommandError(f"{name}: {error or 'no answer'}") from error


async def _asked(path: Path, name: str, arguments: tuple[str, ...]) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request(name, list(arguments), id_=0))
        framer = Framer()
        while data := await reader.read(_PIECE):
            for answer in framer.feed(data):
                if answer.get("error") is not None:
                    raise SwitchCommandError(f"{name}: {str(answer['error']).strip()}")
                return str(answer.get("result") or "")
        raise SwitchCommandError(f"{name}: the switch hung up")
    finally:
        writer.close()
