from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.debian import own_programs
from contract.probes.stack import Stack, Supervised


@pytest.fixture(scope="session")
def programs() -> Path:
    return own_programs()


@pytest.fixture(scope="session")
def stack(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running stack for the whole session; a test that changes it puts it back."""
    running = Stack(tmp_path_factory.mktemp("stack"), programs)
    yield running
    running.close()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """A supervisord without programs."""
    running = Supervised(tmp_path)
    yield running
    running.close()
