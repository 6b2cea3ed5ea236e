"""What is in the way of an embedded stack is found before anything starts."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack.edges.embedded.supervisord import Supervisord
from obstack.edges.embedded.surroundings import LocalSurroundings
from obstack.errors import CheckFailed
from obstack.model.embedded import embedded_settings
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.operations.up import demand_free_ports

BASE = 28700


@contextlib.contextmanager
def listening(*ports: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for port in ports:
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", port))
            server.listen()
        yield


@pytest.fixture
def manager(tmp_path: Path) -> Supervisord:
    return Supervisord(Layout(str(tmp_path), Manager.SUPERVISOR))


def test_free_ports_pass(manager: Supervisord) -> None:
    demand_free_ports(Site.model_validate(embedded_settings(BASE)), manager, LocalSurroundings())


def test_all_busy_ports_are_named_with_their_owner_and_a_way_out(manager: Supervisord) -> None:
    site = Site.model_validate(embedded_settings(BASE))

    with listening(BASE, BASE + 3), pytest.raises(CheckFailed) as caught:
        demand_free_ports(site, manager, LocalSurroundings())

    error = caught.value
    assert error.what == f"Ports that the stack needs are busy: {BASE}, {BASE + 3}."
    first, second = error.where.splitlines()
    assert first.startswith(f"port {BASE} (front_door.https_port) is taken by python")
    assert second.startswith(f"port {BASE + 3} (alertmanager.port)")
    assert f"(process {os.getpid()})" in first
    assert "--port-base 29000" in error.do
