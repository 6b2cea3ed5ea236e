"""The agent's one error class: the fields of a wire.Fault, raised.

The controller's StackError tree is out of the agent's reach (the agent imports nothing outside this package), so a
fault crosses the wire as data. The exit code names the family; the constants below are the only ones the agent uses.
"""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import Fault

CHECK_FAILED: Final = 1
USAGE: Final = 2
CHANGE_FAILED: Final = 3
ROLLBACK_FAILED: Final = 4
LOCK_HELD: Final = 5
BUG: Final = 70
INTERRUPTED: Final = 130


class AgentError(Exception):
    """What happened, where, in which state the machine is, and what to type next.

    `exit_code` is that of the error's family; the other fields mean what they mean in wire.Fault.
    """

    def __init__(
        self,
        *,
        exit_code: int,
        code: str,
        what: str,
        where: str,
        do: str,
        state: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(what)
        self.exit_code = exit_code
        self.code = code
        self.what = what
        self.where = where
        self.do = do
        self.state = state
        self.detail = detail

    def fault(self) -> Fault:
        """Return the error as the data that crosses the wire."""
        return Fault(self.exit_code, self.code, self.what, self.where, self.do, self.state, self.detail)
