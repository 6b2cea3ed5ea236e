"""The verbs that change nothing: inspect, current, health, generations, manifest, diff, contents, verify and logs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from obstack.agent import additions, drift, history, lock, record, stage, transition, wire
from obstack.agent.faults import CHECK_FAILED, USAGE, AgentError
from obstack.agent.machine import Machine
from obstack.agent.services import UnitState

if TYPE_CHECKING:
    from obstack.agent.logs import Journal

TRANSACTIONS_SHOWN = 20
DIFF_LIMIT = 1 << 20


def inspect(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return the generation in force, its manifest, drift and additions, unit states, last runs, and facts if asked.

    A manifest in the request says what a generation would take, which the facts then look at. Raises AgentError.
    """
    manifest = stage.load_current(machine)
    states = _states(machine, manifest)
    found = drift.find(machine, manifest, states) if manifest else ()
    data: dict[str, Any] = {
        "manifest": wire.encode(manifest) if manifest else None,
        "additions": [wire.encode(item) for item in additions.find(machine, manifest)] if manifest else [],
        "units": [wire.encode(state) for state in states.values()],
        "transactions": transactions(machine),
    }
    if request.params.get("facts"):
        data["facts"] = [wire.encode(fact) for fact in _facts(machine, request)]
    return wire.Reply("ok", manifest.identity if manifest else None, drift=found, data=data)


