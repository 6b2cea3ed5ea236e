"""Sizes and durations in the units that systemd and Go programs read."""

from __future__ import annotations

from typing import Final

from obstack.model.scalars import duration_seconds

_MEGABYTES: Final = {"KB": 1 / 1024, "MB": 1, "GB": 1024, "TB": 1024 * 1024}


def megabytes(size: str) -> int:
    """Given a size such as `2GB`, return it in units of 1024 * 1024 bytes, at least one."""
    return max(1, round(int(size[:-2]) * _MEGABYTES[size[-2:]]))


def whole_seconds(duration: str) -> int:
    """Given a duration such as `30d`, return its seconds, at least one."""
    return max(1, round(duration_seconds(duration)))


def memory_limit(limit_megabytes: int) -> dict[str, str]:
    """Given the memory a unit may use, return what lets a Go program collect harder instead of being killed there."""
    return {"GOMEMLIMIT": f"{limit_megabytes * 9 // 10}MiB"}
