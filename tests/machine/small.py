"""A small generation for a machine: one unit that reads one file, so that a test of the way to it takes no time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obstack.agent import wire
from obstack.ports import Contents

UNIT = "example-worker"
FILE = f"/etc/{UNIT}/{UNIT}.conf"
DEFINITION = f"""[Unit]
Description=Example
[Service]
ExecStart=/bin/sh -c "exec sleep infinity < {FILE}"
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Small:
    """A manifest with its contents."""

    manifest: wire.Manifest
    contents: Contents

    @property
    def request(self) -> wire.Request:
        return wire.Request("apply", manifest=self.manifest, who="a test")


def small(
    text: str,
    *,
    checks: Sequence[wire.CheckEntry] = (),
    gates: Sequence[wire.GateEntry] = (),
    extra: Mapping[str, bytes] | None = None,
) -> Small:
    """Return a generation whose unit reads a file that says `text`."""
    contents = {f"etc/{UNIT}/{UNIT}.conf": text.encode(), f"units/{UNIT}.service": DEFINITION.encode(), **(extra or {})}
    blobs = {hashlib.sha256(content).hexdigest(): content for content in contents.values()}
    files = (
        wire.FileEntry(path, hashlib.sha256(content).hexdigest(), len(content), 0o644)
        for path, content in contents.items()
    )
    unit = wire.UnitEntry(UNIT, f"units/{UNIT}.service", inputs=(wire.InputEntry(f"etc/{UNIT}/", "restart"),))
    active = wire.GateEntry("units-active", "units-active", "", deadline_s=20)
    manifest = wire.Manifest(
        node="web-1",
        role="monitored-host",
        manager="systemd",
        files=tuple(files),
        links=(wire.LinkEntry(f"/etc/{UNIT}", f"etc/{UNIT}"),),
        units=(unit,),
        checks=tuple(checks),
        gates=(active, *gates),
    )
    return Small(manifest, Contents(blobs))


def slow_check(seconds: int) -> wire.CheckEntry:
    """A product's checker that takes its time."""
    return wire.CheckEntry("slow", ("/bin/sleep", str(seconds)))


NEVER_GREEN = wire.GateEntry("never-green", "http", "", {"url": "http://127.0.0.1:9", "status": 200}, deadline_s=60)
