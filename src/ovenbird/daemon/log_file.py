"""The log file, on a disk that may be full.

A line that cannot be written is dropped and counted; nothing waits for it or fails. The other destinations report the
failure once; the file itself gets the number of dropped lines when it can be written again. A line that was written
only in part is cut off.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("ovenbird.vlog")


class LogFile(logging.Handler):
    """Appends lines to a file.

    Arguments:
        path: the file, made if need be.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.lost = 0
        """How many lines could not be written since the last one that was."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line, or count it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as every handler of the library does
            self.handleError(record)
            return
        missing = f"{self.lost} lines are missing here: the file could not be written\n" if self.lost else ""
        try:
            self._append(f"{missing}{line}\n".encode(errors="replace"))
        except OSError as error:
            self.lost += 1
            if self.lost == 1:  # this line comes back here, and is counted like any other
                _log.warning("%s: write failed (%s): lines are lost until writes succeed", self.path, error.strerror)
        else:
            self.lost = 0

    def _append(self, data: bytes) -> None:
        """Write all of it or nothing.

        Raises:
            OSError: the file cannot be written.
        """
        written = os.write(self._descriptor, data)
        if written < len(data):
            try:
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
            except OSError:
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()
