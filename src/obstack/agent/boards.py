"""What Grafana has of the generation's dashboards just now: people may have changed them there."""

from __future__ import annotations

import json
import os
from typing import Any

from obstack.agent import stage, wire
from obstack.agent.faults import CHECK_FAILED, USAGE, AgentError
from obstack.agent.gate_grafana import ask
from obstack.agent.gate_probe import Red
from obstack.agent.machine import Machine

GATE = "grafana-dashboards"
FOLDER = "etc/grafana/dashboards/"
OF_GRAFANA = ("id", "version", "iteration")
"""What Grafana itself writes into a dashboard."""


def boards(machine: Machine, request: wire.Request) -> wire.Reply:  # noqa: ARG001 - the form of all readers
    """Return for each dashboard whether Grafana has another one than the generation, and then Grafana's.

    Raises AgentError when there is no Grafana, or no answer of it.
    """
    manifest = stage.load_current(machine)
    gate = next((gate for gate in manifest.gates if gate.kind == GATE), None) if manifest else None
    if manifest is None or gate is None:
        raise AgentError(
            exit_code=USAGE,
            code="no-grafana",
            what="There is no Grafana in the generation in force.",
            where=f"generation {manifest.identity[:12]}" if manifest else "no generation is in force",
            do="set dashboards.engine to grafana, then: observability apply",
            state="nothing was touched",
        )
    try:
        found = [_look(machine, gate, file.path) for file in manifest.files if file.path.startswith(FOLDER)]
    except Red as red:
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="grafana-silent",
            what=f"Grafana did not give its dashboards: {red.message}.",
            where=gate.unit,
            do="observability health",
            state="nothing was touched",
        ) from red
    return wire.Reply("ok", manifest.identity, data={"dashboards": found})


def _look(machine: Machine, gate: wire.GateEntry, path: str) -> dict[str, Any]:
    with open(os.path.join(machine.paths.current, path), "rb") as stream:
        ours = json.load(stream)
    theirs = ask(gate, "GET", f"/api/dashboards/uid/{ours['uid']}")["dashboard"]
    theirs = {key: value for key, value in theirs.items() if key not in OF_GRAFANA}
    changed = theirs != {key: value for key, value in ours.items() if key not in OF_GRAFANA}
    name = os.path.splitext(os.path.basename(path))[0]
    return {"name": name, "title": ours["title"], "changed": changed} | ({"document": theirs} if changed else {})
