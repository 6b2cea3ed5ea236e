"""apt with a state and cache of its own: it takes the machine's transports, proxies and keys and changes nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from obstack.edges.debian.index import PackageVersion, parse_packages
from obstack.errors import ChangeFailed, Unreachable, UsageError

APT_HELPER: Final = "/usr/lib/apt/apt-helper"
POLL_S: Final = 0.25
FRESH_S: Final = 6 * 3600
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_MISSING_KEY: Final = re.compile(r"NO_PUBKEY (\w+)|Missing key (\w+)")
_NOT_AUTHENTIC: Final = re.compile(
    r"Hash Sum mismatch|unexpected size|is not signed|signatures? (?:were|was|is) invalid|BADSIG|not valid|NODATA|"
    r"Splitting up|failed to verify|Bad signature|cannot be authenticated"
)

Progress = Callable[[int], None]
"""Called with the number of bytes that were fetched so far."""


def own_architecture() -> str:
    """Return this machine's architecture by its Debian name. Raises UsageError when it is not supported."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise UsageError(
            code="architecture-not-supported",
            what=f"Machines of architecture {machine} are not supported.",
            where="this machine",
            state="nothing was changed",
            do=f"use a machine of one of these architectures: {', '.join(_ARCHITECTURES)}",
        )
    return _ARCHITECTURES[machine]


class PrivateApt:
    """apt over a set of sources, in a folder of its own below `folder`."""

    def __init__(self, folder: Path, sources: str, architecture: str, label: str) -> None:
        identity = hashlib.sha256(f"{architecture}\n{sources}".encode()).hexdigest()
        self._folder = folder / f"{label}-{architecture}-{identity[:12]}"
        self._sources = sources
        self._architecture = architecture
        self._label = label

    def refresh(self, max_age_s: float, announce: Callable[[str], None]) -> None:
        """Bring the index up to date, after announcing it, when it is older than `max_age_s`.

        Raises UsageError without apt, Unreachable without the archive, ChangeFailed when a signature is not trusted.
        """
        stamp = self._folder / "refreshed"
        with self._locked():
            try:
                if time.time() - stamp.stat().st_mtime < max_age_s:
                    return
            except FileNotFoundError:
                pass
            announce(f"Reading the package index of {self._label}")
            self._write_configuration()
            self._run("apt-get", "update", "--quiet")
            stamp.touch()

    def show(self, names: Iterable[str]) -> list[PackageVersion]:
        """Given package names, return every version of them in the index. Unknown names are left out.

        Raises UsageError without apt.
        """
        names = list(names)
        _demand("apt-cache")
        with self._locked():
            result = subprocess.run(
                self._command("apt-cache", "show", *names), capture_output=True, env=_environment(), check=False
            )
        # apt-cache ends with an error when it knows none of the names, which the caller sees by the empty answer.
        return list(parse_packages(result.stdout.decode(errors="replace")))

    def download(self, packages: Sequence[PackageVersion], into: Path, progress: Progress) -> None:
        """Given packages of the index, fetch them into the folder. Raises what `refresh` raises."""
        names = [f"{package.name}={package.version}" for package in packages]
        with self._locked():
            self._run("apt-get", "download", "--quiet", *names, folder=into, progress=progress)

    def download_file(self, uri: str, into: Path, digest: str) -> None:
        """Given the address of one file of the archive, fetch it by apt's own transports. Raises Unreachable."""
        self._run(APT_HELPER, "download-file", uri, str(into), f"SHA256:{digest}")

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [program, "-c", str(self._folder / "apt.conf"), *arguments]

    def _run(self, program: str, *arguments: str, folder: Path | None = None, progress: Progress | None = None) -> None:
        _demand(program)
        with subprocess.Popen(
            self._command(program, *arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
        ) as process:
            problem: bytes | None = None
            while problem is None:
                try:
                    _, problem = process.communicate(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    if progress is not None and folder is not None:
                        progress(_size_of(folder))
        if process.returncode != 0:
            raise self._explain(" ".join([Path(program).name, *arguments[:1]]), problem.decode(errors="replace"))

    def _explain(self, command: str, problem: str) -> ChangeFailed | Unreachable:
        key = _MISSING_KEY.search(problem)
        if key is not None:
            return ChangeFailed(
                code="suite-not-trusted",
                what=f"The suite {self._label} is signed by a key that this machine does not trust.",
                where=f"key {key[1] or key[2]}",
                state="nothing was changed",
                do="bring the machine's package debian-archive-keyring up to date (apt-get install "
                "debian-archive-keyring), or choose another suite in artifacts",
                detail=problem,
            )
        if _NOT_AUTHENTIC.search(problem):
            return ChangeFailed(
                code="archive-not-authentic",
                what=f"The package archive of {self._label} is not what its key signed.",
                where=f"{command}, by the package sources of this machine",
                state="nothing of it was taken, and nothing was changed",
                do="run the command again, for the mirror may be changing just now; if it stays so, do not trust it: "
                "apt-get update    must say the same",
                detail=problem,
            )
        return Unreachable(
            code="archive-unreachable",
            what=f"The package archive of {self._label} could not be read.",
            where=f"{command}, by the package sources of this machine",
            state="nothing was changed",
            do="apt-get update    and correct the machine's sources or network, or set artifacts.mirror",
            detail=problem,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write_configuration(self) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "sources.d", "preferences.d"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "state/status").write_text("", encoding="utf-8")
        (self._folder / "sources.d/artifacts.sources").write_text(self._sources, encoding="utf-8")
        hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
        options = {
            "APT::Architecture": self._architecture,
            "APT::Get::AllowUnauthenticated": "false",
            # A folder of a user's own cannot be entered by apt's unprivileged helper account.
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            # Said again, for the machine's own settings may say otherwise.
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Dir::Cache": str(self._folder / "cache"),
            # Images for containers switch these off; without them every look at the index reads all of it.
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": str(self._folder / "preferences.d"),
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": str(self._folder / "sources.d"),
            "Dir::State": str(self._folder / "state"),
            "Dir::State::status": str(self._folder / "state/status"),
        }
        # What the machine's administrator hooked onto apt concerns the machine, which is not being updated.
        lines = [f"#clear {hook};" for hook in hooks]
        lines += [f"#clear APT::Architectures;\nAPT::Architectures {{ {_quoted(self._architecture)}; }};"]
        lines += [f"{name} {_quoted(value)};" for name, value in options.items()]
        (self._folder / "apt.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _demand(program: str) -> None:
    if shutil.which(program) is None:
        raise UsageError(
            code="apt-missing",
            what="This machine has no apt to take Debian packages with.",
            where=program,
            state="nothing was changed",
            do="set artifacts.default.source to release or mirror in the configuration",
        )


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _environment() -> dict[str, str]:
    """The caller's environment, which may name a proxy, with output in plain English."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def _size_of(folder: Path) -> int:
    total = 0
    for file in folder.iterdir():
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # apt has just given it its final name
            continue
    return total
