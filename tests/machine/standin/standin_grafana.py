#!/usr/bin/env python3
"""standin_grafana: what is documented of `grafana server`, as far as the tests of this project need it. Not Grafana.

What each part stands for is in README.md beside this file. Only the standard library: it runs on a bare machine.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import json
import os
import re
import signal
import socket
import socketserver
import sqlite3
import sys
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

VERSION = "@VERSION@"
FAULT = "@FAULT@"
"""What is wrong with this build, for the tests: nothing, `no-start`, or `no-dashboards`."""

ROLES = ("Viewer", "Editor", "Admin")


def read_settings(path: str) -> dict[str, dict[str, str]]:
    """Sections of grafana.ini: three quotes keep a value whole, and $__file{…} stands for the content of a file."""
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return {
        section: {name: expand(value.removeprefix('"""').removesuffix('"""')) for name, value in parser.items(section)}
        for section in parser.sections()
    }


def expand(value: str) -> str:
    """A value with its variables filled in."""
    return re.sub(r"\$__file\{([^}]+)\}", lambda match: Path(match[1]).read_text(encoding="utf-8").strip(), value)


class Store:
    """The database: of users, dashboards and what version wrote it last."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.database = sqlite3.connect(path, check_same_thread=False)
        for statement in (
            "CREATE TABLE IF NOT EXISTS migration (version TEXT)",
            "CREATE TABLE IF NOT EXISTS user (login TEXT PRIMARY KEY, role TEXT)",
            "CREATE TABLE IF NOT EXISTS dashboard (uid TEXT PRIMARY KEY, data TEXT, file TEXT, digest TEXT)",
        ):
            self.run(statement)
        # A newer version changes the database at its first start, and an older one reads it with stale content.
        self.run("DELETE FROM migration")
        self.run("INSERT INTO migration VALUES (?)", VERSION)

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self.lock, self.database:
            return self.database.execute(statement, values).fetchall()


class Grafana:
    """Everything of one instance."""

    def __init__(self, home: str, settings: dict[str, dict[str, str]]) -> None:
        self.settings = settings
        paths = settings["paths"]
        for needed in ("conf/defaults.ini", "public"):
            if not Path(home, needed).exists():
                raise SystemExit(f"{home}/{needed} does not exist: this is no home path")
        self.data = Path(paths["data"])
        self.data.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.data / settings["database"]["path"])
        self.sources = self.read_sources(Path(paths["provisioning"]), Path(paths.get("bundled_plugins", home)))
        self.providers = provisioned(Path(paths["provisioning"]) / "dashboards", "providers")

    def read_sources(self, folder: Path, plugins: Path) -> dict[str, dict[str, Any]]:
        """The data sources; since 13.0 each is a program of its own, which must lie where it can be written to."""
        if int(VERSION.split(".")[0]) >= 13:
            mark = plugins / "prometheus" / "plugin.json"
            if not mark.exists() or not os.access(mark.parent, os.W_OK):
                print(f"Could not find plugin definition for data source: {plugins} cannot be written to", flush=True)
                return {}
        return {source["uid"]: source for source in provisioned(folder / "datasources", "datasources")}

    def look(self) -> None:
        """Read the dashboards' files again and again; what changed replaces what is in the database."""
        while True:
            for provider in self.providers:
                if FAULT != "no-dashboards":
                    self.take(Path(os.path.realpath(provider["options"]["path"])))
            time.sleep(min((p["updateIntervalSeconds"] for p in self.providers), default=10) / 10)

    def take(self, folder: Path) -> None:
        """Put the dashboards of a folder into the database."""
        for file in sorted(folder.rglob("*.json")):
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            document = json.loads(content)
            known = self.store.run("SELECT digest FROM dashboard WHERE uid = ?", document["uid"])
            if not known or known[0][0] != digest:
                values = (document["uid"], content.decode(), file.name, digest)
                self.store.run("INSERT OR REPLACE INTO dashboard VALUES (?, ?, ?, ?)", *values)


def provisioned(folder: Path, key: str) -> list[dict[str, Any]]:
    """The items of all provisioning files of a folder."""
    found: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*.y*ml")):
        found += json.loads(file.read_text(encoding="utf-8"))[key]
    return found


