"""One command at a time: what two commands must not do at once, the second is refused.

The lock is on a directory (flock(2)): the kernel gives it up when its holder ends, however that ends, and no file of
the lock's own is left behind.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovenbird.lab.errors import LabError


@contextmanager
def exclusively(directory: Path, busy: LabError) -> Iterator[None]:
    """Hold the lock of a directory, which is made if it is not there, and then removed again if nothing was put there.

    Arguments:
        directory: which.
        busy: what to raise if somebody else holds it.
    """
    made = False
    while True:
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
            made = True
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise busy from None
        if _is(directory, fd):
            break
        os.close(fd)  # whoever held it before has removed it
    try:
        yield
    finally:
        if made and _is(directory, fd) and not any(directory.iterdir()):
            directory.rmdir()
        os.close(fd)


def _is(directory: Path, fd: int) -> bool:
    try:
        return os.path.samestat(directory.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
