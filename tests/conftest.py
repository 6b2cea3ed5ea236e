"""Settings for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Two busy cores decide how long an example takes, so wall time proves nothing here; the same examples are tried in
# every run, so that a failure in CI is a failure everywhere.
settings.register_profile("project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
