"""How a verb ends: the result is printed, the fault raised or put in the document, the exit code returned."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from obstack.agent import wire
from obstack.cli.output import print_json, print_line
from obstack.errors import Interrupted, UsageError
from obstack.operations.apply import kept_of
from obstack.operations.asking import error_of


def conclude(reply: wire.Reply, document: dict[str, Any], lines: Sequence[str], *, as_json: bool) -> int:
    """Print the result of a verb and return its exit code. For people a fault is raised after the result is printed."""
    if as_json:
        print_json(document if reply.fault is None else document | {"error": error_of(reply.fault).to_json()})
        return 0 if reply.fault is None else reply.fault.exit_code
    for line in lines:
        print_line(line)
    if reply.fault is not None:
        raise error_of(reply.fault)
    return 0


def reply_document(node: str, reply: wire.Reply, seconds: float) -> dict[str, Any]:
    """Given the reply to a change, return it as the document that `--json` prints."""
    return {
        "node": node,
        "outcome": reply.outcome,
        "generation": reply.generation,
        "previous": reply.previous,
        "transaction": reply.data.get("transaction"),
        "units": [wire.encode(action) for action in reply.actions],
        "drift": [wire.encode(item) for item in reply.drift],
        "gates": [wire.encode(gate) for gate in reply.gates],
        "kept": [wire.encode(item) for item in kept_of(reply)],
        "seconds": round(seconds, 3),
    }


def confirm(question: str, lines: Sequence[str], *, command: str) -> None:
    """Show what would be done and ask; both on standard error. Raises UsageError where nobody can answer."""
    for line in lines:
        click.echo(line, err=True)
    if not sys.stdin.isatty():
        raise UsageError(
            code="confirmation-needed",
            what="This needs a confirmation, and there is no terminal to ask on.",
            where="standard input",
            state="nothing was touched",
            do=f"{command} --yes",
        )
    if not click.confirm(question, err=True):
        raise Interrupted(
            code="declined",
            what="The change was not confirmed.",
            where="this terminal",
            state="nothing was changed",
            do=f"{command}    when it is wanted",
        )
