"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Two busy cores decide how long an example takes, so wall time proves nothing here; the same examples are tried in
# every run, so that a failure in CI is a failure everywhere. `make fuzz` looks for new ones.
settings.register_profile(
    "project", deadline=None, derandomize=not os.environ.get("FUZZ"), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")
