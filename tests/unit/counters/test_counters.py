"""Counters and stopwatches say what happened, in the form that readers of Open vSwitch's expect."""

from __future__ import annotations

import random
import re

import pytest

from ovenbird.counters import coverage, stopwatch
from ovenbird.counters.coverage import Counter
from ovenbird.counters.stopwatch import Stopwatch


def test_rates_are_of_whole_samples():
    counter = Counter("x")
    counter.count = 50
    assert counter.rates == (0, 0, 0), "nothing was sampled yet"
    counter.sample()
    assert counter.rates == pytest.approx((10, 50 / 60, 50 / 3600))
    for _ in range(12):
        counter.count += 5
        counter.sample()
    assert counter.rates == pytest.approx((1, 1, 110 / 3600))
    for _ in range(12 * 61):
        counter.sample()
    assert counter.rates == pytest.approx((0, 0, 0)), "more than an hour later"
    assert counter.count == 110


def test_counters_are_shown_as_open_vswitch_shows_its_own():
    made = coverage.counter("test_of_coverage")
    assert coverage.counter("test_of_coverage") is made
    never = re.search(r"^(\d+) events never hit$", coverage.show(), re.MULTILINE)
    made.count = 7
    coverage.sample()
    shown = coverage.show()
    line = r"^test_of_coverage +\d+\.\d/sec +\d+\.\d{3}/sec +\d+\.\d{4}/sec   total: 7$"
    assert re.search(line, shown, re.MULTILINE)
    assert re.match(
        r"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=[0-9a-f]{8}:\n", shown
    )
    assert f"\n{int(never[1]) - 1} events never hit\n" in shown
    assert coverage.read("test_of_coverage") == 7
    assert coverage.read("no_such_thing") is None


@pytest.mark.parametrize("draw", ["expovariate", "uniform"])
def test_the_percentile_is_close_to_that_of_all_samples(draw):
    chance = random.Random(1)
    samples = [getattr(chance, draw)(*((1,) if draw == "expovariate" else (0, 100))) for _ in range(5000)]
    watch = Stopwatch()
    for sample in samples:
        watch.add(sample)
    true = sorted(samples)[4750]
    assert watch.percentile == pytest.approx(true, rel=0.05)
    assert (watch.samples, watch.minimum, watch.maximum) == (5000, min(samples), max(samples))


def test_few_samples_are_shown_exactly():
    watch = Stopwatch()
    assert watch.show().splitlines()[:3] == ["  Total samples: 0", "  Maximum: 0 msec", "  Minimum: 0 msec"]
    for sample in (3, 9, 5):
        watch.add(sample)
    assert (watch.percentile, watch.short) == (9, 5.5)
    watch.reset()
    assert (watch.samples, watch.percentile) == (0, 0)


def test_one_stopwatch_or_all():
    stopwatch.stopwatch("test of stopwatches").add(2)
    one = stopwatch.show("test of stopwatches")
    assert one.startswith("Statistics for 'test of stopwatches'\n  Total samples: 1\n  Maximum: 2 msec\n")
    assert one in stopwatch.show()
    assert stopwatch.show("none such") is None
    stopwatch.reset("none such")
    assert stopwatch.show("test of stopwatches") == one
    stopwatch.reset()
    assert "Total samples: 0" in stopwatch.show("test of stopwatches")
