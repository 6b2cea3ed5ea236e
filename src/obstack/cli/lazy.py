"""The kinds of command: one with examples in its help, and a group that imports a command only when it is used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import click

WHOLE: Final = 1000
"""More letters than any summary has."""


@dataclass(frozen=True)
class Command:
    """Where a command is (`module`, whose attribute `command` it is) and its line in the overview."""

    module: str
    summary: str


class DocumentedCommand(click.Command):
    """A command whose help ends with examples; the generated reference shows them too."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one a line, exactly as they are to be typed."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")
        super().format_epilog(ctx, formatter)


def documented(
    *examples: str, group: click.Group | None = None, name: str | None = None, **settings: Any
) -> Callable[[Callable[..., Any]], DocumentedCommand]:
    """Given examples to type, make the decorated function a command whose help shows them; with `group`, one of it."""
    settings |= {"cls": DocumentedCommand, "examples": examples}
    return cast(
        "Callable[[Callable[..., Any]], DocumentedCommand]",
        click.command(name, **settings) if group is None else group.command(name, **settings),
    )


class OverviewGroup(click.Group):
    """A group whose overview shows the whole first sentence of each command, as long as it is."""

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return each command's name and line in the overview."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return [(name, command.get_short_help_str(limit=WHOLE)) for name, command in commands if command is not None]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview."""
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))


class LazyGroup(OverviewGroup):
    """A group whose commands are named in a table."""

    def __init__(self, *args: Any, commands_by_name: Mapping[str, Command], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 the signature is click's
        """Return the names, in the order of the table."""
        return list(self._table)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 the signature is click's
        cmd_name: str,
    ) -> click.Command | None:
        """Given a name, import its module and return the command; None for an unknown name."""
        entry = self._table.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry.module).command
        assert isinstance(command, click.Command)  # noqa: S101 a programming error, found by the test of the table
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Given the arguments, return the command; an unknown name is refused with the nearest known one."""
        name = args[0]
        if name not in self._table and not name.startswith("-"):
            near = difflib.get_close_matches(name, self._table, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:  # noqa: ARG002 the signature is click's
        """Return each command's name and line from the table, without importing anything."""
        return [(name, entry.summary) for name, entry in self._table.items()]
