"""A secret value that does not show itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Secret:
    """Holds a secret. Only `reveal` opens it; printing, formatting and logging show `***`."""

    _value: str

    def reveal(self) -> str:
        """Return the secret itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"


def reference_name(reference: str) -> str:
    """Given `secret:NAME`, return NAME."""
    return reference.removeprefix("secret:")
