"""`observability cert deploy`."""

from __future__ import annotations

from obstack.cli.apply import apply_one
from obstack.cli.composition import SystemClock, door_files, load_site
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options, wait_option
from obstack.errors import UsageError
from obstack.operations.door import refusal


@documented("observability cert deploy", "observability cert deploy --wait 600 --json")
@target_options(Scope.SERVER)
@wait_option
@quiet_option
@json_option
def command(*, target: Target, wait_s: float, quiet: bool, as_json: bool) -> int:
    """Put in force the certificate that certbot has got for the front door: proven first, in one transaction.

    certbot's hook runs this after each renewal. A certificate that is no good is refused, and a red gate takes it
    back: the front door goes on with the one that it has.
    """
    site = load_site(target)
    if site.front_door.certificate.mode != "acme":
        raise UsageError(
            code="certificate-not-acme",
            what=f"The front door shows no certificate of certbot's: its mode is {site.front_door.certificate.mode}.",
            where="front_door.certificate.mode",
            state="nothing was touched",
            do="observability cert status",
        )
    found = door_files(target).issued(site, SystemClock().now())
    if found is None or found.certificate is None:
        raise refusal(found)
    nodes = Nodes(target, site, (site.server.name,))
    return apply_one(nodes, yes=True, wait_s=wait_s, quiet=quiet, as_json=as_json)
