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
from urllib.parse import urlencode

from machine.library.command import CommandFailed, Result, Running
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network
from obstack.catalog.modules import ShippedModule
from obstack.edges.modulefile import load_modules

CHECKOUT: Final = Path(__file__).parents[2]
FOLDER: Final = "/srv/observability"
PROGRAM: Final = ("observability", "obs", "scripts", "src", "modules", "requirements.lock", "pyproject.toml")
FROM_NETWORK: Final = ("requirements.lock", "scripts/bootstrap.sh", "src/obstack/catalog", "src/obstack/edges/debian")
"""What decides what is taken from the network; a change of it makes a new image."""

LOCK: Final = "./observability lock --architecture $(dpkg --print-architecture)"

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

SERVER_OF_HOSTS: Final[Mapping[str, Any]] = {"name": "mon-1", "address": "192.0.2.100"}

PROMETHEUS_SUITES: Final = ("bookworm", "trixie", "sid")
"""Debian suites whose Prometheus the tests deploy: 2.42, 2.53 and 3.5."""

LOCKS: Final = "/srv/locks"
"""Where the image keeps the lock file of each of them, `own.json` for the machine's own suite, and `fleet.json`."""

HOST_SUITES: Final = ("bookworm", "trixie")
"""Debian suites of monitored hosts, for which `fleet.json` has the artifacts of every module."""


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
        for suite in (None, *PROMETHEUS_SUITES):
            (place / "config" / "global.yaml").write_text(json.dumps({**SETTINGS, **prometheus_of(suite)}))
            keep = f"mkdir -p {LOCKS}; mv config/artifacts.lock.json {LOCKS}/{suite or 'own'}.json"
            run_with_network(root, ["sh", "-ec", f"cd {FOLDER}; {LOCK}; {keep}"])
        _lock_for_hosts(root, place)
        shutil.rmtree(place / "src")
        shutil.rmtree(place / "modules")

    return images.derive(base, f"{base.name}-program", _key(), prepare)


def _lock_for_hosts(root: Path, place: Path) -> None:
    """Lock what hosts of every suite need for every module that asks for no setting."""
    (place / "config" / "global.yaml").write_text(json.dumps({**SETTINGS, "server": SERVER_OF_HOSTS}))
    (place / "config" / "hosts").mkdir()
    modules: dict[str, dict[str, Any]] = {module.name: {} for module in _plain_modules()}
    for number, suite in enumerate(HOST_SUITES, 1):
        host = {"address": f"192.0.2.{number}", "suite": suite, "modules": modules}
        (place / "config" / "hosts" / f"{suite}.yaml").write_text(json.dumps(host))
    keep = f"mv config/artifacts.lock.json {LOCKS}/fleet.json; rm -r config/hosts"
    run_with_network(root, ["sh", "-ec", f"cd {FOLDER}; {LOCK}; {keep}"])


def _plain_modules() -> list[ShippedModule]:
    """Return the modules that ask for no setting."""
    return [
        module
        for module in load_modules().values()
        if all(option.optional or option.default is not None for option in module.options.values())
    ]


def prometheus_of(suite: str | None) -> dict[str, Any]:
    """Return the section of the configuration that takes Prometheus from a suite; None is the machine's own."""
    return {"artifacts": {"components": {"prometheus": {"suite": suite}}}} if suite else {}


def _key() -> str:
    digest = hashlib.sha256(json.dumps([SETTINGS, PROMETHEUS_SUITES, HOST_SUITES]).encode())
    for module in _plain_modules():
        # Whatever else changes of a module is put on each machine anew.
        artifact = module.module.artifact
        digest.update(artifact.model_dump_json().encode() if artifact else b"")
    for name in FROM_NETWORK:
        place = CHECKOUT / name
        for file in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


