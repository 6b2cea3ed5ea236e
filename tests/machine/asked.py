"""How the canary test calls every command; a unit test sees to it that none is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

TYPED: Final = "Ty3Nq7Wd9Zc5Lh1K"
"""A value that somebody types on the command line, which everybody sees: it must not be repeated."""

BUNDLE: Final = "/root/far-1.bundle"

ASKED: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "up": [[]],
    "down": [["--root", "/srv/none"]],
    "preflight": [["--observability-vps"], ["--fix"]],
    "setup": [["--observability"]],
    "config diff": [["staging"]],
    "config init": [[], ["--config", "/srv/other", "--domain", "mon.internal"]],
    "config schema": [[]],
    "config show": [["--origin"], ["--environment", "staging"]],
    "config validate": [[]],
    "host add": [["web-9", "--address", "192.0.2.9", "--no-ssh"]],
    "host list": [[]],
    "host show": [["far-1"]],
    "host detect": [["far-1"]],
    "host check": [["far-1"]],
    "host join": [["web-8", "--address", "192.0.2.8"]],
    "host bundle": [["far-1", "-o", BUNDLE]],
    "host remove": [["web-9", "--yes"]],
    "module disable": [["postgres", "--host", "far-1"]],
    "module enable": [
        ["postgres", "--host", "far-1"],
        ["redis", "--host", "far-1", "--option", f"password={TYPED}"],
    ],
    "module list": [[]],
    "module new": [["trial", "--folder", "/srv/modules"]],
    "module show": [["redis"]],
    "module validate": [["redis"]],
    "dashboard export": [["/srv/dashboards"]],
    "dashboard drift": [[]],
    "dashboard list": [[]],
    "dashboard pull": [[]],
    "dashboard show": [["redis"]],
    "cert status": [[]],
    "cert renew": [["--if-due"], ["front-door"]],
    "cert deploy": [[]],
    "secrets init": [[]],
    "secrets set": [["smtp-password"], ["smtp-password", TYPED], [TYPED]],
    "secrets list": [[]],
    "secrets rotate": [["--all"], ["smtp-password", "--set"], ["smtp-password"]],
    "secrets migrate": [[]],
    "secrets check": [[]],
    "lock": [["--verify"]],
    "plan": [["--host", "mon-1"]],
    "apply": [["--yes", "--host", "mon-1"], []],
    "health": [["--host", "mon-1"]],
    "status": [["--host", "mon-1"]],
    "drift": [["--host", "mon-1"]],
    "logs": [["nginx"], []],
    "rollback": [["--list"], ["--auto"]],
    "generations diff": [["PREVIOUS", "CURRENT"]],
    "generations list": [[]],
    "generations prune": [["--keep", "50"]],
    "generations show": [["CURRENT"]],
    "artifacts list": [["--host", "mon-1"]],
    "artifacts licences": [["--host", "mon-1"]],
    "artifacts sbom": [["--host", "mon-1"]],
    "artifacts verify": [["--host", "mon-1"]],
    "firewall show": [[]],
    "audit show": [["--host", "mon-1"]],
    "audit verify": [["--host", "mon-1"]],
    "recover": [[]],
    "uninstall": [[]],
    "completion": [["bash"]],
    "version": [[]],
}
"""With which arguments each command is called; `--verbose` is added where it has it, and the first call is repeated
with `--json`."""

NOT_DONE: Final = {
    "up": "its packages are not on this machine, which has no way to the mirror",
    "dashboard drift": "the server has no Grafana",
    "dashboard pull": "the server has no Grafana",
    "host detect": "no SSH leads to the host",
    "host check": "no SSH leads to the host",
    "cert deploy": "no authority signs the front door's certificate",
    "uninstall": "it asks first, and nobody answers",
}
"""What is called and cannot be done here, and why."""
