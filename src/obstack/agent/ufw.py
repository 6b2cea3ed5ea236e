"""ufw, where a person has turned it on: rules of ours among theirs, told by their comment.

What is there is read from ufw's own files, which costs nothing; what is changed is changed by the program `ufw`.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstack.agent import durable
from obstack.agent.faults import CHANGE_FAILED, AgentError

if TYPE_CHECKING:
    from obstack.agent.openings import Opening

COMMENT = "observability"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ANYWHERE = "any"
FILES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules")
"""Where ufw keeps the rules of people, by family."""
EVERYWHERE = ("0.0.0.0/0", "::/0")
OURS = COMMENT.encode().hex()
TUPLE = re.compile(
    r"### tuple ### allow (?P<protocol>tcp|udp) (?P<port>\d+) (?P<target>\S+) any (?P<source>\S+) in"
    r"(?: comment=(?P<comment>[0-9a-f]*))?"
)
TIMEOUT_S = 60


@dataclass(frozen=True, order=True)
class Rule:
    """A rule that lets in to a port: `source` is an address, a network or `any`."""

    port: int
    source: str
    protocol: str = "tcp"

    @property
    def words(self) -> list[str]:
        """Return the rule as ufw's command line has it."""
        return ["allow", "proto", self.protocol, "from", self.source, "to", "any", "port", str(self.port)]


def is_active(root: str = "") -> bool:
    """Return whether ufw is on this machine, turned on, and shuts what it has no rule for.

    One that lets everybody in would need rules that deny behind those that allow, and any rule that a person adds
    later would come too late behind them: there, ours is a table of its own.
    """
    if _setting(f"{root}/etc/ufw/ufw.conf", "ENABLED") != "yes" or not _program():
        return False
    return _setting(f"{root}/etc/default/ufw", "DEFAULT_INPUT_POLICY") != "ACCEPT"


def wanted(openings: Sequence[Opening], root: str = "") -> list[Rule]:
    """Given openings by address, return the rules needed."""
    six = _has_six(root)
    rules = []
    for opening in openings:
        able = [source for source in opening.sources if ":" not in source or six]
        rules += [Rule(opening.port, source, opening.protocol) for source in able]
        rules += [] if opening.sources else [Rule(opening.port, ANYWHERE, opening.protocol)]
    return rules


def present(root: str = "") -> dict[Rule, bool]:
    """Return the rules of this form that ufw has, each with whether it bears our comment.

    A rule for anybody is there when it is there for both families, of those that ufw sees to.
    """
    four, six = (parse_rules(_read(f"{root}{file}")) for file in FILES)
    if _has_six(root):
        halves = {rule for rule in four.keys() ^ six.keys() if rule.source == ANYWHERE}
        return {rule: ours for rule, ours in (four | six).items() if rule not in halves}
    return four | six


def parse_rules(text: str) -> dict[Rule, bool]:
    """Given the text of ufw's file of rules, return those of this form, each with whether it bears our comment."""
    found = {}
    for line in text.splitlines():
        match = TUPLE.fullmatch(line)
        if match and match["target"] in EVERYWHERE:
            source = ANYWHERE if match["source"] in EVERYWHERE else match["source"]
            found[Rule(int(match["port"]), source, match["protocol"])] = match["comment"] == OURS
    return found


def add(rules: Iterable[Rule]) -> None:
    """Add what is not there in any form; a person's rule that says the same stays theirs. Raises AgentError."""
    there = present()
    for rule in rules:
        if rule not in there:
            _run([*rule.words, "comment", COMMENT])


def remove(rules: Iterable[Rule], root: str = "") -> None:
    """Remove those of the rules that bear our comment, whatever their numbers are by now. Raises AgentError.

    Where the program is gone and its files are still there, the rules are taken out of these: they would be in force
    again once it is back.
    """
    if not _program():
        for file in FILES:
            _strip(f"{root}{file}", set(rules))
        return
    there = {rule for file in FILES for rule, ours in parse_rules(_read(f"{root}{file}")).items() if ours}
    for rule in rules:
        if rule in there:
            _run(["delete", *rule.words, "comment", COMMENT])


def without(text: str, rules: Collection[Rule]) -> str:
    """Given the text of ufw's file of rules, return it without those of the rules that bear our comment.

    A rule is its comment line and the lines for the kernel that follow, up to an empty one.
    """
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if line.startswith("### tuple ###"):
            found = parse_rules(line)
            inside = any(ours and rule in rules for rule, ours in found.items())
        if not inside:
            kept.append(line)
        elif not line.strip():
            inside = False
    return "".join(kept)


def _strip(path: str, rules: Collection[Rule]) -> None:
    text = _read(path)
    left = without(text, rules)
    if left != text:
        durable.write_file(path, left.encode(), stat.S_IMODE(os.stat(path).st_mode))


def _has_six(root: str) -> bool:
    return _setting(f"{root}/etc/default/ufw", "IPV6") == "yes"


def _program() -> str | None:
    return shutil.which("ufw", path=PATH)


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
