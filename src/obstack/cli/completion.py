"""`observability completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from obstack.cli.lazy import documented
from obstack.cli.output import print_line

PROGRAMS = ("observability", "obs")


@documented(
    "observability completion bash > ~/.local/share/bash-completion/completions/observability",
    "observability completion zsh > ~/.zfunc/_observability",
    "observability completion fish > ~/.config/fish/completions/observability.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--name", type=click.Choice(PROGRAMS), default="observability", help="Command that is completed.")
def command(*, shell: str, name: str) -> None:
    """Print the script by which SHELL completes commands, options and the names of what the machine keeps."""
    from obstack.cli.main import cli

    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 click knows all three shells
    print_line(completion(cli, {}, name, "_OBSERVABILITY_COMPLETE").source())
