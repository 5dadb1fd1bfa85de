from __future__ import annotations

import asyncio
import contextlib
import shutil

import orjson
import pytest

from ovenbird.daemon import unixctl
from ovenbird.daemon.unixctl import Unixctl, UnixctlError
from support.waiting import until_async


def fail(_):
    raise UnixctlError("cannot")


@pytest.fixture
async def ctl(tmp_path):
    server = Unixctl(tmp_path / "x.ctl", "test 1.0")
    server.register("say", lambda words: " ".join(words) + "\n", "WORD...", 1, 3)
    server.register("fail", fail)
    await server.start()
    yield server
    await server.stop()
    assert not server.path.exists()


@pytest.mark.parametrize(
    ("method", "params", "result", "error"),
    [
        ("say", ["a", "b"], "a b\n", None),
        ("version", [], "test 1.0\n", None),
        ("say", [], None, '"say" command requires at least 1 arguments'),
        ("say", list("abcd"), None, '"say" command takes at most 3 arguments'),
        ("say", [1], None, '"say" command takes only strings as arguments'),
        ("fail", [], None, "cannot"),
        ("nope", [], None, '"nope" is not a valid command (use "list-commands" to see a list of valid commands)'),
    ],
)
async def test_answers(ctl, method, params, result, error):
    assert ctl.answer(method, params) == (result, error)


async def ask(path, *calls):
    """Return what a connection answers to each call, in turn."""
    reader, writer = await asyncio.open_unix_connection(path)
    answers = []
    for method, *params in calls:
        writer.write(orjson.dumps({"id": 0, "method": method, "params": params}))
        answers.append(orjson.loads(await reader.read(1 << 16)))
    writer.close()
    return [answer["result"] if answer["error"] is None else answer["error"] for answer in answers]


async def test_replies_are_json_where_a_connection_asks_for_it(ctl):
    plain = {"reply-format": "plain", "reply": "a\n"}
    as_json, text = ("set-options", "--format", "json"), ("set-options", "--format", "text")
    found = await ask(ctl.path, ("say", "a"), as_json, ("say", "a"), ("list-commands",), text, ("say", "a"))
    assert found[0] == found[-1] == "a\n"
    assert found[2] == plain
    assert found[3]["say"] == "WORD..."
    wrong = await ask(
        ctl.path, ("set-options",), ("set-options", "--format", "x"), ("set-options", "--x"), ("say", "a")
    )
    assert wrong == [
        '"set-options" command requires at least 1 arguments\n', "option format has invalid value x\n",
        "unrecognized option '--x'\n", "a\n",
    ]  # fmt: skip


async def test_commands_that_are_not_implemented_give_the_reason(ctl):
    ctl.refuse(["nope"], "there is nothing to say no to")
    assert await ask(ctl.path, ("nope",)) == ['"nope" is not here, because there is nothing to say no to\n']
    assert "nope" not in ctl.answer("list-commands", [])[0]


async def test_garbage_ends_that_connection_only(ctl):
    reader, writer = await asyncio.open_unix_connection(ctl.path)
    writer.write(b"}{ nonsense")
    assert await reader.read() == b""
    writer.close()
    assert ctl.answer("version", [])[0]


@pytest.mark.skipif(shutil.which("ovs-appctl") is None, reason="needs Debian's openvswitch-common")
async def test_ovs_appctl(ctl):
    async def appctl(*args):
        process = await asyncio.create_subprocess_exec(
            "ovs-appctl", "-t", str(ctl.path), *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    assert await appctl("say", "hello", "there") == (0, "hello there\n", "")
    code, _, err = await appctl("nope")
    assert code == 2
    assert "not a valid command" in err
    assert "say" in (await appctl("list-commands"))[1]


async def ended(reader):
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
    return True


async def test_a_command_has_a_longest_length_and_a_time(ctl, monkeypatch):
    monkeypatch.setattr(unixctl, "CALL_TIMEOUT", 0.05)
    for text in (b'{"id":1,"method":"' + b"a" * (unixctl.LONGEST + 1), b'{"id":1,'):
        reader, writer = await asyncio.open_unix_connection(ctl.path)
        writer.write(text)
        assert await ended(reader)
        writer.close()


async def test_a_caller_that_does_not_read_is_throttled_and_then_disconnected(ctl, monkeypatch):
    monkeypatch.setattr(unixctl, "CALL_TIMEOUT", 0.2)
    monkeypatch.setattr(unixctl, "UNREAD", 1 << 16)
    ctl.register("long", lambda _: "x" * 100_000)
    reader, writer = await asyncio.open_unix_connection(ctl.path)
    writer.write(b'{"id":1,"method":"long","params":[]}' * 10_000)
    (caller,) = await until_async(lambda: list(ctl.callers))
    await until_async(lambda: not ctl.callers)
    assert caller._transport.get_write_buffer_size() <= unixctl.UNREAD + 100_100
    assert await ended(reader)
    writer.close()


async def test_callers_are_counted(ctl):
    connections = [await asyncio.open_unix_connection(ctl.path) for _ in range(unixctl.LIMITS.connections + 1)]
    assert await ended(connections[-1][0])
    connections[0][1].write(b'{"id":1,"method":"version","params":[]}')
    assert b"test 1.0" in await connections[0][0].readuntil(b"}")
    for _, writer in connections:
        writer.close()
