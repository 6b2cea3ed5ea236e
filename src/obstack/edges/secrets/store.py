"""The secrets of a site, ready for use: values from a provider, and what is made of them.

In `.kept` of the private folder are things that must stay the same from run to run: bcrypt hashes (whose salt is drawn
once), and the certificate authorities. A hash knows by a keyed digest whether it still belongs to its password; the key
is drawn once for the folder, so the digest cannot be guessed from a copy of the file alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import bcrypt

from obstack.edges.secrets.files import GATE_LOGIN, FileProvider
from obstack.edges.secrets.folder import PrivateFolder
from obstack.edges.secrets.provider import SecretProvider, legible
from obstack.errors import UsageError
from obstack.model.scalars import NAME_PATTERN
from obstack.model.secret import Secret, reference_name
from obstack.model.site import Site
from obstack.render.materials import Login

KEPT: Final = ".kept"
ROUNDS: Final = 10
"""Cost of bcrypt. nginx verifies the hash on every request, so it must not cost more than some 50 ms."""

DRAWN_ROUNDS: Final = 4
"""The cost for the accounts of machines, the gate's too: 32 drawn characters and more are not guessed, however quick a
guess is, and these log in many times."""


_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"  # without what looks alike
_BCRYPT_LIMIT: Final = 72
_KEPT_NAME: Final = r"[a-z][a-z0-9-]{0,99}"
_ROTATION_LOCK: Final = f"{KEPT}/rotation-lock"


class SecretStore:
    """Given the private folder and a provider, the secrets of a site. Nothing is written before it must be kept.

    `pending` are values that stand in for those of the provider, while it is found out whether they can take their
    place.
    """

    def __init__(
        self, folder: PrivateFolder, provider: SecretProvider, pending: Mapping[str, Secret] | None = None
    ) -> None:
        self.folder = folder
        self.provider = provider
        self._pending = dict(pending or {})

    def with_pending(self, values: Mapping[str, Secret]) -> SecretStore:
        """Given values that are to be tried, return the store in which they hold already."""
        return SecretStore(self.folder, self.provider, values)

    def place(self, name: str) -> str:
        """Given a name, return where the secret is kept, for messages."""
        return self.provider.place(name)

    def get(self, name: str) -> Secret | None:
        """Given a name, return the secret, or None when there is none. Raises UsageError when it cannot be used."""
        return self._pending.get(name) or self.provider.get(_safe(name))

    def create(self, name: str, length: int = 24) -> Secret:
        """Given a name, return its secret; when there is none, draw one of `length` letters and digits and keep it.

        Two runs at once end with the same secret. Raises UsageError as `get`, and where nothing can be written;
        ChangeFailed when it cannot be written.
        """
        return _created(self.provider, _safe(name), length)

    def put(self, name: str, secret: Secret) -> None:
        """Given a name and a value, keep it in the place of the old one. Raises UsageError and ChangeFailed."""
        self.demand_legible(name, secret)
        self.provider.put(_safe(name), secret)

    def demand_legible(self, name: str, secret: Secret) -> None:
        """Raise UsageError, which does not show it, for a value that cannot be a secret."""
        wrong = legible(secret.reveal())
        if wrong is not None:
            raise UsageError(
                code="secret-unusable",
                what=f"What was given for the secret {name} {wrong}.",
                where="standard input",
                state="nothing was touched",
                do=f"observability secrets set {name}    with one line of text",
            )

    def protect(self) -> list[str]:
        """Take the rights of others off the private folder and its files; return the paths that had such rights.

        Raises ChangeFailed for a path that belongs to somebody else.
        """
        return self.folder.protect()

    def logins(self, site: Site) -> tuple[Login, ...]:
        """Given the site, return the users of the front door, then its machines, with their hashes.

        The same password keeps the same hash. Raises UsageError for a secret that is missing or cannot be trusted.
        """
        door = site.front_door
        return (
            *(self._login(user.name, reference_name(user.password)) for user in door.users),
            *(self._login(item.name, reference_name(item.password), DRAWN_ROUNDS) for item in door.machines),
        )

    def gate_login(self) -> Login:
        """Return the machine account of the gate probes; its password is drawn when there is none.

        It is nobody's but this program's, so that it lies in the private folder whatever the provider is.
        """
        own = FileProvider(self.folder)
        return self._hashed(GATE_LOGIN, _created(own, GATE_LOGIN, 40), None, DRAWN_ROUNDS)

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
                do=f"observability secrets set {name}    or, for one that may be drawn: observability secrets init",
            )
        return secret

    def kept(self, name: str) -> bytes | None:
        """Given the name of something made earlier, return its content, or None. Raises UsageError as `get`."""
        return self.folder.read(f"{KEPT}/{_safe(name, _KEPT_NAME)}")

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep it durably, replacing what had the name. Raises ChangeFailed."""
        self.folder.write(f"{KEPT}/{_safe(name, _KEPT_NAME)}", content)

    def forget(self, name: str) -> bool:
        """Given the name of something kept, remove it; return whether there was anything. Raises ChangeFailed."""
        return self.folder.remove(f"{KEPT}/{_safe(name, _KEPT_NAME)}")

    def drawing(self) -> AbstractContextManager[None]:
        """Return the context in which alone something is drawn that is kept: whoever waited looks again first."""
        return self.folder.drawing()

    def rotating(self) -> AbstractContextManager[bool]:
        """Return the context of who rotates, or settles what a rotation left; it tells whether nobody else is at it."""
        return self.folder.turn(_ROTATION_LOCK, wait=False)

    def _login(self, user: str, name: str, rounds: int = ROUNDS) -> Login:
        old = self.provider.get(name) if name in self._pending else None
        return self._hashed(user, self.need(name), old, rounds)

    def _hashed(self, user: str, password: Secret, old: Secret | None, rounds: int) -> Login:
        """Return the login with its hash. That of the `old` password is kept too: it may be taken back."""
        value = password.reveal().encode()
        if len(value) > _BCRYPT_LIMIT:
            raise UsageError(
                code="secret-unusable",
                what=f"The password of {user} has more than {_BCRYPT_LIMIT} bytes; bcrypt would ignore the rest.",
                where=self.folder.place(""),
                state="nothing was touched",
                do=f"shorten the password to at most {_BCRYPT_LIMIT} bytes",
            )
        belongs = self._belongs(user, value)
        stored = self._stored_hashes(f"{user}-hash")
        if belongs in stored:
            return Login(user, stored[belongs], password)
        with self.drawing():
            stored = self._stored_hashes(f"{user}-hash")
            if belongs in stored:
                return Login(user, stored[belongs], password)
            hashed = bcrypt.hashpw(value, bcrypt.gensalt(rounds)).decode()
            before = {} if old is None else {self._belongs(user, old.reveal().encode())}
            hashes = {key: text for key, text in stored.items() if key in before} | {belongs: hashed}
            self.keep(f"{user}-hash", json.dumps(hashes).encode() + b"\n")
        return Login(user, hashed, password)

    def _belongs(self, user: str, value: bytes) -> str:
        return hmac.new(self._site_key(), user.encode() + b"\0" + value, hashlib.sha256).hexdigest()

    def _stored_hashes(self, name: str) -> dict[str, str]:
        """A file that cannot be understood counts as absent: a new hash is all it costs."""
        with contextlib.suppress(ValueError, AttributeError):
            return {str(key): str(text) for key, text in json.loads(self.kept(name) or b"{}").items()}
        return {}

    def _site_key(self) -> bytes:
        key = self.kept("site-key")
        if key is None:
            self.folder.write_new(f"{KEPT}/site-key", secrets.token_bytes(32))
            key = self.kept("site-key")
        assert key is not None  # noqa: S101 it was just kept, by this run or another
        return key


class FileSecrets(SecretStore):
    """The secrets of a site in one private folder, one file a secret."""

    def __init__(self, folder: Path) -> None:
        """Given the folder, which need not exist."""
        private = PrivateFolder(folder)
        super().__init__(private, FileProvider(private))


def draw(length: int) -> Secret:
    """Given how many characters, draw a secret of letters and digits that do not look alike."""
    return Secret("".join(secrets.choice(_ALPHABET) for _ in range(length)))


def _created(provider: SecretProvider, name: str, length: int) -> Secret:
    kept = provider.get(name)
    if kept is not None:
        return kept
    provider.put(name, draw(length), replace=False)
    kept = provider.get(name)
    assert kept is not None  # noqa: S101 it was just kept, by this run or another
    return kept


def _safe(name: str, pattern: str = NAME_PATTERN) -> str:
    if not re.fullmatch(pattern, name):
        raise ValueError(f"not the name of a secret: {name!r}")
    return name
