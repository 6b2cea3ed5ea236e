"""The nft program with a table of our own. It is made and removed as a whole; no other table is looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from obstack.agent.faults import CHANGE_FAILED, AgentError

TABLE = "observability"
TIMEOUT_S = 30


@dataclass(frozen=True)
class Nft:
    """Given the program's path and the folders of its libraries, both absolute, run it."""

    program: str
    libraries: tuple[str, ...] = ()

    def check(self, script: str) -> None:
        """Given a script, raise AgentError `firewall-refused` when the program does not accept it."""
        self._must("--check", "--file", "-", text=script)

    def load(self, script: str) -> None:
        """Given a script, put it into force, whole or not at all. Raises AgentError `firewall-refused`."""
        self._must("--file", "-", text=script)

    def listing(self) -> str:
        """Return our table as the kernel has it, without counters; empty when it is not there."""
        done = self._run(["--stateless", "list", "table", "inet", TABLE])
        return done.stdout if done.returncode == 0 else ""

    def remove(self) -> None:
        """Remove our table; one that is gone is fine. Raises AgentError `firewall-refused`."""
        self._must("--file", "-", text=_without())

    def _must(self, *arguments: str, text: str) -> None:
        done = self._run(arguments, text)
        if done.returncode:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="firewall-refused",
                what=f"nft does not accept the rules: {done.stderr.strip().splitlines()[:1]}",
                where=self.program,
                do="observability plan",
                detail=f"{done.stderr.strip()}\n{text}",
            )

    def _run(self, arguments: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(self.libraries)
        argv = [self.program, *arguments]
        try:
            return subprocess.run(
                argv, input=text, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AgentError(
                exit_code=CHANGE_FAILED,
                code="firewall-unusable",
                what=f"nft cannot be run: {error}",
                where=self.program,
                do="observability apply",
            ) from error


def table_script(ports: Sequence[int], addresses: Sequence[str]) -> str:
    """Given ports and the addresses that may reach them, return the script that makes our table anew.

    It judges these ports only, before the machine's own filters do, which still judge what it lets through.
    """
    dport = f"tcp dport {{ {', '.join(str(port) for port in sorted(ports))} }}"
    sources = [
        f"        {dport} {family} saddr {{ {', '.join(chosen)} }} accept"
        for family, chosen in (
            ("ip", [address for address in addresses if ":" not in address]),
            ("ip6", [address for address in addresses if ":" in address]),
        )
        if chosen
    ]
    rules = ['        iifname "lo" accept', *sources, f"        {dport} drop"]
    body = ["    chain input {", "        type filter hook input priority filter - 10; policy accept;", *rules, "    }"]
    return _without() + "\n".join([f"table inet {TABLE} {{", *body, "}", ""])


def _without() -> str:
    # A table that is not there cannot be deleted, so it is made first: adding what exists is no fault.
    return f"add table inet {TABLE}\ndelete table inet {TABLE}\n"
