"""Distinctive secrets go through every command on a real server, and are to be seen nowhere.

Not in what a command prints, whichever way it ends; not on any command line or in any environment that others can read
while it works; not in the journal, in records, evidence or reports of defects; and in no file but those that are made
to hold them, which nobody else can read. Sought are the values themselves and what gives them away: their Base64 at
every alignment, their hexadecimal digits, and their plain SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import click
import pytest

from machine.asked import ASKED, BUNDLE, NOT_DONE, TYPED
from machine.library.command import Result, Running
from machine.library.image import Image
from machine.library.session import Machines
from machine.server import FOLDER, Server
from obstack.cli.reference import commands

pytestmark = [pytest.mark.machine, pytest.mark.security]

CANARIES: Final = {
    "admin-password": "Xk7Qm2Vt9RwZ4pLd",
    "edge-1-password": "Hn3Yc8Bs5Gf6Jt2MxW9vKq4RzD7pLa1T",
    "smtp-password": "Uv6Ew1Ns8Kx3Tq5Z",
    "redis-password": "Pd4Rj9Cm7Wb2Yh6L",
    "left-over": "Gz5Fa3Xq8Nv1Ks7D",
}
"""Values of secrets, by their names."""

GIVEN: Final = "Jw2Lt6Pb9Hc4Vy8S"
"""A value that is given on standard input."""

WRITTEN: Final = "Rs8Dm5Gk1Xf7Bn3Q"
"""A value that somebody writes into a configuration file."""

SEALED: Final = "Mb9Vx4Cj2Sp6Fr8T"
"""A value in the environment of the program."""

VALUES: Final = (*CANARIES.values(), GIVEN, WRITTEN, SEALED)

CONFIGURATION: Final[dict[str, Any]] = {
    "server": {"name": "mon-1", "address": "192.0.2.100"},
    "front_door": {
        "users": [{"name": "admin", "password": "secret:admin-password", "role": "admin"}],
        "machines": [{"name": "edge-1", "password": "secret:edge-1-password", "may": ["read-metrics"]}],
    },
    "alertmanager": {
        "smtp": {
            "host": "127.0.0.1",
            "sender": "alerts@observability.example.org",
            "username": "relay-user",
            "password": "secret:smtp-password",
        },
        "receivers": [{"name": "people", "email": ["ops@observability.example.org"]}],
        "default_receiver": "people",
    },
}
HOST: Final = {
    "address": "192.0.2.7",
    "suite": "trixie",
    "firewall": False,
    "modules": {"redis": {"options": {"password": "secret:redis-password"}}},
}
"""A host that no SSH leads to: a bundle is carried to it."""

SAMPLER: Final = """
import json, os, sys, time
seen, patterns = set(), [pattern.encode() for pattern in json.load(sys.stdin)]
print("watching", flush=True)
while not os.path.exists("/tmp/sampler-stop"):
    for number in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{number}/{name}", "rb") as stream:
                    content = stream.read()
            except OSError:
                continue
            for index, pattern in enumerate(patterns):
                if pattern in content:
                    seen.add((name, index, content.replace(b"\\0", b" ").split(b" ")[0].decode(errors="replace")))
    time.sleep(0.05)
