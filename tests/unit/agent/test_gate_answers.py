"""Gates against a server that answers what it should not: a stranger on the port, or a Prometheus still to reload."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from obstack.agent import gate, gate_prometheus, wire
from obstack.agent.gate_probe import GateContext, Red
from obstack.agent.supervisor import Supervisor

DIGEST = "ab" * 32


@contextmanager
def answering(answer: Any) -> Iterator[str]:
    """A server that gives one answer to every question, for the length of a `with` block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"status": "success", "data": answer}).encode())

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def entry(kind: str, url: str, **params: Any) -> wire.GateEntry:
    return wire.GateEntry(kind, kind, "", {"url": url, **params}, deadline_s=0)


def context(root: Path, *gates: wire.GateEntry) -> GateContext:
    manifest = wire.Manifest("web-1", "observability", "supervisor", gates=gates)
    return GateContext(str(root), str(root), manifest, Supervisor(str(root)))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("prometheus-targets", []),
        ("prometheus-targets", {"activeTargets": [{"labels": {"job": "a", "instance": "b"}}]}),
        ("prometheus-rules", {"groups": ["a"]}),
        ("prometheus-alertmanagers", {}),
        ("metric", "text"),
    ],
)
def test_an_answer_of_another_form_is_red_and_no_defect(tmp_path: Path, kind: str, answer: Any) -> None:
    with answering(answer) as url:
        asked = entry(kind, url, targets=[{"job": "a", "instance": "b", "unit": "a"}], addresses=["x:1"], query="up")
        (result,) = gate.run_gates([asked], context(tmp_path, asked))
    assert not result.passed
    assert "unexpected form" in result.message


@pytest.mark.parametrize(("loaded", "passes"), [(DIGEST, True), ("cd" * 32, False)])
def test_rules_and_targets_count_only_with_the_configuration_of_the_generation(
    tmp_path: Path, loaded: str, passes: bool
) -> None:
    marker = {"name": gate_prometheus.CONFIGURATION_RULE, "health": "ok", "labels": {"digest": loaded}}
    target = {"labels": {"job": "a", "instance": "b"}, "health": "up", "lastScrape": "2030-01-01T00:00:00Z"}
    with answering({"groups": [{"name": "g", "interval": 1, "rules": [marker]}], "activeTargets": [target]}) as url:
        proof = entry("prometheus-configuration", url, digest=DIGEST)
        asked = context(tmp_path, proof)
        for probe in (
            gate_prometheus.rules(entry("prometheus-rules", url), asked),
            gate_prometheus.targets(entry("prometheus-targets", url, targets=[{"job": "a", "instance": "b"}]), asked),
        ):
            if passes:
                assert probe()
            else:
                with pytest.raises(Red, match="has not loaded configuration"):
                    probe()


def test_progress_says_nothing_twice(tmp_path: Path) -> None:
    with answering({}) as url:
        message = f"GET {url} answered 200"
        gates = [
            wire.GateEntry(name, "http", "", {"url": url, "status": 200}, deadline_s=0)
            for name in (message.lower(), "it answers")
        ]
        told: list[wire.Event] = []
        results = gate.run_gates(gates, replace(context(tmp_path, *gates), on_event=told.append))
    assert [result.message for result in results] == [message, message]
    assert sorted(event.message for event in told) == sorted([message.lower(), f"it answers: {message}"])
