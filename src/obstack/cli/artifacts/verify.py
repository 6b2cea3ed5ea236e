"""`observability artifacts verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from obstack.agent.paths import Paths
from obstack.catalog.artifact import Archive
from obstack.cli.artifacts.common import find_given
from obstack.cli.fleet import look
from obstack.cli.fleet_views import fleet_document
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, choose_nodes
from obstack.cli.options import Target, json_option, nodes_options, parallel_option, quiet_option, target_options
from obstack.cli.output import paint, print_json, print_line, sanitize
from obstack.cli.progress import reporter
from obstack.cli.supply import archive_cache
from obstack.cli.views import count
from obstack.edges.lock_file import LockFile
from obstack.edges.unpacked import Unpacked
from obstack.operations.deployed import Deployment
from obstack.operations.fleet import BY_BUNDLE, NodeResult
from obstack.operations.verification import DAMAGED, UNKNOWN, Verified, broken_archives, verify_node
from obstack.plan.fleet import worst
from obstack.ports import Channel, Reporter

REFETCH = "observability lock --verify"
SHOWN = 10
"""Differences of one artifact that are shown to people; `--json` has all."""


@dataclass(frozen=True)
class Kept:
    """The archives of this machine's cache: those that are not what the lock names, and how many there are."""

    broken: Mapping[str, Archive]
    read: int
    absent: int


@documented(
    "observability artifacts verify",
    "observability artifacts verify --host web-1",
    "observability artifacts verify --limit web --json",
)
@target_options()
@nodes_options
@parallel_option
@quiet_option
@json_option
def command(
    *,
    target: Target,
    hosts: tuple[str, ...],
    limits: tuple[str, ...],
    parallel: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Read every archive here and every unpacked file on the nodes again; exit 1 when one is not as locked.

    Every byte is read, unlike by `observability drift`, which believes the times of files. What the archives unpack to
    is found out here, so that a node's own records are not believed. No node is changed.
    """
    kept = _look_at_cache(target)
    with reporter(quiet=quiet) as progress:
        deployments = find_given(target, hosts, limits, progress).deployments
        unpacked = Unpacked(archive_cache(target))
        for deployment in deployments:
            for name, artifact in deployment.artifacts.items():
                progress.step(f"Unpacking {name} to compare with it")
                unpacked.prepare(artifact, deployment.files)
    nodes = choose_nodes(target, hosts, limits)
    results = _ask(nodes, deployments, unpacked, parallel=parallel, quiet=quiet)
    unsound = any(not verified.sound for result in results for verified in result.value or ())
    code = worst([*(result.exit_code for result in results), *((1,) if unsound or kept.broken else ())])
    if as_json:
        documents = {result.node: _document(result.value) for result in results if result.value is not None}
        print_json({"cache": _cache_document(kept), **fleet_document(results, documents, code)})
    else:
        for line in (*_cache_lines(kept), *_lines(results, alone=nodes.site is None)):
            print_line(line)
    return code


def _look_at_cache(target: Target) -> Kept:
    lock, cache = LockFile(target.configuration).read(), archive_cache(target)
    return Kept(*broken_archives({**lock.architectures, **lock.hosts}, lambda archive: cache.look(archive.entry)))


def _ask(
    nodes: Nodes, deployments: Sequence[Deployment], unpacked: Unpacked, *, parallel: int | None, quiet: bool
) -> tuple[NodeResult[tuple[Verified, ...]], ...]:
    given = {deployment.node: deployment for deployment in deployments}

    def work(node: str, channel: Channel, progress: Reporter) -> NodeResult[tuple[Verified, ...]]:
        # A private root is this server's alone; where things are on hosts does not depend on it.
        root = nodes.target.layout.root if nodes.site is None else ""
        folder = Paths(root).artifacts
        found = verify_node(channel, given[node], unpacked.inventory, folder, progress)
        return NodeResult(node, "as locked" if all(item.sound for item in found) else "not as locked", found)

    if nodes.site is not None and not nodes.single:
        return look(nodes, work, parallel=parallel, quiet=quiet)
    with reporter(quiet=quiet) as progress:
        return (work(deployments[0].node, nodes.open(), progress),)


def _cache_lines(kept: Kept) -> Iterator[str]:
    absent = f", {kept.absent} not here" if kept.absent else ""
    word = f"{len(kept.broken)} damaged" if kept.broken else "as locked"
    text = f"cache: {count(kept.read, 'archive')} read{absent}: {word}"
    yield paint(text, "red" if kept.broken else "green")
    yield from (f"  {archive.entry.name} is not of SHA-256 {digest}" for digest, archive in kept.broken.items())
    if kept.broken:
        yield f"  do: {REFETCH}    fetches them again"


def _lines(results: Sequence[NodeResult[tuple[Verified, ...]]], *, alone: bool) -> Iterator[str]:
    for result in results:
        if result.error is not None:
            yield f"{result.node}: {paint(sanitize(result.error.what), 'red')}"
            yield f"  do: {sanitize(result.error.do)}"
        elif result.outcome == BY_BUNDLE:
            yield f"{result.node}: by bundle; nobody can look at it from here"
        else:
            yield from _node_lines(result.node, result.value or (), alone=alone)


def _node_lines(node: str, found: Sequence[Verified], *, alone: bool) -> Iterator[str]:
    unsound = [item for item in found if not item.sound]
    files = count(sum(item.files for item in found), "file")
    word = f"{len(unsound)} not as locked" if unsound else "as locked"
    yield paint(f"{node}: {count(len(found), 'artifact')}, {files} read: {word}", "red" if unsound else "green")
    apply = "observability apply" if alone else f"observability apply --host {node}"
    for item in unsound:
        yield f"  {sanitize(item.name)} {sanitize(item.version)}: {item.standing}"
        yield from (f"    {sanitize(line)}" for line in item.differences[:SHOWN])
        if len(item.differences) > SHOWN:
            yield f"    and {len(item.differences) - SHOWN} more; --json shows all"
        if item.standing == DAMAGED:
            yield f"    do: on {node}: rm {item.index}    then: {apply}"
        else:
            yield f"    do: {REFETCH if item.standing == UNKNOWN else apply}"


def _document(found: Sequence[Verified]) -> dict[str, Any]:
    return {
        "artifacts": [
            {
                "name": item.name,
                "version": item.version,
                "standing": item.standing,
                "files": item.files,
                "differences": list(item.differences),
            }
            for item in found
        ]
    }


def _cache_document(kept: Kept) -> dict[str, Any]:
    broken = [{"name": archive.entry.name, "sha256": digest} for digest, archive in kept.broken.items()]
    return {"archives": kept.read, "absent": kept.absent, "damaged": broken}
