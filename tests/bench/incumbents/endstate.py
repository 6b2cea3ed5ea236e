"""What each engine must bring about: about seventy managed resources, as data that none of the engines owns.

4 packages, 5 users, 10 directories, 45 files (10 of them unit definitions), 10 running and enabled units, and
5 health checks. The units are node exporters with one collector each, so that they cost next to nothing themselves.
"""

from __future__ import annotations

import configparser
import io
from dataclasses import dataclass
from typing import Final

PACKAGES: Final = (
    "prometheus-node-exporter",
    "prometheus-process-exporter",
    "prometheus-pushgateway",
    "prometheus-nginx-exporter",
)
"""Packages of Debian. This project unpacks them, the others install them by apt; their own services are masked."""

PROGRAM: Final = "usr/bin/prometheus-node-exporter"
USERS: Final = tuple(f"bench-{number}" for number in range(5))
UNITS: Final = tuple(f"bench-unit-{number}" for number in range(10))
PLAIN_FILES: Final = 35
FIRST_PORT: Final = 9300
CHECKED: Final = 5


@dataclass(frozen=True)
class File:
    """One file: where it is, who owns it, and what is in it."""

    path: str
    content: str
    owner: str
    mode: int


@dataclass(frozen=True)
class EndState:
    """The whole end state, without the packages, which each engine gets in its own way."""

    directories: dict[str, str]
    files: tuple[File, ...]
    checks: tuple[str, ...]

    @property
    def resources(self) -> int:
        """How many things are managed."""
        managed = (PACKAGES, USERS, self.directories, self.files, self.units, UNITS)
        return sum(map(len, managed))

    @property
    def units(self) -> dict[str, str]:
        """The definitions by unit; `{program}` stands for where an engine has put the exporter."""
        return {unit: _definition(number) for number, unit in enumerate(UNITS)}


def end_state() -> EndState:
    """Return the end state."""
    directories = {f"/etc/bench/{number}": USERS[number % len(USERS)] for number in range(10)}
    files = tuple(
        File(
            f"/etc/bench/{number % 10}/setting-{number}.conf",
            "".join(f"setting_{line} = {number * line}\n" for line in range(40)),
            USERS[number % 10 % len(USERS)],
            0o640,
        )
        for number in range(PLAIN_FILES)
    )
    checks = tuple(f"http://127.0.0.1:{FIRST_PORT + number}/metrics" for number in range(CHECKED))
    return EndState(directories, files, checks)


def _definition(number: int) -> str:
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit["Unit"] = {"Description": f"Unit {number} of the comparison", "After": "network.target"}
    unit["Service"] = {
        "ExecStart": (
            "{program} --collector.disable-defaults --collector.loadavg "
            f"--web.listen-address=127.0.0.1:{FIRST_PORT + number}"
        ),
        "User": USERS[number % len(USERS)],
        "Restart": "on-failure",
    }
    unit["Install"] = {"WantedBy": "multi-user.target"}
    text = io.StringIO()
    unit.write(text, space_around_delimiters=False)
    return text.getvalue()
