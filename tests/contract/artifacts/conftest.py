"""The real mirror through a cache outside the checkout, so that a second run fetches nothing but changed indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.artifacts.webserver import WebServer
from contract.cache import cache_folder
from obstack.agent import wire
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.packages import DebianPackages


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def event(self, node: str, event: wire.Event) -> None:
        self.messages.append(event.message)

    def step(self, message: str) -> None:
        self.messages.append(message)

    def progress(self, message: str, done: int, total: int) -> None:
        self.messages.append(f"{message} {done}/{total}")


@pytest.fixture
def reporter() -> Silent:
    return Silent()


@pytest.fixture
def shared_cache() -> ArtifactCache:
    return ArtifactCache(cache_folder("artifacts") / "archives")


@pytest.fixture
def debian(shared_cache: ArtifactCache, reporter: Silent) -> DebianPackages:
    return DebianPackages(cache_folder("artifacts") / "apt", shared_cache, reporter)


@pytest.fixture
def webserver(tmp_path: Path) -> Iterator[WebServer]:
    with WebServer(tmp_path / "served") as server:
        yield server
