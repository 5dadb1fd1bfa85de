"""What instances are told: our own documents, and Nova's through the proxy, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat

import pytest

from ovenbird.metadata import server as server_module
from ovenbird.metadata.builtin_provider import BuiltinProvider
from ovenbird.metadata.errors import RecordError, UnknownInstanceError, UpstreamError
from ovenbird.metadata.instance_lookup import InstancePort
from ovenbird.metadata.instance_userdata import InstanceUserdata, UserdataStore
from ovenbird.metadata.nova import Nova, sign
from ovenbird.metadata.provider import Request, Response
from ovenbird.metadata.server import MetadataServer
from ovenbird.sockets.listener import Limits
from support import ROOT
from support.waiting import until_async

WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
INSTANCE = InstancePort(
    network="n1",
    port="7d2c4a0e-port",
    device="lab-a",
    project="p1",
    name="a",
    mac="02:00:00:00:00:05",
    cidrs=("10.0.0.5/24", "fd00::5/64"),
    mtu=1442,
    address="10.0.0.5",
)
USERDATA = InstanceUserdata("alpha", {"mine": "ssh-ed25519 AAAA"}, b"\x00\xff", {"k": "v"})


@pytest.fixture
def store(tmp_path):
    return UserdataStore(tmp_path / "boots")


async def get(store, path, method="GET"):
    return await BuiltinProvider(store).answer(INSTANCE, Request(method=method, target=path))


async def test_the_openstack_documents(store):
    store.put("lab-a", USERDATA)
    data = json.loads((await get(store, "/openstack/latest/meta_data.json")).body)
    assert (data["hostname"], data["project_id"], data["public_keys"]) == ("alpha", "p1", {"mine": "ssh-ed25519 AAAA"})
    network = json.loads((await get(store, "/openstack/2018-08-27/network_data.json")).body)
    assert [n["type"] for n in network["networks"]] == ["ipv4_dhcp", "ipv6"]
    assert (await get(store, "/openstack/latest/user_data")).body == b"\x00\xff"
    assert (await get(store, "/openstack")).body.splitlines()[-1] == b"latest"


async def test_the_ec2_documents(store):
    store.put("lab-a", USERDATA)
    assert (await get(store, "/latest/")).body == b"meta-data/\nuser-data"
    assert (await get(store, "/latest/meta-data/local-ipv4")).body == b"10.0.0.5"
    assert (await get(store, "/latest/meta-data/public-keys/")).body == b"0=mine"
    assert (await get(store, "//2009-04-04/meta-data/public-keys/0/openssh-key")).body == b"ssh-ed25519 AAAA"


async def test_documents_that_an_instance_was_not_given_are_404(store):
    assert (await get(store, "/openstack/latest/user_data")).status == 404
    assert (await get(store, "/latest/meta-data/hostname")).body == b"a"
    assert (await get(store, "/latest/meta-data/hostname/x")).status == 404
    assert (await get(store, "/", "POST")).status == 405


def test_userdata_survives_and_is_private(store):
    store.put("../odd", USERDATA)
    assert store.get("../odd") == USERDATA
    assert stat.S_IMODE(store.path("../odd").stat().st_mode) == 0o600
    assert store.path("../odd").parent == store.directory
    store.remove("../odd")
    assert store.get("../odd") == InstanceUserdata()


@pytest.mark.parametrize("text", ["{", "[]", '{"hostname": 1}', '{"user_data": "%"}', '{"other": ""}', '{"keys": []}'])
def test_a_damaged_file_is_refused(store, text):
    store.put("a", USERDATA)
    store.path("a").write_text(text)
    with pytest.raises(RecordError):
        store.get("a")


def test_the_signature():
    # RFC 4231, test case 2
    assert sign("Jefe", instance="what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


class Guest:
    """A server on loopback, and what it has been asked."""

    def __init__(self, handle, limits=server_module.LIMITS):
        self.server = MetadataServer(handle, limits=limits)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    async def __aenter__(self):
        self.socket.setblocking(False)
        await self.server.start([self.socket])
        return self

    async def __aexit__(self, *_):
        await self.server.stop()

    async def send(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()
            await writer.wait_closed()


async def test_nova_is_asked_in_the_instances_name_alone():
    asked = []

    async def nova(address, request):
        asked.append((address, request))
        return Response(200, b"from nova", "application/json")

    async with Guest(nova) as upstream:
        provider = Nova(f"http://127.0.0.1:{upstream.port}", secret="secret")
        forged = ((b"x-instance-id", b"other"), (b"x-forwarded-for", b"1.2.3.4"), (b"accept", b"text/x"))
        answer = await provider.answer(
            INSTANCE, Request(method="POST", target="/openstack/latest/password?a=%2F", headers=forged, body=b"pw")
        )
        await provider.close()
    assert answer == Response(200, b"from nova", "application/json")
    ((_, request),) = asked
    assert (request.method, request.target, request.body) == ("POST", "/openstack/latest/password?a=%2F", b"pw")
    headers = [(name, value) for name, value in request.headers if name.startswith(b"x-") or name == b"accept"]
    assert sorted(headers) == [
        (b"accept", b"text/x"),
        (b"x-forwarded-for", b"10.0.0.5"),
        (b"x-instance-id", b"lab-a"),
        (b"x-instance-id-signature", sign("secret", instance="lab-a").encode()),
        (b"x-tenant-id", b"p1"),
    ]


async def test_a_nova_that_is_not_there_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    provider = Nova(f"http://127.0.0.1:{port}", secret="secret")
    with pytest.raises(UpstreamError) as refused:
        await provider.answer(INSTANCE, Request(method="GET", target="/"))
    assert refused.value.status == 503
    await provider.close()


async def echo(address, request):
    return Response(200, f"{address} {request.method} {request.target}".encode() + request.body)


async def test_requests_on_one_connection_are_answered_in_turn():
    async with Guest(echo) as guest:
        answer = await guest.send(
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD /b HTTP/1.1\r\nHost: x\r\n\r\n"
            b"PUT /c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        )
    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"127.0.0.1 GET /a" in answer
    assert b"HEAD /b" not in answer
    assert answer.endswith(b"127.0.0.1 PUT /chi")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET http://evil/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000 + b"\r\n\r\n", b"431"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70000, b"413"),
    ],
)
async def test_malformed_and_too_large_requests_are_refused(request_, status):
    async with Guest(echo) as guest:
        assert (await guest.send(request_)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(("error", "status"), [(UnknownInstanceError("x"), b"404"), (UpstreamError(503, "x"), b"503")])
async def test_errors_become_statuses(error, status):
    async def fail(_address, _request):
        raise error

    async with Guest(fail) as guest:
        answer = await guest.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_silent_clients_and_those_with_too_many_connections_are_disconnected(monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 0.1)
    async with Guest(echo, Limits(connections=10, per_source=1)) as guest:
        silent = [asyncio.create_task(guest.send(b"GET /")) for _ in range(2)]
        ends = await asyncio.gather(*silent, return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
        assert guest.server.refused == 1
        assert (await guest.send(WHOLE)).startswith(b"HTTP/1.1 200")


async def test_clients_that_do_not_read_answers_are_disconnected(monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE", 0.2)

    async def large(_address, _request):
        return Response(200, b"x" * (16 << 20))

    async with Guest(large) as guest:
        reader, writer = await asyncio.open_connection("127.0.0.1", guest.port, limit=1)
        writer.write(WHOLE)
        await until_async(lambda: guest.server.connections)
        await until_async(lambda: not guest.server.connections)
        writer.transport.abort()
        del reader


async def test_an_internal_error_is_answered_too():
    async def fail(_address, _request):
        raise ValueError("x")

    async with Guest(fail) as guest:
        assert (await guest.send(WHOLE)).startswith(b"HTTP/1.1 500")


def test_an_instance_without_a_boot_file_is_logged_once(tmp_path, caplog):
    store = UserdataStore(tmp_path)
    assert store.get("vm") == store.get("vm") == InstanceUserdata()
    why = f"{tmp_path}/vm.json: no such boot file: the instance gets no keys and no user data"
    assert caplog.messages == [why]
    store.put("vm", InstanceUserdata(hostname="vm"))
    assert store.get("vm").hostname == "vm"
    store.remove("vm")
    store.get("vm")
    assert caplog.messages == [why, why]
    (tmp_path / "vm.json").mkdir()
    with pytest.raises(RecordError, match=r"vm\.json: Is a directory"):
        store.get("vm")


def test_the_file_that_the_page_shows(store):
    page = (ROOT / "docs/cloud.md").read_text()
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    store.directory.mkdir(parents=True, exist_ok=True)
    store.path("a/b").write_text(shown)
    userdata = store.get("a/b")
    assert (store.path("a/b").name, userdata.user_data) == ("a%2Fb.json", b"#cloud-config\n")
    assert userdata.to_json().keys() == json.loads(shown).keys()
