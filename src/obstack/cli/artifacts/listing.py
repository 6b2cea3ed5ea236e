"""`observability artifacts list`."""

from __future__ import annotations

from typing import Any

from obstack.catalog.parts import vouched_by
from obstack.cli.artifacts.common import find_given
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, nodes_options, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, table
from obstack.cli.progress import reporter
from obstack.operations.deployed import Deployment

HEADER = ("NODE", "ARTIFACT", "VERSION", "SOURCE", "ARCHITECTURE", "ARCHIVES", "VOUCHED FOR BY")


@documented("observability artifacts list", "observability artifacts list --host web-1 --json")
@target_options(Scope.FILES)
@nodes_options
@quiet_option
@json_option
def command(*, target: Target, hosts: tuple[str, ...], limits: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """List what each node is given, by the lock file, and what vouches for it beside its SHA-256.

    No node is asked: `observability artifacts verify` compares with what is there.
    """
    with reporter(quiet=quiet) as progress:
        deployments = find_given(target, hosts, limits, progress, fetch=False).deployments
    if as_json:
        print_json({"nodes": [_document(deployment) for deployment in deployments]})
        return
    rows = [
        (
            deployment.node,
            name,
            artifact.version,
            f"{artifact.source} {artifact.suite or ''}".rstrip(),
            artifact.architecture,
            str(len(artifact.archives)),
            vouched_by(artifact),
        )
        for deployment in deployments
        for name, artifact in sorted(deployment.artifacts.items())
    ]
    head, *body = table(rows, header=HEADER)
    for line in (paint(head, bold=True), *body):
        print_line(line)


def _document(deployment: Deployment) -> dict[str, Any]:
    return {
        "node": deployment.node,
        "artifacts": [
            {
                "name": name,
                "version": artifact.version,
                "source": artifact.source,
                "suite": artifact.suite,
                "architecture": artifact.architecture,
                "vouched_for_by": vouched_by(artifact),
                "archives": [
                    {"name": archive.entry.name, "sha256": archive.entry.digest, "size": archive.entry.size}
                    for archive in artifact.archives
                ],
            }
            for name, artifact in sorted(deployment.artifacts.items())
        ],
    }
