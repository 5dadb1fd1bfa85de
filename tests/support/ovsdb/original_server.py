"""The original ovsdb-server on a socket of its own, and a blocking client to talk to it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Any

from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: dict[str, Any] = {
    "name": "T",
    "version": "1.0.0",
    "tables": {
        "R": {
            "isRoot": True,
            "maxRows": 4,
            "indexes": [["name"], ["n", "opt"]],
            "columns": {
                "name": {"type": "string"},
                "n": {"type": {"key": {"type": "integer", "minInteger": -5, "maxInteger": 5}}},
                "opt": {"type": {"key": {"type": "integer"}, "min": 0, "max": 1}},
                "ints": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
                "few": {"type": {"key": "integer", "min": 1, "max": 3}},
                "pairs": {"type": {"key": "string", "value": "integer", "min": 0, "max": 3}},
                "real": {"type": "real"},
                "kids": {"type": {"key": {"type": "uuid", "refTable": "K"}, "min": 0, "max": "unlimited"}},
                "kid": {"type": {"key": {"type": "uuid", "refTable": "K"}, "min": 0, "max": 1}},
                "weak": {
                    "type": {"key": {"type": "uuid", "refTable": "K", "refType": "weak"}, "min": 0, "max": "unlimited"},
                },
                "must": {
                    "type": {
                        "key": {"type": "string"},
                        "value": {"type": "uuid", "refTable": "R", "refType": "weak"},
                        "min": 0,
                        "max": "unlimited",
                    },
                },
                "fixed": {"type": "string", "mutable": False},
                "kind": {"type": {"key": {"type": "string", "enum": ["set", ["", "a", "b"]]}}},
                "short": {"type": {"key": {"type": "string", "maxLength": 2}}},
            },
        },
        "K": {
            "columns": {
                "v": {"type": "integer"},
                "peer": {"type": {"key": {"type": "uuid", "refTable": "K"}, "min": 0, "max": 1}},
                "close": {"type": {"key": {"type": "uuid", "refTable": "R", "refType": "weak"}, "min": 1, "max": 2}},
            },
        },
        "F": {
            "columns": {"x": {"type": "integer"}, "to": {"type": {"key": {"type": "uuid", "refTable": "F"}, "min": 0}}}
        },
    },
}


class Client:
    """A JSON-RPC client that waits for each reply."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.buffer = ""

    def call(self, method: str, *params: Any) -> dict[str, Any]:
        self.socket.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode())
        while True:
            message = self.receive()
            if message.get("id") == 1 and "method" not in message:
                return message

    def receive(self) -> dict[str, Any]:
        decoder = json.JSONDecoder()
        while True:
            try:
                message, end = decoder.raw_decode(self.buffer)
            except json.JSONDecodeError:
                self.buffer += self.socket.recv(1 << 20).decode()
            else:
                self.buffer = self.buffer[end:].lstrip()
                return message

    def close(self) -> None:
        self.socket.close()


class Oracle:
    """A running ovsdb-server; `close` ends it."""

    def __init__(self, folder: Path, schema: dict[str, Any] | None = None) -> None:
        (folder / "s.ovsschema").write_text(json.dumps(schema or SCHEMA))
        self.database = folder / "original_server.db"
        self.path = folder / "o.sock"
        subprocess.run(["ovsdb-tool", "create", self.database, folder / "s.ovsschema"], check=True)
        self.process = subprocess.Popen(
            [
                "ovsdb-server",
                f"--remote=punix:{self.path}",
                f"--unixctl={folder}/o.ctl",
                "-vconsole:off",
                self.database,
            ],
        )
        self.client = self._connect()

    def _connect(self) -> Client:
        """Connect as soon as the server listens: for a moment its socket is there and refuses."""
        return until(lambda: Client(self.path), despite=(FileNotFoundError, ConnectionRefusedError))

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(10)


MISSING = None if shutil.which("ovsdb-server") else "ovsdb-server is not installed"
