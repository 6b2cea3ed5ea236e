from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.world import World, world


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for many crashes: what one leaves behind, the next would trip over."""
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made
