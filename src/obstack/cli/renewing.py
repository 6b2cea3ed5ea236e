"""The commands that the timer of the server, and certbot's, start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstack.cli.options import Target


def renewal_command(target: Target) -> tuple[str, ...]:
    """Given a target, return how this very program renews its certificates; nothing for a private root."""
    return _command(target, "cert", "renew", "--if-due")


def deploy_command(target: Target) -> tuple[str, ...]:
    """Given a target, return how this very program puts in force what certbot has got; nothing for a private root."""
    return _command(target, "cert", "deploy", "--wait", "600")


def _command(target: Target, *verb: str) -> tuple[str, ...]:
    if target.private:
        return ()
    environment = ("--environment", target.environment) if target.environment else ()
    configuration = os.path.abspath(target.configuration)
    return (*launcher(), *verb, "--config", configuration, *environment)


def launcher() -> tuple[str, ...]:
    """Return how this program is started: by the launcher of its checkout, or by its interpreter without one."""
    beside = Path(__file__).resolve().parents[3] / "observability"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    return (sys.executable, "-I", "-m", "obstack.cli.main")