def current(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return which generation is in force, and look at nothing else."""
    del request
    return wire.Reply("ok", machine.current())


def transactions(machine: Machine) -> list[dict[str, Any]]:
    """Return the last runs, the newest first: sequence, name, verb, who, began, ended, outcome, previous, target.

    `running` tells a run that is under way, whose process holds the lock, from one that died.
    """
    held = lock.holder_pid(machine.paths.lock) is not None
    shown: list[dict[str, Any]] = []
    for transaction in record.history(machine.paths.transactions):
        begin, end = transaction.last("begin") or {}, transaction.last(*record.TERMINAL)
        shown.append(
            {
                "sequence": transaction.sequence,
                "name": transaction.name,
                "verb": begin.get("verb", ""),
                "who": begin.get("who", ""),
                "began": begin.get("time"),
                "ended": end["time"] if end else None,
                "outcome": transaction.outcome,
                "running": held and transaction.outcome is None and not shown,
                "previous": begin.get("previous"),
                "target": begin.get("target"),
                "evidence": os.path.isdir(os.path.join(transaction.folder, "evidence")),
            }
        )
        if len(shown) == TRANSACTIONS_SHOWN:
            break
    return shown


def _facts(machine: Machine, request: wire.Request) -> tuple[wire.Fact, ...]:
    from obstack.agent import facts, outward  # not needed by a run that changes nothing

    asked = request.params["facts"]
    more: Mapping[str, Any] = asked if isinstance(asked, dict) else {}
    wanted = outward.wanted(machine, request.manifest)
    manifest = request.manifest
    units = manifest.units if manifest else ()
    return facts.gather(
        facts.Question(
            root=machine.root,
            state=machine.paths.state,
            paths=(*wanted.links, *wanted.definitions, *more.get("paths", ())),
            units=(*(unit.name for unit in units if unit.file), *more.get("units", ())),
            packages=tuple(more.get("packages", ())),
            commands=tuple(more.get("commands", ())),
            users=tuple(user.name for user in manifest.users) if manifest else (),
            ours=frozenset(name for _, name in machine.ledger().claims),
        ),
        tuple(more.get("names", ())),
    )


def health(machine: Machine, request: wire.Request) -> wire.Reply:
    """Run every gate of the generation in force, the active ones too; a red one is a fault of exit code 1.

    Raises AgentError `nothing-deployed` and `manager-silent`.
    """
    del request
    manifest = _in_force(machine)
    _states(machine, manifest)  # where nothing can run, one sentence says more than every gate with its evidence
    results = transition.run_gates(machine, manifest, {}, active=True)
    machine.interrupts.check()
    fault = None
    if transition.red(results):
        error = transition.gate_error(results, manifest.identity)
        error.exit_code, error.state = CHECK_FAILED, "nothing was changed"
        error.what = error.what.replace(
            f" stayed red after the switch to generation {manifest.identity[:12]}", " is red"
        )
        # The gates of the reply tell the rest.
        error.detail = None
        error.do = error.do.partition("    then ")[0]
        fault = error.fault()
    return wire.Reply("failed" if fault else "ok", manifest.identity, gates=results, fault=fault)


def generations(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return the kept generations, and the last runs with how they ended."""
    del request
    data = {"generations": history.generations(machine), "transactions": transactions(machine)}
    return wire.Reply("ok", machine.current(), data=data)


def manifest(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return the manifest of the generation whose identity begins with `generation`. Raises AgentError."""
    identity = history.find(machine, str(request.params.get("generation") or machine.current() or ""))
    found = stage.load_manifest(machine, identity)
    return wire.Reply("ok", machine.current(), data={"manifest": wire.encode(found)})


def diff(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return both manifests and the contents, by digest, of the files that differ; secrets are left out.

    `from` and `to` are beginnings of identities. Raises AgentError.
    """
    ends = [history.find(machine, str(request.params.get(end, ""))) for end in ("from", "to")]
    before, after = (stage.load_manifest(machine, identity) for identity in ends)
    known = {(file.path, file.digest) for file in before.files} & {(file.path, file.digest) for file in after.files}
    contents = {
        file.digest: machine.store.read_blob(file.digest).decode("utf-8", "replace")
        for file in (*before.files, *after.files)
        if (file.path, file.digest) not in known and not file.secret and file.size <= DIFF_LIMIT
    }
    data = {"from": wire.encode(before), "to": wire.encode(after), "contents": contents}
    return wire.Reply("ok", machine.current(), data=data)


def contents(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return the contents, by digest, of those files of the generation in force named in `paths`, but no secret.

    Raises AgentError `nothing-deployed`.
    """
    in_force = _in_force(machine)
    wanted = set(request.params.get("paths", ()))
    found = {
        file.digest: machine.store.read_blob(file.digest).decode("utf-8", "replace")
        for file in in_force.files
        if file.path in wanted and not file.secret and file.size <= DIFF_LIMIT
    }
    return wire.Reply("ok", in_force.identity, data={"contents": found})


def verify(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return every artifact of the generation in force with all that is in it, read byte by byte.

    Raises AgentError `nothing-deployed`.
    """
    from obstack.agent import inventory  # not needed by a run that changes nothing

    del request
    in_force = _in_force(machine)
    return wire.Reply("ok", in_force.identity, data={"artifacts": inventory.verify(machine, in_force)})


def boards(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return what Grafana has of the generation's dashboards. Raises AgentError."""
    from obstack.agent import boards as looking

    return looking.boards(machine, request)


def detect(machine: Machine, request: wire.Request) -> wire.Reply:
    """Return what was seen of each look in `looks`, and the facts about system and architecture.

    Raises AgentError `look-unknown`.
    """
    from obstack.agent import detect as looking
    from obstack.agent import facts

    try:
        looks = [wire.decode(wire.Look, item) for item in request.params.get("looks", ())]
        claims = frozenset(name for kind, name in machine.ledger().claims if kind in ("unit", "link", "directory"))
        seen = looking.look(looks, claims)
    except ValueError as error:
        raise AgentError(
            exit_code=USAGE,
            code="look-unknown",
            what=f"The agent cannot look for that: {error}.",
            where="request",
            do="use the same version on both ends: observability version",
            state="nothing was changed",
        ) from error
    question = facts.Question(root=machine.root, state=machine.paths.state)
    gathered = facts.gather(question, ("os", "architecture", "user", "python"))
    data = {"sightings": [wire.encode(one) for one in seen], "facts": [wire.encode(fact) for fact in gathered]}
    return wire.Reply("ok", machine.current(), data=data)


def logs(machine: Machine, request: wire.Request) -> wire.Reply:
    """Send the wanted lines as events of step `log`: this machine's, or those that a `host` has shipped to it.

    Raises AgentError `logs-unreadable`, `unit-unknown` and `host-unknown`.
    """
    from obstack.agent import logs as journal
    from obstack.agent.services import ServiceFailure

    in_force = _in_force(machine)
    params = request.params
    host = str(params.get("host") or in_force.node)
    place = journal.journal_of(in_force) if host == in_force.node else _journal_of_host(in_force, host)
    names = [] if place.shipped else [unit.name for unit in in_force.units if not unit.boot_only]
    unit = params.get("unit")
    if unit and not place.shipped and unit not in names:
        raise AgentError(
            exit_code=USAGE,
            code="unit-unknown",
            what=f"There is no unit {unit!r} in the generation in force.",
            where=f"generation {in_force.identity[:12]}, which has: {', '.join(names)}",
            do=f"observability logs {_nearest(unit, names)}" if names else "observability apply",
            state="nothing was changed",
        )
    query = journal.Query(
        units=[unit] if unit else names,
        lines=int(params.get("lines") or 100),
        since=params.get("since"),
        until=params.get("until"),
        grep=str(params.get("grep") or ""),
        follow=bool(params.get("follow")),
    )
    try:
        for event in journal.read_logs(place, query, lambda: machine.interrupts.pending):
            machine.emit(event)
    except (ServiceFailure, ValueError) as error:
        raise AgentError(
            exit_code=USAGE if isinstance(error, ValueError) else CHECK_FAILED,
            code="logs-unreadable",
            what=f"The logs could not be read: {error}.",
            where=", ".join(query.units) or host,
            do="observability health --verbose",
            state="nothing was changed",
            detail=getattr(error, "detail", None),
        ) from error
    return wire.Reply("ok", in_force.identity)


def _journal_of_host(in_force: wire.Manifest, host: str) -> Journal:
    """Return the way to a host's journal. Raises AgentError `host-unknown`."""
    from obstack.agent import logs as journal

    hosts = journal.hosts_of(in_force)
    if host in hosts:
        return journal.journal_of_host(in_force, host)
    known = f"it has those of: {', '.join(hosts)}" if hosts else "no host ships its journal here"
    raise AgentError(
        exit_code=USAGE,
        code="host-unknown",
        what=f"This node has no journal of {host!r}.",
        where=f"{in_force.node}, generation {in_force.identity[:12]}: {known}",
        do=f"observability logs --host {_nearest(host, hosts)}" if hosts else "observability host list",
        state="nothing was changed",
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return the known name that was probably meant."""
    import difflib  # not needed by a run without a mistake

    nearest: str = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
    return nearest


def _states(machine: Machine, manifest: wire.Manifest | None) -> dict[str, UnitState]:
    """Return the states of the manifest's units. Raises AgentError `manager-silent`, here as a failed check."""
    try:
        return transition.states(machine, manifest)
    except AgentError as error:
        error.exit_code = CHECK_FAILED
        raise


def _in_force(machine: Machine) -> wire.Manifest:
    found = stage.load_current(machine)
    if found is None:
        raise AgentError(
            exit_code=CHECK_FAILED,
            code="nothing-deployed",
            what="No generation is in force on this machine.",
            where=machine.paths.current,
            do="observability apply",
            state="nothing was changed",
        )
    return found
