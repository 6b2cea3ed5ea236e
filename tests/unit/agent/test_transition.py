"""What is said when gates are red: the cause first, each piece of evidence once."""

from __future__ import annotations

from obstack.agent.transition import gate_error
from obstack.agent.wire import GateResult

LOG = "last lines of prometheus:\nline 7 is wrong"
STORED = GateResult("machine metrics are stored", "metric", "node-exporter", False, 1.0, "connection refused", LOG)
READY = GateResult("prometheus is ready", "prometheus-ready", "prometheus", False, 1.0, "connection refused", LOG)
RUNNING = GateResult(
    "all units are running", "units-active", "prometheus", False, 1.0, "unit prometheus is failed", LOG
)
GREEN = GateResult("alertmanager is ready", "alertmanager-ready", "alertmanager", True, 1.0, "ready")


def test_the_unit_that_does_not_run_is_named_before_what_it_turned_red() -> None:
    error = gate_error([GREEN, STORED, READY, RUNNING], "3f9a1c2b" * 8)
    assert error.what.startswith("Gate 'all units are running' stayed red after the switch to generation 3f9a1c2b3f9a")
    assert error.what.endswith(": unit prometheus is failed.")
    assert error.where == "unit prometheus"
    assert error.do.startswith("observability logs prometheus    then ")
    assert error.detail is not None
    assert error.detail.count(LOG) == 1
    assert error.detail.endswith("red: all units are running: unit prometheus is failed"), "a terminal shows the end"
    assert "red: prometheus is ready: connection refused" in error.detail
    assert "alertmanager" not in error.detail


def test_with_all_units_running_the_first_red_gate_is_named() -> None:
    error = gate_error([STORED, READY], "3f9a1c2b" * 8)
    assert error.what.startswith("Gate 'machine metrics are stored' stayed red")
    assert error.where == "unit node-exporter"
