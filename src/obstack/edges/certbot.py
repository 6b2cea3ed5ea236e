"""certbot of the distribution: asks an authority for the front door's certificate, and is put on the machine by setup.

It is told names, addresses and files, and no secret: its account key is its own. What it renews later it renews by its
own timer; a hook of ours then brings the new certificate through a transaction.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from obstack.agent.accounts import holder_of
from obstack.agent.lock import holder_pid
from obstack.edges.certificate_proof import SYSTEM_STORE
from obstack.errors import ChangeFailed
from obstack.model.door_certificate import LINEAGE
from obstack.plan.door import Order

PACKAGE: Final = "certbot"
PACKAGES_LOCK: Final = "/var/lib/dpkg/lock-frontend"
PACKAGES_S: Final = 120
"""So long another package manager, such as an upgrade by timer, is waited for."""

INSTALL: Final = (
    *("apt-get", "install", "--yes", "--no-install-recommends"),
    *("--option", f"DPkg::Lock::Timeout={PACKAGES_S}"),
    PACKAGE,
)
TIMER: Final = "certbot.timer"
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEADLINE_S: Final = 600
OUTPUT_LIMIT: Final = 8192


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (-1: it did not, or could not be started) and the end of what it said."""

    code: int
    output: str


class Certbot:
    """The program of the machine."""

    def installed(self) -> bool:
        """Return whether it is there."""
        return shutil.which(PACKAGE, path=SEARCH_PATH) is not None

    def renews(self) -> bool:
        """Return whether its timer runs, which renews what is due."""
        return _run(("systemctl", "is-active", "--quiet", TIMER)).code == 0

    def rehearse(self, order: Order, webroot: str) -> Ended:
        """Given an order and the folder of the challenges, try it out where failures cost nothing; nothing is kept."""
        return _run(("certbot", "certonly", "--dry-run", *_arguments(order, webroot)))

    def request(self, order: Order, webroot: str, authority: str, *, anew: bool) -> Ended:
        """Given an order and the folder of the challenges, ask the authority and return how it ended.

        `authority` is the certificate by which to know it, beside those that the machine trusts; empty for none. With
        `anew` a certificate that is there and still good is replaced too.
        """
        how = ("--force-renewal",) if anew else ("--keep-until-expiring",)
        server = ("--server", order.directory)
        with _trusting(authority) as environment:
            return _run(("certbot", "certonly", *server, *how, *_arguments(order, webroot)), environment)

    def install(self) -> None:
        """Put the distribution's package on the machine. Raises ChangeFailed with what the package manager said."""
        ended = _run(INSTALL, {"DEBIAN_FRONTEND": "noninteractive"})
        if ended.code != 0 and holder_pid(PACKAGES_LOCK, "POSIX") is not None:
            raise ChangeFailed(
                code="packages-locked",
                what=f"For {PACKAGES_S} s {holder_of(PACKAGES_LOCK)} has kept the machine's packages locked.",
                where=PACKAGES_LOCK,
                state="nothing of the stack was changed",
                do="wait for it to end, then run the command again",
                detail=ended.output,
            )
        if ended.code != 0:
            raise ChangeFailed(
                code="certbot-not-installed",
                what="The distribution's certbot could not be installed.",
                where=" ".join(INSTALL),
                state="nothing of the stack was changed",
                do=f"apt-get update && apt-get install {PACKAGE}",
                detail=ended.output,
            )


def _arguments(order: Order, webroot: str) -> Sequence[str]:
    mail = ("--email", order.mail, "--no-eff-email") if order.mail else ("--register-unsafely-without-email",)
    return (
        "--non-interactive",
        "--agree-tos",
        *mail,
        # Hooks are for renewals: what we ask for ourselves we put in force ourselves.
        "--no-directory-hooks",
        "--webroot",
        "--webroot-path",
        webroot,
        "--cert-name",
        LINEAGE,
        "--key-type",
        "ecdsa",
        "--renew-with-new-domains",
        *(word for name in order.names for word in ("--domain", name)),
    )


@contextmanager
def _trusting(authority: str) -> Iterator[dict[str, str]]:
    """Yield the environment in which its library knows the authority as well as all others."""
    if not authority:
        yield {}
        return
    with tempfile.NamedTemporaryFile(prefix="observability-authorities-") as bundle:
        store = Path(SYSTEM_STORE)
        bundle.write((store.read_bytes() if store.exists() else b"") + b"\n" + authority.encode())
        bundle.flush()
        yield {"REQUESTS_CA_BUNDLE": bundle.name}


def _run(argv: Sequence[str], further: dict[str, str] | None = None) -> Ended:
    environment = {**os.environ, "PATH": SEARCH_PATH, "LANG": "C.UTF-8", **(further or {})}
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.output.decode("utf-8", "replace") if isinstance(error.output, bytes) else error.output or ""
        return Ended(-1, _shown(f"{said}\n{argv[0]} did not end within {DEADLINE_S} s"))
    except OSError as error:
        return Ended(-1, f"{argv[0]} could not be started: {error.strerror}")
    return Ended(done.returncode, _shown(done.stdout))


def _shown(text: str) -> str:
    lines = ("".join(letter for letter in line if letter.isprintable()) for line in text.splitlines())
    return "\n".join(lines)[-OUTPUT_LIMIT:].strip()
