"""Small words of messages about the configuration: how a path is spelled, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


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
