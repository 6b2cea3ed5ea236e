"""Alerts about the certificate that the front door really shows, as seen by a probe from the server itself."""

from __future__ import annotations

from typing import Final

from obstack.content.rules import Alert, Group, Severity

DAY_S: Final = 86400
JOB: Final = "front-door"
LIFE_S: Final = 90 * DAY_S
"""For this life of a certificate the steps are 21, 7 and 2 days; for a shorter one they are nearer to its end."""

STEPS: Final = ((21, Severity.INFO, "1h"), (7, Severity.WARNING, "1h"), (2, Severity.CRITICAL, "10m"))


def door_group(life_s: int = LIFE_S) -> Group:
    """Given how long a certificate of the front door lives, return the alerts about its end."""
    share = min(life_s, LIFE_S) / LIFE_S
    return Group(JOB, tuple(_expires(int(days * DAY_S * share), severity, hold) for days, severity, hold in STEPS))


def _expires(left_s: int, severity: Severity, hold: str) -> Alert:
    return Alert(
        name="FrontDoorCertificateExpires",
        expression=f'probe_ssl_earliest_cert_expiry{{job="{JOB}"}} - time() < {left_s}',
        hold=hold,
        severity=severity,
        summary="The certificate of the front door expires soon",
        description="What {{ $labels.instance }} shows is valid for another {{ $value | humanizeDuration }}, "
        "and nothing has renewed it.",
    )
