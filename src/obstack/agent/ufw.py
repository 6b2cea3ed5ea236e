"""ufw, where a person has turned it on: rules of ours among theirs, told by their comment.

What is there is read from ufw's own files, which costs nothing; what is changed is changed by the program `ufw`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from obstack.agent.faults import CHANGE_FAILED, AgentError

COMMENT = "observability"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ANYWHERE = "any"
TIMEOUT_S = 60


@dataclass(frozen=True, order=True)
class Rule:
    """A rule for incoming TCP: `action` allow or deny, `source` an address or `any`."""

    action: str
    port: int
    source: str

    @property
    def words(self) -> list[str]:
        """Return the rule as ufw's command line has it."""
        return [self.action, "proto", "tcp", "from", self.source, "to", "any", "port", str(self.port)]


def is_active(root: str = "") -> bool:
    """Return whether ufw is on this machine and turned on."""
    return _setting(f"{root}/etc/ufw/ufw.conf", "ENABLED") == "yes" and bool(shutil.which("ufw", path=PATH))


def wanted(ports: Sequence[int], addresses: Sequence[str], root: str = "") -> list[Rule]:
    """Given ports and the addresses that may reach them, return the rules needed, in the order they must have."""
    defaults = f"{root}/etc/default/ufw"
    able = [address for address in addresses if ":" not in address or _setting(defaults, "IPV6") == "yes"]
    rules = [Rule("allow", port, address) for port in sorted(ports) for address in able]
    if _setting(defaults, "DEFAULT_INPUT_POLICY") == "ACCEPT":
        rules += [Rule("deny", port, ANYWHERE) for port in sorted(ports)]
    return rules


def present(root: str = "") -> dict[Rule, bool]:
    """Return the rules of this form that ufw has, each with whether it bears our comment."""
    found: dict[Rule, bool] = {}
    for name in ("user.rules", "user6.rules"):
        found |= parse_rules(_read(f"{root}/etc/ufw/{name}"))
    return found


def parse_rules(text: str) -> dict[Rule, bool]:
    """Given the text of ufw's file of rules, return those of this form, each with whether it bears our comment."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"### tuple ### (allow|deny) tcp (\d+) (\S+) any (\S+) in(?: comment=([0-9a-f]*))?", line)
        if match and match[3] in ("0.0.0.0/0", "::/0"):
            source = ANYWHERE if match[4] in ("0.0.0.0/0", "::/0") else match[4]
            found[Rule(match[1], int(match[2]), source)] = match[5] == COMMENT.encode().hex()
    return found


def add(rules: Iterable[Rule]) -> None:
    """Add what is not there in any form; a person's rule that says the same stays theirs. Raises AgentError."""
    there = present()
    for rule in rules:
        if rule not in there:
            _run([*rule.words, "comment", COMMENT])


def remove(rules: Iterable[Rule]) -> None:
    """Remove those of the rules that bear our comment, whatever their numbers are by now. Raises AgentError."""
    there = present()
    for rule in rules:
        if there.get(rule):
            _run(["delete", *rule.words, "comment", COMMENT])


def _run(words: list[str]) -> None:
    argv = ["ufw", *words]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, env={"PATH": PATH, "LANG": "C.UTF-8"}, timeout=TIMEOUT_S, check=False
        )
        output, code = f"{done.stderr}{done.stdout}".strip(), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        output, code = str(error), -1
    if code:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="firewall-refused",
            what=f"ufw did not take a rule: {output.splitlines()[:1]}",
            where=" ".join(argv),
            do="ufw status verbose",
            detail=output,
        )


def _setting(path: str, name: str) -> str:
    for line in _read(path).splitlines():
        key, _, value = line.partition("=")
        if key.strip() == name:
            return value.strip().strip("\"'")
    return ""


def _read(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
