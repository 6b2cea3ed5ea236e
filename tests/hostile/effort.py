"""How many examples a test of hostile input tries: few in CI, many when `make fuzz` looks for new ones."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import settings

FACTOR: Final = int(os.environ.get("FUZZ") or 1)


def effort(examples: int) -> settings:
    """Given how many examples CI has time for, return the settings of the test."""
    return settings(max_examples=examples * FACTOR)
