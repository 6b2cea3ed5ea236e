"""The form in which a manifest is kept must outlive the program that wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from obstack.agent import wire

FILE = wire.FileEntry("etc/nginx/nginx.conf", "0" * 64, 7, 0o644)
GATE = wire.GateEntry("it answers", "http", "nginx", {"url": "http://127.0.0.1:80", "status": 200}, 10)


@dataclass(frozen=True)
class LaterFile(wire.FileEntry):
    """What an entry may become in a later version of the program."""

    label: str = ""


def manifest(*files: wire.FileEntry) -> wire.Manifest:
    return wire.Manifest("mon-1", "observability", "systemd", files=files, gates=(GATE,))


def test_the_body_says_everything() -> None:
    kept = manifest(FILE)
    assert wire.decode(wire.Manifest, json.loads(kept.body)) == kept
    assert wire.decode(wire.Manifest, json.loads(kept.body)).identity == kept.identity


def test_a_field_that_comes_later_changes_no_identity_unless_it_says_something() -> None:
    later = LaterFile(FILE.path, FILE.digest, FILE.size, FILE.mode)
    assert manifest(later).identity == manifest(FILE).identity
    labelled = LaterFile(FILE.path, FILE.digest, FILE.size, FILE.mode, label="etc_t")
    assert manifest(labelled).identity != manifest(FILE).identity


def test_the_version_of_the_form_is_always_written() -> None:
    assert json.loads(manifest().body)["version"] == 1
