"""Gates of Alertmanager: ready, its configuration is the new one, an alert really arrives and really ends."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import secrets
import urllib.parse

from obstack.agent import wire
from obstack.agent.gate_probe import GateContext, Probe, Red, expect, fetch, fetch_json, fetch_metric

ALERT_NAME = "ObservabilityGate"
LIFE = datetime.timedelta(minutes=2)


def ready(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001 - the form of all makers
    """`alertmanager-ready` {url}: it serves its interface."""
    url = f"{gate.params['url']}/-/ready"

    def probe() -> str:
        answer = expect(fetch(url), 200, f"GET {url}")
        if answer.body.strip() not in (b"OK", b""):
            # Exporters answer 200 to every path; a stranger on the port must not pass.
            raise Red(f"what answers GET {url} is not Alertmanager", answer.excerpt())
        return "Alertmanager is ready"

    return probe


def configuration(gate: wire.GateEntry, context: GateContext) -> Probe:
    """`alertmanager-configuration` {url, file}: the file of the tree is loaded, and no reload failed."""
    url, file = str(gate.params["url"]), str(gate.params["file"])

    def probe() -> str:
        if fetch_metric(url, "alertmanager_config_last_reload_successful") != 1:
            raise Red("Alertmanager refused its new configuration and goes on with the old one")
        with open(os.path.join(context.tree, file), "rb") as content:
            wanted = configuration_hash(content.read())
        loaded = fetch_metric(url, "alertmanager_config_hash")
        if loaded != wanted:
            raise Red(f"Alertmanager has not loaded {file}: its hash is {loaded:.0f}, not {wanted:.0f}")
        return f"Alertmanager runs {file}"

    return probe


def configuration_hash(content: bytes) -> float:
    """Return the number by which Alertmanager names a configuration in its metric alertmanager_config_hash."""
    return float(int.from_bytes(hashlib.md5(content, usedforsecurity=False).digest()[:6], "little"))


def alert(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`alertmanager-alert` {url}: a marked alert is posted, listed, ended, and no longer listed."""
    return _Alert(str(gate.params["url"]))


class _Alert:
    """The steps of the alert gate; a step that is done is not repeated by the next try."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.mark = secrets.token_hex(8)
        self.started = datetime.datetime.now(datetime.timezone.utc)
        self.step = "post"

    def __call__(self) -> str:
        if self.step == "post":
            self._post(self.started + LIFE)
            self.step = "list"
        if self.step == "list":
            if not self._listed():
                raise Red("the test alert was taken by Alertmanager but is not listed")
            self.step = "end"
        try:
            if self.step == "end":
                self._post(datetime.datetime.now(datetime.timezone.utc))
                self.step = "gone"
            if self._listed():
                raise Red("the test alert was ended but is still listed")
        except Red:
            with contextlib.suppress(Red):
                self._post(datetime.datetime.now(datetime.timezone.utc))
            raise
        return "a test alert was taken, listed and ended"

    def _post(self, ends: datetime.datetime) -> None:
        body = {
            "labels": {"alertname": ALERT_NAME, "mark": self.mark},
            "annotations": {"summary": "A probe of the observability stack; it ends by itself."},
            "startsAt": self.started.isoformat(),
            "endsAt": ends.isoformat(),
        }
        url = f"{self.url}/api/v2/alerts"
        content = json.dumps([body]).encode()
        expect(fetch(url, method="POST", body=content, content_type="application/json"), 200, f"POST {url}")

    def _listed(self) -> bool:
        query = urllib.parse.urlencode({"filter": f'mark="{self.mark}"'})
        url = f"{self.url}/api/v2/alerts?{query}"
        return bool(fetch_json(url, f"GET {url}"))
