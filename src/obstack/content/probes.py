"""Alerts about what is probed from outside."""

from __future__ import annotations

from typing import Final

from obstack.content.rules import Alert, Group, Severity

DAY_S: Final = 86400


def _expires(days: int, severity: Severity, hold: str) -> Alert:
    return Alert(
        name="CertificateExpires",
        # The front door's own has alerts of its own.
        expression=f'probe_ssl_earliest_cert_expiry{{job!="front-door"}} - time() < {days * DAY_S}',
        hold=hold,
        severity=severity,
        summary="The certificate of {{ $labels.instance }} expires soon",
        description="It is valid for another {{ $value | humanizeDuration }}.",
    )


PROBES: Final = Group(
    "probes",
    (
        Alert(
            name="ProbeFailed",
            expression="probe_success == 0",
            hold="2m",
            severity=Severity.CRITICAL,
            summary="{{ $labels.instance }} does not answer",
            description="The {{ $labels.kind }} probe {{ $labels.probe }} has failed for 2 minutes.",
        ),
        _expires(21, Severity.INFO, "1h"),
        _expires(7, Severity.WARNING, "1h"),
        _expires(2, Severity.CRITICAL, "10m"),
    ),
)
