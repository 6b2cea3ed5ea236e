"""`observability artifacts sbom`."""

from __future__ import annotations

import sys

from obstack.cli.artifacts.common import find_given
from obstack.cli.composition import SystemClock
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, nodes_options, quiet_option, target_options
from obstack.cli.progress import reporter


@documented(
    "observability artifacts sbom > bom.json", "observability artifacts sbom --host web-1 --quiet > web-1.bom.json"
)
@target_options(Scope.FILES)
@nodes_options
@quiet_option
def command(*, target: Target, hosts: tuple[str, ...], limits: tuple[str, ...], quiet: bool) -> None:
    """Write the bill of materials of every node, and of this program, as CycloneDX JSON.

    It names each artifact of each node, the archives that it is unpacked from with their SHA-256, package URL and
    licence, and the Python libraries that this program runs on. It is what the configuration and the lock file say;
    that the nodes have exactly that is what `observability artifacts verify` proves.
    """
    from obstack.edges.cyclonedx import write_bom
    from obstack.edges.distributions import installed_parts

    with reporter(quiet=quiet) as progress:
        given = find_given(target, hosts, limits, progress)
        deployed = given.gather(progress)
    sys.stdout.write(write_bom(given.site.name, deployed, installed_parts(), SystemClock().now()) + "\n")
