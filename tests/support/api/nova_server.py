"""A Compute API of one method, and a Keystone that lets everybody in.

It remembers what it is told, and answers what a test wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import json


class NovaServer:
    """Listens on the loopback address, on a free port unless one is given."""

    def __init__(self, port=0):
        self.port = port
        self.events = []
        self.requests = []
        self.logins = []
        """Users who asked for a token: it is Keystone too."""
        self.answers = []
        """Statuses of the next answers; 200 when there are no more."""
        self.hold = asyncio.Event()
        self.hold.set()
        self.heard = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v2.1"
        return self

    async def __aexit__(self, *_):
        self.hold.set()
        self.server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                if " /v3/auth/tokens " in head:
                    self.logins.append(body["auth"]["identity"]["password"]["user"])
                    token = f"x-subject-token: token{len(self.logins)}"
                    writer.write(f'HTTP/1.1 201 x\r\n{token}\r\ncontent-length: 13\r\n\r\n{{"token": {{}}}}'.encode())
                    continue
                await self.hold.wait()
                status = self.answers.pop(0) if self.answers else 200
                self.requests.append((head.split("\r\n")[0], headers, body, status))
                if status == 200:
                    self.events += [(e["name"], e["server_uuid"], e["tag"], e["status"]) for e in body["events"]]
                writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
                await writer.drain()
                self.heard.set()
        writer.close()

    async def until(self, count):
        """Wait until that many events have been taken, and return them."""
        return await self._when(lambda: len(self.events) >= count)

    async def hears_of(self, port):
        """Wait until an event of a port has been taken."""
        return await self._when(lambda: any(event[2] == port for event in self.events))

    async def _when(self, done):
        async with asyncio.timeout(60):
            while not done():
                self.heard.clear()
                await self.heard.wait()
        return self.events
