"""The agent in a bundle: what a controller would ask for and send lies in the archive that it is run from.

FILE show | apply | health | verify, each also with --json. The same transaction as over a channel, with the same
progress on standard error and the same exit codes. A machine that holds what another node must be is left alone; with
--take-over, a host that was renamed takes the bundle of its new name.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obstack.agent import telling, wire
from obstack.agent.__main__ import reply_to
from obstack.agent.faults import USAGE, AgentError
from obstack.agent.machine import Interrupts, Machine
from obstack.agent.managers import service_manager
from obstack.agent.members import UNREADABLE
from obstack.agent.store import content_digest

CHUNK = 1 << 20
JSON = "--json"
TAKE_OVER = "--take-over"
INSTEAD = (
    (
        "correct the configuration and run: observability apply",
        "correct the configuration on the server, and make and carry a new bundle",
    ),
    ("observability apply", "sudo python3 {file} apply"),
    ("observability recover", "sudo python3 {file} apply"),
    ("observability health", "sudo python3 {file} health"),
    ("observability status", "sudo python3 {file} show"),
    ("observability logs ", "journalctl --unit="),
)
"""What to type on a machine that has no program of ours but the bundle."""


@dataclass(frozen=True)
class Bundle:
    """A bundle's archive, verified, the file that it lies in and the generation that it holds."""

    archive: zipfile.ZipFile
    file: str
    manifest: wire.Manifest

    def receive(self, wanted: Mapping[str, int], folder: str) -> None:
        """Put each content that is wanted into `folder` under its digest. Raises AgentError and OSError."""
        for digest, size in wanted.items():
            with open(os.path.join(folder, digest), "wb") as stream:
                for chunk in self._chunks(digest, size):
                    stream.write(chunk)

    def verify(self) -> None:
        """Read every content that the generation needs. Raises AgentError when one is missing or damaged."""
        manifest = self.manifest
        key = b"".join(self._chunks(manifest.key, wire.KEY_SIZE)) if manifest.key else b""
        sizes = {archive.digest: archive.size for part in manifest.artifacts for archive in part.archives}
        sizes |= {manifest.key: wire.KEY_SIZE} if manifest.key else {}
        sizes |= {file.digest: file.size for file in manifest.files}
        keyed = {file.digest for file in manifest.files if file.secret}
        for digest, size in sizes.items():
            content = b"".join(self._chunks(digest, size))
            if content_digest(content, key if digest in keyed else b"") != digest:
                raise _damaged(self.file, f"content {digest[:12]} is not what its digest says")

    def _chunks(self, digest: str, size: int) -> list[bytes]:
        try:
            content = self.archive.read(f"contents/{digest}")
        except UNREADABLE as error:
            raise _damaged(self.file, f"content {digest[:12]}: {error}") from error
        if len(content) != size:
            raise _damaged(self.file, f"content {digest[:12]} is not what its digest says")
        return [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]


def run(archive: zipfile.ZipFile, file: str, arguments: Sequence[str]) -> int:
    """Given the archive, the file it lies in and the command line, do what is asked and return the exit code."""
    words = [word for word in arguments if word not in (JSON, TAKE_OVER)]
    root = ""
    if words[:1] == ["--root"] and len(words) > 1:
        root, words = words[1].rstrip("/"), words[2:]
    verb = VERBS.get(words[0]) if len(words) == 1 else None
    if verb is None:
        sys.stderr.write(f"usage: python3 {file} {' | '.join(VERBS)} [{JSON}] [{TAKE_OVER}]\n")
        return 0 if words in (["--help"], ["-h"]) else USAGE
    as_json = JSON in arguments
    try:
        bundle = _open(archive, file)
        bundle.verify()
        if root == "" and verb is not _verify and os.geteuid() != 0:
            raise _not_root(file, words[0])
        machine = _machine(bundle, root)
        if verb is not _verify:
            _demand_own_machine(bundle, machine, take_over=TAKE_OVER in arguments)
        return verb(bundle, machine, as_json)
    except AgentError as error:
        return _end(wire.Reply("failed", fault=error.fault()), {}, [], file, as_json)


def _open(archive: zipfile.ZipFile, file: str) -> Bundle:
    try:
        manifest = wire.decode(wire.Manifest, wire.load(archive.read("manifest.json")))
    except UNREADABLE as error:
        raise _damaged(file, str(error)) from error
    return Bundle(archive, file, manifest)


def _machine(bundle: Bundle, root: str) -> Machine:
    def emit(event: wire.Event) -> None:
        line = telling.event_line(bundle.manifest.node, event)
        if line:
            _say(sys.stderr.write, line)

    interrupts = Interrupts()
    # Whoever runs it is on the machine: no change of its firewall can shut them out.
    machine = Machine(root, service_manager, emit, bundle.receive, interrupts, confirm=lambda _: True)
    interrupts.install()
    return machine


def _demand_own_machine(bundle: Bundle, machine: Machine, *, take_over: bool) -> None:
    """Look whose machine this is before anything else is looked at or done. Raises AgentError.

    What is in force says so for certain. Where nothing is, there is only the name by which the machine calls itself,
    which need not be the one that the configuration has for it: a difference is told, and no more.
    """
    wanted = bundle.manifest
    if machine.current() == wanted.identity:
        return
    from obstack.agent import stage

    there = stage.load_current(machine)
    if there is None:
        name = os.uname().nodename
        if name.partition(".")[0] != wanted.node.partition(".")[0]:
            _say(
                sys.stderr.write,
                telling.one_line(f"note: this machine calls itself {name}, the bundle is for {wanted.node}"),
            )
    elif there.role != wanted.role:
        raise _another_machine(bundle, there, f"carry the bundle to {wanted.node}")
    elif there.node != wanted.node and not take_over:
        renamed = f"if {there.node} was renamed: sudo python3 {bundle.file} apply {TAKE_OVER}"
        own = f"observability host bundle {there.node} -o {there.node}.bundle"
        raise _another_machine(bundle, there, f"{own}    and carry that one here; {renamed}")


