"""Locks between commands: of two commands that must not run at once, the second waits or is refused.

A lock is on a directory (flock(2)): the kernel releases it when its holder ends in any way, and no lock file remains.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovenbird.lab.errors import LabError, LayoutError

_POLL = 0.02  # seconds


@contextmanager
def locked(
    directory: Path, busy: LabError, *, shared: bool = False, keep: bool = False, wait: float = 0.0
) -> Iterator[None]:
    """Hold the lock of a directory, which is created if needed, and removed again if it is empty at the end.

    Arguments:
        directory: the directory.
        busy: the exception to raise if the lock is held already.
        shared: whether it is a shared lock.
        keep: whether an empty directory stays if there is no exception.
        wait: seconds to wait for the lock.

    Raises:
        LayoutError: the directory cannot be created.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + wait
    made = False
    while True:
        if not directory.is_dir():
            _make(directory)
            made = True
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process has just removed it
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            if _is(directory, fd):
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise busy from None
            time.sleep(_POLL)
        os.close(fd)  # or its former holder has removed the directory
    needed = False
    try:
        yield
        needed = keep
    finally:
        if made and not needed and _is(directory, fd) and not any(directory.iterdir()):
            directory.rmdir()
        os.close(fd)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LayoutError(f"there can be no directory {directory}: {error.strerror}") from error


def _is(directory: Path, fd: int) -> bool:
    try:
        return os.path.samestat(directory.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
