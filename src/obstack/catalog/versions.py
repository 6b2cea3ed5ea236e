"""Comparing versions: of Debian packages as dpkg does, and of the upstream part that capabilities depend on."""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import Any, Final

_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)*")
_REPACKED: Final = re.compile(r"[+~](?:ds|dfsg|repack).*$")


def upstream(version: str) -> str:
    """Given a Debian version or a release's, return the upstream part: `1:2.53.3+ds1-2` gives `2.53.3`."""
    without_epoch = version.split(":", 1)[1] if ":" in version else version
    return _REPACKED.sub("", without_epoch.rsplit("-", 1)[0])


def numbers(version: str) -> tuple[int, ...]:
    """Given a version of either kind, return the leading numbers of its upstream part.

    A pre-release counts as its release: what matters is what the program can do. Raises ValueError when there is none.
    """
    match = _NUMBERS.match(upstream(version))
    if match is None:
        raise ValueError(f"{version!r} is not a version")
    return tuple(int(part) for part in match.group().split("."))


def at_least(version: str, wanted: str) -> bool:
    """Given a version and the one that brought something, return whether the former has it."""
    have, need = numbers(version), numbers(wanted)
    width = max(len(have), len(need))
    return have + (0,) * (width - len(have)) >= need + (0,) * (width - len(need))


def matches(version: str, wanted: str) -> bool:
    """Given a version and what was asked for, return whether it is that: the whole version or its upstream part."""
    return wanted in (version, upstream(version))


def compare_debian(left: str, right: str) -> int:
    """Given two Debian versions, return a number below, equal to or above 0, by the rules of Debian policy 5.6.12."""
    (left_epoch, left_upstream, left_revision) = _split(left)
    (right_epoch, right_upstream, right_revision) = _split(right)
    return (
        left_epoch - right_epoch
        or _compare_part(left_upstream, right_upstream)
        or _compare_part(left_revision, right_revision)
    )


debian_key: Final[Any] = cmp_to_key(compare_debian)
"""A key for sorting by Debian version."""


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream_part, _, revision = rest.rpartition("-")
    return (int(epoch), upstream_part, revision) if "-" in rest else (int(epoch), rest, "0")


def _order(character: str) -> int:
    """A tilde sorts before the end, the end before letters, letters before all else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare_part(left: str, right: str) -> int:
    while left or right:
        left_text, left = _take(left, digits=False)
        right_text, right = _take(right, digits=False)
        for index in range(max(len(left_text), len(right_text))):
            left_order = _order(left_text[index]) if index < len(left_text) else 0
            right_order = _order(right_text[index]) if index < len(right_text) else 0
            if left_order != right_order:
                return left_order - right_order
        left_number, left = _take(left, digits=True)
        right_number, right = _take(right, digits=True)
        difference = int(left_number or 0) - int(right_number or 0)
        if difference:
            return difference
    return 0


def _take(text: str, *, digits: bool) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end].isdigit() == digits:
        end += 1
    return text[:end], text[end:]
