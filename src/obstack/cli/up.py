"""`observability up`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from obstack.agent import wire
from obstack.cli.composition import build_desired, open_channel, site_secrets, who
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, make_target, quiet_option
from obstack.cli.output import paint, print_json, print_line, table
from obstack.cli.private import private_target, root_option
from obstack.cli.progress import reporter
from obstack.cli.settling import settle_rotation
from obstack.edges.configfile import GLOBAL_FILE, FileConfigurations
from obstack.edges.embedded.configuration import write_embedded_configuration
from obstack.edges.embedded.root import PrivateRoot
from obstack.edges.embedded.supervisord import Supervisord
from obstack.edges.embedded.surroundings import LocalSurroundings
from obstack.edges.secrets import SecretStore
from obstack.model.embedded import HIGHEST_PORT_BASE, LOWEST_PORT_BASE, PORT_BASE
from obstack.model.passwords import DRAWN_LENGTH
from obstack.model.secret import reference_name
from obstack.model.site import Site
from obstack.operations.up import OTHER_RUN_PATIENCE_S, bring_up


@documented("observability up", "observability up --port-base 21000", "observability up --json")
@root_option
@click.option(
    "--port-base",
    type=click.IntRange(LOWEST_PORT_BASE, HIGHEST_PORT_BASE),
    metavar="PORT",
    help=f"First of the seven ports, which follow each other. [default: {PORT_BASE}, or as last time]",
)
@quiet_option
@json_option
def command(*, root: Path | None, port_base: int | None, quiet: bool, as_json: bool) -> None:
    """Run the whole stack here, for yourself: on loopback, below a private folder, without root.

    The components are taken from the machine's own Debian mirror and unpacked; nothing is installed, and nothing
    outside the folder is changed. It returns when every part has proven that it works. Run it again at any time: what
    runs as it should is left alone, what does not is mended.
    """
    started = time.monotonic()
    target = private_target(root)
    folder = PrivateRoot(Path(target.layout.root))
    folder.prepare()
    with folder.locked(), reporter(quiet=quiet) as progress:
        write_embedded_configuration(target.configuration / GLOBAL_FILE, port_base)
        settle_rotation(target, quiet=quiet, wait_s=OTHER_RUN_PATIENCE_S)
        site = FileConfigurations(target.configuration).load().site
        secrets = site_secrets(target, site)
        for user in site.front_door.users:
            secrets.create(reference_name(user.password))
        for machine in site.front_door.machines:
            secrets.create(reference_name(machine.password), DRAWN_LENGTH)
        reply = bring_up(
            site,
            lambda: build_desired(target, progress),
            Supervisord(target.layout),
            LocalSurroundings(),
            open_channel(target, site.server.name),
            progress,
            who=who(),
        )
    document = describe(target, site, secrets, reply, time.monotonic() - started)
    if as_json:
        print_json(document)
        return
    for line in lines(document):
        print_line(line)


def describe(target: Target, site: Site, secrets: SecretStore, reply: wire.Reply, seconds: float) -> dict[str, Any]:
    """Given what runs, return the document that `--json` prints: addresses, login, and what to try next."""
    door = f"https://{site.domain}:{site.front_door.https_port}"
    user = site.front_door.users[0]
    name = reference_name(user.password)
    authority = shown(f"{target.layout.etc('nginx')}/authority.pem")
    query = f"{door}/prometheus/api/v1/query?query=up"
    return {
        "outcome": reply.outcome,
        "generation": reply.generation,
        "root": target.layout.root,
        "seconds": round(seconds, 2),
        "urls": {
            "front door": f"{door}/",
            "Prometheus API": f"{door}/prometheus/api/v1/",
            "Alertmanager": f"{door}/alertmanager/",
            "machine metrics": f"http://127.0.0.1:{site.node_exporter.port}/metrics",
            "probes": f"http://127.0.0.1:{site.blackbox.port}/probe",
        },
        "login": {
            "user": user.name,
            "kept_in": shown(secrets.place(name)),
        },
        "authority": authority,
        "next": [
            {"what": "ask Prometheus what is up", "type": f"curl --cacert {authority} --user {user.name} '{query}'"},
            {"what": "let every part prove that it works", "type": typed(target, "health", "--verbose")},
            {"what": "read what Prometheus says", "type": typed(target, "logs", "prometheus")},
            {
                "what": "change something; only what it concerns is touched",
                "type": f"$EDITOR {shown(str(target.configuration / GLOBAL_FILE))}; {typed(target, 'up')}",
            },
            {"what": "stop it; --purge removes everything", "type": typed(target, "down")},
        ],
    }


def typed(target: Target, *words: str) -> str:
    """Given words of a command, return what is to be typed for it here, so that it works on the target."""
    program = "./observability" if os.access("observability", os.X_OK) else "observability"
    private = private_target(None) if words[0] in ("up", "down") else make_target(None, None, None, Scope.NEAREST)
    root = () if private.layout == target.layout else ("--root", shown(target.layout.root))
    return " ".join((program, *words, *root))


def shown(path: str) -> str:
    """Given an absolute path, return it relative to the working directory when it lies below, for typing."""
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def lines(document: dict[str, Any]) -> list[str]:
    """Given the document, return it for people."""
    outcome = "was running already" if document["outcome"] == "unchanged" else "is up"
    login = document["login"]
    return [
        f"{paint('The stack ' + outcome + '.', 'green', bold=True)} Every gate is green ({document['seconds']:.1f} s).",
        "",
        *table(list(document["urls"].items())),
        "",
        f"login      {login['user']}, password in {login['kept_in']}",
        f"authority  {document['authority']}",
        "           signs the front door; a browser that does not know it warns",
        "",
        "Try next:",
        *(line for step in document["next"] for line in (f"  # {step['what']}", f"  {step['type']}")),
    ]
