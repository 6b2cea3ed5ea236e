"""The record of the last run over many nodes, so that it can be gone on with: one line a fact, appended as it happens.

It lies beside the configuration that the run was about (`.fleet/last-run.jsonl`, 0600), holds names and identities of
generations and no secret, and keeps itself out of version control. A line that a power cut tore is the last one, and is
passed over. A run for new certificates or secrets has a record of its own (`.fleet/last-renewal.jsonl`): what a person
was about to go on with stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from obstack.agent import wire
from obstack.errors import ChangeFailed

if TYPE_CHECKING:
    from obstack.plan.fleet import Record

FOLDER: Final = ".fleet"
FILE: Final = "last-run.jsonl"
RENEWAL: Final = "last-renewal.jsonl"
VERSION: Final = 1


class FileRunRecord:
    """The record below the folder of a configuration."""

    def __init__(self, configuration: Path, file: str = FILE) -> None:
        """Given the folder of the configuration and the name of the record; nothing is written before a run begins."""
        self._folder = configuration / FOLDER
        self.path = self._folder / file

    def read(self) -> Record | None:
        """Return what is remembered of the last run; None when there is nothing, or nothing that can be understood."""
        from obstack.plan.fleet import Record  # the model costs a tenth of a second, and `forget` does without it

        lines = self._lines()
        head = next(lines, None)
        if head is None or head.get("version") != VERSION or not isinstance(head.get("desired"), dict):
            return None
        desired = {str(name): str(identity) for name, identity in head["desired"].items()}
        last = {str(line["node"]): line.get("done") is True for line in lines if "node" in line}
        return Record(desired, frozenset(name for name, done in last.items() if done and name in desired))

    def begin(self, desired: Mapping[str, str], *, who: str, now: float) -> None:
        """Forget the run before; given the generation that each node is to be in, remember that a run began.

        Raises ChangeFailed when it cannot be written: then no node has been touched yet.
        """
        head = {"version": VERSION, "began": round(now, 3), "who": who, "desired": dict(desired)}
        temporary = self.path.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / ".gitignore").write_text("*\n", encoding="ascii")
            temporary.unlink(missing_ok=True)
            _append(temporary, head, durable=True)
            os.replace(temporary, self.path)
        except OSError as error:
            raise self._not_written(error) from error

    def note(self, node: str, outcome: str, *, done: bool) -> None:
        """Remember how it ended for a node; `done` when it is in the generation that it was to be in.

        What cannot be written is not worth stopping for: the node is then worked on again, which changes nothing.
        """
        try:
            _append(self.path, {"node": node, "outcome": outcome, "done": done}, durable=outcome != "unchanged")
        except OSError:
            return

    def forget(self, node: str) -> None:
        """Given a node that is about to be changed by itself, no longer take it for done. Raises ChangeFailed."""
        if not self.path.exists():
            return
        try:
            _append(self.path, {"node": node, "outcome": "changed by itself", "done": False}, durable=True)
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> ChangeFailed:
        return ChangeFailed(
            code="run-record-not-written",
            what="The record of runs could not be written, and without it nothing could go on with a run.",
            where=f"{self.path}: {error.strerror}",
            state="no machine was touched",
            do=f"ls -ld {self._folder}    and make it writable, then run the command again",
        )

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            raw = self.path.read_bytes().splitlines()
        except OSError:
            return
        for line in raw:
            try:
                fact = wire.load(line)
            except ValueError:
                continue
            if isinstance(fact, dict):
                yield fact


def _append(path: Path, fact: Mapping[str, Any], *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb", buffering=0) as stream:
        stream.write(json.dumps(fact, sort_keys=True).encode() + b"\n")
        if durable:
            os.fsync(stream.fileno())
