from __future__ import annotations

import asyncio
import shutil

import pytest

from ovenbird.daemon.unixctl import CommandError, Unixctl


def fail(_):
    raise CommandError("cannot")


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
