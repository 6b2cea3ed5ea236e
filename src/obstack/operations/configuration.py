"""The verbs of configuration: judge it, show it with its origins, compare two, begin a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from obstack.errors import ConfigurationError, UsageError
from obstack.model.example import example
from obstack.model.loaded import LoadedConfiguration
from obstack.model.rules import Finding, Path, credential_finding, value_references
from obstack.model.site import Site
from obstack.model.words import mask, spell
from obstack.operations.secrets import DRAWN, weakness_of
from obstack.ports import ConfigurationFolder, Configurations, Examination, Secrets, SecretsOf

DEFAULT_ORIGIN = "default"

Judge = Callable[[Site], Iterable[Finding]]
"""Judges what a site names but does not hold: files beside it."""


def examine_configuration(
    configurations: Configurations, secrets_of: SecretsOf, environment: str | None, judge: Judge = lambda _: ()
) -> Examination:
    """Given where configuration and its secrets are, return what was read and every problem, of the secrets too.

    And every one that `judge` finds.
    """
    examination = configurations.examine(environment)
    legible, sources = examination.legible, examination.sources
    if legible is None:
        return examination
    site = legible.site
    judged = [*_secret_findings(examination, site, secrets_of(site)), *judge(site)]
    found = [sources.problem(item) for item in legible.sound(judged)]
    return replace(examination, problems=sources.in_order((*examination.problems, *found)))


def examine_everything(
    configurations: Configurations, secrets_of: SecretsOf, judge: Judge = lambda _: ()
) -> tuple[tuple[str | None, Examination], ...]:
    """Given where configuration and its secrets are, return the examination of the base and of each environment.

    The base has no name and comes first. What is wrong with the base is not told again of an environment.
    """
    base = examine_configuration(configurations, secrets_of, None, judge)
    told = set(base.problems)
    found: list[tuple[str | None, Examination]] = [(None, base)]
    for environment in configurations.environments():
        examination = examine_configuration(configurations, secrets_of, environment, judge)
        own = tuple(problem for problem in examination.problems if problem not in told)
        found.append((environment, replace(examination, problems=own)))
    return tuple(found)


def load_configuration(
    configurations: Configurations, secrets_of: SecretsOf, environment: str | None
) -> LoadedConfiguration:
    """Given where configuration and its secrets are, return the configuration to work with.

    Raises ConfigurationError with all problems at once.
    """
    examination = examine_configuration(configurations, secrets_of, environment)
    if examination.loaded is None or examination.problems:
        again = f" --environment {environment}" if environment else ""
        raise ConfigurationError(
            examination.problems, do=f"observability config validate{again}    after correcting them"
        )
    return examination.loaded


def _secret_findings(examination: Examination, site: Site, secrets: Secrets) -> Iterator[Finding]:
    for path, name in (*value_references(site), *examination.module_secrets):
        if name in site.secrets.credentials:
            yield credential_finding(path, name)
            continue
        try:
            secret = secrets.get(name)
        except UsageError as error:
            yield Finding(path, f"refers to a secret that cannot be used: {error.what}", error.do)
            continue
        if secret is None:
            init = "    or: observability secrets init" if path[:2] in DRAWN else ""
            yield Finding(
                path,
                f"refers to the secret {name}, which does not exist",
                f"observability secrets set {name}{init}",
            )
            continue
        weak = weakness_of(site, path, secret)
        if weak is not None:
            yield Finding(path, f"the secret {name} {weak}", f"observability secrets set {name}    with a stronger one")


# ------------------------------------------------------------------------------------------------ show and compare


@dataclass(frozen=True)
class Row:
    """One value in force: its path, the value as JSON, and the place it came from, or `default`."""

    path: str
    value: Any
    origin: str


def rows(loaded: LoadedConfiguration) -> list[Row]:
    """Given a configuration, return every value in force with its origin; passwords in URLs are masked."""
    origins = loaded.origins
    found = []
    for path, value in _leaves(loaded.site.model_dump(mode="json", exclude_none=True), ()):
        origin = origins.get(path)
        found.append(Row(spell(path), masked(value), origin.place if origin is not None else DEFAULT_ORIGIN))
    return found


@dataclass(frozen=True)
class Change:
    """One value that differs. `before` or `after` is None when the key is absent there."""

    path: str
    before: Any
    after: Any


def compare(before: Site, after: Site) -> list[Change]:
    """Given two sites, return what differs in meaning: order of keys, comments and files do not count.

    Items of a list are known by their `name` or `job`, so an item that only moved is no change of its values.
    """
    old, new = (_named(site.model_dump(mode="json", exclude_none=True)) for site in (before, after))
    paths = [*old, *(path for path in new if path not in old)]
    return [
        Change(path, masked(old.get(path)), masked(new.get(path))) for path in paths if old.get(path) != new.get(path)
    ]


def masked(value: Any) -> Any:
    """Given a value of a configuration, return it without passwords in URLs."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    return value


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield values with their way; an empty mapping and a list of plain values count as one value."""
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(value: Any, prefix: str) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(item, f"{prefix}.{key}" if prefix else key)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                walk(item, f"{prefix}[{item.get('name') or item.get('job') or index}]")
        elif value not in ({}, []):
            found[prefix] = value

    walk(values, "")
    return found


# ------------------------------------------------------------------------------------------------------- beginning


@dataclass(frozen=True)
class Beginning:
    """What `config init` made: files written, the copy kept of a replaced one, and the login of the administrator."""

    written: tuple[str, ...]
    kept: str | None
    login: str
    password_file: str


def begin_configuration(
    folder: ConfigurationFolder, secrets: Secrets, *, domain: str, server: str, schemas: tuple[str, str], force: bool
) -> Beginning:
    """Given where to write and the two names that no default can know, write a commented configuration that is valid.

    `schemas` are those of the base file and of a host's file.
    The administrator's password is drawn when there is none. Raises UsageError when there is a configuration already
    and `force` is not given, ConfigurationError when a name is refused; then nothing was written.
    """
    text = example({("version",): 1, ("environment",): "production", ("domain",): domain, ("server", "name"): server})
    problems = folder.examine_text(text)
    if problems:
        raise ConfigurationError(problems, do="observability config init --domain NAME    with a name that is yours")
    if folder.exists() and not force:
        raise UsageError(
            code="configuration-exists",
            what=f"There is a configuration already: {folder.place()}.",
            where=folder.place(),
            state="nothing was touched",
            do="observability config init --force    to begin anew; the old file is kept beside the new one",
        )
    login = Site(domain=domain).front_door.users[0]
    secret = login.password.removeprefix("secret:")
    secrets.create(secret)
    kept = folder.keep_copy() if folder.exists() else None
    written = folder.write(text, *schemas)
    return Beginning(written, kept, login.name, secrets.place(secret))
