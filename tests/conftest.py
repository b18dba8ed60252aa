"""For all of the project's own tests."""

from hypothesis import HealthCheck, settings

# No test is timed: two cores may be busy with lakes.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
