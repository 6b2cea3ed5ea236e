"""What an attacker writes: texts that mean something to a terminal, a parser or a shell, and how to tell it."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

FORGED = "web-9: committed, generation 000000000000 is in force"
"""A line that this program could have written itself."""

TERMINAL = (
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]52;c;Y3VybCBldmls\x07",
    "\x1bP1$r0m\x1b\\",
    "\x9b31m",
    "\x90q\x9c",
    "\rerror overwritten",
    "\b\b\b\b",
    "\x7f",
    "\x00",
    f"\n{FORGED}",
    f"\r\n{FORGED}\n",
    f"\v{FORGED}",
    f"\x85{FORGED}",
    f"\u2028{FORGED}",
    f"\u2029{FORGED}",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "a\u200bb",
    "\ufeff",
    "\udcff\udc80",
    "\U000e0041",
)
"""Escapes, moves of the cursor, forged lines, text that reads other than it is, and what is no character at all."""

SYNTAX = (
    "${HOME}",
    "$uid",
    "%n%h%%",
    "`id`",
    "$(id)",
    "; id #",
    "' OR '1'='1",
    '"; return 200; #',
    "} server { listen 8080; }",
    "a\\",
    "\\x0aExecStart=/bin/false",
    "{{ .CommonLabels }}",
    '"} or vector(1) or up{a="',
    "&anchor",
    "*alias",
    "!!python/object/apply:os.system [id]",
    "<<: {a: b}",
    "- item",
    "? key",
    "key: value",
    "# comment",
    "yes",
    "0o17",
    "190:20:30",
    "1e999",
    "null",
    "../../etc/passwd",
    "/etc/passwd",
    "-oProxyCommand=id",
    "--config=/etc/shadow",
    "[section]",
    "secret:x",
)
"""What means something to YAML, PromQL, nginx, systemd, supervisor, Go templates, ssh or a shell, on one line."""

HOSTILE = (*TERMINAL, *SYNTAX)
OURS = re.compile(r"\x1b\[(?:0|1|3[1-6])m")
"""The colours that this program writes itself."""

TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=12) | st.sampled_from([word * 3 for word in TERMINAL])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=12
)


def drives_a_terminal(text: str) -> bool:
    """Return whether anything in what was printed is more to a terminal than text on a line."""
    return any(not (character.isprintable() or character in "\n\t") for character in OURS.sub("", text))


def forges(text: str) -> bool:
    """Return whether a line was printed that only an attacker wrote."""
    return any(line.startswith(FORGED) for line in OURS.sub("", text).split("\n"))
