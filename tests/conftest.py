"""What holds for every test: whatever else the machine does, an example takes as long as it takes."""

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # a fixture for all examples is what is meant
settings.register_profile("loaded", deadline=None, suppress_health_check=slow)
settings.load_profile("loaded")
