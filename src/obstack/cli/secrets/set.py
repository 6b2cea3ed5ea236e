"""`observability secrets set`."""

from __future__ import annotations

import re
import sys

import click

from obstack.cli import completing
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.secrets.common import read_uses, refuse_credential
from obstack.edges.secrets.provider import LONGEST_SECRET
from obstack.errors import UsageError
from obstack.model.scalars import MEANINGS, NAME_PATTERN
from obstack.model.secret import Secret
from obstack.operations.rotation import demand_settled
from obstack.operations.secrets import weakness_of


@documented(
    "observability secrets set smtp-password",
    "observability secrets set smtp-password < file",
    "observability secrets set redis-password --json < file",
    context_settings={"allow_extra_args": True},
)
@click.argument("name", shell_complete=completing.secrets)
@target_options(Scope.FILES)
@json_option
@click.pass_context
def command(context: click.Context, /, *, name: str, target: Target, as_json: bool) -> None:
    """Keep a value that somebody else has given, read from standard input.

    On a terminal it is asked for, twice, and not shown. It never goes on the command line, which everybody on the
    machine can read. The machines have it after the next apply; to have it proven first, use `secrets rotate --set`.
    """
    if context.args:  # click's own words would repeat what was given
        raise UsageError(
            code="secret-on-command-line",
            what="A value was given on the command line, where everybody on this machine can read it.",
            where="the command line, and the history of the shell",
            state="nothing was touched",
            do=f"observability secrets set {_shown(name)}    with another value, on standard input",
        )
    demand_name(name)
    known = read_uses(target)
    refuse_credential(known.site, name)
    known.store.provider.demand_writable(name)
    demand_settled(known.store, name)
    secret = read_value(name)
    uses = known.uses.get(name, ())
    weak = next((found for use in uses if (found := weakness_of(known.site, use.path, secret))), None)
    if weak is not None:
        raise refused(name, weak)
    known.store.provider.begin()
    known.store.put(name, secret)
    if as_json:
        print_json({"name": name, "kept_in": known.store.place(name), "used": bool(uses)})
        return
    print_line(f"{name} is kept in {known.store.place(name)}")
    print_line("it is used from the next apply on: observability apply" if uses else "no setting refers to it yet")


def demand_name(name: str) -> None:
    """Raise UsageError for what is not the name of a secret. It is not repeated: it may be a value."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            code="secret-name",
            what=f"That is not the name of a secret: {MEANINGS[NAME_PATTERN]}.",
            where="the command line",
            state="nothing was touched",
            do="observability secrets list    shows the names",
        )


def read_value(name: str) -> Secret:
    """Given a name, return the value from standard input; on a terminal it is asked for without being shown.

    One newline at the end is not part of it. Raises UsageError when it is not UTF-8, or too long.
    """
    if sys.stdin.isatty():
        return Secret(str(click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)))
    try:
        text = sys.stdin.buffer.read(LONGEST_SECRET * 4 + 2).decode("utf-8")
    except UnicodeDecodeError:
        raise refused(name, "is not UTF-8 text") from None
    return Secret(text.removesuffix("\n").removesuffix("\r"))


def refused(name: str, why: str) -> UsageError:
    """Return the error for a value that cannot be taken; `why` does not show it."""
    return UsageError(
        code="secret-refused",
        what=f"What was given for the secret {name} {why}.",
        where="standard input",
        state="nothing was touched",
        do=f"observability secrets set {name}    with another value",
    )


def _shown(name: str) -> str:
    return name if re.fullmatch(NAME_PATTERN, name) else "NAME"
