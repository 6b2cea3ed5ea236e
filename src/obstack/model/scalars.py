"""Small validated types. Whatever passes them is safe to stand in a path, a label, a unit file or a query."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

DURATION_PATTERN: Final = r"^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$"
_DURATION_PART: Final = re.compile(r"(\d+)(ms|y|w|d|h|m|s)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def duration_seconds(text: str) -> float:
    """Given a Prometheus duration such as `1h30m`, return its seconds."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))


def _positive_duration(text: str) -> str:
    if not text or duration_seconds(text) <= 0:
        raise ValueError("must be a duration greater than zero, such as 15s, 5m or 30d")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
"""A name of ours: lower case letters, digits and hyphens, beginning with a letter."""

HostName = Annotated[
    str,
    StringConstraints(
        max_length=253,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$",
    ),
]
"""A host name or an IPv4 address, lower case."""

Port = Annotated[int, Field(ge=1, le=65535)]

Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN), AfterValidator(_positive_duration)]
"""A Prometheus duration: 15s, 5m, 1h30m, 30d."""

ByteSize = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*(KB|MB|GB|TB)$")]
"""A size as Prometheus writes it: 512MB, 50GB."""

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]

LabelValue = Annotated[str, StringConstraints(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]

Text = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of printable text."""

HttpUrl = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://[^\s\"'<>\\^`{|}\x00-\x1f]+$")]

SecretReference = Annotated[str, StringConstraints(pattern=r"^secret:[a-z][a-z0-9-]{0,62}$")]
"""`secret:NAME`, the only thing that a secret field accepts."""

Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")]
"""`host:port` of a scrape target."""
