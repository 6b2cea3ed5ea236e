"""`observability cert status`."""

from __future__ import annotations

from typing import Any

from obstack.cli.composition import SystemClock, door_files, file_secrets, load_site
from obstack.cli.lazy import documented
from obstack.cli.options import Target, json_option, target_options
from obstack.cli.output import paint, print_json, print_line, sanitize, table
from obstack.cli.views import moment
from obstack.edges.certbot import Certbot
from obstack.edges.certificates import InternalAuthority
from obstack.operations.certificates import Certificate, list_certificates
from obstack.operations.door_state import DoorState, door_state, issued_of
from obstack.plan.certificates import Standing

COLOURS = {Standing.DUE: "yellow", Standing.OVERDUE: "red", Standing.EXPIRED: "red"}
HEADER = ("STANDING", "NAME", "NODE", "PURPOSE", "ISSUER", "VALID UNTIL", "LEFT", "WHERE")
DOOR_PLACE = "/etc/nginx/tls/certificate.pem"


@documented("observability cert status", "observability cert status --json")
@target_options()
@json_option
def command(*, target: Target, as_json: bool) -> int:
    """Show the front door's certificate and every one that this site has made; exit 1 when a person must look.

    A certificate is due when a third of its life is left, and overdue when a sixth is: then the timer has failed for
    long. One that you provide is due at 21 days and overdue at 7. `waiting` marks a node that could not be reached
    since, and still has the older one.
    """
    site, secrets, now = load_site(target), file_secrets(target), SystemClock().now()
    certificates = list_certificates(site, InternalAuthority(secrets, site.name), secrets, now)
    door = None if target.private else door_state(site, door_files(target), Certbot(), secrets, now)
    if door is not None and door.mode != "internal" and door.leaf is not None and door.standing is not None:
        issued = issued_of(door.leaf)
        shown = Certificate(issued, site.server.name, DOOR_PLACE, door.standing, issued.share_left(now), waiting=False)
        certificates = (shown, *certificates)
    if as_json:
        print_json(
            {
                "certificates": [_document(certificate) for certificate in certificates],
                "front_door": _door_document(door),
            }
        )
    else:
        for line in (*_lines(certificates), *_door_lines(door)):
            print_line(line)
    sound = all(certificate.sound for certificate in certificates) and (door is None or door.sound)
    return 0 if sound else 1


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


def _door_document(door: DoorState | None) -> dict[str, Any] | None:
    if door is None:
        return None
    leaf = door.leaf
    return {
        "mode": door.mode,
        "issuer": leaf.issuer if leaf else None,
        "names": list(leaf.names) if leaf else [],
        "not_before": leaf.begins if leaf else None,
        "not_after": leaf.ends if leaf else None,
        "sha256": leaf.mark if leaf else None,
        "standing": door.standing.value if door.standing else None,
        "renewal": door.renewal,
        "sound": door.sound,
        "left_at_certbot": door.left,
    }


def _door_lines(door: DoorState | None) -> list[str]:
    if door is None or door.leaf is None:
        return []
    lines = ["", f"front door  mode {door.mode}; renewal: {sanitize(door.renewal)}"]
    return [*lines, *([f"note        {door.left_note}"] if door.left else [])]


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
