"""Requests in, JSON lines and one reply out; never a traceback.

agent.pyz [--root DIR] serve            read one request from standard input and answer it
agent.pyz [--root DIR] boot-recover     finish what a power cut left, before the units start
agent.pyz [--root DIR] firewall …       put the firewall's rules into force, or take them back
agent.pyz [--root DIR] journal-bridge … carry the units' output into the private journal
agent.pyz journal-upload …              ship this machine's journal to the server
agent.pyz journal-trim FILE             remove the hosts' old journals
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from obstack.agent import wire
from obstack.agent.conversation import Conversation
from obstack.agent.faults import BUG, USAGE, AgentError
from obstack.agent.machine import Interrupts, Machine

COLLECT_AFTER = 100_000
"""Allocations between two searches for reference cycles: importing makes many objects, and all of them stay."""

Handler = Callable[[Machine, wire.Request, Callable[[str, str], None]], wire.Reply]
"""Given the machine, the request and the way to name oneself as the lock's holder, do it."""


def main(arguments: Sequence[str]) -> int:
    """Given the command line, run one command and return its exit code."""
    root, words = "", list(arguments)
    if words[:1] == ["--root"] and len(words) > 1:
        root, words = words[1].rstrip("/"), words[2:]
    if root and not os.path.isabs(root):
        sys.stderr.write(f"the root must be an absolute path: {root}\n")
        return USAGE
    gc.set_threshold(COLLECT_AFTER)
    match words:
        case ["serve"]:
            return serve(root)
        case ["boot-recover"]:
            return boot_recover(root)
        case ["firewall", *rest]:
            from obstack.agent import firewall

            return firewall.run(root, rest)
        case ["journal-bridge", *rest]:
            from obstack.agent import journal_bridge

            return journal_bridge.run(rest)
        case ["journal-upload", *rest]:
            from obstack.agent import journal_upload

            return journal_upload.run(rest)
        case ["journal-trim", limits]:
            from obstack.agent import journal_files

            return journal_files.run([limits])
        case _:
            sys.stderr.write(f"{(__doc__ or '').strip()}\n")
            return USAGE


def serve(root: str) -> int:
    """Answer one request; return the exit code of its fault, or 0."""
    from obstack.agent.managers import service_manager

    interrupts = Interrupts()
    conversation = Conversation(sys.stdin.fileno(), sys.stdout.buffer, interrupts.wish)
    machine = Machine(
        root, service_manager, conversation.emit, conversation.receive, interrupts, confirm=conversation.confirm
    )
    interrupts.install()
    reply = reply_to(machine, conversation.request)
    conversation.send(reply)
    _close_output()
    gc.freeze()  # the process ends: nothing is gained by searching once more
    return reply.fault.exit_code if reply.fault else 0


def reply_to(machine: Machine, read: Callable[[], wire.Request]) -> wire.Reply:
    """Given the machine and the way to read the request, return the reply. Every error becomes its fault."""
    try:
        with machine.interrupts.region():
            request = read()
        reply = answer(machine, request)
    except AgentError as error:
        error.state = error.state or "nothing was changed by this run"
        reply = wire.Reply("failed", fault=error.fault())
    except Exception as error:  # noqa: BLE001 - the one place where a defect becomes a fault
        reply = wire.Reply("failed", fault=_bug(machine, error).fault())
    from obstack.agent import audit

    return replace(reply, audit=audit.head(machine.paths))


def answer(machine: Machine, request: wire.Request) -> wire.Reply:
    """Given a request, recover first and then run its verb. Raises AgentError."""
    machine.request = request
    _refuse_stranger(machine)
    if request.verb in READING:
        _recover_if_idle(machine)
        return _reader(request.verb)(machine, request)
    handler = CHANGING.get(request.verb)
    if handler is None:
        raise AgentError(
            exit_code=USAGE,
            code="verb-unknown",
            what=f"This agent knows no verb {request.verb!r}.",
            where="request",
            do="use the same version on both ends: observability version",
            state="nothing was touched",
        )
    from obstack.agent import lock, recover, swaps

    swaps.refuse(machine)
    machine.store.prepare()
    with contextlib.ExitStack() as stack:
        with machine.interrupts.region():
            announce = stack.enter_context(lock.held(machine.paths.lock, request.wait_s))
        swaps.begin(machine)
        if request.verb != "recover":
            recover.recover(machine)
        if request.verb == "recover" or os.path.isdir(machine.paths.state):
            return handler(machine, request, announce)
    # The recovery has ended a purge, by which the lock and the place of the audit log went with all else.
    machine.state_folder = None
    return answer(machine, request)


def _refuse_stranger(machine: Machine) -> None:
    """Raise AgentError `not-permitted` when the machine's state belongs to another user: secrets could not be read."""
    place = machine.paths.state
    if os.path.isdir(place) and os.geteuid() not in (0, os.stat(place).st_uid):
        raise AgentError(
            exit_code=USAGE,
            code="not-permitted",
            what="This user may not look at or change this machine's stack.",
            where=place,
            do="run the same command with sudo",
            state="nothing was touched",
        )


