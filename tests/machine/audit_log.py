"""The audit log of a machine in the hands of whoever is root there."""

from __future__ import annotations

from typing import Final

from machine.library.machine import Machine

LOG: Final = "/var/lib/observability/audit.jsonl"
AGENT: Final = "/var/lib/observability/agent/agent.pyz"
FREE: Final = """import os, sys
from obstack.agent import durable
durable.keep_growing(os.open(sys.argv[1], os.O_RDONLY), False)"""


def free(machine: Machine) -> None:
    """Let the log do more than grow, as `chattr -a` would, which a minimal Debian lacks."""
    machine.succeed(["env", f"PYTHONPATH={AGENT}", "python3", "-c", FREE, LOG])


def overwrite(machine: Machine, lines: list[str]) -> None:
    """Write the log anew, line by line."""
    free(machine)
    machine.write(LOG, "".join(f"{line}\n" for line in lines), 0o600)
