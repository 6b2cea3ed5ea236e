"""The suites whose programs the rendered output is shown to."""

from __future__ import annotations

import pytest

from contract.debian import SUITES, Distribution, distribution


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> Distribution:
    return distribution(request.param)


@pytest.fixture(scope="session")
def newest() -> Distribution:
    """The suite with the newest programs."""
    return distribution("sid")
