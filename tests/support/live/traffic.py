"""Traffic between instances, from their own namespaces, and an exact account of what became of it.

What must not arrive is proved without waiting: something that must arrive is sent after it, and when that is there
nothing else may be.
"""

import json
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from ovenbird.lab.instance import INTERFACE, Instance
from ovenbird.lab.process import Process
from ovenbird.lab.requirements import environment
from support.live.machine import Machine

ECHO = """
import json, os, socket, struct, sys, threading

def account(connection):  # tcp(7), TCP_INFO: what was sent again, less what turned out to have arrived already
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 224)
    return struct.unpack_from("I", info, 100)[0] - struct.unpack_from("I", info, 216)[0]

def echo(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.sendall(struct.pack("!i", account(connection)))

def serve(server):
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

for port in sys.argv[1:]:
    threading.Thread(target=serve, args=(socket.create_server(("0.0.0.0", int(port))),), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
"""

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except TimeoutError:
    print("dropped")
except ConnectionRefusedError:
    print("refused")
else:
    print("open")
"""

STREAM = """
import json, select, socket, struct, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
connection.settimeout(20)
print("ready", flush=True)

def exactly(size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError(f"the stream ended after {number} messages")
        data += more
    return data

number, slowest = 0, 0.0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    number += 1
    began = time.monotonic()
    connection.sendall(struct.pack("!I", number))
    if struct.unpack("!I", exactly(4))[0] != number:
        raise ValueError(f"message {number} came back as another")
    slowest = max(slowest, time.monotonic() - began)
info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 224)
lost = struct.unpack_from("I", info, 100)[0] - struct.unpack_from("I", info, 216)[0]
connection.shutdown(socket.SHUT_WR)
lost += struct.unpack("!i", exactly(4))[0]
print(json.dumps({"messages": number, "lost": lost, "slowest": slowest}))
"""

SNIFF = """
import socket, sys
marks = [bytes.fromhex(mark) for mark in sys.argv[2:]]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as listener:
    listener.bind((sys.argv[1], 0))
    listener.settimeout(10)
    print("ready", flush=True)
    while True:
        frame = listener.recv(65536)
        seen = [mark.hex() for mark in marks if mark in frame]
        if seen:
            print(*seen, flush=True)
        if seen and seen[-1] == sys.argv[-1]:
            break
"""

SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
    sender.bind((sys.argv[1], 0))
    for frame in sys.argv[2:]:
        sender.send(bytes.fromhex(frame))
"""


class Program:
    """A program that runs in an instance in the background; a context manager that ends it.

    Args:
        instance: where.
        argv: its command line.
        ready: whether it prints a line when it is ready, to be waited for.
        output: a file for what it prints, which is kept for the caller otherwise.
    """

    def __init__(
        self, instance: Instance | Machine, *argv: str, ready: bool = False, output: IO[str] | None = None
    ) -> None:
        self._popen = subprocess.Popen(
            instance.namespace.enter(*argv),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.PIPE,
            text=True,
        )
        if ready and not self._out.readline():
            self.close()
            raise AssertionError(f"{argv[-2:]} did not start: {self.complaint}")

    complaint = ""

    @property
    def _out(self) -> Any:
        return self._popen.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it if it still runs."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(5)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        _, self.complaint = self._popen.communicate()

    def finish(self, timeout: float = 25.0) -> str:
        """Close its standard input, wait for its end, and return the rest of its output."""
        out, error = self._popen.communicate(timeout=timeout)
        assert self._popen.returncode == 0, error
        return out

    def interrupt(self) -> None:
        """Interrupt it as Ctrl-C does, and wait for its end."""
        self._popen.send_signal(signal.SIGINT)
        self._popen.wait(25)


def serve(instance: Instance, *ports: int) -> Program:
    """Start a program in an instance that echoes whatever it gets at TCP ports."""
    return Program(instance, sys.executable, "-c", ECHO, *map(str, ports), ready=True)