class Handler(BaseHTTPRequestHandler):
    """The documented endpoints."""

    grafana: Grafana
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing of requests."""

    def address_string(self) -> str:
        """A socket of the file system has no address."""
        return "socket"

    def who(self) -> tuple[str, str] | None:
        """Login and role of whoever asks, by the header of a proxy, by password, or as nobody in particular."""
        settings = self.grafana.settings
        proxy, login = settings["auth.proxy"], ""
        peer: Any = self.client_address  # empty on a socket of the file system
        trusted = not peer or self.is_local(proxy)
        if proxy.get("enabled") == "true" and trusted:
            login = self.headers.get(proxy["header_name"], "")
        if login:
            wanted = self.headers.get(proxy["headers"].partition(":")[2], "") or "Viewer"
            self.grafana.store.run("INSERT OR REPLACE INTO user VALUES (?, ?)", login, wanted)
            return login, wanted if wanted in ROLES else "Viewer"
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic" and settings["auth.basic"]["enabled"] == "true":
            wanted = f"{settings['security']['admin_user']}:{settings['security']['admin_password']}"
            if base64.b64decode(given).decode() == wanted:
                return "admin", "Admin"
        return ("", "Viewer") if settings["auth.anonymous"]["enabled"] == "true" else None

    def is_local(self, proxy: dict[str, str]) -> bool:
        """Whether the one who asks may say who somebody is."""
        return str(self.client_address[0]) in proxy.get("whitelist", "").split(",")

    def answer(self, status: int, document: Any, kind: str = "application/json") -> None:
        """Send one answer."""
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer a reading request."""
        path = urllib.parse.urlsplit(self.path).path
        if not path.startswith("/grafana/"):
            return self.answer(404, {"message": "Not found"})
        path = path.removeprefix("/grafana")
        if path == "/api/health":
            return self.answer(200, {"database": "ok", "version": VERSION, "commit": "standin"})
        person = self.who()
        if person is None:
            return self.answer(401, {"message": "Unauthorized"})
        if path == "/api/live/ws" and self.headers.get("Upgrade", "").lower() == "websocket":
            return self.live()
        if path == "/api/user":
            return self.answer(200, {"login": person[0], "orgRole": person[1]})
        if path == "/api/frontend/settings":
            sources = {s["name"]: {"uid": uid, "type": s["type"]} for uid, s in self.grafana.sources.items()}
            return self.answer(200, {"datasources": sources})
        if path.startswith("/api/dashboards/uid/"):
            return self.dashboard(path.rpartition("/")[2])
        if path == "/":
            return self.answer(200, "<!doctype html><title>Grafana</title><script>1</script>", "text/html")
        return self.answer(404, {"message": "Not found"})

    def dashboard(self, uid: str) -> None:
        """Answer one dashboard."""
        rows = self.grafana.store.run("SELECT data, file FROM dashboard WHERE uid = ?", uid)
        if not rows:
            return self.answer(404, {"message": "Dashboard not found"})
        data = json.loads(rows[0][0]) | {"id": 1, "version": 1}
        return self.answer(200, {"dashboard": data, "meta": {"provisioned": bool(rows[0][1])}})

    def live(self) -> None:
        """Become a WebSocket, as far as the handshake."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True

    def do_POST(self) -> None:
        """Answer a query, or keep what somebody made of a dashboard."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        path = urllib.parse.urlsplit(self.path).path.removeprefix("/grafana")
        person = self.who()
        if person is None:
            return self.answer(401, {"message": "Unauthorized"})
        if path == "/api/ds/query":
            return self.query(body["queries"][0])
        if path == "/api/dashboards/db":
            if person[1] not in ("Editor", "Admin"):
                return self.answer(403, {"message": "Access denied"})
            board = body["dashboard"]
            statement = "UPDATE dashboard SET data = ? WHERE uid = ?"
            self.grafana.store.run(statement, json.dumps(board), board["uid"])
            return self.answer(200, {"uid": board["uid"], "status": "success"})
        return self.answer(404, {"message": "Not found"})

    def query(self, query: dict[str, Any]) -> None:
        """Ask the data source and answer in frames."""
        source = self.grafana.sources.get(query["datasource"]["uid"])
        if source is None:
            return self.answer(404, {"message": "data source not found"})
        asked = f"{source['url']}/api/v1/query?{urllib.parse.urlencode({'query': query['expr']})}"
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                rows = json.load(answer)["data"]["result"]
        except OSError as error:
            return self.answer(200, {"results": {query["refId"]: {"error": str(error), "frames": []}}})
        frames = [{"schema": {}, "data": {"values": [[row["value"][0]], [row["value"][1]]]}} for row in rows]
        return self.answer(200, {"results": {query["refId"]: {"status": 200, "frames": frames}}})


class OnSocket(socketserver.ThreadingUnixStreamServer):
    """A server on a socket of the file system."""

    daemon_threads = True


class OnPort(socketserver.ThreadingTCPServer):
    """A server on a port."""

    daemon_threads = True
    allow_reuse_address = True


def main(words: list[str]) -> None:
    """Run `server --homepath DIR --config FILE` until the signal to end."""
    if words[:1] != ["server"] or FAULT == "no-start":
        raise SystemExit(f"cannot do {' '.join(words)}")
    options = dict(zip(words[1::2], words[2::2], strict=False))
    settings = read_settings(options["--config"])
    Handler.grafana = Grafana(options["--homepath"], settings)
    place = settings["server"]
    server: socketserver.BaseServer
    if place["protocol"] == "socket":
        Path(place["socket"]).unlink(missing_ok=True)
        server = OnSocket(place["socket"], Handler)
        os.chmod(place["socket"], int(place["socket_mode"], 8))
    else:
        server = OnPort((place["http_addr"], int(place["http_port"])), Handler)
    threading.Thread(target=Handler.grafana.look, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"standin_grafana {VERSION} listens on {socket.gethostname()}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
