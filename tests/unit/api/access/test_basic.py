"""HTTP Basic: files of passwords, and requests with and without the right one."""

from __future__ import annotations

import asyncio
import base64
import os
from collections import Counter

import bcrypt
import httpx
import pytest

from ovenbird.api.access.auth import IdentityUnavailable, NotLoopbackError, Open, Unauthorized
from ovenbird.api.access.basic import Basic, BasicError, credentials
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.http.service import ApiService
from ovenbird.model import cloud
from support.api.neutron import InProcess


def line(user, password):
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, b"2b")).decode()
    return f"{user}:{hashed.replace('$2b$', '$2y$')}\n"  # as htpasswd writes it


def login(user, password):
    return [(b"authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode()))]


@pytest.fixture
async def basic(tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text("# people\n\n" + line("admin", "pa:ss") + line("alice", "wönder"))
    made = Basic(file)
    yield made
    await made.close()


async def test_the_right_password_makes_a_caller(basic):
    assert basic.known(login("alice", "wönder")) is None
    caller = await basic.identify(login("alice", "wönder"))
    assert (caller.user, caller.project, caller.roles) == ("alice", "alice", {"member", "reader"})
    assert basic.known(login("alice", "wönder")) == caller
    assert "admin" in (await basic.identify(login("admin", "pa:ss"))).roles


@pytest.mark.parametrize(
    "given",
    [
        [],
        login("alice", "wonder"),
        login("alice", ""),
        login("bob", "wönder"),
        login("", "x"),
        login("alice", "wönder\0"),
        [(b"authorization", b"Bearer x")],
        [(b"authorization", b"Basic")],
        [(b"authorization", b"Basic !!!")],
        [(b"authorization", b"Basic " + base64.b64encode(b"alice"))],
        [(b"authorization", b"Basic " + base64.b64encode(b"\xff:x"))],
    ],
)
async def test_other_credentials_are_refused(basic, given):
    assert basic.known(given) is None
    with pytest.raises(Unauthorized) as refused:
        await basic.identify(given)
    assert refused.value.headers()["WWW-Authenticate"].startswith("Basic realm=")
    assert basic.known(given) is None


def test_the_scheme_is_in_any_case():
    assert credentials(b"bAsIc " + base64.b64encode(b"u:p:q")) == ("u", b"p:q")


async def test_a_long_password_is_compared_up_to_the_limit_of_bcrypt(tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text(line("alice", "x" * 72))
    basic = Basic(file)
    assert (await basic.identify(login("alice", "x" * 100))).user == "alice"
    await basic.close()


async def test_the_file_is_read_again_when_it_changes(basic, monkeypatch):
    await basic.identify(login("alice", "wönder"))
    basic.file.write_text(line("alice", "new"))
    os.utime(basic.file, ns=(1, 1))
    basic._looked = -10.0
    assert basic.known(login("alice", "wönder")) is None
    with pytest.raises(Unauthorized):
        await basic.identify(login("alice", "wönder"))
    assert (await basic.identify(login("alice", "new"))).user == "alice"
    basic.file.write_text("nonsense\n")
    os.utime(basic.file, ns=(2, 2))
    basic._looked = -10.0
    assert basic.known(login("alice", "new")).user == "alice"


@pytest.mark.parametrize("text", ["alice", "alice:plain", ":x", "alice:$apr1$x$y", "alice:$2y$99$" + "a" * 53])
def test_a_file_with_other_lines_is_refused(tmp_path, text):
    file = tmp_path / "htpasswd"
    file.write_text(line("bob", "x") + text + "\n")
    with pytest.raises(BasicError, match="line 2"):
        Basic(file)
    with pytest.raises(BasicError, match="No such file"):
        Basic(tmp_path / "none")


async def test_the_queue_of_password_checks_is_bounded(basic, monkeypatch):
    monkeypatch.setattr("ovenbird.api.access.basic.QUEUE", 3)
    guesses = await asyncio.gather(
        *[basic.identify(login("alice", f"guess {i}")) for i in range(50)], return_exceptions=True
    )
    assert Counter(type(guess) for guess in guesses) == {Unauthorized: 3, IdentityUnavailable: 47}
    assert basic._waiting == 0
    assert (await basic.identify(login("alice", "wönder"))).user == "alice"


async def test_requests_over_http_are_authenticated(basic):
    database = InProcess(cloud.schema(), cloud.ROWS)
    app = create_app(database, authenticator=basic, policy=Policy(RULES))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://neutron") as http:
        assert (await http.get("/")).status_code == 200  # versions are anybody's to see
        for path in ("/v2.0", "/v2.0/networks", "/v2.0/extensions", "/v2.0/networks/x", "/v2.0/quotas"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "Basic"), path
            assert answer.json()["error"]["title"] == "Unauthorized"
        alice, admin = ("alice", "wönder".encode()), ("admin", b"pa:ss")
        made = await http.post("/v2.0/networks", json={"network": {}}, auth=httpx.BasicAuth(*alice))
        assert made.json()["network"]["project_id"] == "alice"
        spoofed = {"X-Project-Id": "admin", "X-Roles": "admin"}
        shared = {"network": {"shared": True}}
        answer = await http.post("/v2.0/networks", json=shared, auth=httpx.BasicAuth(*alice), headers=spoofed)
        assert answer.status_code == 403
        seen = await http.get("/v2.0/networks", auth=httpx.BasicAuth(*admin))
        assert "provider:network_type" in seen.json()["networks"][0]


async def test_each_request_is_a_line_of_the_log_and_a_refused_login_a_warning(basic, caplog):
    caplog.set_level("INFO")
    app = create_app(InProcess(cloud.schema(), cloud.ROWS), authenticator=basic, policy=Policy(RULES))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://neutron") as http:
        answers = [
            await http.get("/v2.0/networks?name=a%20b", auth=("alice", "wönder")),
            await http.get("/v2.0/networks", auth=("alice", "wonder")),
            await http.get("/v2.0/networks", auth=("mallory", "x")),
            await http.get("/v2.0/networks"),
        ]
    ids = [answer.headers["x-openstack-request-id"] for answer in answers]
    lines = [r.getMessage().partition(" time: ") for r in caplog.records if r.name == "ovenbird.api.request"]
    assert [text for text, _, _ in lines] == [
        f'{ids[0]} alice alice 127.0.0.1 "GET /v2.0/networks?name=a%20b HTTP/1.1" status: 200 len: 15',
        *[f'{one} - - 127.0.0.1 "GET /v2.0/networks HTTP/1.1" status: 401 len: 108' for one in ids[1:]],
    ]
    assert all(0 < float(seconds) < 60 for _, _, seconds in lines)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"{ids[1]}: 127.0.0.1: login refused: password of alice",
        f"{ids[2]}: 127.0.0.1: login refused: user mallory",
    ]


def test_an_api_without_authentication_listens_on_loopback_only(basic):
    database = InProcess(cloud.schema(), cloud.ROWS)
    ApiService(database, host="0.0.0.0", authenticator=basic, policy=Policy(RULES))
    with pytest.raises(NotLoopbackError):
        ApiService(database, host="0.0.0.0", authenticator=Open())
    with pytest.raises(NotLoopbackError):
        ApiService(database, host="0.0.0.0", authenticator=basic)  # known, but allowed everything
