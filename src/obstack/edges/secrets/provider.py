"""What every keeper of secrets can do, and what a secret may look like."""

from __future__ import annotations

from typing import Final, Protocol

from obstack.errors import UsageError
from obstack.model.secret import Secret

LONGEST_SECRET: Final = 4096


class SecretProvider(Protocol):
    """Keeps values by name."""

    @property
    def kind(self) -> str:
        """Its name in the configuration."""

    def place(self, name: str) -> str:
        """Given a name, return where the value is kept, for messages."""

    def get(self, name: str) -> Secret | None:
        """Given a name, return the value, or None when there is none. Raises UsageError when it cannot be used."""

    def put(self, name: str, secret: Secret, *, replace: bool = True) -> None:
        """Given a name and a value, keep it durably; without `replace` a value that is there stays.

        Raises UsageError where nothing can be written, ChangeFailed.
        """

    def remove(self, name: str) -> bool:
        """Given a name, remove its value; return whether there was any. Raises UsageError and ChangeFailed."""

    def names(self) -> tuple[str, ...]:
        """Return the names that have a value, in order. Raises UsageError."""

    def changed(self, name: str) -> float | None:
        """Given a name, return when its value was last changed; None when that is not known."""

    def demand_writable(self, name: str) -> None:
        """Raise UsageError, saying what to do instead, when the value of this name cannot be changed from here."""

    def begin(self) -> str | None:
        """Make what must be there before a first secret; return what was made, as a sentence, or None.

        Raises UsageError and ChangeFailed.
        """

    def findings(self) -> tuple[str, ...]:
        """Return what is wrong with how the values are kept, a sentence each."""


def legible(text: str) -> str | None:
    """Given what is to be a secret, return what is wrong with its form, without showing it; None when it is fine."""
    if not text:
        return "is empty"
    if len(text) > LONGEST_SECRET or not text.isprintable():
        return "is not one line of printable text"
    return None


def read_only(name: str, place: str, do: str) -> UsageError:
    """Return the error for a value that cannot be changed from here."""
    return UsageError(
        code="secret-read-only",
        what=f"The secret {name} cannot be changed from here.",
        where=place,
        state="nothing was touched",
        do=do,
    )
