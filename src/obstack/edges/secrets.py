"""Secrets as files: a private folder, one file a secret, never readable by others, never half written.

Beside the secrets, in `.kept`, are things made from them that must stay the same from run to run: bcrypt hashes (whose
salt is drawn once), and the certificate authority. A hash knows by a keyed digest whether it still belongs to its
password; the key is drawn once for the folder, so the digest cannot be guessed from a copy of the file alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import bcrypt

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.errors import ChangeFailed, UsageError
from obstack.model.scalars import NAME_PATTERN
from obstack.model.secret import Secret, reference_name
from obstack.model.site import Site
from obstack.render.materials import Login

GATE_LOGIN: Final = "observability-gate"
KEPT: Final = ".kept"
ROUNDS: Final = 10
"""Cost of bcrypt. nginx verifies the hash on every request, so it must not cost more than some 50 ms."""

DRAWN_ROUNDS: Final = 4
"""The cost for the accounts of machines, the gate's too: 32 drawn characters and more are not guessed, however quick a
guess is, and these log in many times."""


_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"  # without what looks alike
_LONGEST_SECRET: Final = 4096
_BCRYPT_LIMIT: Final = 72
_KEPT_NAME: Final = r"[a-z][a-z0-9-]{0,99}"


class FileSecrets:
    """The secrets in one folder (0700, files 0600). Nothing is written before something must be kept."""

    def __init__(self, folder: Path) -> None:
        """Given the folder, which need not exist."""
        self._folder = folder.absolute()
        self._shown = folder

    def place(self, name: str) -> str:
        """Given a name, return the file that holds the secret, for messages."""
        return str(self._shown / name)

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when there is no file.

        A newline at the end of the file is not part of the secret. Raises UsageError when the file can be read by
        others, is empty, or holds more than one line.
        """
        content = self._read(_safe(name))
        if content is None:
            return None
        try:
            text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise self._unusable(name, "is not UTF-8 text") from None
        if not text:
            raise self._unusable(name, "is empty")
        if len(text) > _LONGEST_SECRET or not text.isprintable():
            raise self._unusable(name, "is not one line of printable text")
        return Secret(text)

    def create(self, name: str, length: int = 24) -> Secret:
        """Given a name, return its secret; when there is none, draw one of `length` letters and digits and keep it.

        Two runs at once end with the same secret. Raises UsageError as `get`, ChangeFailed when it cannot be written.
        """
        kept = self.get(name)
        if kept is not None:
            return kept
        self._keep(_safe(name), "".join(secrets.choice(_ALPHABET) for _ in range(length)).encode() + b"\n")
        kept = self.get(name)
        assert kept is not None  # noqa: S101 it was just kept, by this run or another
        return kept

    def protect(self) -> list[str]:
        """Take the rights of others off the folder and the files in it; return the paths that had such rights.

        Raises ChangeFailed for a path that belongs to somebody else.
        """
        changed = []
        for path in (self._folder, *sorted(self._folder.rglob("*"))) if self._folder.is_dir() else ():
            mode = path.lstat().st_mode
            if mode & 0o077 and not stat.S_ISLNK(mode):
                with _refusals(), durable.explained(str(path)):
                    path.chmod(stat.S_IMODE(mode) & 0o700)
                changed.append(str(path))
        return changed

    def logins(self, site: Site) -> tuple[Login, ...]:
        """Given the site, return the users of the front door, then its machines, with their hashes.

        The same password keeps the same hash. Raises UsageError for a secret that is missing or cannot be trusted.
        """
        door = site.front_door
        return (
            *(self._login(user.name, self.need(reference_name(user.password))) for user in door.users),
            *(self._login(item.name, self.need(reference_name(item.password)), DRAWN_ROUNDS) for item in door.machines),
        )

    def gate_login(self) -> Login:
        """Return the machine account of the gate probes; its password is drawn when there is none."""
        return self._login(GATE_LOGIN, self.create(GATE_LOGIN, 40), DRAWN_ROUNDS)

    def node_key(self, node: str) -> bytes:
        """Given a node's name, return the key of the digests of its secret files: always the same for this folder."""
        return hmac.digest(self._site_key(), f"digests of {node}".encode(), "sha256")

    def need(self, name: str) -> Secret:
        """Given a name, return the secret. Raises UsageError when there is none."""
        secret = self.get(name)
        if secret is None:
            raise UsageError(
                code="secret-missing",
                what=f"The secret {name} does not exist.",
                where=self.place(name),
                state="nothing was touched",
                do=f"umask 077; cat > {self.place(name)}    then type the secret, Enter, Control-D",
            )
        return secret

    def kept(self, name: str) -> bytes | None:
        """Given the name of something made earlier, return its content, or None. Raises UsageError as `get`."""
        return self._read(f"{KEPT}/{_safe(name, _KEPT_NAME)}")

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep it durably, replacing what had the name. Raises ChangeFailed."""
        self._prepare(KEPT)
        with _refusals():
            durable.write_file(str(self._folder / KEPT / _safe(name, _KEPT_NAME)), content, 0o600)

    def forget(self, name: str) -> bool:
        """Given the name of something kept, remove it; return whether there was anything. Raises ChangeFailed."""
        with _refusals():
            return durable.remove(str(self._folder / KEPT / _safe(name, _KEPT_NAME)))

    def _login(self, name: str, password: Secret, rounds: int = ROUNDS) -> Login:
        value = password.reveal().encode()
        if len(value) > _BCRYPT_LIMIT:
            raise UsageError(
                code="secret-unusable",
                what=f"The password of {name} has more than {_BCRYPT_LIMIT} bytes; bcrypt would ignore the rest.",
                where=str(self._shown),
                state="nothing was touched",
                do=f"shorten the password to at most {_BCRYPT_LIMIT} bytes",
            )
        belongs = hmac.new(self._site_key(), name.encode() + b"\0" + value, hashlib.sha256).hexdigest()
        stored = self._stored_hash(f"{name}-hash")
        if stored is not None and hmac.compare_digest(stored[1], belongs):
            return Login(name, stored[0], password)
        hashed = bcrypt.hashpw(value, bcrypt.gensalt(rounds)).decode()
        self.keep(f"{name}-hash", json.dumps({"hash": hashed, "belongs": belongs}).encode() + b"\n")
        return Login(name, hashed, password)

    def _stored_hash(self, name: str) -> tuple[str, str] | None:
        """A file that cannot be understood counts as absent: a new hash is all it costs."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            content = json.loads(self.kept(name) or b"")
            return str(content["hash"]), str(content["belongs"])
        return None

    def _site_key(self) -> bytes:
        key = self.kept("site-key")
        if key is None:
            self._prepare(KEPT)
            self._keep(f"{KEPT}/site-key", secrets.token_bytes(32))
            key = self.kept("site-key")
        assert key is not None  # noqa: S101 it was just kept, by this run or another
        return key

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise UsageError(
                code="secret-unreadable",
                what=f"The secret {name} belongs to another user.",
                where=str(self._shown / name),
                state="nothing was touched",
                do=f"ls -ld {self._shown} {self._shown / name}    and run this as its owner, or with sudo",
            ) from error
        except OSError as error:
            raise self._unusable(name, f"cannot be read: {error.strerror}") from error
        with open(descriptor, "rb") as stream:
            self._trust(name, os.fstat(descriptor))
            return stream.read(_LONGEST_SECRET * 16)

    def _trust(self, name: str, status: os.stat_result) -> None:
        """Refuse what others can read or replace: the folder and the file belong to their owner alone."""
        if not stat.S_ISREG(status.st_mode):
            raise self._unusable(name, "is not a regular file")
        for path, mode, wanted in (
            (self._shown, self._folder.stat().st_mode, "700"),
            (self._shown / name, status.st_mode, "600"),
        ):
            if mode & 0o077:
                raise UsageError(
                    code="secret-exposed",
                    what=f"Others may read {path}: its mode is {stat.S_IMODE(mode):04o}.",
                    where=str(path),
                    state="nothing was touched",
                    do=f"chmod {wanted} {path}    and change the secret if somebody may have read it",
                )

    def _unusable(self, name: str, why: str) -> UsageError:
        return UsageError(
            code="secret-unusable",
            what=f"The secret {name} {why}.",
            where=str(self._shown / name),
            state="nothing was touched",
            do=f"ls -l {self._shown / name}    and write the secret as one line",
        )

    def _prepare(self, inside: str = "") -> None:
        with _refusals():
            durable.make_directory(str(self._folder), 0o700)
            if inside:
                durable.make_directory(str(self._folder / inside), 0o700)

    def _keep(self, name: str, content: bytes) -> None:
        """Keep content under a name that is free; when another run was faster, its content stays."""
        self._prepare()
        path = str(self._folder / name)
        temporary = f"{path}.{secrets.token_hex(8)}"
        with _refusals(), contextlib.ExitStack() as stack:
            durable.write_file(temporary, content, 0o600)
            stack.callback(durable.remove, temporary)
            with durable.explained(path), contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # unlike a rename, a link does not replace
            durable.sync_directory(os.path.dirname(path))


def _safe(name: str, pattern: str = NAME_PATTERN) -> str:
    if not re.fullmatch(pattern, name):
        raise ValueError(f"not the name of a secret: {name!r}")
    return name


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turn the writer's errors into this program's."""
    try:
        yield
    except AgentError as error:
        raise ChangeFailed(
            code=error.code,
            what=error.what,
            where=error.where,
            do=error.do,
            state="no secret was changed",
            detail=error.detail,
        ) from error