class Server:
    """A machine on which the program lies in a checkout, as a user would have it."""

    def __init__(self, machine: Machine) -> None:
        """Put this checkout's source and the configuration of the tests on the machine."""
        self.machine = machine
        machine.succeed(f"rm -rf {FOLDER}/src {FOLDER}/modules {FOLDER}/config/global.yaml {FOLDER}/config/secrets")
        for name in PROGRAM:
            machine.push(CHECKOUT / name, f"{FOLDER}/{name}")
        self.configure()
        self.use_lock("own")

    def configure(self, **sections: Any) -> None:
        """Write the configuration: the tests' own, with these sections laid over it key by key."""
        merged = {name: dict(value) if isinstance(value, Mapping) else value for name, value in SETTINGS.items()}
        for name, value in sections.items():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, Mapping) else value
        self.machine.write(f"{FOLDER}/config/global.yaml", json.dumps(merged, indent=2))

    def use_lock(self, suite: str) -> None:
        """Take the lock file of a suite of `PROMETHEUS_SUITES`, of the machine's `own`, or of a `fleet`."""
        self.machine.succeed(["cp", f"{LOCKS}/{suite}.json", f"{FOLDER}/config/artifacts.lock.json"])

    def set_up(self) -> Any:
        """Draw the secrets, set the stack up and return the document."""
        self.succeed("preflight", "--observability-vps", "--fix")
        return self.document("setup", "--observability", "--yes")

    def apply(self, code: int = 0) -> Any:
        """Apply the configuration, which must end with this exit code, and return the document."""
        return self.document("apply", "--yes", code=code)

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 180) -> Result:
        """Run the program and return the result, whatever its exit code."""
        return self.start(*arguments, environment=environment).wait(timeout_s)

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Running:
        """Start the program and return it running."""
        return self.machine.start(["./observability", *arguments], directory=FOLDER, environment=environment)

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

    def current(self) -> str:
        """Return the generation in force; empty when there is none."""
        return self.machine.run("basename $(readlink /var/lib/observability/current)").stdout.strip()

    def prometheus(self, path: str) -> Any:
        """Ask the API of Prometheus, below /api/v1, and return the data of its answer."""
        return self.machine.succeed(["curl", "-sS", "--fail", f"http://127.0.0.1:9090/api/v1/{path}"]).json()["data"]

    def query(self, expression: str, at: float | None = None) -> list[Any]:
        """Ask Prometheus an instant query, of now or of a unix time, and return the series of its answer."""
        moment = [] if at is None else [("time", str(at))]
        found: list[Any] = self.prometheus(f"query?{urlencode([('query', expression), *moment])}")["result"]
        return found

    def wait_for_series(self, expression: str) -> None:
        """Return when an instant query of Prometheus has an answer.

        Raises:
            CommandFailed: it never had within the time.
        """
        url = f"http://127.0.0.1:9090/api/v1/query?{urlencode([('query', expression)])}"
        self.machine.wait_until_succeeds(f"curl -sS --fail '{url}' | grep '\"value\":'", timeout_s=30)

    def alerts(self) -> dict[str, Any]:
        """Return the alerts that Alertmanager has, by name."""
        listed = self.machine.succeed(["curl", "-sS", "--fail", "http://127.0.0.1:9093/api/v2/alerts"]).json()
        return {alert["labels"]["alertname"]: alert for alert in listed}

    def front_door(self, path: str, login: str | None = None, scheme: str = "https") -> tuple[int, str]:
        """Ask the front door as somebody from outside, over verified TLS; return the status and where it leads."""
        domain = SETTINGS["domain"]
        argv = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]
        argv += ["--cacert", "/etc/nginx/authority.pem", "--connect-to", f"{domain}::{self.machine.address}:"]
        argv += ["--user", login] if login else []
        status, _, target = self.machine.succeed([*argv, f"{scheme}://{domain}{path}"]).stdout.partition(" ")
        return int(status), target

    def password(self) -> str:
        """Return the administrator's password."""
        return self.machine.succeed(["cat", f"{FOLDER}/config/secrets/admin-password"]).stdout.strip()

    def pids(self) -> dict[str, int]:
        """Return the main process of each unit."""
        shown = self.machine.succeed(["systemctl", "show", "--property=MainPID", "--value", *UNITS]).stdout
        return dict(zip(UNITS, map(int, shown.split()), strict=True))

    def traces(self) -> str:
        """Return every file, link and folder of ours with its times and modes: equal texts mean that nothing moved.

        Left out are what the services themselves write.
        """
        places = "/var/lib/observability /etc/systemd /etc/prometheus /etc/alertmanager /etc/nginx"
        listing = f"find {places} /etc/blackbox-exporter -printf '%p %y %i %m %U:%G %s %T@ %C@ %l\\n' | sort"
        return self.machine.succeed(listing).stdout


NEVER_QUIET: Final = ("logs", "version", "config", "module", "cert", "secrets")
"""Commands without progress, and so without `--quiet`."""
