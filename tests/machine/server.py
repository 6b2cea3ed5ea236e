"""A machine with this program on it: an image that has the packages and archives, and a way to call the program.

The image holds what comes from the network; the source of this checkout is put on each machine anew, so that a change
of the program does not make a new image.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from machine.library.command import CommandFailed, Result, Running
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network

CHECKOUT: Final = Path(__file__).parents[2]
FOLDER: Final = "/srv/observability"
PROGRAM: Final = ("observability", "obs", "scripts", "src", "requirements.lock", "pyproject.toml")
FROM_NETWORK: Final = ("requirements.lock", "scripts/bootstrap.sh", "src/obstack/catalog", "src/obstack/edges/debian")
"""What decides what is taken from the network; a change of it makes a new image."""

SETTINGS: Final[Mapping[str, Any]] = {
    "version": 1,
    "environment": "testing",
    "domain": "observability.example.org",
    "server": {"name": "mon-1"},
    "prometheus": {"scrape_interval": "2s", "evaluation_interval": "2s"},
    "gates": {"deadline": "30s"},
}
"""The configuration of the tests: quick scrapes, so that gates are quick."""

UNITS: Final = ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "nginx")


def program_image(images: ImageStore, base: Image) -> Image:
    """Return the image of a suite with the program's packages and the locked archives, built when absent."""

    def prepare(root: Path) -> None:
        place = root / FOLDER.lstrip("/")
        place.mkdir(parents=True)
        for name in PROGRAM:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, place / name)
        (place / "config").mkdir()
        (place / "config" / "global.yaml").write_text(json.dumps(SETTINGS))
        run_with_network(root, ["sh", "-ec", f"cd {FOLDER}; ./observability lock"])
        shutil.rmtree(place / "src")

    return images.derive(base, f"{base.name}-program", _key(), prepare)


def _key() -> str:
    digest = hashlib.sha256(json.dumps(SETTINGS).encode())
    for name in FROM_NETWORK:
        place = CHECKOUT / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


class Server:
    """A machine on which the program lies in a checkout, as a user would have it."""

    def __init__(self, machine: Machine) -> None:
        """Put this checkout's source and the configuration of the tests on the machine."""
        self.machine = machine
        machine.succeed(f"rm -rf {FOLDER}/src {FOLDER}/config/global.yaml {FOLDER}/config/secrets")
        for name in PROGRAM:
            machine.push(CHECKOUT / name, f"{FOLDER}/{name}")
        self.configure()

    def configure(self, **sections: Any) -> None:
        """Write the configuration: the tests' own, with these sections laid over it key by key."""
        merged = {name: dict(value) if isinstance(value, Mapping) else value for name, value in SETTINGS.items()}
        for name, value in sections.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, Mapping) else value
        self.machine.write(f"{FOLDER}/config/global.yaml", json.dumps(merged, indent=2))

    def run(self, *arguments: str, timeout_s: float = 180) -> Result:
        """Run the program and return the result, whatever its exit code."""
        return self.machine.run(["./observability", *arguments], directory=FOLDER, timeout_s=timeout_s)

    def start(self, *arguments: str) -> Running:
        """Start the program and return it running."""
        return self.machine.start(["./observability", *arguments], directory=FOLDER)

    def succeed(self, *arguments: str) -> Result:
        """Run the program, which must exit with 0."""
        return self.exits(0, *arguments)

    def exits(self, code: int, *arguments: str) -> Result:
        """Run the program, which must exit with this code.

        Raises:
            CommandFailed: it exited with another one.
        """
        result = self.run(*arguments)
        if result.code != code:
            raise CommandFailed(f"the program should have exited with {code}", result)
        return result

    def document(self, *arguments: str, code: int = 0) -> Any:
        """Run the program with `--json`, and return the one document that it must print."""
        return self.exits(code, *arguments, "--json", *(() if arguments[0] in NEVER_QUIET else ("--quiet",))).json()

    def pids(self) -> dict[str, int]:
        """Return the main process of each unit."""
        return {unit: self.machine.main_pid(unit) for unit in UNITS}

    def traces(self) -> str:
        """Return every file, link and folder of ours with its times and modes: equal texts mean that nothing moved.

        Left out are what the services themselves write.
        """
        places = "/var/lib/observability /etc/systemd/system /etc/prometheus /etc/alertmanager /etc/nginx"
        listing = f"find {places} /etc/blackbox-exporter -printf '%p %y %m %U:%G %s %T@ %C@ %l\\n' | sort"
        return self.machine.succeed(listing).stdout


NEVER_QUIET: Final = ("logs", "version", "config")
"""Commands without progress, and so without `--quiet`."""
