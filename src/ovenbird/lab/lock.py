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
    """Hold the lock of a directory, which is made if it is not there, and then removed again if nothing was put there.

    Arguments:
        directory: which.
        busy: what to raise if somebody else holds it.
        shared: whether others may hold it at the same time, if they share it too.
        keep: whether an empty directory stays, unless what is done under the lock fails.
        wait: seconds for others to give it up.

    Raises:
        LayoutError: there can be no such directory.
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
            continue  # somebody has just removed it
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            if _is(directory, fd):
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise busy from None
            time.sleep(_POLL)
        os.close(fd)  # or whoever held it before has removed the directory
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
