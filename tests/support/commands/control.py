"""The control socket of a daemon, asked as `ovs-appctl` asks it."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Answer(NamedTuple):
    """A command's answer: its text, or that of the error."""

    text: str
    failed: bool


def ask(path: Path, command: str, *arguments: str) -> Answer:
    """Return the answer of a daemon to one command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(json.dumps({"id": 0, "method": command, "params": arguments}).encode())
        data = b""
        while chunk := connection.recv(1 << 16):
            data += chunk
            try:
                answer = json.loads(data)
            except ValueError:
                continue
            failed = answer.get("error") is not None
            return Answer(answer["error"] if failed else answer["result"], failed)
    raise AssertionError(f"{path}: no answer to {command}")


def known(path: Path) -> set[str]:
    """Return the commands that a daemon lists."""
    return set(re.findall(r"^  (\S+)", ask(path, "list-commands").text, re.MULTILINE))
