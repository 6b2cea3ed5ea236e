"""The entry point: the tree of commands, the single place that catches errors, and the exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

import click

from obstack.cli.lazy import Command, LazyGroup
from obstack.cli.output import print_error
from obstack.errors import Interrupted, StackError, UsageError

COLLECT_AFTER = 200_000
"""Allocations between two searches for reference cycles: importing makes many objects, and all of them stay."""

COMMANDS: dict[str, Command] = {
    "up": Command(
        "obstack.cli.up", "Run the whole stack here, for yourself: on loopback, below a private folder, without root."
    ),
    "down": Command("obstack.cli.down", "Stop the stack that `observability up` started."),
    "preflight": Command(
        "obstack.cli.preflight",
        "Judge machine and configuration before anything is written; exit 1 when something blocks.",
    ),
    "setup": Command(
        "obstack.cli.setup", "Set a machine up: preflight, plan, confirmation, one transaction, and every gate green."
    ),
    "config": Command("obstack.cli.config", "Begin, check, show and compare the configuration."),
    "host": Command("obstack.cli.host", "Add, list, show, detect, check, bundle and remove monitored hosts."),
    "module": Command("obstack.cli.module", "Show, enable, check and write modules: what runs on monitored hosts."),
    "dashboard": Command(
        "obstack.cli.dashboard", "List, show and export dashboards, and take what was changed of them in Grafana."
    ),
    "firewall": Command("obstack.cli.firewall", "Show who may reach the server and its hosts."),
    "cert": Command(
        "obstack.cli.cert", "Show and renew the certificates of the front door, and those between server and hosts."
    ),
    "secrets": Command(
        "obstack.cli.secrets", "Draw, set, list, rotate, move and check the secrets that the configuration refers to."
    ),
    "lock": Command(
        "obstack.cli.lock",
        "Resolve the components' versions and write them with their SHA-256 into artifacts.lock.json.",
    ),
    "artifacts": Command(
        "obstack.cli.artifacts", "Show and verify what is deployed: artifacts, their parts and licences."
    ),
    "plan": Command("obstack.cli.plan", "Show what an apply would change, which unit it would act on, and why."),
    "apply": Command("obstack.cli.apply", "Make the machines what the configuration says, in one transaction each."),
    "health": Command(
        "obstack.cli.health",
        "Prove that the stack works: every gate, from a real scrape to a real alert; exit 1 when one is red.",
    ),
    "status": Command(
        "obstack.cli.status",
        "Show what is in force: generation, units, drift, the last runs, and where the front door is.",
    ),
    "drift": Command(
        "obstack.cli.drift", "Show how the machines differ from their generations in force; exit 1 when one does."
    ),
    "logs": Command("obstack.cli.logs", "Show the logs of the stack, of all units or of UNIT."),
    "rollback": Command("obstack.cli.rollback", "Go back to an earlier generation, in one transaction."),
    "generations": Command(
        "obstack.cli.generations", "List, show, compare and prune the generations that the machine keeps."
    ),
    "audit": Command("obstack.cli.audit", "Show who changed what and when on the machines, and verify that log."),
    "recover": Command("obstack.cli.recover", "Finish what an interrupted run has left, forward or back."),
    "uninstall": Command("obstack.cli.uninstall", "Take the stack off the machine."),
    "completion": Command(
        "obstack.cli.completion",
        "Print the script by which SHELL completes commands, options and the names of what the machine keeps.",
    ),
    "version": Command("obstack.cli.version", "Show the version of the program."),
}
"""Every command: the module whose `command` it is, and its line in the overview. The module is imported when used."""


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: observability up",
)
def cli() -> None:
    """Turn Debian and Ubuntu machines into an observability stack, one transaction at a time.

    Every change is planned, proven before it is switched on, gated after it, and undone by itself when the gate fails.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Given the command line, run it and end the process with the exit code of the command contract."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was started with the stream closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 until the process ends
    gc.set_threshold(COLLECT_AFTER)
    code = run(arguments)
    gc.freeze()  # the process ends: nothing is gained by searching once more
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Given the command line, run it and return the exit code. An error is printed where the contract says."""
    before = sys.stdout
    try:
        outcome = cli.main(args=list(arguments), prog_name="observability", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _end_by_broken_pipe()
    except SystemExit as end:
        # click puts another stream in place of one whose reader has gone and says 1, here the code of a failed check.
        if sys.stdout is not before:
            return _end_by_broken_pipe()
        return end.code if isinstance(end.code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # the terminal has shown ^C on the line of the question
        error: StackError = Interrupted(
            code="interrupted",
            what="The run was interrupted.",
            where="this terminal",
            state="nothing was being changed",
            do="observability status",
        )
    except click.ClickException as problem:
        error = _usage_error(problem)
    except StackError as problem:
        error = problem
    except Exception as problem:  # noqa: BLE001 the last resort: a defect becomes exit code 70 with its traceback kept
        from obstack.cli.bug import keep_traceback

        error = keep_traceback(problem)
    else:
        return outcome if isinstance(outcome, int) else 0
    print_error(error, as_json="--json" in arguments)
    return error.exit_code


def _usage_error(problem: click.ClickException) -> UsageError:
    context = getattr(problem, "ctx", None)
    path = context.command_path if context is not None else "observability"
    return UsageError(
        code="usage",
        what=problem.format_message(),
        where=f"the command line of `{path}`",
        state="nothing was touched",
        do=f"{path} --help",
    )


def _end_by_broken_pipe() -> int:
    """End as every Unix filter does when its reader has gone, without a traceback at interpreter exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    main()
