"""Settings for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores decide how long an example takes, so wall time proves nothing here; the same examples are tried in
# every run, so that a failure in CI is a failure everywhere. `make fuzz` looks for new ones.
settings.register_profile(
    "project", deadline=None, derandomize=not os.environ.get("FUZZ"), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many tests the threat model rests on, when they are run alone."""
    if config.option.markexpr != "security" or config.option.collectonly:
        return
    passed, *others = (len(terminalreporter.stats.get(name, ())) for name in ("passed", "failed", "error"))
    held = "all of them hold" if passed and not sum(others) else "not all of them hold"
    terminalreporter.write_line(f"security: {passed} of {passed + sum(others)} tests passed; {held}")
