"""This program's engine on the same end state: one manifest a host, the real agent over the real SSH channel.

Run as a process of its own, so that its processor time counts as the others' does: `python -m bench.incumbents.ours
PLAN`. The plan names the hosts; the answer is one line of JSON with the outcome of each.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.incumbents.endstate import PACKAGES, PROGRAM, USERS, EndState
from obstack.agent import wire
from obstack.edges.ssh_channel import SshChannel
from obstack.ports import Contents

STATE: Final = "/var/lib/observability"
PARALLEL: Final = 10


@dataclass(frozen=True)
class Access:
    """How ssh reaches a host."""

    destination: str
    port: None
    identity: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Reached:
    """A host as the channel needs it: the whole model is not loaded, as the other engines do not load it either."""

    address: str
    ssh: Access


@dataclass(frozen=True)
class Plan:
    """What to do: the end state, the artifacts with the files of their archives, and how the hosts are reached."""

    state: EndState
    artifacts: tuple[wire.ArtifactEntry, ...]
    archives: dict[str, Path]
    hosts: dict[str, str]
    identity: Path
    known_hosts: Path
    cache: Path


def manifest(plan: Plan, host: str) -> tuple[wire.Manifest, dict[str, bytes]]:
    """Given a plan and a host, return what the host must be."""
    blobs: dict[str, bytes] = {}

    def entry(path: str, content: str, mode: int, owner: str = "root") -> wire.FileEntry:
        data = content.encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return wire.FileEntry(path, digest, len(data), mode, owner, owner)

    program = f"{STATE}/current/artifacts/{PACKAGES[0]}/{PROGRAM}"
    state = plan.state
    files = [entry(file.path.lstrip("/"), file.content, file.mode, file.owner) for file in state.files]
    units = []
    for name, text in state.units.items():
        files.append(entry(f"units/{name}.service", text.format(program=program), 0o644))
        units.append(wire.UnitEntry(name, f"units/{name}.service"))
    gates = [wire.GateEntry(url, "http", "", {"url": url, "status": 200}) for url in state.checks]
    return (
        wire.Manifest(
            node=host,
            role="monitored-host",
            manager="systemd",
            files=tuple(sorted(files, key=lambda file: file.path)),
            artifacts=plan.artifacts,
            directories=tuple(
                wire.DirectoryEntry(path.replace("/etc/bench", "/var/lib/bench"), 0o750, owner, owner)
                for path, owner in state.directories.items()
            ),
            links=(wire.LinkEntry("/etc/bench", "etc/bench"),),
            users=tuple(wire.UserEntry(name) for name in USERS),
            units=tuple(units),
            gates=(*gates, wire.GateEntry("all units are running", "units-active", "")),
        ),
        blobs,
    )


def main() -> int:
    """Apply to all hosts of the plan at once; print the outcomes."""
    plan: Plan = pickle.loads(Path(sys.argv[1]).read_bytes())

    def apply(name: str) -> tuple[str, str]:
        desired, blobs = manifest(plan, name)
        options = (f"UserKnownHostsFile={plan.known_hosts}", "StrictHostKeyChecking=no")
        access = Access(f"root@{plan.hosts[name]}", None, str(plan.identity), options)
        channel = SshChannel(name, Reached(plan.hosts[name], access), plan.cache)
        request = wire.Request("apply", manifest=desired, who="bench")
        reply = channel.ask(request, Contents(blobs, plan.archives), lambda event: None)
        return name, reply.outcome if reply.fault is None else f"{reply.fault.what} {reply.fault.detail}"

    with ThreadPoolExecutor(PARALLEL) as pool:
        outcomes = dict(pool.map(apply, plan.hosts))
    sys.stdout.write(json.dumps(outcomes) + "\n")
    return 0 if all(outcome in ("committed", "unchanged") for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
