"""The tree of errors. Every error says what happened, where, in which state things are, and what to type next.

Each family carries its exit code (the command contract in docs/reference/exit-codes.md):

    StackError
    ├── CheckFailed        1   a check failed; nothing was changed
    ├── UsageError         2   bad usage or configuration; nothing was touched
    │   └── ConfigurationError   all problems at once, each with file, line and column
    ├── ChangeFailed       3   the change failed or was refused; the machine is as before
    ├── RollbackFailed     4   the rollback failed too; a person must act
    ├── LockHeld           5   another run holds the lock
    ├── Unreachable        6   a machine could not be reached
    │   └── Lost                 the way to it went while its agent may have been at work
    ├── Bug               70   a defect in this program
    └── Interrupted      130   interrupted; the state is recoverable
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final


class StackError(Exception):
    """The one base of all errors.

    Given a stable kebab-case `code`, one past-tense sentence `what`, the place `where` and the command to type `do`,
    hold them for the terminal and for JSON. `state` says what the machine is in now and is required by convention once
    a change has begun; `detail` is tool output, of which a terminal shows the last 20 lines.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self, *, code: str, what: str, where: str, do: str, state: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.do = do
        self.state = state
        self.detail = detail

    def to_json(self) -> dict[str, Any]:
        """Return the error as a JSON object; absent parts are null."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "state": self.state,
            "do": self.do,
            "detail": self.detail,
            "exit_code": self.exit_code,
        }


class CheckFailed(StackError):
    """A check failed: unhealthy, blocked by preflight, drift found. Nothing was changed."""

    exit_code = 1


class UsageError(StackError):
    """The command line or the configuration is wrong. Nothing was touched."""

    exit_code = 2


WHOLE_FILE: Final = "(file)"
"""The path of a problem that is not about one key."""


@dataclass(frozen=True)
class Problem:
    """One fault in a configuration file. `line` and `column` count from 1; 0 means the file as a whole.

    `excerpt` is the source line with anything secret in it masked; empty when there is none to show.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    remedy: str
    excerpt: str = ""

    @property
    def place(self) -> str:
        """Return `file:line:column` as editors understand it."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ConfigurationError(UsageError):
    """The configuration has problems; `problems` holds all of them, in the order of their place."""

    def __init__(self, problems: Sequence[Problem], *, do: str) -> None:
        count = len(problems)
        super().__init__(
            code="configuration-invalid",
            what=f"The configuration has {count} problem{'' if count == 1 else 's'}.",
            where=", ".join(sorted({problem.file for problem in problems})),
            state="nothing was touched",
            do=do,
        )
        self.problems = tuple(problems)

    def to_json(self) -> dict[str, Any]:
        """Return the error with its list of problems."""
        return super().to_json() | {"problems": [vars(problem) for problem in self.problems]}


class ChangeFailed(StackError):
    """The change failed, or a staged file was refused. The machine is as before."""

    exit_code = 3


class RollbackFailed(StackError):
    """The change failed and so did the way back. `do` says what a person must do."""

    exit_code = 4


class LockHeld(StackError):
    """Another run holds the lock; `where` names it."""

    exit_code = 5


class Unreachable(StackError):
    """A machine, mirror or service that was needed could not be reached."""

    exit_code = 6


class Lost(Unreachable):
    """The way to a machine went while its agent may have been at work: the change itself may be what cut it."""


class Bug(StackError):
    """A defect in this program. The traceback is in the file that `where` names."""

    exit_code = 70


class Interrupted(StackError):
    """A person interrupted the run. The state is recoverable and `state` describes it."""

    exit_code = 130


FAMILIES: dict[int, type[StackError]] = {
    family.exit_code: family
    for family in (CheckFailed, UsageError, ChangeFailed, RollbackFailed, LockHeld, Unreachable, Bug, Interrupted)
}
