"""The secrets of a site: who uses them, which are missing, and what is wrong with how they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from obstack.catalog.modules import ModuleSet, ResolvedModule, resolve_hosts
from obstack.errors import UsageError
from obstack.model.module import OptionType
from obstack.model.passwords import DRAWN_LENGTH, SHORTEST_OF_MACHINE, weakness
from obstack.model.rules import Path, secret_references
from obstack.model.secret import Secret, reference_name
from obstack.model.site import Site
from obstack.model.suspicions import looks_like_placeholder
from obstack.model.words import nearest, spell

DRAWN: Final[Mapping[Path, int]] = {
    ("front_door", "users"): 24,
    ("front_door", "machines"): DRAWN_LENGTH,
    ("grafana", "admin_password"): DRAWN_LENGTH,
    ("grafana", "secret_key"): DRAWN_LENGTH,
}
"""Which secrets are ours to draw, by the beginning of the path of the setting, with how many characters each."""

LASTING: Final[Mapping[Path, str]] = {
    ("grafana", "secret_key"): "Grafana has encrypted what it keeps with it, and could read none of that with another",
    ("grafana", "admin_password"): "Grafana has taken it over at its first start, and does not look at it again",
}
"""Secrets that a new value would not change, or would break, by the path of the setting, and why."""


class SecretKeeper(Protocol):
    """What keeps the values, whatever it is."""

    @property
    def kind(self) -> str:
        """Its name in the configuration."""

    def place(self, name: str) -> str:
        """Given a name, return where the value is kept, for messages."""

    def get(self, name: str) -> Secret | None:
        """Given a name, return the value, or None when there is none. Raises UsageError when it cannot be used."""

    def names(self) -> tuple[str, ...]:
        """Return the names that have a value, in order. Raises UsageError."""

    def changed(self, name: str) -> float | None:
        """Given a name, return when its value was last changed; None when that is not known."""

    def demand_writable(self, name: str) -> None:
        """Raise UsageError, saying what to do instead, when the value of this name cannot be changed from here."""

    def findings(self) -> tuple[str, ...]:
        """Return what is wrong with how the values are kept, a sentence each."""


class DrawingStore(Protocol):
    """Where secrets are drawn."""

    def create(self, name: str, length: int = 24) -> Secret:
        """Given a name, return its secret; one is drawn and kept when there is none."""


@dataclass(frozen=True)
class Use:
    """A setting that refers to a secret: its path, and the node where what is made of it lies."""

    path: Path
    node: str

    @property
    def drawn_length(self) -> int | None:
        """Return with how many characters it is ours to draw; None when somebody else gives it."""
        return DRAWN.get(self.path[:2])

    @property
    def lasting(self) -> str | None:
        """Return why it must keep its value once it is in use; None when it can have another."""
        return LASTING.get(self.path)


@dataclass(frozen=True)
class Entry:
    """One secret. `provider` is what keeps its value, `credential` where only the server's systemd has it.

    `changed` is when its value was last changed, as far as that is known.
    """

    name: str
    provider: str
    place: str
    exists: bool | None
    changed: float | None
    uses: tuple[Use, ...]


def uses_of(site: Site, modules: ModuleSet) -> dict[str, tuple[Use, ...]]:
    """Given a site without findings and all modules, return who uses each secret, by its name, in order of names."""
    found: dict[str, list[Use]] = {}
    for path, name in secret_references(site):
        found.setdefault(name, []).append(Use(path, site.server.name))
    for host, resolved in (resolve_hosts(site, modules) if site.hosts else {}).items():
        for way, name in _module_secrets(resolved):
            found.setdefault(name, []).append(Use(("hosts", host, "modules", *way), host))
    return {name: tuple(found[name]) for name in sorted(found)}


def _module_secrets(resolved: Sequence[ResolvedModule]) -> Iterator[tuple[Path, str]]:
    for module in resolved:
        for name, option in module.shipped.options.items():
            if option.type is OptionType.SECRET and name in module.options:
                yield (module.name, "options", name), reference_name(str(module.options[name]))


def entries(site: Site, uses: Mapping[str, Sequence[Use]], keeper: SecretKeeper) -> tuple[Entry, ...]:
    """Given who uses what, return every secret that is used or kept, in order of names. Raises UsageError."""
    found = []
    for name in sorted({*uses, *keeper.names()}):
        used = tuple(uses.get(name, ()))
        credential = site.secrets.credentials.get(name)
        if credential is not None:
            folder = "/etc/credstore.encrypted" if credential.value == "encrypted" else "/etc/credstore"
            place = f"{site.server.name}:{folder}/{name}"
            found.append(Entry(name, f"systemd ({credential.value})", place, None, None, used))
            continue
        exists = name in keeper.names()
        found.append(Entry(name, keeper.kind, keeper.place(name), exists, keeper.changed(name), used))
    return tuple(found)


# ------------------------------------------------------------------------------------------------------------ init


@dataclass(frozen=True)
class Initiation:
    """What `init` did: which secrets were drawn, which were there, and which only somebody else can give."""

    drawn: tuple[str, ...]
    present: tuple[str, ...]
    by_hand: tuple[Entry, ...]


def initiate(site: Site, uses: Mapping[str, Sequence[Use]], keeper: SecretKeeper, store: DrawingStore) -> Initiation:
    """Draw every secret that is missing and may be drawn. Raises UsageError and ChangeFailed."""
    drawn, present, by_hand = [], [], []
    for entry in entries(site, uses, keeper):
        lengths = [use.drawn_length for use in entry.uses]
        if not entry.uses or entry.exists is None:
            continue
        if entry.exists:
            present.append(entry.name)
        elif all(length is not None for length in lengths):
            keeper.demand_writable(entry.name)
            store.create(entry.name, max(length or 0 for length in lengths))
            drawn.append(entry.name)
        else:
            by_hand.append(entry)
    return Initiation(tuple(drawn), tuple(present), tuple(by_hand))


# ----------------------------------------------------------------------------------------------------------- check


@dataclass(frozen=True)
class SecretFinding:
    """What is wrong with a secret, or with how all are kept (then `name` is empty), and what to do about it."""

    name: str
    message: str
    remedy: str


def check(
    site: Site, uses: Mapping[str, Sequence[Use]], known: Sequence[str], keeper: SecretKeeper
) -> tuple[SecretFinding, ...]:
    """Given who uses what here, and every name that any environment uses, return all that is wrong."""
    found = [
        SecretFinding("", message, "observability preflight --fix    takes the rights of others away")
        for message in keeper.findings()
    ]
    try:
        kept = keeper.names()
    except UsageError as error:
        return (*found, SecretFinding("", error.what, error.do))
    for name in sorted({*uses, *kept}):
        if name not in site.secrets.credentials:
            found += _judge(site, name, uses.get(name, ()), keeper, used=name in known)
    return tuple(found)


def _judge(site: Site, name: str, uses: Sequence[Use], keeper: SecretKeeper, *, used: bool) -> Iterator[SecretFinding]:
    try:
        secret = keeper.get(name)
    except UsageError as error:
        yield SecretFinding(name, error.what, error.do)
        return
    if secret is None:
        where = ", ".join(spell(use.path) for use in uses)
        yield SecretFinding(name, f"is needed by {where}, and does not exist", f"observability secrets set {name}")
        return
    weak = next((found for use in uses if (found := weakness_of(site, use.path, secret))), None)
    if weak is not None:
        yield SecretFinding(name, weak, f"observability secrets rotate {name}")
    if not used:
        yield SecretFinding(name, "is used by no setting", f"remove it where it is kept: {keeper.place(name)}")


def weakness_of(site: Site, path: Path, secret: Secret) -> str | None:
    """Given the path of a setting, return what is weak about its secret, without showing it; None when it is fine.

    A password of our own logins must be strong; one that a relay gave us is only looked at for placeholders.
    """
    value = secret.reveal()
    if looks_like_placeholder(value):
        return "is still a placeholder"
    if path[:2] == ("front_door", "users"):
        return weakness(value, site.front_door.users[int(path[2])].name)
    if path[:2] == ("front_door", "machines"):
        return weakness(value, site.front_door.machines[int(path[2])].name, shortest=SHORTEST_OF_MACHINE)
    return None


def demand_known(name: str, known: Sequence[str]) -> None:
    """Raise UsageError when no setting refers to a secret of this name."""
    if name not in known:
        raise UsageError(
            code="secret-unknown",
            what=f"No setting refers to the secret {name}. {nearest(name, known)}".rstrip(),
            where=f"the configuration, which refers to: {', '.join(known) or 'none'}",
            state="nothing was touched",
            do="observability secrets list",
        )
