"""Secrets in one file that is encrypted by age, so that it may lie in git beside the configuration.

What is encrypted is a JSON document: each secret by name with its value and the time of its last change. The file is
read once, and written anew, whole, under a lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyrage
from pyrage import x25519

from obstack.agent import durable
from obstack.edges.secrets.folder import PrivateFolder, exposed, refusals
from obstack.edges.secrets.provider import legible
from obstack.errors import UsageError
from obstack.model.secret import Secret

LOCK: Final = ".kept/age-lock"
FORMAT: Final = 1


@dataclass(frozen=True)
class _Entry:
    value: Secret
    changed: float


class AgeProvider:
    """Given the file, the file of the identity that opens it, and further recipients, keep secrets in it.

    `folder` is the private folder, where the lock lies.
    """

    kind = "age"

    def __init__(self, file: Path, identity: Path, recipients: tuple[str, ...], folder: PrivateFolder) -> None:
        self._file = file
        self._identity_file = identity
        self._recipients = recipients
        self._folder = folder
        self._read: Mapping[str, _Entry] | None = None

    def place(self, name: str) -> str:
        """Given a name, return the file, and the name in it."""
        return f"{self._file} ({name})"

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None. Raises UsageError when the file cannot be opened."""
        entry = self._entries().get(name)
        return None if entry is None else entry.value

    def put(self, name: str, secret: Secret, *, replace: bool = True) -> None:
        """Given a name and a secret, write the file anew with it. Raises UsageError and ChangeFailed."""
        with self._folder.turn(LOCK):
            self._read = None
            entries = dict(self._entries())
            if replace or name not in entries:
                self._write(entries | {name: _Entry(secret, time.time())})

    def remove(self, name: str) -> bool:
        """Given a name, write the file anew without it; return whether it was there."""
        with self._folder.turn(LOCK):
            self._read = None
            entries = dict(self._entries())
            found = entries.pop(name, None) is not None
            if found:
                self._write(entries)
        return found

    def names(self) -> tuple[str, ...]:
        """Return the names in the file, in order. Raises UsageError."""
        return tuple(sorted(self._entries()))

    def changed(self, name: str) -> float | None:
        """Given a name, return when its value was last changed. Raises UsageError."""
        entry = self._entries().get(name)
        return None if entry is None else entry.changed

    def demand_writable(self, name: str) -> None:
        """The file can be written by whoever can open it: nothing is raised."""

    def findings(self) -> tuple[str, ...]:
        """Return that the identity is in git, when it is. One that others can read is refused whenever it is used."""
        listed = ["git", "-C", os.path.dirname(os.path.abspath(self._identity_file)), "ls-files", "--error-unmatch"]
        with contextlib.suppress(FileNotFoundError):  # without git nothing is in it
            known = subprocess.run([*listed, "--", self._identity_file.name], capture_output=True, check=False)
            if known.returncode == 0:
                return (f"{self._identity_file}, which opens the encrypted secrets, is in git: draw a new one",)
        return ()

    def begin(self) -> str | None:
        """Draw an identity where there is none; return a sentence with its public key, or None when there was one.

        An encrypted file whose identity is missing is somebody else's: then nothing is drawn. Raises UsageError and
        ChangeFailed.
        """
        if self._identity_file.exists():
            return None
        if self._file.exists():
            raise self._without_identity()
        identity = x25519.Identity.generate()
        public = str(identity.to_public())
        with refusals():
            folder = os.path.dirname(os.path.abspath(self._identity_file))
            durable.make_directory(folder, 0o700)
            durable.write_file(
                os.path.abspath(self._identity_file), f"# public key: {public}\n{identity}\n".encode(), 0o600
            )
        return f"drew an identity, public key {public}, into {self._identity_file}; keep a copy of it, and not in git"

    def _entries(self) -> Mapping[str, _Entry]:
        if self._read is None:
            self._read = self._load()
        return self._read

    def _load(self) -> Mapping[str, _Entry]:
        identity = self._identity()
        try:
            sealed = self._file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}", f"ls -l {self._file}") from error
        try:
            document: Any = json.loads(pyrage.decrypt(sealed, [identity]))
            return {
                str(name): _Entry(Secret(_sound(str(item["value"]))), float(item["changed"]))
                for name, item in document["secrets"].items()
            }
        except pyrage.DecryptError:
            raise self._unusable(
                "cannot be opened with this identity, or is damaged",
                f"name the identity that is among its recipients: secrets.age.identity, now {self._identity_file}",
            ) from None
        except (ValueError, LookupError, TypeError, AttributeError):
            # What was decrypted must not get into a message, so that the cause is not told.
            raise self._unusable(
                "holds no document of secrets", "git log -- the file, and take the last good one"
            ) from None

    def _write(self, entries: Mapping[str, _Entry]) -> None:
        document = {
            "version": FORMAT,
            "secrets": {
                name: {"value": entry.value.reveal(), "changed": round(entry.changed, 3)}
                for name, entry in sorted(entries.items())
            },
        }
        own = self._identity().to_public()
        try:
            others = [x25519.Recipient.from_str(text) for text in self._recipients if text != str(own)]
        except pyrage.RecipientError:
            raise self._unusable(
                "cannot be sealed: one of secrets.age.recipients is no public key, or has a slip in it",
                "copy the public keys anew, each as age-keygen prints it",
            ) from None
        sealed = pyrage.encrypt(json.dumps(document, indent=1).encode(), [own, *others], armored=True)
        with refusals():
            durable.write_file(os.path.abspath(self._file), sealed, 0o644)
        self._read = dict(entries)

    def _identity(self) -> x25519.Identity:
        """Return the identity. Raises UsageError when there is none, or others may read it."""
        try:
            descriptor = os.open(self._identity_file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise self._without_identity() from None
        except OSError as error:
            raise self._unusable(
                f"needs {self._identity_file}, which cannot be read: {error.strerror}", f"ls -l {self._identity_file}"
            ) from error
        with open(descriptor, encoding="utf-8", errors="replace") as stream:
            mode = os.fstat(descriptor).st_mode
            if mode & 0o077:
                raise exposed(str(self._identity_file), stat.S_IMODE(mode), "600")
            lines = [line.strip() for line in stream if line.strip() and not line.startswith("#")]
        with contextlib.suppress(pyrage.IdentityError):
            if len(lines) == 1:
                return x25519.Identity.from_str(lines[0])
        raise self._unusable(
            f"needs {self._identity_file}, which holds no identity of age", "age-keygen makes one; keep it out of git"
        )

    def _without_identity(self) -> UsageError:
        if self._file.exists():
            do = f"copy it to {self._identity_file}, mode 0600; or have your public key added to secrets.age.recipients"
        else:
            do = "observability secrets init    draws one"
        return UsageError(
            code="identity-missing",
            what="The identity that opens the encrypted secrets is not here.",
            where=str(self._identity_file),
            state="nothing was touched",
            do=do,
        )

    def _unusable(self, why: str, do: str) -> UsageError:
        return UsageError(
            code="secrets-unreadable",
            what=f"The encrypted file of secrets {why}.",
            where=str(self._file),
            state="nothing was touched",
            do=do,
        )


def _sound(text: str) -> str:
    if legible(text) is not None:
        raise ValueError("not a secret")
    return text