print(json.dumps(sorted(seen)))
"""
"""Reads, as a user who is nobody, what everybody can read of every process, again and again."""


def forms(value: str) -> tuple[str, ...]:
    """Return the value and what gives it away."""
    plain = value.encode()
    found = [value, plain.hex(), plain.hex().upper()]
    for before in range(3):
        # The letters in the middle are the same whatever stands before and after.
        encoded = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        found.append(encoded[(before * 8 + 5) // 6 : -1])
    found += [hashlib.sha256(plain + end).hexdigest() for end in (b"", b"\n")]
    return tuple(found)


PATTERNS: Final = tuple(form for value in VALUES for form in forms(value))


@dataclass
class Watch:
    """The server, and everything that any command has printed."""

    server: Server
    sampler: Running
    printed: list[tuple[str, Result]] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)

    @property
    def patterns(self) -> list[str]:
        """What is sought: of the values that were there from the start, and of those that were drawn since."""
        return [*PATTERNS, *(form for value in self.drawn for form in forms(value))]

    def call(self, *words: str, given: str = f"{GIVEN}\n", environment: Mapping[str, str] | None = None) -> Result:
        """Run a command of the program and keep what it printed."""
        started = self.server.machine.start(
            ["./observability", *words], directory=FOLDER, environment=environment, stdin=given.encode()
        )
        result = started.wait(180)
        self.printed.append((" ".join(words), result))
        if words[:2] == ("secrets", "rotate"):
            kept = self.server.machine.succeed(f"cat {FOLDER}/config/secrets/*-password").stdout.split()
            self.drawn |= set(kept) - set(VALUES)
        return result

    def leaks(self) -> list[str]:
        """Return which commands have printed a value, or what gives one away."""
        sought = (*self.patterns, *forms(TYPED))
        return [
            words
            for words, result in self.printed
            if any(form in text for form in sought for text in (result.stdout, result.stderr))
        ]


@pytest.fixture(scope="module")
def watch(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Watch]:
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    machine = server.machine
    server.configure(**CONFIGURATION)
    server.use_lock("fleet")
    machine.succeed(f"install -d -m 700 {FOLDER}/config/secrets; mkdir -p {FOLDER}/config/hosts /srv/modules")
    machine.succeed(f"mkdir -p {FOLDER}/config/environments")
    machine.write(f"{FOLDER}/config/environments/staging.yaml", "environment: staging\n")
    machine.write(f"{FOLDER}/config/hosts/far-1.yaml", json.dumps(HOST))
    for name, value in CANARIES.items():
        machine.write(f"{FOLDER}/config/secrets/{name}", f"{value}\n", 0o600)
    machine.write("/srv/sampler.py", SAMPLER)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-I", "/srv/sampler.py"]
    sampler = machine.start(nobody, stdin=json.dumps(PATTERNS).encode())
    machine.wait_until_succeeds("pgrep -f /srv/sampler.py", timeout_s=10)
    yield Watch(server, sampler)
    machine.destroy()


def test_nothing_that_a_command_prints_gives_a_secret_away(watch: Watch) -> None:
    first = watch.call("setup", "--observability", "--yes")
    assert first.code == 0, first.stderr
    watch.server.configure(**CONFIGURATION, prometheus={"scrape_interval": "3s"})
    assert watch.call("apply", "--yes", "--host", "mon-1").code == 0
    known = watch.server.document("generations", "list")["generations"]
    named = {"CURRENT": known[0]["identity"][:12], "PREVIOUS": known[1]["identity"][:12]}
    options = {path.removeprefix("observability "): set(_flags(command)) for path, command in commands()}
    codes: dict[str, set[int]] = {}
    for path, calls in ASKED.items():
        for number, words in enumerate(calls):
            argv = [*path.split(), *(named.get(word, word) for word in words)]
            results = [watch.call(*argv, *(["--verbose"] if "--verbose" in options[path] else []))]
            if "--json" in options[path] and number == 0:
                results.append(watch.call(*argv, "--json"))
            codes.setdefault(path, set()).update(result.code for result in results)
    assert watch.leaks() == []
    assert {path for path, found in codes.items() if not found & {0, 1}} == set(NOT_DONE)


def test_neither_does_an_error_a_refusal_or_a_defect(watch: Watch) -> None:
    server, machine = watch.server, watch.server.machine
    secrets = f"{FOLDER}/config/secrets"
    machine.write(f"{secrets}/two-lines", f"{WRITTEN}\n{WRITTEN}\n", 0o600)
    for spoil, mend in (
        (f"chmod 644 {secrets}/admin-password", f"chmod 600 {secrets}/admin-password"),
        (
            f"cp {secrets}/edge-1-password /root; truncate -s 0 {secrets}/edge-1-password",
            f"mv /root/edge-1-password {secrets}",
        ),
        (f"mv {secrets}/smtp-password /root", f"mv /root/smtp-password {secrets}"),
    ):
        machine.succeed(spoil)
        for words in (["config", "validate"], ["apply", "--yes"], ["secrets", "check"], ["preflight"]):
            assert watch.call(*words, "--json").code in (0, 1, 2)
            watch.call(*words)
        machine.succeed(mend)
    machine.succeed(f"cp {FOLDER}/config/global.yaml /root/global.yaml")
    written = machine.succeed(["cat", "/root/global.yaml"]).stdout.replace("secret:smtp-password", f"secret:{WRITTEN}")
    machine.write(f"{FOLDER}/config/global.yaml", written)
    for words in (["config", "validate"], ["config", "show"], ["plan"], ["secrets", "list"], ["secrets", "migrate"]):
        assert watch.call(*words).code in (0, 1, 2)
        watch.call(*words, "--json")
    assert watch.call("secrets", "check", environment={"OBSERVABILITY_SECRET_ADMIN_PASSWORD": SEALED}).code in (0, 1)
    server.configure(**CONFIGURATION, gates={"deadline": "6s"}, node_exporter={"port": 22})
    assert watch.call("apply", "--yes", "--host", "mon-1").code != 0
    target = {"job": "shop", "addresses": ["127.0.0.1:9999"]}
    server.configure(**CONFIGURATION, gates={"deadline": "8s"}, prometheus={"targets": [target]})
    assert watch.call("secrets", "rotate", "admin-password").code == 3
    server.configure(**CONFIGURATION)
    died = watch.call("apply", "--yes", "--host", "mon-1", environment={"OBSERVABILITY_CRASH_AT": "tree"})
    assert died.code != 0
    # A defect, where every secret is at hand: the report names its place, and shows no value.
    page = f"{FOLDER}/src/obstack/render/alertmanager.py"
    machine.succeed(f"cp {page} /root/page.py; sed -i 's/^    return Rendering(/    return Rendering(**1,/' {page}")
    defect = watch.call("apply", "--yes", "--host", "mon-1")
    assert (defect.code, "error[bug]" in defect.stderr) == (70, True)
    machine.succeed(f"mv /root/page.py {page}")
    assert watch.leaks() == []


def test_no_process_showed_one_to_others(watch: Watch) -> None:
    watch.server.machine.succeed("touch /tmp/sampler-stop")
    seen = watch.sampler.wait(30)
    assert seen.stdout.startswith("watching\n")
    assert json.loads(seen.stdout.splitlines()[-1]) == []


def test_nobody_else_can_read_a_file_that_holds_one(watch: Watch) -> None:
    seek = "grep -rlaF -f - /etc /var /run /tmp /srv /root 2>/dev/null; true"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", seek]
    found = watch.server.machine.run(nobody, stdin="\n".join(watch.patterns).encode(), timeout_s=120)
    assert found.stdout.split() == []


def test_only_files_that_are_made_to_hold_one_do(watch: Watch) -> None:
    machine = watch.server.machine
    skipped = "--exclude-dir=artifacts --exclude-dir=.venv --exclude-dir=dpkg --exclude-dir=apt"
    seek = f"grep -rlaF {skipped} -f - /etc /var /run /tmp /srv /root 2>/dev/null; true"
    found = machine.run(["sh", "-c", seek], stdin="\n".join(watch.patterns).encode(), timeout_s=120).stdout.split()
    assert found
    unexpected = [path for path in found if not _may_hold(path)]
    assert unexpected == []
    modes = machine.succeed(["stat", "--format=%a", *found]).stdout.split()
    assert {mode[-1] for mode in modes} == {"0"}
    journal = machine.run(
        ["sh", "-c", "journalctl --quiet --all | grep -aF -f -; true"], stdin="\n".join(watch.patterns).encode()
    )
    assert journal.stdout == ""


def _may_hold(path: str) -> bool:
    """The private folder, blobs by keyed digests, and the files of generations that programs read secrets from."""
    place = PurePosixPath(path)
    if place.is_relative_to(f"{FOLDER}/config/secrets") or path == BUNDLE:
        return True
    state = PurePosixPath("/var/lib/observability")
    if place.parent == state / "store/blobs":
        return True
    inside = place.relative_to(state).parts if place.is_relative_to(state) else ()
    return inside[:1] == ("generations",) and "/".join(inside[2:]) in (
        "etc/alertmanager/secrets/smtp-password",
        "etc/nginx/gate-credentials",
    )


def _flags(command: click.Command) -> list[str]:
    return [option for parameter in command.params for option in parameter.opts]
