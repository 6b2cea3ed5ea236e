"""`observability uninstall`."""

from __future__ import annotations

import time

import click

from obstack.cli.composition import door_files, who
from obstack.cli.conclude import conclude, confirm, reply_document
from obstack.cli.lazy import documented
from obstack.cli.nodes import open_one
from obstack.cli.options import Target, host_option, json_option, quiet_option, target_options, wait_option, yes_option
from obstack.cli.progress import reporter
from obstack.edges.run_record import FileRunRecord
from obstack.model.door_certificate import LINEAGE
from obstack.operations.uninstall import uninstall

KEEPS = "Data folders (metrics, silences), the record of all runs and the audit log stay."
PURGES = "Data folders are DELETED with all metrics and silences, and so is the state folder with the audit log."


@documented("observability uninstall", "observability uninstall --host web-1", "observability uninstall --purge --yes")
@target_options()
@host_option
@click.option("--purge", is_flag=True, help="Delete the data too, and everything else that this program made.")
@yes_option
@wait_option
@quiet_option
@json_option
def command(
    *, target: Target, host: str | None, purge: bool, yes: bool, wait_s: float, quiet: bool, as_json: bool
) -> int:
    """Take the stack off the machine. Data stays, unless --purge is given.

    Only what this program made is removed, as its ledger says.
    """
    channel = open_one(target, host)
    if not yes:
        lines = [
            f"All units of the stack on {channel.node} are stopped, and their files, links and unit files removed.",
            PURGES if purge else KEEPS,
        ]
        confirm("Uninstall?", lines, command=_typed(host, purge))
    FileRunRecord(target.configuration).forget(channel.node)
    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        reply = uninstall(channel, progress, purge=purge, who=who(), wait_s=wait_s)
    seconds = time.monotonic() - started
    lines = []
    if reply.fault is None:
        done = "uninstalled" if reply.previous else "no generation was in force"
        lines.append(f"{channel.node}: {done}, {'nothing is left' if purge else 'data is kept'} ({seconds:.1f} s)")
        if host is None and not target.private and door_files(target).renewed():
            lines.append(f"certbot goes on renewing its certificate: certbot delete --cert-name {LINEAGE}")
        lines += [f"the audit log stays in {place}" for place in (reply.data.get("audit_log"),) if place]
    return conclude(reply, reply_document(channel.node, reply, seconds), lines, as_json=as_json)


def _typed(host: str | None, purge: bool) -> str:
    words = ["observability uninstall", *(["--host", host] if host else []), *(["--purge"] if purge else [])]
    return " ".join(words)
