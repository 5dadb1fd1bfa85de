"""Programs under measurement: started, fed, and asked for the processor time that they used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

OVENBIRD = (sys.executable, "-m", "ovenbird.cli")


def cpu(pid: int) -> float:
    """Return the seconds of processor time that all threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def memory(pid: int) -> int:
    """Return the resident memory of a process, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    raise ProcessLookupError(pid)


class Place:
    """A directory and the processes that run in it; both go at the end."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ob."))
        kinds = ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")
        self.env = {**os.environ, **{f"{f}_{k}": str(self.path) for f in ("OVS", "OVN") for k in kinds}}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)  # where a service runs, its modules are compiled but once
        self.processes: list[subprocess.Popen[bytes]] = []

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a program."""
        with (self.path / "errors").open("ab") as errors:
            process = subprocess.Popen(argv, env=self.env, stdout=errors, stderr=errors)
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a program."""
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    def run(self, *argv: str) -> str:
        """Run a program to its end and return what it prints."""
        return subprocess.run(argv, env=self.env, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Make a place, and leave nothing of it."""
    here = Place()
    try:
        yield here
    finally:
        for process in reversed(list(here.processes)):
            here.stop(process)
        shutil.rmtree(here.path)


class Database:
    """A plain blocking client of an OVSDB server, so that what is measured is not the client."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX)
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._serial = 0
        self.updates: list[Any] = []
        deadline = time.monotonic() + 60
        while True:
            try:
                self.socket.connect(str(path))
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def call(self, method: str, params: list[Any]) -> Any:
        """Call a method and return its result."""
        self._serial += 1
        self.socket.sendall(json.dumps({"method": method, "params": params, "id": self._serial}).encode())
        while True:
            for message in self.receive():
                if message.get("id") == self._serial and message.get("method") is None:
                    assert not message.get("error"), message
                    return message["result"]
                self._other(message)

    def transact(self, *operations: dict[str, Any]) -> Any:
        """Run a transaction and return its results."""
        results = self.call("transact", [self.name, *operations])
        assert not any(r and r.get("error") for r in results), results
        return results

    def watch(self, table: str, columns: list[str]) -> None:
        """Monitor columns of a table."""
        self.call("monitor", [self.name, table, {table: [{"columns": columns}]}])

    def wait(self, table: str, wanted: Any, timeout: float = 600) -> float:
        """Wait until a row of a watched table is as `wanted` says; return when that arrived."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            updates, self.updates = self.updates, []
            for update in updates:
                for row in update.get(table, {}).values():
                    if "new" in row and wanted(row["new"]):
                        return time.monotonic()
            for message in self.receive():
                self._other(message)
        raise TimeoutError(table)

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return len(self.transact({"op": "select", "table": table, "where": [], "columns": ["_uuid"]})[0]["rows"])

    def receive(self) -> list[Any]:
        """Return the messages that have come."""
        self._buffer += self.socket.recv(1 << 20).decode()
        messages = []
        while self._buffer:
            try:
                message, end = self._decoder.raw_decode(self._buffer)
            except ValueError:
                break
            self._buffer = self._buffer[end:].lstrip()
            messages.append(message)
        return messages

    def _other(self, message: Any) -> None:
        if message.get("method") == "update":
            self.updates.append(message["params"][1])
        elif message.get("method") == "echo":
            answer = {"id": message["id"], "result": message["params"], "error": None}
            self.socket.sendall(json.dumps(answer).encode())
