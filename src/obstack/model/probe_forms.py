"""What a probe's target must look like for its kind."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from obstack.model.blackbox import Probe, ProbeKind
from obstack.model.scalars import ADDRESS_PATTERN, HOST_NAME_PATTERN

PROBE_FORMS: Final = {
    ProbeKind.HTTP: ("a URL that begins with http:// or https://", "https://www.example.org/"),
    ProbeKind.TCP: ("host:port", "db-1.example.org:5432"),
    ProbeKind.ICMP: ("a host name or an address", "router.example.org"),
    ProbeKind.DNS: ("the host name or address of a DNS server", "dns-1.example.org"),
    ProbeKind.TLS: ("host:port", "mail.example.org:993"),
}
"""What each kind asks of a target, in words, and an example."""


def fits(probe: Probe) -> bool:
    """Given a probe, return whether its target is what its kind asks for."""
    if probe.kind is ProbeKind.HTTP:
        return _is_url(probe.target)
    if probe.kind in (ProbeKind.TCP, ProbeKind.TLS):
        return re.fullmatch(ADDRESS_PATTERN, probe.target) is not None and _has_port(probe.target)
    return (
        re.fullmatch(HOST_NAME_PATTERN, probe.target.lower()) is not None
        or re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*", probe.target) is not None
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _has_port(address: str) -> bool:
    return 1 <= int(address.rpartition(":")[2]) <= 65535
