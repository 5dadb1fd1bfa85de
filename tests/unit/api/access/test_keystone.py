"""Tokens: what is asked of Keystone, how often, and what is made of its answers; Keystone is a small server here."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

from ovenbird.api.access.auth import Caller, IdentityUnavailable, Unauthorized
from ovenbird.api.access.keystone import Account, Keystone, KeystoneError, account
from ovenbird.api.access.token_cache import CallerCache
from support.waiting import until_async


def stamp(seconds):
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def token(user="alice", project="red", roles=("Member", "reader"), lasts=3600):
    return {
        "user": {"id": user},
        "project": {"id": project},
        "roles": [{"name": role} for role in roles],
        "expires_at": stamp(lasts),
    }


class SmallKeystone:
    """Answers what the Identity API says; every request is noted."""

    def __init__(self):
        self.tokens = {"t-alice": token(), "t-nova": token("nova", "service", ("service",))}
        self.own = 0
        self.valid = set()
        self.requests = []
        self.broken = None
        self.answering = asyncio.Event()
        self.answering.set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def stop(self):
        self.server.close()

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, extra, answer = self.answer(*lines[0].split()[:2], headers, body)
                await self.answering.wait()
                sent = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
                fields = "".join(f"{k}: {v}\r\n" for k, v in extra.items())
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(sent)}\r\n{fields}\r\n".encode() + sent)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method, path, headers, body):
        self.requests.append((method, headers.get("x-subject-token")))
        if self.broken is not None:
            return self.broken
        assert path.startswith("/v3/auth/tokens")
        if method == "POST":
            user = json.loads(body)["auth"]["identity"]["password"]["user"]
            if user["password"] != "secret":
                return 401, {}, {}
            self.own += 1
            self.valid.add(f"own-{self.own}")
            return 201, {"X-Subject-Token": f"own-{self.own}"}, {"token": token("neutron", "service")}
        if headers["x-auth-token"] not in self.valid:
            return 401, {}, {}
        found = self.tokens.get(headers["x-subject-token"])
        return (200, {}, {"token": found}) if found is not None else (404, {}, {})

    def asked(self, subject):
        return sum(request == ("GET", subject) for request in self.requests)


@pytest.fixture
async def small():
    made = SmallKeystone()
    url = await made.start()
    made.client = Keystone(Account(auth_url=url, username="neutron", password="secret"))
    yield made
    await made.client.close()
    await made.stop()


def headers(subject, service=None):
    given = [(b"host", b"x"), (b"x-auth-token", subject.encode())]
    return given if service is None else [*given, (b"x-service-token", service.encode())]


async def test_a_token_says_who_is_asking(small):
    assert small.client.known(headers("t-alice")) is None
    caller = await small.client.identify(headers("t-alice"))
    assert caller == Caller(project="red", user="alice", roles=frozenset(("member", "reader")))
    assert small.client.known(headers("t-alice")) == caller
    assert small.client.known([(b"x-project-id", b"blue")]) is None


async def test_a_service_that_passes_a_request_on_is_known_too(small):
    caller = await small.client.identify(headers("t-alice", "t-nova"))
    assert (caller.user, caller.service_roles) == ("alice", {"service"})
    assert small.client.known(headers("t-alice")) is None  # without the service it is another caller
    with pytest.raises(Unauthorized):
        await small.client.identify(headers("t-alice", "wrong"))


async def test_many_requests_at_once_ask_once(small):
    callers = await asyncio.gather(*[small.client.identify(headers("t-alice")) for _ in range(50)])
    assert len(set(callers)) == 1
    assert small.asked("t-alice") == 1
    assert small.own == 1


@pytest.mark.parametrize("given", [[], [(b"x-auth-token", b"")], headers("x" * 9000), headers("unknown")])
async def test_without_a_valid_token_a_request_is_refused(small, given):
    with pytest.raises(Unauthorized) as refused:
        await small.client.identify(given)
    assert refused.value.headers()["WWW-Authenticate"].startswith('Keystone uri="http://127.0.0.1:')
    assert refused.value.body()["error"]["code"] == 401


async def test_an_invalid_token_is_asked_about_again(small):
    with pytest.raises(Unauthorized):
        await small.client.identify(headers("later"))
    small.tokens["later"] = token("bob", "blue")
    assert (await small.client.identify(headers("later"))).user == "bob"


async def test_a_token_is_not_remembered_longer_than_it_lasts(small):
    small.tokens["short"] = token(lasts=60)
    await small.client.identify(headers("short"))
    key = small.client._remembered.hash(b"short", b"")
    until = small.client._remembered._callers[key][1]
    assert until <= time.time() + 60
    await small.client.identify(headers("t-alice"))
    key = small.client._remembered.hash(b"t-alice", b"")
    assert time.time() + 290 < small.client._remembered._callers[key][1] <= time.time() + 300
    small.tokens["over"] = token(lasts=-5)
    with pytest.raises(Unauthorized):
        await small.client.identify(headers("over"))


async def test_the_services_own_token_is_renewed_once(small):
    await small.client.identify(headers("t-alice"))
    small.valid.clear()
    await small.client.identify(headers("t-nova"))
    assert small.own == 2
    small.valid.clear()
    for name in ("a", "b", "c"):
        small.tokens[name] = token(name)
    found = await asyncio.gather(*[small.client.identify(headers(name)) for name in ("a", "b", "c")])
    assert [caller.user for caller in found] == ["a", "b", "c"]
    assert small.own == 3  # of three that were refused, one logged in


async def test_a_wrong_password_is_not_the_callers_fault(small):
    client = Keystone(Account(auth_url=small.client.account.auth_url, username="neutron", password="wrong"))
    with pytest.raises(IdentityUnavailable):
        await client.identify(headers("t-alice"))
    await client.close()


@pytest.mark.parametrize(
    "broken",
    [
        (500, {}, {}),
        (200, {}, b"<html>"),
        (200, {}, {"no": "token"}),
        (200, {}, []),
        (201, {}, {"token": {}}),
        (300, {}, {"choices": []}),
    ],
)
async def test_a_faulty_answer_of_keystone_is_503(small, broken):
    small.broken = broken
    with pytest.raises(IdentityUnavailable):
        await small.client.identify(headers("t-alice"))
    small.broken = None
    assert (await small.client.identify(headers("t-alice"))).user == "alice"


@pytest.mark.parametrize("lacking", ["user", "expires_at"])
async def test_an_incomplete_token_is_an_error_of_the_identity_service(small, lacking):
    del small.tokens["t-alice"][lacking]
    with pytest.raises(IdentityUnavailable):
        await small.client.identify(headers("t-alice"))


async def test_no_keystone(small):
    await small.client.identify(headers("t-alice"))
    small.server.close()
    client = Keystone(Account(auth_url="http://127.0.0.1:1", username="neutron", password="secret"))
    with pytest.raises(IdentityUnavailable):
        await client.identify(headers("t-alice"))
    await client.close()


async def test_tokens_without_a_project(small):
    small.tokens["unscoped"] = {"user": {"id": "u"}, "expires_at": stamp(60)}
    assert await small.client.identify(headers("unscoped")) == Caller(project="", user="u")
    small.tokens["system"] = {"user": {"id": "u"}, "system": {"all": True}, "roles": [{"name": "admin"}],
                              "expires_at": stamp(60)}  # fmt: skip
    assert await small.client.identify(headers("system")) == Caller(
        project="", user="u", roles=frozenset(("admin",)), system=True
    )


async def test_a_cancelled_request_does_not_cancel_the_lookup_that_others_share(small):
    small.answering.clear()
    impatient = asyncio.create_task(small.client.identify(headers("t-alice")))
    patient = asyncio.create_task(small.client.identify(headers("t-alice")))
    await until_async(lambda: small.requests)
    impatient.cancel()
    small.answering.set()
    assert (await patient).user == "alice"
    with pytest.raises(asyncio.CancelledError):
        await impatient


# -- what is remembered -----------------------------------------------------------------------------------------------


async def test_callers_are_forgotten_in_time_and_in_number():
    now = 100.0
    kept = CallerCache(2, clock=lambda: now)

    async def answer(user, until):
        return Caller(project="p", user=user), until

    for user in ("a", "b", "c"):
        await kept.ask(kept.hash(user.encode()), lambda user=user: answer(user, 110.0))
    assert len(kept) == 2
    assert kept.get(kept.hash(b"a")) is None
    assert kept.get(kept.hash(b"c")).user == "c"
    now = 110.0
    assert kept.get(kept.hash(b"c")) is None
    assert len(kept) == 1


async def test_an_answer_that_came_after_the_cache_was_cleared_is_not_kept():
    kept = CallerCache()
    started, go_on = asyncio.Event(), asyncio.Event()

    async def question():
        started.set()
        await go_on.wait()
        return Caller(project="p", user="u"), time.time() + 60

    asking = asyncio.create_task(kept.ask(kept.hash(b"x"), question))
    await started.wait()
    kept.clear()
    go_on.set()
    assert (await asking).user == "u"
    assert kept.get(kept.hash(b"x")) is None


def test_hashes_keep_parts_apart():
    kept = CallerCache()
    assert kept.hash(b"ab", b"c") != kept.hash(b"a", b"bc")
    assert kept.hash(b"a") != CallerCache().hash(b"a")


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_an_account_is_read_as_neutron_conf_has_it(tmp_path):
    file = tmp_path / "neutron.conf"
    file.write_text(
        "[DEFAULT]\nauth_strategy = keystone\nmulti = 1\nmulti = 2\n[keystone_authtoken]\nauth_type = password\n"
        "auth_url = http://id:5000/\nusername = neutron\npassword = s3%cret$\nproject_name = services\n"
        "www_authenticate_uri = http://public:5000\nmemcached_servers = x\n"
    )
    found = account(file)
    assert (found.username, found.password, found.project_name) == ("neutron", "s3%cret$", "services")
    assert found.tokens == "http://id:5000/v3/auth/tokens"
    assert found.challenge == 'Keystone uri="http://public:5000"'
    assert (
        Account(auth_url="http://id/identity/v3", username="n", password="p").tokens
        == "http://id/identity/v3/auth/tokens"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "section .keystone_authtoken. is missing"),
        ("[keystone_authtoken]\nauth_url = x\n", "lacks username, password"),
        ("[keystone_authtoken]\nauth_url=x\nusername=u\npassword=p\nauth_type=v3token\n", "auth_type is v3token"),
        ("nonsense", "no section headers"),
    ],
)
def test_an_account_that_is_none_is_refused(tmp_path, text, message):
    file = tmp_path / "neutron.conf"
    file.write_text(text)
    with pytest.raises(KeystoneError, match=message):
        account(file)
    with pytest.raises(KeystoneError, match="No such file"):
        account(tmp_path / "none")
