"""`observability cert status`."""

from __future__ import annotations

from typing import Any

from obstack.cli.composition import SystemClock, file_secrets, load_site
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.cli.views import moment
from obstack.edges.certificates import InternalAuthority
from obstack.operations.certificates import Certificate, list_certificates
from obstack.plan.certificates import Standing

COLOURS = {Standing.DUE: "yellow", Standing.OVERDUE: "red", Standing.EXPIRED: "red"}
HEADER = ("STANDING", "NAME", "NODE", "PURPOSE", "ISSUER", "VALID UNTIL", "LEFT", "WHERE")


@documented("observability cert status", "observability cert status --json")
@target_options()
@json_option
def command(*, target: Target, as_json: bool) -> int:
    """Show every certificate that this site has made; exit 1 when one is overdue or has expired.

    A certificate is due when a third of its life is left, and overdue when a sixth is: then the timer has failed for
    long. `waiting` marks a node that could not be reached since, and still has the older one.
    """
    site, secrets = load_site(target), file_secrets(target)
    book = InternalAuthority(secrets, site.name)
    certificates = list_certificates(site, book, secrets, SystemClock().now())
    if as_json:
        print_json({"certificates": [_document(certificate) for certificate in certificates]})
    else:
        for line in _lines(certificates):
            print_line(line)
    return 0 if all(certificate.sound for certificate in certificates) else 1


def _document(certificate: Certificate) -> dict[str, Any]:
    issued = certificate.issued
    return {
        "name": issued.name,
        "node": certificate.node,
        "purpose": issued.purpose or "authority",
        "issuer": issued.issuer,
        "not_before": issued.begins,
        "not_after": issued.ends,
        "share_left": round(certificate.share_left, 4),
        "standing": certificate.standing.value,
        "due": certificate.standing is not Standing.VALID,
        "where": certificate.place,
        "waiting": certificate.waiting,
    }


def _lines(certificates: tuple[Certificate, ...]) -> list[str]:
    if not certificates:
        return ["no certificate has been made yet; the first apply makes them"]
    rows = [
        (
            certificate.standing.value,
            certificate.issued.name,
            certificate.node + (" (waiting)" if certificate.waiting else ""),
            certificate.issued.purpose or "authority",
            certificate.issued.issuer,
            moment(certificate.issued.ends),
            f"{certificate.share_left:.0%}",
            certificate.place,
        )
        for certificate in certificates
    ]
    head, *body = table(rows, header=HEADER)
    return [
        paint(head, bold=True),
        *(paint(line, COLOURS.get(certificate.standing)) for line, certificate in zip(body, certificates, strict=True)),
    ]
