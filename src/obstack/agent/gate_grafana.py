"""Gates of Grafana: its database answers, a query goes through its data source, every dashboard is there.

`socket` is the path of the socket that it listens on, or `port` its port on loopback. `header` and `user` say who asks:
Grafana believes that header from whoever can open the socket.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from obstack.agent import wire
from obstack.agent.gate_probe import REQUEST_TIMEOUT_S, GateContext, Probe, Red, exchange, expect

QUERY = "observability_configuration_info"
"""Prometheus has this series in every generation."""


def ready(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001 - the form of all makers
    """`grafana-ready` {socket|port, version}: it is this version, and its database answers."""

    def probe() -> str:
        health = ask(gate, "GET", "/api/health")
        if health.get("database") != "ok":
            raise Red(f"the database of Grafana is {health.get('database')!r}, not ok")
        if health.get("version") != gate.params["version"]:
            raise Red(f"what answers is Grafana {health.get('version')!r}, not {gate.params['version']}")
        return f"Grafana {gate.params['version']} is ready"

    return probe


def sources(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`grafana-sources` {socket|port, header, user, sources, source}: all `sources` are known, `source` answers."""
    wanted = set(gate.params["sources"])

    def probe() -> str:
        known = {source.get("uid") for source in ask(gate, "GET", "/api/frontend/settings")["datasources"].values()}
        if missing := sorted(wanted - known):
            raise Red(f"Grafana does not know the data sources {', '.join(missing)}")
        query = {
            "refId": "A",
            "datasource": {"uid": gate.params["source"]},
            "expr": QUERY,
            "instant": True,
            "range": False,
        }
        answer = ask(gate, "POST", "/api/ds/query", {"queries": [query], "from": "now-5m", "to": "now"})
        result = answer["results"]["A"]
        if result.get("error") or not any(frame["data"]["values"] for frame in result.get("frames", ())):
            raise Red(f"a query through {gate.params['source']} answers nothing", json.dumps(result)[:1024])
        return f"a query went through {gate.params['source']}"

    return probe


def dashboards(gate: wire.GateEntry, context: GateContext) -> Probe:  # noqa: ARG001
    """`grafana-dashboards` {socket|port, header, user, dashboards, mark}: all are there, from this generation's files.

    `dashboards` are the descriptions by identity. One that begins with `mark` names its content: Grafana may go on with
    what an earlier file said. Whoever changes a description in Grafana may.
    """
    missing = dict(gate.params["dashboards"])
    mark = str(gate.params["mark"])

    def probe() -> str:
        for uid, wanted in tuple(missing.items()):
            found = ask(gate, "GET", f"/api/dashboards/uid/{uid}")
            if not found["meta"].get("provisioned"):
                raise Red(f"the dashboard {uid} is there, but not from a file")
            told = str(found["dashboard"].get("description", ""))
            if told.startswith(mark) and wanted.startswith(mark) and told != wanted:
                raise Red(f"the dashboard {uid} is there, but from another file than that of this generation")
            del missing[uid]
        return f"{len(gate.params['dashboards'])} dashboards are there"

    return probe


class _SocketConnection(http.client.HTTPConnection):
    """Connects to a socket of the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=REQUEST_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(REQUEST_TIMEOUT_S)
        try:
            self.sock.connect(self._path)
        except BaseException:
            self.sock.close()
            raise


def ask(gate: wire.GateEntry, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return what Grafana answers, as JSON; raise Red when it is no such thing."""
    place = gate.params.get("socket")
    connection = (
        _SocketConnection(str(place))
        if place
        else http.client.HTTPConnection("127.0.0.1", int(gate.params["port"]), timeout=REQUEST_TIMEOUT_S)
    )
    headers = {"Content-Type": "application/json"}
    if "header" in gate.params:
        headers[str(gate.params["header"])] = str(gate.params["user"])
    content = None if body is None else json.dumps(body).encode()
    try:
        answer = exchange(connection, method, f"/grafana{path}", headers, content, place="Grafana")
    finally:
        connection.close()
    expect(answer, 200, f"{method} /grafana{path}")
    return json.loads(answer.body)
