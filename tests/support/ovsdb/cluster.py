"""A Raft cluster of the original's database servers on loopback (ovsdb(7), "Clustered Database Service Model")."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess

import orjson
import pytest

from support.waiting import until_async


def free_ports(number):
    """Return TCP ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Three servers of one database.

    Arguments:
        directory: theirs; its path has to be short.
        schema: of the database.
    """

    def __init__(self, directory, schema):
        if shutil.which("ovsdb-server") is None:
            pytest.skip("ovsdb-server is not installed")
        self.directory = directory
        self.name = schema.name
        ports = free_ports(6)
        self.members = [f"tcp:127.0.0.1:{port}" for port in ports[:3]]
        self.clients = [f"tcp:127.0.0.1:{port}" for port in ports[3:]]
        self.processes = [None] * 3
        file = directory / "schema"
        file.write_bytes(orjson.dumps(schema.to_json()))
        self._tool("create-cluster", directory / "0.db", file, self.members[0])
        for n in (1, 2):
            self._tool("join-cluster", directory / f"{n}.db", self.name, self.members[n], self.members[0])

    def _tool(self, *arguments):
        subprocess.run(["ovsdb-tool", *arguments], check=True)

    @property
    def remote(self):
        """Where clients connect to."""
        return ",".join(self.clients)

    def start(self, n):
        """Start a server."""
        command = [
            "ovsdb-server",
            self.directory / f"{n}.db",
            f"--remote=p{self.clients[n]}".replace("ptcp:127.0.0.1:", "ptcp:"),
        ]
        command[-1] += ":127.0.0.1"
        command += [f"--unixctl={self.directory}/{n}.ctl", f"--log-file={self.directory}/{n}.log"]
        quiet = ["-vconsole:off", "-vsyslog:off"]
        self.processes[n] = subprocess.Popen([*command, *quiet], stderr=subprocess.DEVNULL)

    def status(self, n):
        """Return what a server says of itself; empty where it does not answer."""
        command = ["ovs-appctl", "-t", f"{self.directory}/{n}.ctl", "cluster/status", self.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout

    async def leader(self, *, members=3):
        """Return the leader, when there is one and this many servers are members."""

        async def leaders():
            told = {n: await asyncio.to_thread(self.status, n) for n in range(3) if self.processes[n] is not None}
            found = [n for n, text in told.items() if "Role: leader" in text]
            assert sum("Status: cluster member" in text for text in told.values()) == members, told
            assert len(found) == 1, told
            return found

        return (await until_async(leaders))[0]

    def stop(self, n, *, kill=False):
        """End a server, at once or in order."""
        process, self.processes[n] = self.processes[n], None
        if process is not None:
            (process.kill if kill else process.terminate)()
            process.wait(20)

    def close(self):
        """End every server."""
        for n in range(3):
            self.stop(n, kill=True)