def connects(instance: Instance, address: str, port: int, patience: float = 1.0) -> bool:
    """Say whether a new TCP connection is established; nothing but silence counts as No."""
    fate = instance.run(sys.executable, "-c", CONNECT, address, str(port), str(patience)).strip()
    assert fate in {"open", "dropped"}, f"TCP {port} to {address} is {fate}"
    return fate == "open"


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the traffic.

    Args:
        pings: how many echo requests were sent.
        unanswered: the numbers of those that were not answered, though a later one was.
        late: how many were sent after the last one that was answered.
        messages: how many messages went to and fro over TCP.
        lost: how many TCP segments got lost on the way.
        slowest: the longest time a message took, in seconds.
    """

    pings: int
    unanswered: tuple[int, ...]
    late: int
    messages: int
    lost: int
    slowest: float

    @property
    def complete(self) -> bool:
        """Whether nothing got lost; requests of the last moment could not be answered in time."""
        return not self.unanswered and self.late <= _LAST_MOMENT and not self.lost


_LAST_MOMENT = 50  # requests, 1 s: a busy machine answers late


class Traffic:
    """A running ping and an established TCP stream from one instance to another; a context manager.

    Args:
        source: where both come from.
        target: whose TCP `port` is served for the purpose.
        port: one that the target's security group lets in.
    """

    def __init__(self, source: Instance, target: Instance, port: int = 22) -> None:
        address = target.address or ""
        assert source.pings(address)
        self._server = serve(target, port)
        self._log = TemporaryFile("w+")  # noqa: SIM115 - closed with the rest
        self._ping = Program(source, "ping", "-n", "-i", "0.02", address, output=self._log)
        self._stream = Program(source, sys.executable, "-c", STREAM, address, str(port), ready=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in (self._stream, self._ping, self._server):
            program.close()
        self._log.close()

    def account(self) -> Account:
        """End both and return what became of them.

        Raises:
            AssertionError: the stream broke.
        """
        stream = json.loads(self._stream.finish())
        self._ping.interrupt()
        self._log.seek(0)
        story = self._log.read()
        sent = re.search(r"(\d+) packets transmitted", story)
        assert sent is not None, story
        answered = {int(number) for number in re.findall(r"bytes from .*icmp_seq=(\d+)", story)}
        last = max(answered)
        unanswered = tuple(number for number in range(1, last) if number not in answered)
        return Account(int(sent[1]), unanswered, int(sent[1]) - last, **stream)


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _ethernet(source: str, target: str, kind: int) -> bytes:
    return bytes.fromhex(f"{target}{source}".replace(":", "")) + struct.pack("!H", kind)


def echo_request(macs: tuple[str, str], addresses: tuple[str, str], mark: bytes) -> bytes:
    """Return an Ethernet frame with an ICMP echo request.

    Args:
        macs: hardware addresses of sender and receiver.
        addresses: IPv4 addresses of sender and receiver.
        mark: its payload; of even length.
    """
    icmp = struct.pack("!BBHHH", 8, 0, 0, 7, 7) + mark
    icmp = icmp[:2] + struct.pack("!H", _checksum(icmp)) + icmp[4:]
    ends = b"".join(IPv4Address(address).packed for address in addresses)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) + ends
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    return _ethernet(*macs, 0x0800) + ip + icmp


def announcement(mac: str, sender_mac: str, sender_address: str, mark: bytes) -> bytes:
    """Return a broadcast Ethernet frame with a gratuitous ARP reply.

    Args:
        mac: the frame's source.
        sender_mac: who claims the address.
        sender_address: the address.
        mark: follows the ARP packet as padding.
    """
    claim = bytes.fromhex(sender_mac.replace(":", "")) + IPv4Address(sender_address).packed
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + claim + claim
    return _ethernet(mac, "ff:ff:ff:ff:ff:ff", 0x0806) + arp + mark


def received(
    source: Instance | Machine, target: Instance | Machine, frames: Sequence[tuple[bytes, bytes]]
) -> list[bytes]:
    """Send frames and return the marks of those that arrived, in their order, of each as often as it did.

    Args:
        source: sends them from its interface as they are.
        target: listens at its interface.
        frames: pairs of frame and mark; the last one must arrive, and ends the listening.
    """
    marks = [mark.hex() for _, mark in frames]
    with Program(target, sys.executable, "-c", SNIFF, INTERFACE, *marks, ready=True) as listener:
        source.run(sys.executable, "-c", SEND, INTERFACE, *(frame.hex() for frame, _ in frames))
        return [bytes.fromhex(mark) for mark in listener.finish().split()]


def arrivals(source: Instance, target: Instance, frames: Sequence[tuple[bytes, bytes]]) -> set[bytes]:
    """Send frames and return the marks of those that arrived; as `received`."""
    return set(received(source, target, frames))


FLOW = re.compile(r"^ *cookie=(\w+), duration=([\d.]+)s, (table=\d+), n_packets=\d+, n_bytes=\d+, (?:\w+_age=\d+, )*")


def flow_ages(text: str) -> dict[str, float]:
    """Return the age in seconds of every flow in what `ovs-ofctl dump-flows` printed, by cookie, table and the rest."""
    ages = {}
    for line in text.splitlines():
        found = FLOW.match(line)
        if found is not None:
            cookie, age, table = found.groups()
            ages[f"{cookie} {table} {line[found.end() :]}"] = float(age)
    return ages


def kill(process: Process | None) -> Process:
    """End a process as a crash would."""
    assert process is not None
    process.signal(signal.SIGKILL)
    return process
