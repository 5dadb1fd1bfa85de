"""A listener's limits: connections in number, of one source, and descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket

import pytest

from ovenbird.sockets.listener import Limits, Listener, bound, source_of
from support.waiting import until_async


class Greeter(asyncio.Protocol):
    """Says hello, so that a client knows that it is served."""

    def connection_made(self, transport):
        transport.write(b"hello")


@contextlib.asynccontextmanager
async def greeting(limits):
    listener = Listener("test", Greeter, limits)
    listener.start(await bound("127.0.0.1", 0))
    try:
        yield listener, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


async def connect(port, source="127.0.0.1"):
    """Return what is read first, and the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        first = await asyncio.wait_for(reader.read(5), 30)
    except ConnectionError:
        first = b""
    return first, writer


async def test_one_source_has_a_share_and_others_are_served():
    async with greeting(Limits(connections=10, per_source=2)) as (listener, port):
        held = [await connect(port) for _ in range(3)]
        assert [first for first, _ in held] == [b"hello", b"hello", b""]
        other, writer = await connect(port, "127.0.0.2")
        assert other == b"hello"
        assert listener.refused == 1
        held[0][1].close()
        await until_async(lambda: len(listener) == 2)
        again, last = await connect(port)
        assert again == b"hello"
        for one in (writer, last, *[w for _, w in held]):
            one.close()
        await until_async(lambda: len(listener) == 0)


async def test_all_sources_together_have_a_limit():
    async with greeting(Limits(connections=3, per_source=2)) as (listener, port):
        held = [await connect(port, f"127.0.0.{i}") for i in range(1, 6)]
        assert [first for first, _ in held] == [b"hello"] * 3 + [b""] * 2
        for _, writer in held:
            writer.close()
        await until_async(lambda: len(listener) == 0)


async def test_the_last_descriptors_are_left_to_others():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with greeting(Limits(connections=1000, per_source=1000, reserve=20)) as (listener, port):
        clients = [socket.socket() for _ in range(60)]
        with socket.socket() as highest:
            most = highest.fileno() + 60
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        try:
            for client in clients:
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", port))
            await until_async(lambda: len(listener) + listener.refused == 60)
            assert 35 <= len(listener) <= 41
            with contextlib.ExitStack() as stack:
                for _ in range(15):  # what others can still open
                    stack.enter_context(socket.socket())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for client in clients:
                client.close()
        await until_async(lambda: len(listener) == 0)


async def test_without_free_descriptors_a_listener_waits_and_logs_once_a_second(caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with greeting(Limits(connections=1000, per_source=1000)) as (listener, port):
        clients = [socket.socket() for _ in range(5)]
        with socket.socket() as highest:
            most = highest.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        try:
            for client in clients:
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", port))
            await until_async(lambda: caplog.records)
            assert len(listener) == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until_async(lambda: len(listener) == 5)
        assert len(caplog.records) < 10
        for client in clients:
            client.close()
        await until_async(lambda: len(listener) == 0)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("2001:db8::5", 5, 0, 0), "20010db800000000"),
        (("2001:db8::ffff:9", 5, 0, 0), "20010db800000000"),
        (("fe80::5%eth0", 5, 0, 2), "fe80::5"),
        ("", ""),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_prefix_of_64_bits(address, source):
    assert source_of(address) == source
