"""Keys may come later, change, or not fit: a connection is made once they do, and a process never ends of it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess

import pytest

from ovenbird.ovsdb.server import Server
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys, check, of_switch, versions
from ovenbird.ovsdb.transport import Connection, Remote, connect

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two sets of an authority, a key and a certificate."""
    sets = []
    for name in ("one", "two"):
        place = tmp_path_factory.mktemp(name)
        ca, ca_key, key, request, cert = (
            str(place / n) for n in ("ca.pem", "ca.key", "key.pem", "req.pem", "cert.pem")
        )
        new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl(*new, "-x509", "-subj", f"/CN=authority {name}", "-days", "2", "-keyout", ca_key, "-out", ca)
        openssl(*new, "-subj", f"/CN=peer {name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert)
        sets.append({"private_key": key, "certificate": cert, "ca_cert": ca})
    return sets


@pytest.fixture
def place(tmp_path):
    """Where keys are put, and the files that they have there."""

    def put(files):
        for name, path in files.items():
            shutil.copy(path, tmp_path / f"{name}.new")
            (tmp_path / f"{name}.new").rename(tmp_path / name)

    put.files = KeyFiles(**{n: str(tmp_path / n) for n in ("private_key", "certificate", "ca_cert")})
    return put


async def peer_name(keys, port):
    """Connect, and say who is there."""
    connection = await connect(Remote.parse(f"ssl:127.0.0.1:{port}"), Connection, keys)
    certificate = connection._transport.get_extra_info("peercert")
    connection.abort()
    return certificate["subject"][0][0][1] if certificate else None


@pytest.fixture
async def served():
    servers = []

    async def at(files):
        server = Server(TlsKeys(lambda: files))
        await server.listen("pssl:0:127.0.0.1")
        servers.append(server)
        return server.port("pssl:0:127.0.0.1")

    yield at
    for server in servers:
        await server.close()


async def test_keys_that_come_later_and_change(made, place, served, caplog):
    port = await served(place.files)
    ours, theirs = (TlsKeys(lambda files=files: KeyFiles(**files)) for files in made)
    with pytest.raises(ConnectionError):
        await peer_name(ours, port)
    assert "No such file" in caplog.text
    place(made[0])
    assert await peer_name(ours, port) == "peer one"
    place({"certificate": made[1]["certificate"]})  # does not fit the key
    assert await peer_name(ours, port) == "peer one"
    assert "keys from before stay in use" in caplog.text
    place(made[1])
    assert await peer_name(theirs, port) == "peer two"
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        await peer_name(ours, port)


async def test_a_handshake_that_fails_leaves_nothing_behind(made):
    server = Server(TlsKeys(lambda: KeyFiles(**made[0])))
    await server.listen("pssl:0:127.0.0.1")
    try:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port("pssl:0:127.0.0.1"))
            writer.write(b"no handshake at all" * 10)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
        assert not server.service.sessions
        assert not server._connections
        assert server.status("pssl:0:127.0.0.1")[0] is False
    finally:
        await server.close()


async def test_a_client_waits_for_keys_that_fit(made, place, served):
    port = await served(KeyFiles(**made[0]))
    keys = TlsKeys(lambda: place.files)
    with pytest.raises(OSError, match=r"certificate .* and private key .*: No such file"):
        await peer_name(keys, port)
    place({**made[0], "private_key": made[1]["private_key"]})
    with pytest.raises(OSError, match=r"(?i)mismatch"):
        await peer_name(keys, port)
    place(made[0])
    assert await peer_name(keys, port) == "peer one"
    with pytest.raises(OSError, match="TLS needs a private key, a certificate and a CA certificate"):
        await peer_name(TlsKeys(KeyFiles), port)


