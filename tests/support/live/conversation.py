"""Conversations by TCP that last, between programs in namespaces."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

from support.live.traffic import Program
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.namespace import Namespace

PORT = 80

SERVER = """
import socket, sys, threading

def talk(connection):
    try:
        while connection.recv(1024):
            connection.sendall(sys.argv[1].encode())
    except ConnectionError:
        pass

server = socket.create_server(("::", int(sys.argv[2])), family=socket.AF_INET6, dualstack_ipv6=True)
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("::", int(sys.argv[2])))
print("ready", flush=True)
while True:
    threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()
"""
"""Answers whatever it is told over TCP with its name, and is there for datagrams."""

CLIENT = """
import socket, sys

def said(connection):
    connection.sendall(b"?")
    return connection.recv(1024).decode() or "closed"

try:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)
    print(said(connection), flush=True)
    for _ in sys.stdin:
        print(said(connection), flush=True)
except TimeoutError:
    print("silence")
except ConnectionRefusedError:
    print("refused")
except ConnectionResetError:
    print("reset")
"""
"""Connects and prints who answers, and again for every line that it is given."""


class Place(Protocol):
    """What programs can run in."""

    @property
    def namespace(self) -> Namespace: ...


def ask(place: Place, address: str, port: int = PORT) -> str:
    """Return who answers at an address, or what else becomes of the connection."""
    return place.namespace.run(sys.executable, "-c", CLIENT, address, str(port), timeout=20).strip()


def answers(place: Place, address: str, *names: str) -> None:
    """Wait until each of some answers at an address, and nobody else has."""
    seen: set[str] = set()

    def all_seen() -> bool:
        who = ask(place, address)
        if who not in names:
            seen.clear()
        seen.add(who)
        return seen == set(names)

    until(all_seen, what=f"{' and '.join(names)} to answer at {address}")


class Conversation:
    """A connection that lasts; a context manager."""

    def __init__(self, place: Place, address: str) -> None:
        argv = (sys.executable, "-c", CLIENT, address, str(PORT))
        self.program = Program(place, *argv)  # type: ignore[arg-type]
        self.partner = self._line()

    def _line(self) -> str:
        return str(self.program._out.readline().strip())

    def say(self) -> str:
        """Say something and return who answers, or what else becomes of it."""
        stdin = self.program._popen.stdin
        assert stdin is not None
        stdin.write("\n")
        stdin.flush()
        return self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.close()
