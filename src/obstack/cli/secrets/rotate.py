"""`observability secrets rotate`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from obstack.agent import wire
from obstack.cli import completing
from obstack.cli.apply import send_one
from obstack.cli.composition import build_nodes, load_site
from obstack.cli.conclude import conclude, reply_document
from obstack.cli.fleet import FleetApply, decide_course
from obstack.cli.lazy import documented
from obstack.cli.nodes import Nodes, open_node
from obstack.cli.options import Target, json_option, quiet_option, target_options, wait_option
from obstack.cli.output import print_json, print_line
from obstack.cli.progress import reporter
from obstack.cli.secrets.common import SiteUse, read_uses, refuse_credential
from obstack.cli.secrets.set import demand_name, read_value, refused
from obstack.cli.settling import settle_rotation
from obstack.cli.views import outcome_lines
from obstack.edges.kept import Kept
from obstack.edges.run_record import RENEWAL, FileRunRecord
from obstack.edges.secrets import SecretStore
from obstack.edges.secrets.store import draw
from obstack.errors import Lost, StackError, UsageError
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.model.words import spell
from obstack.operations.fleet import GOOD, NodeResult, result_of
from obstack.operations.rotation import Rotation, alone, begin, drop, rendered, take
from obstack.operations.secrets import demand_known, weakness_of
from obstack.plan.fleet import by_bundle


@documented(
    "observability secrets rotate admin-password",
    "observability secrets rotate --all --wait 120",
    "observability secrets rotate smtp-password --set < file",
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completing.secrets)
@click.option("--all", "everything", is_flag=True, help="All secrets that are ours to draw.")
@click.option("--set", "given", is_flag=True, help="Take the new value from standard input, for one that others give.")
@target_options()
@wait_option
@quiet_option
@json_option
def command(
    *,
    names: tuple[str, ...],
    everything: bool,
    given: bool,
    target: Target,
    wait_s: float,
    quiet: bool,
    as_json: bool,
) -> int:
    """Give secrets new values, which take the old ones' place once they are proven.

    The machines that use them are applied, as the configuration is now; the old values are kept until every gate is
    green, and stay in force when one is red. A run that dies is settled by the next apply or rotate, which says so.
    """
    if bool(names) == everything or (given and len(names) != 1):
        raise click.UsageError("Give names of secrets, or --all; with --set exactly one name.")
    settle_rotation(target, quiet=quiet, wait_s=wait_s)
    known = read_uses(target)
    chosen = _choose(known, names, everything=everything, given=given)
    values = _values(known, chosen, given=given)
    site = load_site(target)
    with alone(known.store):
        rotation = begin(known.store, values, target.environment or "")
        trial = Rotating(target, site, known, rotation, wait_s, quiet)
        return trial.run(as_json=as_json)


def _choose(known: SiteUse, names: Sequence[str], *, everything: bool, given: bool) -> tuple[str, ...]:
    """Return the names that are meant. Raises UsageError for one that cannot be given a new value in this way."""
    if everything:
        names = [
            name for name, uses in known.uses.items() if all(use.drawn_length and use.lasting is None for use in uses)
        ]
        names = [name for name in names if name not in known.site.secrets.credentials]
    for name in names:
        demand_name(name)
        demand_known(name, tuple(known.uses))
        refuse_credential(known.site, name)
        known.store.provider.demand_writable(name)
        why = next((use.lasting for use in known.uses[name] if use.lasting), None)
        if why is not None:
            raise UsageError(
                code="secret-lasting",
                what=f"The secret {name} cannot be rotated: {why}.",
                where=", ".join(spell(use.path) for use in known.uses[name]),
                state="nothing was touched",
                do="observability secrets rotate --all    rotates those that can be",
            )
        if not given and not all(use.drawn_length for use in known.uses[name]):
            raise UsageError(
                code="secret-not-drawn",
                what=f"The secret {name} is given by somebody else: a drawn one would let nobody in.",
                where=name,
                state="nothing was touched",
                do=f"have it changed there, then: observability secrets rotate {name} --set    (reads standard input)",
            )
    return tuple(dict.fromkeys(names))


def _values(known: SiteUse, names: Sequence[str], *, given: bool) -> dict[str, Secret]:
    if not given:
        return {name: draw(max(use.drawn_length or 0 for use in known.uses[name])) for name in names}
    (name,) = names
    secret = read_value(name)
    weak = next((found for use in known.uses[name] if (found := weakness_of(known.site, use.path, secret))), None)
    if weak is not None:
        raise refused(name, weak)
    known.store.demand_legible(name, secret)
    return {name: secret}


@dataclass
class Rotating:
    """New values on their way to the machines that use them. Implements cli.fleet.Trial."""

    target: Target
    site: Site
    known: SiteUse
    rotation: Rotation
    wait_s: float
    quiet: bool
    taken: bool = field(default=False, init=False)

    @property
    def secrets(self) -> SecretStore:
        """Where the new values hold already."""
        return self.known.store.with_pending(self.rotation.values)

    def run(self, *, as_json: bool) -> int:
        """Apply the machines, let the values take their place or drop them, print that, and return the exit code."""
        used = {use.node for name in self.rotation.values for use in self.known.uses[name]}
        apart = by_bundle(self.site, used)
        deployed = Kept(self.target.layout.root).node() != ""
        nodes = [name for name in (*self.site.hosts, self.site.server.name) if name in used and name not in apart]
        if not nodes or not deployed:
            return self._without_machines(apart, as_json=as_json)
        try:
            if len(nodes) == 1 and not apart:
                return self._one(nodes[0], as_json=as_json)
            course = decide_course(self.site, parallel=None, max_failures=0, canaries=(), batch=None, resume=False)
            fleet = FleetApply(
                Nodes(self.target, self.site, tuple(nodes), apart),
                course,
                FileRunRecord(self.target.configuration, RENEWAL),
                self.quiet,
                self.wait_s,
                as_json,
                keep_door=True,
                trial=self,
            )
            return fleet.run(ask=False)
        except StackError:
            if not self.rotation.generations:  # no machine was asked for anything yet
                drop(self.known.store)
            raise

    def rendered(self, identities: Mapping[str, str]) -> None:
        """Note the generation that each machine is to be in."""
        self.rotation = rendered(self.known.store, self.rotation, identities)

    def ended(self, results: Sequence[NodeResult[wire.Reply]]) -> tuple[dict[str, Any], list[str]]:
        """Let the values take their place when all machines have proven them; otherwise drop them and say so."""
        names = ", ".join(self.rotation.values)
        tried = [result for result in results if result.node in self.rotation.generations]
        if any(isinstance(result.error, Lost) for result in tried):
            told = f"whether {names} has the new value is not known yet: observability apply settles it"
            return {"rotated": [], "settled": False}, [told]
        if all(result.error is None and result.outcome in GOOD for result in tried):
            take(self.known.store, self.rotation)
            self.taken = True
            return self._document(), self._lines()
        drop(self.known.store)
        back = self._bring_back([result.node for result in tried if result.error is None and result.outcome in GOOD])
        return self._document() | {"brought_back": back}, [
            f"{names}: the old value is in force, the new one is dropped",
            *(f"{node} was brought back to the old value" for node in back),
        ]

    def _one(self, node: str, *, as_json: bool) -> int:
        with reporter(quiet=self.quiet) as progress:
            desired = build_nodes(self.target, self.site, (node,), progress, self.secrets, keep_door=True)[node]
        self.rendered({node: desired.manifest.identity})
        channel = open_node(self.target, self.site, node)
        reply, seconds = send_one(self.target, desired, channel, wait_s=self.wait_s, quiet=self.quiet, with_door=False)
        added, told = self.ended([result_of(node, reply)])
        document = reply_document(node, reply, seconds) | added
        return conclude(reply, document, [*outcome_lines(node, reply, seconds), *told], as_json=as_json)

    def _without_machines(self, apart: Collection[str], *, as_json: bool) -> int:
        """No machine can be applied from here: the values take their place at once."""
        take(self.known.store, self.rotation)
        self.taken = True
        if as_json:
            print_json(self._document() | {"nodes": [], "by_bundle": list(apart)})
            return 0
        for line in (
            *self._lines(),
            *(f"carry a new bundle to {node}: observability host bundle {node}" for node in apart),
        ):
            print_line(line)
        return 0

    def _bring_back(self, nodes: Sequence[str]) -> list[str]:
        """Some machines have the new value and others have not: apply those again with the old one."""
        if not nodes:
            return []
        back = []
        with reporter(quiet=self.quiet) as progress:
            desired = build_nodes(self.target, self.site, nodes, progress, keep_door=True)
        for node in nodes:
            channel = open_node(self.target, self.site, node)
            reply, _ = send_one(
                self.target, desired[node], channel, wait_s=self.wait_s, quiet=self.quiet, with_door=False
            )
            if reply.fault is None:
                back.append(node)
        return back

    def _document(self) -> dict[str, Any]:
        rotated = list(self.rotation.values) if self.taken else []
        return {"rotated": rotated, "settled": True}

    def _lines(self) -> list[str]:
        return [
            f"{name}: the new value is in force, kept in {self.known.store.place(name)}"
            for name in self.rotation.values
        ]
