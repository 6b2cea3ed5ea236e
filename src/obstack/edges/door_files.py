"""The files that the front door's certificate may come from: a person's, certbot's, and those that are in force."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from obstack.edges import certificate_proof
from obstack.model.door_certificate import LINEAGE
from obstack.model.layout import Layout
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.door import Flaw, Found, Kind, Leaf, Part, door_names
from obstack.render.materials import Certificate

LETSENCRYPT: Final = Path("/etc/letsencrypt")
LARGEST_FILE: Final = 256 * 1024


@dataclass(frozen=True)
class _Files:
    """Where the parts of one certificate are; `authority` is None where every machine's own trust store counts."""

    chain: Path
    key: Path
    authority: Path | None


class DoorFiles:
    """Looks at certificates where they lie. Nothing is written."""

    def __init__(self, configuration: Path, layout: Layout, letsencrypt: Path = LETSENCRYPT) -> None:
        """Given the folder of the configuration, the server's layout and certbot's folder."""
        self._configuration = configuration
        self._layout = layout
        self._live = letsencrypt / "live" / LINEAGE
        self._renewal = letsencrypt / "renewal" / f"{LINEAGE}.conf"

    def provided(self, site: Site, now: float) -> Found:
        """Given a site whose mode is provided, and the time, return its certificate with every flaw."""
        choice = site.front_door.certificate
        chain, key = self._place(choice.chain or ""), self._place(choice.key or "")
        files = _Files(chain, key, self._place(choice.authority) if choice.authority else None)
        return _look(files, door_names(site), now, private=True)

    def issued(self, site: Site, now: float) -> Found | None:
        """Given a site whose mode is acme, and the time, return what certbot has got for it; None for nothing yet."""
        if not os.path.lexists(self._live):
            return None
        choice = site.front_door.certificate
        authority = self._place(choice.authority) if choice.authority else None
        files = _Files(self._live / "fullchain.pem", self._live / "privkey.pem", authority)
        found = _look(files, door_names(site), now)
        asked = self._asked()
        if asked in ("", choice.directory):
            return found
        what = f"was had from {asked}, and not from {choice.directory}"
        foreign = Flaw(Part.CHAIN, what, "observability apply", Kind.AUTHORITY)
        return replace(found, flaws=(*found.flaws, foreign), certificate=None)

    def current(self, site: Site, now: float) -> Found | None:
        """Given a site and the time, return what the front door shows now; None where there is no front door yet."""
        folder = Path(self._layout.etc("nginx"))
        chain, authority = folder / "tls/certificate.pem", folder / "authority.pem"
        if not chain.exists():
            return None
        own = authority if authority.exists() else None
        return _look(_Files(chain, folder / "tls/key.pem", own), (site.domain,), now)

    def shown(self) -> Leaf | None:
        """Return what the certificate in force says of itself; None without one."""
        return self._leaf(Path(self._layout.etc("nginx"), "tls/certificate.pem"))

    def got(self) -> Leaf | None:
        """Return what certbot's certificate says of itself; None without one."""
        return self._leaf(self._live / "fullchain.pem")

    def renewed(self) -> bool:
        """Return whether certbot goes on renewing a certificate for this program."""
        return self._renewal.exists()

    def authority(self, site: Site) -> tuple[str, tuple[Flaw, ...]]:
        """Given a site, return the certificate of the authority that it names, as PEM, and what is wrong with it.

        Empty when it names none.
        """
        choice = site.front_door.certificate
        if choice.authority is None:
            return "", ()
        contents: dict[Part, bytes] = {}
        flaws = _read_parts({Part.AUTHORITY: self._place(choice.authority)}, contents)
        if flaws:
            return "", tuple(flaws)
        return certificate_proof.read_authority(contents[Part.AUTHORITY])

    def _asked(self) -> str:
        """Return the address of the authority that certbot asks when it renews; empty where it does not say."""
        try:
            lines = _read(self._renewal).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        values = (
            value.strip() for name, _, value in (line.partition("=") for line in lines) if name.strip() == "server"
        )
        return "".join(letter for letter in next(values, "") if letter.isprintable())

    def _place(self, path: str) -> Path:
        return self._configuration.absolute() / path

    def _leaf(self, chain: Path) -> Leaf | None:
        try:
            return certificate_proof.read_leaf(_read(chain))
        except OSError:
            return None


def _look(files: _Files, names: tuple[str, ...], now: float, *, private: bool = False) -> Found:
    """Read the parts and prove them together. With `private`, a key that others can read is a flaw."""
    contents: dict[Part, bytes] = {}
    parts = {Part.CHAIN: files.chain, Part.KEY: files.key}
    if files.authority is not None:
        parts[Part.AUTHORITY] = files.authority
    flaws = _read_parts(parts, contents)
    if private and Part.KEY in contents and (mode := os.stat(files.key).st_mode) & 0o007:
        what = f"can be read or changed by everybody: {files.key} has mode {stat.S_IMODE(mode):04o}"
        remedy = f"chmod 600 {files.key}    and get another certificate if somebody may have read it"
        flaws.append(Flaw(Part.KEY, what, remedy))
    place = str(files.chain)
    if parts.keys() != contents.keys():
        return Found(place, tuple(flaws))
    proof = certificate_proof.prove(contents[Part.CHAIN], contents[Part.KEY], names, now, contents.get(Part.AUTHORITY))
    flaws += proof.flaws
    if flaws:
        return Found(place, tuple(flaws), leaf=proof.leaf)
    return Found(place, (), Certificate(proof.chain, Secret(proof.key), proof.authority), proof.leaf)


def _read_parts(parts: dict[Part, Path], contents: dict[Part, bytes]) -> list[Flaw]:
    """Read what can be read into `contents`, and return a flaw for each part that cannot."""
    flaws = []
    for part, path in parts.items():
        try:
            contents[part] = _read(path)
        except OSError as error:
            what = f"cannot be read: {path}: {(error.strerror or str(error)).lower()}"
            flaws.append(Flaw(part, what, f"ls -l {path}    and correct the path or the file"))
    return flaws


def _read(path: Path) -> bytes:
    """Return the content of a file. Raises OSError for one that is no regular file, or larger than any certificate."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file")
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(f"{path} is larger than any certificate")
    return content
