"""Small words of messages: how a path is spelled, what may have been meant, how a value is shown without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

SECRET_WORDS: Final = r"passw(?:or)?d|passphrase|secret|token|credentials?|api_?key|private_?key"
_REFERENCE: Final = r"[\"']?(?-i:secret:[a-z][a-z0-9-]{0,62})(?![^\s\"',}\]])"
_SECRET_LINE: Final = re.compile(
    rf"((?:{SECRET_WORDS})[\w-]*(?:[\"']\s*:\s*|\s*:\s+))(?!\s|{_REFERENCE})\S.*", re.IGNORECASE
)
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")
_LONGEST_SHOWN: Final = 60


def spell(path: Sequence[str | int]) -> str:
    """Given the way to a value, return it as people write it: `alertmanager.routes[0].receiver`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """Given a wrong name and the right ones, return `Did you mean X? ` (with a blank at its end), or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}? " if near else ""


def mask(text: str) -> str:
    """Given one line of configuration, return it without passwords: those after a telling key, and those in URLs."""
    return _URL_LOGIN.sub("***@", _SECRET_LINE.sub(r"\1***", text))


def show(value: Any) -> str:
    """Given a value, return it as a message shows it: short, on one line, without passwords in URLs."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = mask(str(value))
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return f"“{text}”" if text else "empty text"
