"""When a certificate is renewed, and what is to be said of one. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Purpose = Literal["server", "client", "both"]
"""What a certificate may be shown as: by who is connected to, by who connects, or by both."""

Signer = Literal["site", "scrape"]
"""The two authorities: `site` signs the server and the hosts, `scrape` signs the scrape client of the server alone."""

RENEWAL_SHARE: Final = 1 / 3
"""A certificate is renewed as soon as no more than this share of its life is left."""

OVERDUE_SHARE: Final = RENEWAL_SHARE / 2
"""With so little left, a daily renewal has failed for many days: a person must look."""

FRONT_DOOR: Final = "front-door"
RECEIVER: Final = "journal-receive"
"""What the server shows to its hosts, where the front door shows a certificate that others have signed."""
SCRAPE_CLIENT: Final = "scrape-client"
AUTHORITY_NAMES: Final = {"authority": "site", "scrape-authority": "scrape"}
HOST_PREFIXES: Final = ("host-", "gate-")


class Standing(StrEnum):
    """How a certificate stands."""

    VALID = "valid"
    DUE = "due"
    OVERDUE = "overdue"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Issued:
    """A certificate that is kept: `begins` and `ends` are seconds since 1970, `issuer` is a signer or `itself`."""

    name: str
    purpose: str
    issuer: str
    begins: float
    ends: float

    @property
    def is_authority(self) -> bool:
        """Return whether it signs others."""
        return self.name in AUTHORITY_NAMES

    def share_left(self, now: float) -> float:
        """Given the time, return the share of its life that is left, from 0 to 1."""
        return min(1.0, max(0.0, (self.ends - now) / (self.ends - self.begins)))

    def standing(self, now: float) -> Standing:
        """Given the time, return how it stands."""
        share = self.share_left(now)
        if share <= 0:
            return Standing.EXPIRED
        # An authority is made anew when it would not outlive what it signs, long before it has a third left.
        if self.is_authority or share > RENEWAL_SHARE:
            return Standing.VALID
        return Standing.DUE if share > OVERDUE_SHARE else Standing.OVERDUE


def host_names(host: str) -> tuple[str, ...]:
    """Given a host, return the names under which its certificates are kept."""
    return tuple(f"{prefix}{host}" for prefix in HOST_PREFIXES)


def waiting_note(node: str) -> str:
    """Given a node, return the name of the note that it has not been applied since a certificate was renewed."""
    return f"renewing-{node}"


def node_of(name: str, server: str) -> str:
    """Given the name of a certificate and the server's, return the node that has its key."""
    for prefix in HOST_PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return server