def _apply(bundle: Bundle, machine: Machine, as_json: bool) -> int:
    request = wire.Request(
        "apply",
        manifest=bundle.manifest,
        who=os.environ.get("SUDO_USER", "root"),
        origin={"bundle": os.path.basename(bundle.file)},
    )
    began = time.monotonic()
    reply = reply_to(machine, lambda: request)
    seconds = time.monotonic() - began
    document = {
        "node": bundle.manifest.node,
        "outcome": reply.outcome,
        "generation": reply.generation,
        "previous": reply.previous,
        "transaction": reply.data.get("transaction"),
        "units": [wire.encode(action) for action in reply.actions],
        "drift": [wire.encode(item) for item in reply.drift],
        "gates": [wire.encode(gate) for gate in reply.gates],
        "kept": reply.data.get("kept", []),
        "seconds": round(seconds, 3),
    }
    return _end(reply, document, telling.outcome_lines(bundle.manifest.node, reply, seconds), bundle.file, as_json)


def _health(bundle: Bundle, machine: Machine, as_json: bool) -> int:
    reply = reply_to(machine, lambda: wire.Request("health"))
    document = {
        "node": bundle.manifest.node,
        "generation": reply.generation,
        "gates": [wire.encode(gate) for gate in reply.gates],
    }
    return _end(reply, document, telling.gate_lines(reply.gates), bundle.file, as_json)


def _show(bundle: Bundle, machine: Machine, as_json: bool) -> int:
    from obstack.agent import impact, paths, switch

    paths.validate(bundle.manifest, machine.root)
    seen = switch.compare(machine, bundle.manifest)
    changes = impact.changes(seen.old, bundle.manifest)
    same = seen.same(bundle.manifest)
    document = {
        "node": bundle.manifest.node,
        "in_force": seen.old.identity if seen.old else None,
        "generation": bundle.manifest.identity,
        "unchanged": same,
        "changes": changes,
        "units": [wire.encode(action) for action in seen.actions],
        "drift": [wire.encode(item) for item in seen.drift],
    }
    now = f"generation {seen.old.identity[:12]} is in force" if seen.old else "nothing is in force"
    lines = [f"{bundle.manifest.node}: {now}, the bundle holds {bundle.manifest.identity[:12]}"]
    lines += [telling.one_line(f"  {thing} {how}") for thing, how in changes.items()]
    lines += [telling.one_line(f"  {item.subject}: {item.detail}") for item in seen.drift]
    lines += ["nothing to do"] if same else telling.action_lines(seen.actions)
    return _end(wire.Reply("ok"), document, lines, bundle.file, as_json)


def _verify(bundle: Bundle, machine: Machine, as_json: bool) -> int:
    del machine
    with open(bundle.file, "rb") as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    manifest = bundle.manifest
    document = {"node": manifest.node, "generation": manifest.identity, "sha256": digest, "whole": True}
    lines = [
        f"{bundle.file} is whole",
        f"  host        {manifest.node}",
        f"  generation  {manifest.identity[:12]}",
        f"  SHA-256     {digest}",
    ]
    return _end(wire.Reply("ok"), document, lines, bundle.file, as_json)


VERBS: dict[str, Callable[[Bundle, Machine, bool], int]] = {
    "show": _show,
    "apply": _apply,
    "health": _health,
    "verify": _verify,
}


def _end(reply: wire.Reply, document: dict[str, Any], lines: Sequence[str], file: str, as_json: bool) -> int:
    """Say how it ended and return the exit code."""
    fault = reply.fault
    if fault is not None:
        fault = wire.Fault(**{**wire.encode(fault), "do": _here(fault.do, file)})
    if as_json:
        error = {"error": wire.encode(fault)} if fault else {}
        _say(sys.stdout.write, json.dumps({**document, **error}, indent=2))
    else:
        for line in lines:
            _say(sys.stdout.write, line)
        for line in telling.fault_lines(fault) if fault else ():
            _say(sys.stderr.write, line)
    return fault.exit_code if fault else 0


def _here(do: str, file: str) -> str:
    """Given what to type where the program is, return what to type here."""
    here = do
    for command, instead in INSTEAD:
        here = here.replace(command, instead.format(file=file))
    return f"on the server: {here}" if "observability " in here else here


def _say(write: Callable[[str], object], line: str) -> None:
    # The terminal that started this may be gone; the run must not end because of that.
    try:
        write(f"{line}\n")
    except OSError:
        return


def _damaged(file: str, reason: str) -> AgentError:
    return AgentError(
        exit_code=USAGE,
        code="bundle-damaged",
        what="The bundle is damaged.",
        where=f"{file}: {reason}",
        do="copy it again, and compare its SHA-256 with the one that was printed when it was made",
        state="nothing was touched",
    )


def _another_machine(bundle: Bundle, there: wire.Manifest, do: str) -> AgentError:
    return AgentError(
        exit_code=USAGE,
        code="another-machine",
        what=f"This machine is {there.node} ({there.role}), and the bundle is for {bundle.manifest.node}.",
        where=f"generation {there.identity[:12]} in force here, {bundle.file}",
        do=do,
        state="nothing was touched",
    )


def _not_root(file: str, verb: str) -> AgentError:
    return AgentError(
        exit_code=USAGE,
        code="not-permitted",
        what="Only root may look at or change this machine's stack.",
        where=f"user {os.geteuid()}",
        do=f"sudo python3 {file} {verb}",
        state="nothing was touched",
    )
