"""The lab's state file: a journal of everything that the lab has made.

Invariant: a thing is recorded before it is made and forgotten after it is removed, so that everything that exists is
recorded and `down` can clean up after any crash; removing what was recorded but never made is no error anywhere.

The file holds one JSON array per line, `["+", kind, name, data]` or `["-", kind, name]`, appended under a lock on the
file. A last line that a crash left incomplete is ignored.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from ovenbird.lab.errors import NotRunningError, StateError

FILE_NAME = "lab.state"


class Kind(StrEnum):
    """What a lab makes."""

    LAYOUT = "plan"  # as state files of earlier versions have it
    SERVICE = "service"
    NAMESPACE = "namespace"
    PROCESS = "process"
    INSTANCE = "instance"


class State:
    """The state file of the lab in one run directory.

    Arguments:
        rundir: the lab's run directory.
    """

    __slots__ = ("path",)

    def __init__(self, rundir: Path) -> None:
        self.path = rundir / FILE_NAME

    @property
    def exists(self) -> bool:
        """Whether a lab has been made here and not been removed."""
        return self.path.exists()

    def add(self, kind: Kind, name: str, data: Mapping[str, Any] | None = None) -> None:
        """Record a thing that is about to be made, or replace what is recorded about it.

        Arguments:
            kind: what it is.
            name: unique among those of its kind.
            data: what else is to be known about it.
        """
        self._append(["+", kind, name, dict(data or {})])

    def remove(self, kind: Kind, name: str) -> None:
        """Forget a thing that is gone."""
        self._append(["-", kind, name])

    def things(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """Return what is recorded of one kind, name to data, in the order it was made.

        Raises:
            NotRunningError: there is no state file.
            StateError: a line of it is none that a lab writes.
        """
        things: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            match line:
                case ["+", str(of), str(name), dict(data)]:
                    if of == kind:
                        things[name] = data
                case ["-", str(of), str(name)]:
                    if of == kind:
                        things.pop(name, None)
                case _:
                    raise StateError(f"{self.path} has a line that no lab wrote: {line!r}")
        return things

    def _lines(self) -> Iterator[Any]:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            raise NotRunningError(f"no cloud runs in {self.path.parent}") from None
        for number, line in enumerate(text.split(b"\n")[:-1], 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise StateError(f"{self.path}, line {number}, is not JSON: {line!r}") from None

    def _append(self, entry: list[Any]) -> None:
        data = json.dumps(entry).encode() + b"\n"
        with self._locked() as fd:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # torn by a crash: it was never a record
                whole = self.path.read_bytes().rfind(b"\n") + 1
                os.ftruncate(fd, whole)
            os.write(fd, data)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # the run directory is gone
            raise NotRunningError(f"no cloud runs in {self.path.parent}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)
