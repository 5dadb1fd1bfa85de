"""Each request has a line, and nobody fills a disk with them."""

from __future__ import annotations

import logging

import pytest

from ovenbird.api.access.auth import Caller
from ovenbird.api.http.request_log import ALL, CALLER, REQUEST_ID, STRANGERS, USER, USERS, RequestLog


@pytest.fixture
def world(caplog):
    caplog.set_level(logging.INFO)
    return World(caplog)


class World:
    def __init__(self, caplog):
        self.caplog = caplog
        self.now = 0.0
        self.log = RequestLog(lambda: self.now)

    def ask(self, times=1, user=None, path=b"/v2.0/ports"):
        """Return the lines of some requests, of a stranger or of a user."""
        scope = {"method": "GET", "http_version": "1.1", "raw_path": path, "query_string": b"", REQUEST_ID: "req-1",
                 "client": ("192.0.2.9", 1)}  # fmt: skip
        if user is not None:
            scope[CALLER] = Caller(project="p", user=user)
        self.caplog.clear()
        for _ in range(times):
            self.log.report(scope, status=200, length=17, seconds=0.25)
        return list(self.caplog.records)


def size(lines):
    return sum(len(line.getMessage()) for line in lines)


def test_a_line_says_who_asked_for_what(world):
    [line] = world.ask(user="alice")
    said = 'req-1 alice p 192.0.2.9 "GET /v2.0/ports HTTP/1.1" status: 200 len: 17 time: 0.250000'
    assert line.getMessage() == said
    [line] = world.ask(path=b"/" + b"x" * 9000)
    assert " - - 192.0.2.9 " in line.getMessage()
    assert size([line]) < 400


def test_lines_about_unauthenticated_requests_have_a_common_rate_limit(world):
    lines = world.ask(5000, path=b"/" + b"x" * 9000)
    assert STRANGERS[0] <= size(lines) < STRANGERS[0] + 400
    assert world.ask() == []
    assert len(world.ask(100, user="alice")) == 100, "users do not pay for strangers"
    world.now = 10.0
    [first, *more] = world.ask(1000)
    assert first.left_out == 5001 - len(lines)
    assert not hasattr(more[0], "left_out")
    assert size([first, *more]) <= 10 * STRANGERS[1] + 400


def test_one_users_flood_does_not_suppress_the_lines_of_others(world):
    lines = world.ask(20_000, user="mallory")
    assert USER[0] <= size(lines) < USER[0] + 400
    assert len(world.ask(100, user="alice")) == 100
    world.now = 60.0
    assert len(world.ask(100, user="mallory")) == 100, "somebody who asks at a pace of people has every line"


def test_all_users_have_a_common_rate_limit_and_bounded_memory(world):
    total = sum(size(world.ask(20, user=f"user{number}", path=b"/" + b"x" * 2000)) for number in range(3 * USERS))
    assert total < ALL[0] + 3000
    assert len(world.log._users) == USERS
