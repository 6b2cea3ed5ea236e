"""A monitored host for tests: a machine with real services that are off, reached over its own sshd from here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network

CHECKOUT: Final = Path(__file__).parents[2]
SERVICES: Final = ("nginx", "redis-server")
"""Packages that are installed, each with a unit of its name, and switched off."""
INSTALL: Final = f"""
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {" ".join(SERVICES)}
systemctl disable {" ".join(SERVICES)}
apt-get clean
"""


def services_image(images: ImageStore, base: Image) -> Image:
    """Return the minimal image with services that are off."""

    def prepare(root: Path) -> None:
        run_with_network(root, ["sh", "-ec", INSTALL])

    return images.derive(base, f"{base.name}-services", INSTALL, prepare)


@dataclass(frozen=True)
class Site:
    """A configuration below `folder` on this machine, whose hosts are reached by a key made for it."""

    folder: Path

    @property
    def key(self) -> Path:
        """The private key that opens the hosts."""
        return self.folder / "key"

    def begin(self, server_address: str, **sections: Any) -> None:
        """Write the configuration and make the key."""
        settings = {
            "environment": "testing",
            "domain": "observability.example.org",
            "server": {"name": "mon-1", "address": server_address},
            **sections,
        }
        (self.folder / "config").mkdir()
        (self.folder / "config" / "global.yaml").write_text(json.dumps(settings, indent=2), encoding="utf-8")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)

    def open(self, machine: Machine) -> None:
        """Let the key into a machine, and its key into our known ones."""
        machine.write("/root/.ssh/authorized_keys", self.key.with_suffix(".pub").read_text())
        machine.wait_for_unit("ssh.service")
        scan = subprocess.run(["ssh-keyscan", machine.address], capture_output=True, check=True)
        with (self.folder / "known_hosts").open("ab") as known:
            known.write(scan.stdout)

    def file(self, name: str) -> Path:
        """Return a host's file."""
        return self.folder / "config" / "hosts" / f"{name}.yaml"

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the program here, in the folder of the site."""
        variables = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src"), "HOME": str(self.folder), **(environment or {})}
        return subprocess.run(
            [sys.executable, "-m", "obstack.cli.main", *arguments],
            cwd=self.folder, env=variables, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def document(self, *arguments: str, code: int = 0) -> Any:
        """Run the program with `--json`, which must end with this exit code, and return the document."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def ssh_options(self) -> Sequence[str]:
        """Return the settings of ssh by which only what belongs to this site is used."""
        return [f"UserKnownHostsFile={self.folder}/known_hosts", "IdentitiesOnly=yes"]
