"""Secrets as files of the private folder, one file a secret."""

from __future__ import annotations

from typing import Final

from obstack.edges.secrets.folder import PrivateFolder
from obstack.edges.secrets.provider import legible
from obstack.model.secret import Secret

GATE_LOGIN: Final = "observability-gate"
IDENTITY: Final = "age-identity"
OWN: Final = (GATE_LOGIN, IDENTITY)
"""Files beside the secrets that are no secrets of the site."""


class FileProvider:
    """Given the private folder, keep each secret as a file of its name."""

    kind = "files"

    def __init__(self, folder: PrivateFolder) -> None:
        self._folder = folder

    def place(self, name: str) -> str:
        """Given a name, return the file that holds the secret."""
        return self._folder.place(name)

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when there is no file.

        A newline at the end of the file is not part of the secret. Raises UsageError when the file can be read by
        others, is empty, or holds more than one line.
        """
        content = self._folder.read(name)
        if content is None:
            return None
        try:
            text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise self._folder.unusable(name, "is not UTF-8 text") from None
        wrong = legible(text)
        if wrong is not None:
            raise self._folder.unusable(name, wrong)
        return Secret(text)

    def put(self, name: str, secret: Secret, *, replace: bool = True) -> None:
        """Given a name and a secret, keep it durably. Raises ChangeFailed."""
        content = secret.reveal().encode() + b"\n"
        if replace:
            self._folder.write(name, content)
        else:
            self._folder.write_new(name, content)

    def remove(self, name: str) -> bool:
        """Given a name, remove its file; return whether there was any. Raises ChangeFailed."""
        return self._folder.remove(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of the secrets, in order."""
        return tuple(name for name in self._folder.names() if name not in OWN)

    def changed(self, name: str) -> float | None:
        """Given a name, return when its file was last written."""
        return self._folder.changed(name)

    def demand_writable(self, name: str) -> None:
        """Files can be written: nothing is raised."""

    def begin(self) -> str | None:
        """Make nothing: the folder is made with the first secret."""
        return None

    def findings(self) -> tuple[str, ...]:
        """Return the files that others have rights to."""
        return tuple(f"{path} can be used by others" for path in self._folder.exposed())
