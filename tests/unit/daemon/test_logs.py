from __future__ import annotations

import errno
import json
import logging
import os
import re

import pytest

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.logs import Destination, Logs, OvsFormatter


@pytest.fixture
def logs():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Logs("test")
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


def record(name="ovenbird.northd.build", level=logging.WARNING, **extra):
    made = logging.makeLogRecord(
        {"name": name, "levelno": level, "levelname": "WARNING", "msg": "hello %s", "args": ("x",)}
    )
    vars(made).update(extra)
    return made


def test_lines_look_like_open_vswitchs():
    formatter = OvsFormatter()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|00001\|northd\.build\|WARN\|hello x port=p1",
        formatter.format(record(port="p1")),
    )
    assert "|00002|" in formatter.format(record())


def test_json_lines_carry_the_fields():
    line = json.loads(OvsFormatter(json=True).format(record(port="p1")))
    assert (line["module"], line["level"], line["message"], line["port"]) == ("northd.build", "WARN", "hello x", "p1")


def test_levels_by_destination_and_module(logs):
    logs.set("file:err")
    assert logs.destinations["file"].level == logging.ERROR
    assert logs.destinations["console"].level == logging.WARNING
    logs.set("northd.build:console:dbg")
    assert logs.destinations["console"].filter(record(level=logging.DEBUG))
    assert not logs.destinations["console"].filter(record("ovenbird.other", logging.DEBUG))
    assert "northd.build" in logs.show()
    logs.set("ANY:console:off")
    assert not logs.destinations["console"].filter(record(level=logging.CRITICAL))


def test_a_bad_spec_is_refused(logs):
    for spec, known in (("file:!", False), ("nosuchmodule", True), ("nosuchmodule:dbg", True)):
        with pytest.raises(UsageError, match="no destination, level, or module"):
            logs.set(spec, known=known)
    for spec, why in (("PATTERN:x:%m", "unknown destination"), ("FACILITY:x", "invalid facility")):
        with pytest.raises(UsageError, match=why):
            logs.set(spec)
    with pytest.raises(UsageError, match="more than"):
        logs.set("PATTERN:file:%99999m")


def test_a_level_of_a_package_applies_to_its_modules(logs):
    logging.getLogger("ovenbird.northd.build")
    logs.set("northd:console:dbg", known=True)
    assert logs.destinations["console"].filter(record(level=logging.DEBUG))
    assert re.search(r"^northd\.build +DBG +INFO +INFO$", logs.show(), re.MULTILINE)
    logs.set("northd.build:console:err", known=True)
    assert not logs.destinations["console"].filter(record(level=logging.WARNING))


def test_lines_have_the_pattern_that_was_asked_for(logs, tmp_path):
    path = tmp_path / "x.log"
    logs.open_file(path)
    log = logging.getLogger("ovenbird.test")
    for pattern, line in (
        ("%A|%c|%p|%m", "test|test|WARN|half done"),
        ("[%-8p][%08P][%5p]%n%m%%%T%q", f"[WARN    ][{os.getpid():08}][ WARN]\nhalf done%%q"),
        ("%B", "12"),
        ("%D{%Y-##-%%}|", None),
    ):
        logs.set(f"PATTERN:file:{pattern}")
        before = path.read_text()
        log.warning("half done")
        added = path.read_text().removeprefix(before).rstrip("\n")
        assert added == line if line is not None else re.fullmatch(r"\d{4}-\d\d-%\|", added)
    assert logs.show_patterns().splitlines()[-1] == f"FILE     {'none':<34}%D{{%Y-##-%%}}|"
    logs.set("FACILITY:daemon")
    logs.set("PATTERN:file:%B")
    log.warning("half done")
    assert path.read_text().endswith("\n28\n")


def test_a_log_file_that_is_closed_stays_so_until_it_is_reopened(logs, tmp_path):
    path = tmp_path / "x.log"
    logs.open_file(path)
    logs.close_file()
    logging.getLogger("ovenbird.test").warning("unheard")
    logs.reopen()
    logging.getLogger("ovenbird.test").warning("heard")
    assert "unheard" not in path.read_text()
    assert "heard" in path.read_text()


def test_the_log_file_can_be_rotated(logs, tmp_path):
    path = tmp_path / "x.log"
    logs.open_file(path)
    path.rename(tmp_path / "x.log.1")
    logs.reopen()
    logging.getLogger("ovenbird.test").warning("after")
    assert "after" in path.read_text()
    assert "after" not in (tmp_path / "x.log.1").read_text()


def test_on_a_full_disk_lines_are_lost_and_counted(logs, tmp_path, monkeypatch, caplog):
    path, real, room = tmp_path / "x.log", os.write, 10_000

    def write(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= (some := min(room, len(data)))
        return real(descriptor, data[:some])

    logs.open_file(path)
    before = path.read_text()
    monkeypatch.setattr(os, "write", write)
    room, log = 20, logging.getLogger("ovenbird.test")
    for _ in range(3):
        log.warning("lost")
    assert path.read_text() == before, "no half lines"
    told = f"{path}: write failed (No space left on device): lines are lost until writes succeed"
    assert sorted(caplog.messages[1:]) == [told, "lost", "lost", "lost"], "which other destinations get"
    room = 10_000
    log.warning("found")
    missing, found = path.read_text().removeprefix(before).splitlines()
    assert missing == "4 lines are missing here: the file could not be written"
    assert found.endswith("found")


def test_a_rotation_without_a_folder_keeps_the_old_file(logs, tmp_path):
    path = tmp_path / "logs" / "x.log"
    logs.open_file(path)
    path.parent.rename(tmp_path / "old")
    (tmp_path / "logs").touch()
    with pytest.raises(UsageError, match="logs"):
        logs.reopen()
    logging.getLogger("ovenbird.test").warning("after")
    assert "after" in (tmp_path / "old" / "x.log").read_text()


def test_a_destination_filters_by_level():
    assert Destination(logging.INFO).filter(record())


def test_control_characters_in_a_name_are_escaped():
    line = OvsFormatter().format(record(args=("a\n2026-01-31T12:00:00.123Z|00042|northd|ERR|all is lost\x1b[2J",)))
    assert "\n" not in line
    assert "\x1b" not in line
    assert "a\\n2026" in line
