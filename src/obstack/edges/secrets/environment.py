"""Secrets from the environment of this program: for continuous integration, where a vault sets them. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from obstack.edges.secrets.provider import legible, read_only
from obstack.errors import UsageError
from obstack.model.secret import Secret

PREFIX: Final = "OBSERVABILITY_SECRET_"


def variable(name: str) -> str:
    """Given the name of a secret, return the name of its variable."""
    return PREFIX + name.upper().replace("-", "_")


class EnvironmentProvider:
    """Given an environment, take secrets from its variables OBSERVABILITY_SECRET_NAME."""

    kind = "environment"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def place(self, name: str) -> str:
        """Given a name, return the variable."""
        return f"${variable(name)}"

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when the variable is not set. Raises UsageError."""
        text = self._environment.get(variable(name))
        if text is None:
            return None
        wrong = legible(text)
        if wrong is not None:
            raise UsageError(
                code="secret-unusable",
                what=f"The secret {name} {wrong}.",
                where=self.place(name),
                state="nothing was touched",
                do=f"set {variable(name)} anew, to one line",
            )
        return Secret(text)

    def put(self, name: str, secret: Secret, *, replace: bool = True) -> None:
        """Raise UsageError: what set the variable must set it anew."""
        del secret, replace
        self.demand_writable(name)

    def remove(self, name: str) -> bool:
        """Raise UsageError: what set the variable must take it away."""
        self.demand_writable(name)
        return False

    def names(self) -> tuple[str, ...]:
        """Return the names whose variable is set, in order."""
        found = (key.removeprefix(PREFIX) for key in self._environment if key.startswith(PREFIX))
        return tuple(sorted(name.lower().replace("_", "-") for name in found))

    def changed(self, name: str) -> float | None:
        """Return None: an environment does not say since when."""
        del name
        return None

    def demand_writable(self, name: str) -> None:
        """Raise UsageError, saying what to do instead."""
        raise read_only(
            name,
            f"the environment, {self.place(name)}",
            f"change it where {variable(name)} is set, then run: observability apply",
        )

    def begin(self) -> str | None:
        """Make nothing."""
        return None

    def findings(self) -> tuple[str, ...]:
        """Return nothing: an environment is nobody else's."""
        return ()
