"""A fresh server becomes the stack, and stays as it is when nothing changes."""

from __future__ import annotations

import pytest

from machine.server import UNITS, Server

pytestmark = pytest.mark.machine


def test_setup_makes_a_running_stack(bare_server: Server) -> None:
    assert bare_server.set_up()["outcome"] == "committed"

    for unit in UNITS:
        bare_server.machine.wait_for_unit(f"{unit}.service")


def test_a_second_apply_changes_nothing(bare_server: Server) -> None:
    pids, traces = bare_server.pids(), bare_server.traces()

    assert bare_server.apply()["outcome"] == "unchanged"
    assert bare_server.pids() == pids
    assert bare_server.traces() == traces
