"""`observability cert renew`."""

from __future__ import annotations

from dataclasses import dataclass

import click

from obstack.cli.composition import SystemClock, door_files, file_secrets, load_site
from obstack.cli.door import ask_by_name
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes
from obstack.cli.options import Target, json_option, quiet_option, target_options, wait_option
from obstack.cli.output import print_json, print_line
from obstack.cli.settling import settle_rotation
from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets
from obstack.model.site import Site
from obstack.operations.certificates import choose, give_up, list_certificates, settle
from obstack.operations.door_state import is_pending
from obstack.plan.certificates import FRONT_DOOR
from obstack.plan.fleet import by_bundle


@documented(
    "observability cert renew --if-due",
    "observability cert renew front-door host-web-1",
    "observability cert renew --all --wait 120",
    "observability cert renew scrape-authority",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="All certificates; authorities are renewed by name only.")
@click.option("--if-due", is_flag=True, help="Only those with a third of their life or less left.")
@target_options()
@wait_option
@quiet_option
@json_option
def command(
    *,
    names: tuple[str, ...],
    everything: bool,
    if_due: bool,
    target: Target,
    wait_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Renew certificates, and apply the machines that have them.

    Exactly the machines concerned are applied, and those that were away the last time. The server's timer,
    observability-renew.timer, runs this with --if-due. A host that is served by bundles gets its new certificate with
    its next bundle.

    Where an authority that speaks ACME signs the front door's certificate, certbot's own timer renews it. By its name
    it is asked for at once, even soon after attempts that failed; --if-due puts in force what certbot has got.
    """
    if not (names or everything or if_due):
        raise click.UsageError("Give names of certificates, or --all, or --if-due.")
    if names and everything:
        raise click.UsageError("--all goes without names.")
    settle_rotation(target, quiet=quiet, wait_s=wait_s)
    site, secrets = load_site(target), file_secrets(target)
    foreign = site.front_door.certificate.mode != "internal"
    pending = False
    if foreign and FRONT_DOOR in names:
        ask_by_name(target, site, quiet=quiet)
        names, pending = tuple(name for name in names if name != FRONT_DOOR), True
    elif foreign and if_due:
        pending = not target.private and is_pending(site, door_files(target), SystemClock().now())
    book = InternalAuthority(secrets, site.name)
    certificates = list_certificates(site, book, secrets, SystemClock().now())
    apart = by_bundle(site, site.hosts)
    asked = bool(names or everything or if_due)
    chosen = choose(certificates, names, everything=everything, if_due=if_due, apart=apart) if asked else ()
    nodes = give_up(site, chosen, book, secrets, apart=apart)
    if pending and site.server.name not in nodes:
        nodes = (*nodes, site.server.name)
    if nodes:
        return Renewal(target, site, secrets, nodes).run(wait_s=wait_s, quiet=quiet, as_json=as_json)
    if as_json:
        print_json({"nodes": [], "exit_code": 0})
    else:
        print_line("no certificate is due" if if_due else "there is no certificate to renew")
    return 0


@dataclass(frozen=True)
class Renewal:
    """The machines that are applied for their certificates."""

    target: Target
    site: Site
    secrets: FileSecrets
    nodes: tuple[str, ...]

    def run(self, *, wait_s: float, quiet: bool, as_json: bool) -> int:
        """Apply them, note which now have what was renewed, and return the exit code."""
        if not self.site.hosts:
            from obstack.cli.apply import apply_one

            code = apply_one(
                Nodes(self.target, None), yes=True, wait_s=wait_s, quiet=quiet, as_json=as_json, keep_door=True
            )
            settle(self.secrets, self.nodes if code == 0 else ())
            return code
        from obstack.cli.fleet import FleetApply, decide_course
        from obstack.edges.run_record import RENEWAL, FileRunRecord

        # One host that fails must not let the certificates of the others expire.
        course = decide_course(
            self.site, parallel=None, max_failures=len(self.nodes), canaries=(), batch=None, resume=False
        )
        nodes = Nodes(self.target, self.site, self.nodes)
        record = FileRunRecord(self.target.configuration, RENEWAL)
        # A provided certificate that has expired must not let those of the hosts expire too.
        code = FleetApply(nodes, course, record, quiet, wait_s, as_json, keep_door=True).run(ask=False)
        ended = record.read()
        settle(self.secrets, ended.done & set(self.nodes) if ended else ())
        return code
