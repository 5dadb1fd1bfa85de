"""Directories and ports that a test has for itself, whatever else runs on the machine."""

import os
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PORTS = range(10_000, 32_000)
"""Below those that Linux gives to whoever asks for any (`ip_local_port_range`): no client's connection takes one of
these between the look and the use."""


@contextmanager
def short_directory() -> Iterator[Path]:
    """Give an empty directory, gone afterwards, whose path leaves room for the names of sockets (unix(7))."""
    path = Path(tempfile.mkdtemp(prefix="ob", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port at which nobody listens, on any of the machine's addresses.

    Arguments:
        kind: TCP's or UDP's.
    """
    chosen = random.Random(os.urandom(8))  # whatever seeds tests use, no two processes try the same
    while True:
        port = chosen.choice(_PORTS)
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        return port
