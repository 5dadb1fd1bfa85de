"""What holds for every test: whatever else the machine does, an example takes as long as it takes."""

import gc

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("support")  # what it asserts is explained, too
slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # a fixture for all examples is what is meant
settings.register_profile("loaded", deadline=None, suppress_health_check=slow)
settings.load_profile("loaded")


def pytest_collection_finish():
    """Have the cyclic collector leave alone what stays, and wake as seldom as in our daemons: a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