async def test_an_authority_is_taken_from_the_first_server_and_kept(made, tmp_path, served):
    authority = tmp_path / "fetched.pem"
    keys = TlsKeys(lambda: KeyFiles(**{**made[0], "ca_cert": str(authority)}, bootstrap=True))
    silent = await served(KeyFiles(**{**made[0], "ca_cert": "none"}))
    with pytest.raises(OSError, match=r"does not send its authority's certificate"):
        await peer_name(keys, silent)
    assert not authority.exists()
    port = await served(KeyFiles(**made[0], peer_ca_cert=made[0]["ca_cert"]))
    with pytest.raises(OSError, match="once more"):
        await peer_name(keys, port)
    assert "BEGIN CERTIFICATE" in authority.read_text()
    assert await peer_name(keys, port) == "peer one"
    other = await served(KeyFiles(**made[1], peer_ca_cert=made[1]["ca_cert"]))
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        await peer_name(keys, other)


async def test_an_authority_s_file_is_whole_or_not_there(made, tmp_path, served, monkeypatch):
    authority = tmp_path / "fetched" / "ca.pem"
    authority.parent.mkdir()
    keys = TlsKeys(lambda: KeyFiles(**{**made[0], "ca_cert": str(authority)}, bootstrap=True))
    port = await served(KeyFiles(**made[0], peer_ca_cert=made[0]["ca_cert"]))

    def full(_):
        raise OSError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(OSError, match="no space left"):
            await peer_name(keys, port)
    assert not list(authority.parent.iterdir())
    with pytest.raises(OSError, match="once more"):
        await peer_name(keys, port)
    assert [path.name for path in authority.parent.iterdir()] == ["ca.pem"]
    assert await peer_name(keys, port) == "peer one"


async def test_versions_and_ciphers_are_what_was_asked_for(made, served):
    old = await served(KeyFiles(**made[0], protocols="TLSv1.2", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))
    new = await served(KeyFiles(**made[0], protocols="TLSv1.3"))

    async def used(port, **more):
        keys = TlsKeys(lambda: KeyFiles(**made[0], **more))
        connection = await connect(Remote.parse(f"ssl:127.0.0.1:{port}"), Connection, keys)
        found = connection._transport.get_extra_info("cipher")
        connection.abort()
        return found[:2]

    assert await used(old) == ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2")
    assert (await used(new))[1] == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await used(old, protocols="TLSv1.3")


async def test_an_unverified_connection_that_fetched_the_authority_is_not_kept(made, tmp_path, served):
    authority = tmp_path / "fetched.pem"
    keys = TlsKeys(lambda: KeyFiles(**{**made[0], "ca_cert": str(authority)}, bootstrap=True))
    port = await served(KeyFiles(**made[0], peer_ca_cert=made[0]["ca_cert"]))
    both = await asyncio.gather(peer_name(keys, port), peer_name(keys, port), return_exceptions=True)
    assert [isinstance(each, OSError) for each in both] == [True, True]
    assert await peer_name(keys, port) == "peer one"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["TLSv1_2", "TLSv1_3"]),
        ("TLSv1.3", ["TLSv1_3"]),
        ("TLSv1,TLSv1.1 TLSv1.2", ["TLSv1_2"]),
        ("TLSv1.3,TLSv1.2", ["TLSv1_2", "TLSv1_3"]),
    ],
)
def test_lists_of_versions(text, found):
    assert [version.name for version in versions(text)] == found


@pytest.mark.parametrize("wrong", [{"protocols": "TLSv1.1"}, {"protocols": "SSLv3"}, {"ciphers": "NOSUCH"}])
def test_unknown_and_unsafe_versions_and_ciphers_are_refused(wrong):
    with pytest.raises(ValueError, match=r"not safe|not a version|selects no cipher"):
        check(KeyFiles(**wrong))


def test_the_command_line_goes_before_the_switchs_table():
    row = {"private_key": "k", "certificate": "c", "ca_cert": "a", "bootstrap_ca_cert": True}
    assert of_switch(KeyFiles(protocols="TLSv1.3"), [row]) == KeyFiles(
        private_key="k", certificate="c", ca_cert="a", bootstrap=True, protocols="TLSv1.3"
    )
    assert of_switch(KeyFiles(private_key="x", certificate="y", ca_cert="z"), [row]) == KeyFiles(
        private_key="x", certificate="y", ca_cert="z"
    )
    assert of_switch(KeyFiles(), []) == KeyFiles()
