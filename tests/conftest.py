"""What holds for every test: how long it may take, and what is run in one process where pytest has several.

Tests of one file run in one process (pytest-xdist), since they share fixtures; and so do the live tests that share a
cloud. All else may run at the same time: each test has directories, ports and namespaces of its own.
"""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has its jobs in the background, and they theirs
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("COLUMNS", None)  # pytest-xdist gives it to its processes, and commands would print for that width
pytest.register_assert_rewrite("support")  # what it asserts is explained, too
slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # a fixture for all examples is what is meant
settings.register_profile("loaded", deadline=None, suppress_health_check=slow)  # an example takes as long as it takes
settings.load_profile("loaded")

SHARED = ("cloud", "world")
"""Fixtures of clouds that several files of live tests share: a test's first one is its group."""
SLOWEST_FIRST = ("live", "differential", "golden", "unit")
"""What takes no time fills the gaps at the end."""


def pytest_collection_finish():
    """Have the cyclic collector leave alone what stays, and wake as seldom as in our daemons: a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not hasattr(config, "workerinput"):
        return  # there is but one process
    for item in items:
        if "live" in item.path.parts and (shared := [name for name in SHARED if name in item.fixturenames]):
            item.add_marker(pytest.mark.xdist_group(shared[0]))
    items.sort(key=lambda item: next(n for n, name in enumerate(SLOWEST_FIRST) if name in item.path.parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadGroupScheduling  # noqa: PLC0415 - there where it is used at all

    class ByFile(LoadGroupScheduling):
        """Give out groups of tests where they are marked, and whole files."""

        def _split_scope(self, nodeid):
            scope = super()._split_scope(nodeid)
            return scope if scope != nodeid else nodeid.partition("::")[0]

    return ByFile(config, log)
