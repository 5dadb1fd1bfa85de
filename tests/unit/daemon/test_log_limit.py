"""Log lines of one place in the source are limited."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from ovenbird.daemon.log_limit import BURST, LOG_LIMITS, LogLimit


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def logger(clock, handlers):
    log = logging.Logger("test")  # noqa: LOG001 (of nobody else's)
    limit = LogLimit(clock)
    for handler in handlers:
        handler.addFilter(limit)
        log.addHandler(handler)
    return log


def test_a_flood_is_cut_and_what_was_left_out_is_counted():
    now = [0.0]
    one, other = Lines(), Lines()
    log = logger(lambda: now[0], (one, other))

    def complain():
        log.warning("no descriptor left")

    for _ in range(BURST + 50):
        complain()
    assert len(one.records) == len(other.records) == BURST
    log.warning("another place")
    assert len(one.records) == BURST + 1
    now[0] = 1.0
    complain()
    assert one.records[-1].left_out == 50
    complain()
    assert len(one.records) == BURST + 2


def test_lines_for_debugging_and_metered_ones_are_not_limited():
    lines = Lines()
    log = logger(lambda: 0.0, (lines,))
    for _ in range(BURST * 2):
        log.debug("asked for")
    assert len(lines.records) == BURST * 2
    log.name = "ovenbird.api.request"
    for _ in range(BURST * 2):
        log.info("GET /v2.0/ports")
    assert len(lines.records) == BURST * 4


@pytest.mark.parametrize("name", LOG_LIMITS)
def test_lines_that_are_wanted_each_are_limited_by_their_logger(name):
    now = [0.0]
    lines, (burst, rate) = Lines(), LOG_LIMITS[name]
    log = logger(lambda: now[0], (lines,))
    log.name = name
    for _ in range(burst):
        log.info("Claiming lport p for this chassis.")
    log.info("of another place in the source")
    assert len(lines.records) == burst
    now[0] = 1.0
    for _ in range(2 * int(rate)):
        log.info("Releasing lport p from this chassis")
    assert len(lines.records) == burst + rate
    assert lines.records[burst].left_out == 1


def test_an_exceptions_objects_are_freed_after_its_line_is_logged():
    class Large:
        pass

    kept = []

    def fail():
        large = Large()
        kept.append(weakref.ref(large))
        raise ValueError

    lines = Lines()
    log = logger(lambda: 0.0, [lines])
    try:
        fail()
    except ValueError:
        log.exception("it failed")
    lines.records.clear()
    gc.collect()
    assert kept[0]() is None


def test_a_limit_can_be_lifted_from_a_module_or_from_all():
    limit = LogLimit()
    assert limit.is_limited("ovenbird.a")
    limit.limit("ovenbird.a", limited=False)
    assert (limit.is_limited("ovenbird.a"), limit.is_limited("ovenbird.b")) == (False, True)
    limit.limit(limited=False)
    limit.limit("ovenbird.a", limited=True)
    assert (limit.is_limited("ovenbird.a"), limit.is_limited("ovenbird.b")) == (True, False)
    limit.limit(limited=True)
    assert limit.is_limited("ovenbird.b")
