"""Archives of stand-ins, as their products' releases are laid out, and the way into a server's lock and cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from machine.server import FOLDER, Server

PROGRAM = Path(__file__).with_name("standin_grafana.py")
CACHE = "/var/cache/observability/archives/sha256"


def grafana_archive(version: str, fault: str = "") -> bytes:
    """Return a release archive of standin_grafana: one top folder, the program, its defaults, pages and plugins."""
    program = PROGRAM.read_text(encoding="utf-8").replace("@VERSION@", version).replace("@FAULT@", fault)
    files = {
        "bin/grafana": (program.encode(), 0o755),
        "conf/defaults.ini": (b"app_mode = production\n", 0o644),
        "public/index.html": (b"<!doctype html>\n", 0o644),
        "data/plugins-bundled/prometheus/plugin.json": (b'{"id": "prometheus"}\n', 0o644),
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, (data, mode) in files.items():
            member = tarfile.TarInfo(f"grafana-{version}/{name}")
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    # Without the time of its making: equal archives have equal digests.
    return gzip.compress(content.getvalue(), mtime=0)


def lock_grafana(server: Server, version: str, fault: str = "") -> None:
    """Lock a version of standin_grafana on the server, in the place of the release of that version."""
    content = grafana_archive(version, fault)
    digest = hashlib.sha256(content).hexdigest()
    server.machine.succeed(["mkdir", "-p", CACHE])
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        server.machine.push(Path(file.name), f"{CACHE}/{digest}")
    name = f"grafana-{version}.linux-amd64.tar.gz"
    entry = {"name": name, "digest": digest, "size": len(content), "kind": "tar", "strip": 1, "path": "", "only": []}
    artifact: dict[str, Any] = {
        "component": "grafana",
        "version": version,
        "source": "release",
        "suite": None,
        "architecture": "amd64",
        "archives": [{"entry": entry, "location": f"https://dl.example.org/{name}"}],
        "binaries": {"grafana": "bin/grafana"},
        "libraries": [],
    }
    place = f"{FOLDER}/config/artifacts.lock.json"
    lock = json.loads(server.machine.succeed(["cat", place]).stdout)
    lock["architectures"]["amd64"]["grafana"] = artifact
    server.machine.write(place, json.dumps(lock, indent=2))
