"""Servers and clients of load balancers, over TCP and UDP, and the load balancing API of a lab."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import httpx

from support.live.traffic import Program

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab
    from support.live.conversation import Place

PORT = 8080

NAMES = """
import socket, sys, threading
name, port = sys.argv[1].encode(), int(sys.argv[2])

def datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", port))
        while True:
            server.sendto(name, server.recvfrom(64)[1])

threading.Thread(target=datagrams, daemon=True).start()
server = socket.create_server(("0.0.0.0", port))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(name)
"""
"""Answers with its name over TCP and UDP."""

ASK = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
for _ in range(int(sys.argv[4])):
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(0.5)
        try:
            client.connect((sys.argv[2], int(sys.argv[3])))
            if kind == socket.SOCK_DGRAM:
                client.send(b"?")
            print(client.recv(64).decode() or "closed")
        except TimeoutError:
            print("dropped")
        except ConnectionError:
            print("refused")
"""


def serving(instance: Instance, name: str) -> Program:
    """Run a server of both protocols in an instance."""
    return Program(instance, sys.executable, "-c", NAMES, name, str(PORT), ready=True)


def ask(place: Place, address: str, port: int, *, protocol: str = "tcp", times: int = 1) -> list[str]:
    """Return who answers to each of some connections, or what else becomes of them."""
    argv = (sys.executable, "-c", ASK, protocol, address, str(port), str(times))
    return place.namespace.run(*argv, timeout=times + 20).split()


class Octavia:
    """A client of the load balancing API.

    Args:
        lab: whose.
    """

    def __init__(self, lab: Lab) -> None:
        self.url = f"{lab.layout.api}/load-balancer/v2/lbaas"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what it answers."""
        answer = httpx.request(method, f"{self.url}/{path}", json=body, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def make(self, member: str, within: str = "", **values: Any) -> dict[str, Any]:
        """Create a resource."""
        made: dict[str, Any] = self.ask("POST", f"{within}{member}s", {member: values})[member]
        return made
