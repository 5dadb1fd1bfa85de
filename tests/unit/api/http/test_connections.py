"""What a connection may take of the process, and all of them: each bound by itself."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ovenbird.api.http.connection import Bounds
from ovenbird.api.http.service import ApiService
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from ovenbird.sockets.listener import Limits
from support.waiting import until_async

GET = b"GET /v2.0/networks HTTP/1.1\r\nhost: x\r\n\r\n"
HALF = b"GET /v2.0/networks HTTP/1.1\r\nhost: x"
POST = b"POST /v2.0/networks HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(limits=None, **bounds):
    service = ApiService(
        Server().add(Database(cloud.schema(), cloud.ROWS)),
        port=0,
        limits=limits or Limits(connections=1000, per_source=1000),
        bounds=Bounds(**bounds),
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@contextlib.asynccontextmanager
async def connected(service):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader):
    """Return what comes until the other side closes."""
    async with asyncio.timeout(60):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def answers(reader, number):
    async with asyncio.timeout(60):
        for _ in range(number):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(15) == b'{"networks":[]}'


async def test_pipelined_requests_are_answered_in_turn():
    async with serving() as service, connected(service) as (reader, writer):
        for number in (1, 10, 17, 3):
            writer.write(GET * number)
            await answers(reader, number)
        writer.write(HALF)
        await asyncio.sleep(0)
        writer.write(b"\r\n\r\n" + GET)
        await answers(reader, 2)


async def test_more_are_not_accepted_and_the_last_answer_says_so():
    async with serving() as service, connected(service) as (reader, writer):
        writer.write(GET * 2000)
        got = await rest(reader)
        assert got.count(b"HTTP/1.1 200") == 17
        assert got.count(b"connection: close") == 1
        assert got.rindex(b"HTTP/1.1 200") < got.index(b"connection: close")
    async with serving(pipelined=4) as service, connected(service) as (reader, writer):
        writer.write(POST % 2 + b"{}" + GET * 50)
        got = await rest(reader)
        assert got.startswith(b"HTTP/1.1 400")
        assert got.count(b"HTTP/1.1 200") == 4


async def test_nothing_is_read_while_requests_wait():
    """However much a peer sends that takes no answers, what is kept for it stays the same."""
    async with serving(stalled_seconds=600) as service, connected(service) as (_, writer):
        await until_async(lambda: service.connections)
        (connection,) = service.connections
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < 64 << 20:
                writer.write(GET * 1000)
                sent += len(GET) * 1000
                async with asyncio.timeout(0.5):
                    await writer.drain()
        assert len(connection.pipeline) <= 17


@pytest.mark.parametrize("beginning", [b"", HALF, b"GET", GET + HALF, b"\r\n" * 10, GET * 3 + b"POST /v2"])
async def test_a_head_has_a_deadline(beginning):
    async with serving(head_seconds=0.2) as service, connected(service) as (reader, writer):
        writer.write(beginning)
        assert b"HTTP/1.1 408" in await rest(reader)


@pytest.mark.parametrize("body", [b"", b"{", b'{"network":{'])
async def test_a_body_has_a_deadline(body):
    async with serving(body_seconds=0.2) as service, connected(service) as (reader, writer):
        writer.write(POST % 20 + body)
        await rest(reader)
        await until_async(lambda: not service.connections)


async def test_a_body_that_arrives_too_slowly_is_refused():
    async with serving(slow_seconds=0.3) as service, connected(service) as (reader, writer):
        writer.write(POST % 100_000 + b"{" * 50_000)
        answer = asyncio.create_task(rest(reader))
        while not answer.done():  # each byte comes in time
            writer.write(b"x")
            await asyncio.wait([answer], timeout=0.02)
        await until_async(lambda: not service.connections)


async def test_single_bytes_do_not_extend_the_deadline_of_a_head():
    async with serving(head_seconds=0.5) as service, connected(service) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        for byte in HALF * 20:
            writer.write(bytes([byte]))
            await asyncio.wait([answer], timeout=0.05)
            if answer.done():
                break
        assert answer.done()
        await until_async(lambda: not service.connections)


async def test_a_connection_on_which_nothing_is_asked_is_closed():
    async with serving(idle_seconds=0.2) as service, connected(service) as (reader, writer):
        writer.write(GET)
        assert (await rest(reader)).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2.0/networks?" + b"x" * 500_000,
        b"GET /v2.0/networks HTTP/1.1\r\nx: " + b"y" * 500_000,
        b"GET /v2.0/networks HTTP/1.1\r\n" + b"x: y\r\n" * 50_000,
        b"GET /v2.0/networks HTTP/1.1\r\n" + b"x" * 500_000,
        b"POST /v2.0/networks HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 50_000,
    ],
)
async def test_a_head_has_a_longest_length(head):
    async with serving() as service, connected(service) as (reader, writer):
        writer.write(head)
        got = await rest(reader)
        assert b"HTTP/1.1 2" not in got
        await until_async(lambda: not service.connections)


async def test_a_body_has_a_longest_length_as_it_is_sent():
    async with serving(body=100_000) as service, connected(service) as (reader, writer):
        writer.write(b"POST /v2.0/networks HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000)
        assert b"HTTP/1.1 2" not in await rest(reader)


async def fill(service, bytes_):
    """Make a network whose list is about so long."""
    async with connected(service) as (reader, writer):
        made = 0
        while made < bytes_:
            body = b'{"networks":[' + b",".join([b'{"description":"%s"}' % (b"x" * 255)] * 500) + b"]}"
            writer.write(POST % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201"), head
            length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split()[1])
            made += len(await reader.readexactly(length))


async def test_a_client_that_does_not_read_its_answer_is_disconnected():
    async with serving(stalled_seconds=0.5) as service:
        await fill(service, 12 << 20)
        async with connected(service) as (reader, writer):
            reader._limit = 1  # asyncio's own flow control: it takes nothing more than this
            writer.write(GET)
            await until_async(lambda: service.connections)
            await until_async(lambda: not service.connections)


async def test_answers_that_are_not_read_have_a_common_bound():
    async with serving(unsent=16 << 20) as service, contextlib.AsyncExitStack() as stack:
        await fill(service, 12 << 20)
        await until_async(lambda: not service.connections)
        for _ in range(6):
            reader, writer = await stack.enter_async_context(connected(service))
            reader._limit = 1
            writer.write(GET)
        await until_async(lambda: 0 < len(service.connections) <= 2)


async def test_connections_have_a_number():
    async with serving(Limits(connections=3, per_source=2)) as service, contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connected(service)) for _ in range(4)]
        served = 0
        for reader, writer in held:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                writer.write(GET)
                await answers(reader, 1)
                served += 1
        assert served == 2


async def test_a_request_under_way_is_finished_when_the_service_stops():
    async with serving() as service, connected(service) as (reader, writer):
        body = b'{"network":{"name":"n"}}'
        writer.write(POST % len(body) + body[:5])
        await until_async(lambda: any(connection.cycle is not None for connection in service.connections))
        stopping = asyncio.create_task(service.stop())
        await until_async(lambda: not service._server.listener.sockets)
        writer.write(body[5:])
        assert (await rest(reader)).startswith(b"HTTP/1.1 201")
        await stopping


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET \xff HTTP/1.1\r\n\r\n", b"\0" * 100]
)
async def test_invalid_http_is_answered_by_400_and_closed(junk):
    async with serving() as service, connected(service) as (reader, writer):
        writer.write(junk)
        got = await rest(reader)
        assert got.startswith(b"HTTP/1.1 400")


async def test_an_unsupported_upgrade_is_ignored():
    async with serving() as service, connected(service) as (reader, writer):
        writer.write(GET[:-2] + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 200")
