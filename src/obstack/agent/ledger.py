"""What we made outside the state folder, so that a purge removes exactly that.

An entry is written, durably, BEFORE the thing is made: after a crash it may name something that does not exist, never
the other way round. What existed before us gets no entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from obstack.agent import durable, wire
from obstack.agent.faults import ROLLBACK_FAILED, AgentError

KINDS = ("user", "directory", "data", "link", "unit")
"""`directory` is one that was made to hold something of ours; `data` holds what services keep."""


class Ledger:
    """The ledger of one machine. `claims` are (kind, name), in the order in which they were made."""

    def __init__(self, path: str, claims: Iterable[tuple[str, str]] = ()) -> None:
        self.path = path
        self.claims = list(claims)

    @classmethod
    def load(cls, path: str) -> Ledger:
        """Return the ledger in file `path`; an absent file is an empty ledger. Raises AgentError `ledger-damaged`."""
        try:
            with open(path, "rb") as stream:
                data = wire.load(stream.read())
            return cls(path, [(kind, name) for kind, name in data["claims"] if kind in KINDS])
        except FileNotFoundError:
            return cls(path)
        except (ValueError, KeyError, TypeError) as error:
            raise AgentError(
                exit_code=ROLLBACK_FAILED,
                code="ledger-damaged",
                what="The ledger of what was made on this machine cannot be read.",
                where=path,
                do=f"restore {path} from a backup",
                state="nothing was changed by this run",
                detail=str(error),
            ) from error

    def has(self, kind: str, name: str) -> bool:
        """Tell whether the thing is ours."""
        return (kind, name) in self.claims

    def claim(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Remember, before making them, the things of `wanted` that are not remembered yet. Raises AgentError."""
        new = [claim for claim in dict.fromkeys(wanted) if claim not in self.claims]
        if new:
            self.claims += new
            # Crash here: the old ledger or the new one; the new one claims things not made yet, which a purge finds
            # absent and passes over.
            durable.crash_point("ledger")
            self._save()

    def release(self, gone: Iterable[tuple[str, str]]) -> None:
        """Forget things after they were removed. Raises AgentError."""
        gone = set(gone)
        if gone & set(self.claims):
            self.claims = [claim for claim in self.claims if claim not in gone]
            self._save()

    def _save(self) -> None:
        body = wire.canonical({"version": 1, "claims": [list(claim) for claim in self.claims]})
        durable.write_file(self.path, body + b"\n", 0o600)
