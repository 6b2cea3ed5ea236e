"""Each product's own checker, run on the staged tree before anything is switched.

A checker that cannot be run, does not end in time or ends with another code than 0 has failed; all failures of a run
are returned, not only the first.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass

from obstack.agent import wire
from obstack.agent.services import ServiceFailure, ServiceManager

OUTPUT_LIMIT = 16_384
AT_ONCE = 2
COMPLAINT = re.compile(r"\b(?:fail|err|emerg|invalid|cannot|could not)", re.IGNORECASE)


@dataclass(frozen=True)
class CheckFailure:
    """A checker that did not accept the staged tree. `code` is -1 when it could not be run or did not end in time."""

    name: str
    argv: tuple[str, ...]
    code: int
    output: str

    @property
    def first_complaint(self) -> str:
        """The line to show where only one fits: the first that speaks of a failure, not the greeting before it."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return next((line for line in lines if COMPLAINT.search(line)), lines[0] if lines else "no output")


def run_checks(
    manifest: wire.Manifest, tree: str, current: str, scratch: str, manager: ServiceManager
) -> list[CheckFailure]:
    """Run all checkers of the manifest and the manager's own check of the units; return every failure.

    `tree` is the staged tree, `current` the path by which it will be known, `scratch` an existing private folder.
    """
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        units = pool.submit(_verify_units, manifest, tree, current, scratch, manager)
        checks = [pool.submit(_run, check, tree, scratch) for check in manifest.checks]
        outcomes = [check.result() for check in checks] + [units.result()]
    return [outcome for outcome in outcomes if outcome is not None]


def _verify_units(
    manifest: wire.Manifest, tree: str, current: str, scratch: str, manager: ServiceManager
) -> CheckFailure | None:
    try:
        problems = manager.verify(manifest.units, tree, current, scratch)
    except ServiceFailure as failure:
        problems = [failure.what]
    return CheckFailure("units", (), 1, bounded("\n".join(problems))) if problems else None


def _run(check: wire.CheckEntry, tree: str, scratch: str) -> CheckFailure | None:
    folder = tempfile.mkdtemp(prefix="check-", dir=scratch)
    argv = tuple(_fill(word, tree, folder) for word in check.argv)
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8"}
    environment |= {name: _fill(value, tree, folder) for name, value in check.environment.items()}
    try:
        with subprocess.Popen(
            argv,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=check.timeout_s)
            except subprocess.TimeoutExpired:
                # The whole session goes: a child that keeps the pipe open would be waited for without end.
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                text = f"did not end within {check.timeout_s} s\n{output.decode('utf-8', 'replace')}"
                return CheckFailure(check.name, argv, -1, bounded(text))
    except OSError as error:
        return CheckFailure(check.name, argv, -1, f"{argv[0]} cannot be run: {error.strerror or error}")
    if process.returncode:
        # Files are named as the configuration knows them; where they are staged says nothing to anybody.
        text = output.decode("utf-8", "replace").replace(f"{tree}/", "")
        return CheckFailure(check.name, argv, process.returncode, bounded(text))
    return None


def _fill(text: str, tree: str, scratch: str) -> str:
    return text.replace("{tree}", tree).replace("{scratch}", scratch)


def bounded(text: str) -> str:
    """Return the output cut to a bearable size, both ends kept: the first and the last complaint tell most."""
    if len(text) <= OUTPUT_LIMIT:
        return text
    half = OUTPUT_LIMIT // 2
    return f"{text[:half]}\n… {len(text) - OUTPUT_LIMIT} characters left out …\n{text[-half:]}"
