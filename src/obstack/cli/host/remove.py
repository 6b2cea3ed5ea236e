"""`observability host remove`."""

from __future__ import annotations

import time
from typing import Any

import click

from obstack.cli import completing
from obstack.cli.composition import build_desired, file_secrets, open_channel, who
from obstack.cli.conclude import conclude, confirm, reply_document
from obstack.cli.host.common import host_channel, host_files, read_configuration
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, quiet_option, target_options, wait_option, yes_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.views import outcome_lines
from obstack.model.site import Site


@documented(
    "observability host remove web-1",
    "observability host remove web-1 --clean --yes",
)
@click.argument("name", shell_complete=completing.hosts)
@click.option("--clean", is_flag=True, help="First take the stack off the host itself, without leaving anything there.")
@target_options(Scope.FILES)
@yes_option
@wait_option
@quiet_option
@json_option
def command(*, name: str, clean: bool, target: Target, yes: bool, wait_s: float, quiet: bool, as_json: bool) -> int:
    """Take a host out: its file is moved aside, its certificates go, and the server no longer scrapes it.

    With --clean the host is cleaned first; when it cannot be reached, nothing is removed at all.
    """
    site = read_configuration(target).site
    editor = host_files(target)
    editor.check_removal(name)
    if not yes:
        confirm(
            f"Remove {name}?",
            _warning(target, name, clean=clean),
            command=f"observability host remove {name}{_clean(clean)}",
        )
    if clean:
        _uninstall(target, site, name, wait_s=wait_s, quiet=quiet)
    kept = editor.remove(name)
    forgotten = _forget(target, site, name)
    document = {"host": name, "kept": kept, "cleaned": clean, "certificates": forgotten}
    lines = [f"{editor.place(name)} is now {kept}"]
    if clean:
        lines.insert(0, f"{name}: nothing of the stack is left there")
    if not _deployed(target):
        if as_json:
            print_json(document | {"server": None})
            return 0
        for line in lines:
            print_line(line)
        return 0
    return _apply(target, document, lines, wait_s=wait_s, quiet=quiet, as_json=as_json)


def _warning(target: Target, name: str, *, clean: bool) -> list[str]:
    lines = [f"{host_files(target).place(name)} is moved aside, and the certificates of {name} are deleted."]
    if clean:
        lines.insert(0, f"Everything that this program made on {name} is DELETED there.")
    else:
        lines.append(f"What runs on {name} stays there; --clean takes it off.")
    if _deployed(target):
        lines.append("The server is applied, so that it no longer scrapes the host.")
    return lines


def _clean(clean: bool) -> str:
    return " --clean" if clean else ""


def _uninstall(target: Target, site: Site, name: str, *, wait_s: float, quiet: bool) -> None:
    """Take the stack off the host. Raises what the host answers, or Unreachable; then nothing was removed here."""
    from obstack.operations.asking import demand
    from obstack.operations.uninstall import uninstall

    channel = host_channel(target, site, name)
    with reporter(quiet=quiet) as progress:
        progress.step(f"Cleaning {name}")
        demand(uninstall(channel, progress, purge=True, who=who(), wait_s=wait_s))


def _forget(target: Target, site: Site, name: str) -> tuple[str, ...]:
    from obstack.edges.certificates import InternalAuthority

    return InternalAuthority(file_secrets(target), site.name).forget_host(name)


def _deployed(target: Target) -> bool:
    """Whether the server has a generation in force that could scrape anything."""
    from obstack.edges.kept import Kept

    return Kept(target.layout.root).node() != ""


def _apply(
    target: Target, document: dict[str, Any], lines: list[str], *, wait_s: float, quiet: bool, as_json: bool
) -> int:
    from obstack.operations.apply import apply

    started = time.monotonic()
    with reporter(quiet=quiet) as progress:
        desired = build_desired(target, progress)
        node = desired.manifest.node
        # Nothing is done to the other hosts here: whether they can be scraped says nothing about the server.
        reply = apply(
            open_channel(target, node),
            desired,
            progress,
            who=who(),
            wait_s=wait_s,
            unproven=tuple(desired.site.hosts),
        )
    seconds = time.monotonic() - started
    document["server"] = reply_document(node, reply, seconds)
    return conclude(reply, document, [*lines, *outcome_lines(node, reply, seconds)], as_json=as_json)
