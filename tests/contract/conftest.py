"""The suites whose programs the rendered output is shown to."""

from __future__ import annotations

import pytest

from contract.debian import SUITES, Distribution, distribution


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> Distribution:
    return distribution(request.param)