def _recover_if_idle(machine: Machine) -> None:
    """Reading finds a whole machine: what a dead run left is finished first. A run in progress is left alone."""
    from obstack.agent import lock, record, recover

    last = record.latest(machine.paths.transactions)
    if last is None or last.outcome is not None:
        return
    with contextlib.suppress(AgentError), lock.held(machine.paths.lock):
        recover.recover(machine)


def _reader(verb: str) -> Callable[[Machine, wire.Request], wire.Reply]:
    from obstack.agent import reading

    if verb == "audit":
        from obstack.agent import audit_reading

        return audit_reading.audit

    found: Callable[[Machine, wire.Request], wire.Reply] = getattr(reading, verb)
    return found


def _apply(machine: Machine, request: wire.Request, announce: Callable[[str, str], None]) -> wire.Reply:
    from obstack.agent import install, paths, switch

    if request.manifest is None:
        raise AgentError(
            exit_code=USAGE,
            code="manifest-missing",
            what="An apply was asked for without a manifest.",
            where="request",
            do="observability apply",
            state="nothing was touched",
        )
    paths.validate(request.manifest, machine.root)
    install.install(machine)
    unproven = tuple(str(name) for name in request.params.get("unproven", ()))
    return switch.apply(machine, request.manifest, who=request.who, announce=announce, unproven=unproven)


def _rollback(machine: Machine, request: wire.Request, announce: Callable[[str, str], None]) -> wire.Reply:
    from obstack.agent import gate, history, stage, switch

    identity = history.choose(machine, request.params.get("to", "previous"))
    manifest = stage.load_manifest(machine, identity)
    # It is this machine that goes back; what became of the hosts that it watched then, nobody has looked at.
    unproven = gate.watched_hosts(manifest)
    return switch.apply(machine, manifest, who=request.who, announce=announce, verb="rollback", unproven=unproven)


def _prune(machine: Machine, request: wire.Request, announce: Callable[[str, str], None]) -> wire.Reply:
    from obstack.agent import history

    announce(request.who, "prune")
    removed = history.prune(machine, int(request.params.get("keep", 1)))
    return wire.Reply("ok", machine.current(), data={"removed": list(removed)})


def _uninstall(machine: Machine, request: wire.Request, announce: Callable[[str, str], None]) -> wire.Reply:
    from obstack.agent import uninstall

    announce(request.who, "uninstall")
    return uninstall.uninstall(machine, purge=bool(request.params.get("purge")))


def _recover(machine: Machine, request: wire.Request, announce: Callable[[str, str], None]) -> wire.Reply:
    from obstack.agent import recover

    announce(request.who, "recover")
    ended = recover.recover(machine, boot=bool(request.params.get("boot")))
    data = {"transaction": ended.name, "outcome": ended.outcome} if ended else {}
    return wire.Reply("ok" if ended else "unchanged", machine.current(), data=data)


CHANGING: dict[str, Handler] = {
    "apply": _apply,
    "rollback": _rollback,
    "prune": _prune,
    "uninstall": _uninstall,
    "recover": _recover,
}
READING = (
    "inspect",
    "current",
    "health",
    "generations",
    "manifest",
    "diff",
    "contents",
    "verify",
    "logs",
    "detect",
    "audit",
    "boards",
)


def boot_recover(root: str) -> int:
    """Finish what a power cut left, seeing to files only; say in one line how it ended and return its exit code."""
    from obstack.agent import own_code
    from obstack.agent.managers import service_manager

    own_code.settle()
    machine = Machine(root, service_manager)
    request = wire.Request("recover", {"boot": True}, who="boot", wait_s=60)
    reply = reply_to(machine, lambda: request)
    if reply.fault is not None:
        sys.stderr.write(f"{reply.fault.what} {reply.fault.where}. Do: {reply.fault.do}\n")
        return reply.fault.exit_code
    sys.stdout.write(f"{reply.data.get('outcome', 'nothing to recover')}\n")
    return 0


def _bug(machine: Machine, error: Exception) -> AgentError:
    """Keep the traceback in a file, put the machine right, and return the error that names the file."""
    where = _keep_traceback(machine)
    state = "no change was under way"
    try:
        _recover_if_idle(machine)
    except Exception as second:  # noqa: BLE001 - the first defect is the one to tell
        state = f"the machine may be between two generations ({second}); run: observability recover"
    return AgentError(
        exit_code=BUG,
        code="agent-bug",
        what=f"The agent has a defect: {type(error).__name__}: {error}",
        where=where,
        do=f"report {where}, then run: observability health",
        state=state,
    )


def _keep_traceback(machine: Machine) -> str:
    text = traceback.format_exc()
    path = os.path.join(machine.paths.state, f"bug-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt")
    try:
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
            stream.write(text)
    except OSError:
        sys.stderr.write(text)
        return "the agent's standard error"
    return path


def _close_output() -> None:
    """Let nobody's absence at the other end become an error at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
