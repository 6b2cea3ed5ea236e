"""What the tests need of the machine they run on: programs, the Debian mirror, pip's settings, locks."""

from __future__ import annotations

import configparser
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine.library.command import CommandFailed, call

CACHE = Path("/var/cache/observability-tests")
"""Images and running sessions. Outside any checkout, so that a fresh clone finds the images made before."""

WATCHERS = 4096
"""How many inotify instances one user may have."""

_PACKAGES = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "runuser": "util-linux",
    "mount": "mount",
    "ssh": "openssh-client",
    "tar": "tar",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PIP_FILES = "/run/pip-files"


def allow_watches() -> None:
    """Let many machines watch files at once: to the kernel all their roots are one user, whose 128 are soon used up.

    Without it services fail with "Too many open files" once a dozen machines run.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < WATCHERS:
        limit.write_text(str(WATCHERS))


def install_missing_packages() -> None:
    """Install the programs the library stands on, where they are missing. Test processes wait for each other here.

    Raises:
        PermissionError: this is not root.
        CommandFailed: apt-get could not install them.
    """
    if os.geteuid() != 0:
        raise PermissionError(
            "test machines need root: run the tests as root, or leave these out with -m 'not machine'"
        )
    with locked(CACHE / "install.lock"):
        _install_missing_packages()


def _install_missing_packages() -> None:
    missing = {package for program, package in _PACKAGES.items() if shutil.which(program) is None}
    if not _KEYRING.exists():
        missing.add("debian-archive-keyring")
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *sorted(missing)]
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    try:
        call(install, timeout_s=300)
    except CommandFailed:
        # The package lists are absent or old. One source that does not answer must not stop the others: the code of
        # the update is not asked, the second installation is the judge.
        subprocess.run(["apt-get", "update"], check=False, stdin=subprocess.DEVNULL, capture_output=True)
        call(install, timeout_s=300)


@dataclass(frozen=True)
class Mirror:
    """Where this host takes Debian from: the archive, the security archive if it has one, and apt's way to them."""

    archive: str
    security: str
    apt_settings: str

    def sources(self, suite: str) -> str:
        """Return the lines of /etc/apt/sources.list of a machine of the suite."""
        lines = [f"deb {self.archive} {suite} main"]
        if self.security:
            lines.append(f"deb {self.security} {suite}-security main")
        return "".join(f"{line}\n" for line in lines)


def mirror() -> Mirror:
    """Return the mirror named by this host's own apt sources.

    Raises:
        LookupError: the host has no Debian archive among its sources.
    """
    form = "$(CREATED_BY)\t$(COMPONENT)\t$(ORIGIN)\t$(RELEASE)\t$(REPO_URI)"
    addresses: dict[str, str] = {}
    for line in call(["apt-get", "indextargets", "--format", form]).stdout.splitlines():
        kind, component, origin, release, address = line.split("\t")
        # The origin is unknown as long as the lists have not been fetched.
        if (kind, component) == ("Packages", "main") and origin in ("Debian", ""):
            addresses.setdefault(release, address.rstrip("/"))
    suites = ("bookworm", "trixie", "stable", "oldstable", "testing", "sid")
    archive = next((addresses[suite] for suite in suites if suite in addresses), "")
    if not archive:
        raise LookupError(f"no Debian suite among this host's apt sources: {sorted(addresses)}")
    security = next((address for release, address in addresses.items() if release.endswith("-security")), "")
    wanted = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy", "Acquire::https::Proxy")
    settings = call(["apt-config", "dump", *wanted]).stdout
    return Mirror(archive, security, settings)


@dataclass(frozen=True)
class PipSettings:
    """pip's settings of this host in a form that works inside another root."""

    environment: Mapping[str, str]
    binds: Mapping[str, str]
    """Host path to the path where the root sees it. All lie below /run, so that nothing of them stays in the root."""


def pip_settings() -> PipSettings:
    """Return this host's settings of pip, with every local file they name moved to its place inside.

    Read from where pip reads them, in its order: pip itself may not be installed here.
    """
    config = os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    folders = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    files = [f"{folder}/pip/pip.conf" for folder in folders]
    files += ["/etc/pip.conf", str(Path.home() / ".pip/pip.conf"), f"{config}/pip/pip.conf"]
    files += [os.environ["PIP_CONFIG_FILE"]] if "PIP_CONFIG_FILE" in os.environ else []
    parser = configparser.RawConfigParser()
    parser.read(files)
    values: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            values.update({"PIP_" + key.upper().replace("-", "_"): value for key, value in parser.items(section)})
    values.update({name: value for name, value in os.environ.items() if name.startswith("PIP_")})
    values.pop("PIP_CONFIG_FILE", None)
    binds: dict[str, str] = {}
    moved = {name: " ".join(_moved(word, binds) for word in value.split()) for name, value in values.items()}
    return PipSettings(moved, binds)


def _moved(word: str, binds: dict[str, str]) -> str:
    scheme, path = ("file://", word[7:]) if word.startswith("file://") else ("", word)
    if not path.startswith("/") or not Path(path).exists():
        return word
    # An index folder's pages refer to files beside it.
    kept = str(Path(path).parent) if scheme else path
    binds[kept] = _PIP_FILES + kept
    return scheme + _PIP_FILES + path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file of the path alone, waiting for whoever has it."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """Return a descriptor of the lock file, made where absent. It is not inherited: a lock ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_lock(descriptor: int) -> bool:
    """Take the lock alone if nobody has it, and say whether that was so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
