"""The rules between the parts of one module: whatever its schema cannot say. No finding hides another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from obstack.catalog.modules.options import refusal
from obstack.catalog.modules.shipped import options_of
from obstack.catalog.modules.template import BUILT_IN, FILE, PROGRAM, faults, names, strings
from obstack.model.module import FileFormat, Module, ModuleFile, ModuleRules, Option, OptionType
from obstack.model.rules import Finding, Path
from obstack.model.words import nearest, show

THRESHOLD_TYPES: Final = (OptionType.INTEGER, OptionType.NUMBER, OptionType.DURATION)
CHOOSING_TYPES: Final = (OptionType.STRING, OptionType.LIST)
LONGEST_USER_NAME: Final = 32
SYSTEM_USERS: Final = re.compile(
    "root|daemon|bin|sys|sync|games|man|lp|mail|news|uucp|proxy|www-data|backup|list|irc|nobody|sshd"
)
"""Users of every Debian. A service runs as the user of its name, which must be made for it."""
RESERVED_UNITS: Final = ("exporter-proxy", "journal-upload", "observability")
"""What else of ours is on a host, by the names of units and of folders, beside those that begin with observability-."""
RESERVED_NAMES: Final = frozenset(
    ("fleet", "capacity", "prometheus", "alertmanager", "logs", "front-door", "slos", "operations")
)
"""Names of the dashboards of the stack itself, beside which those of modules stand."""
IMPLIED_NAMES: Final = ("listen", "web_config", "etc", "data", "textfile", "python", "host", "address")


def module_faults(module: Module, files: Collection[str], folder: str) -> list[Finding]:
    """Given a manifest, the names of the further files beside it and of their folder, return what is wrong with it."""
    return [
        *_name(module, folder),
        *_options(module),
        *_told_options(module),
        *_endpoint(module),
        *_service(module),
        *_unit_name(module),
        *_file_rules(module),
        *_templates(module, files),
        *_secrets(module),
    ]


def rule_faults(module: Module, rules: ModuleRules) -> list[Finding]:
    """Given a manifest and its rules, return what is wrong with the rules."""
    return [*_places_of_rules(module, rules), *_unused_thresholds(module, rules), *_doubles(rules)]


def _name(module: Module, folder: str) -> Iterator[Finding]:
    if module.name != folder:
        yield Finding(("name",), f"must be {folder}, the name of its folder, but is {module.name}", f"name: {folder}")
    if module.name in RESERVED_NAMES:
        remedy = "Rename the module and its folder."
        yield Finding(("name",), f"must not be {module.name}, which is the name of a part of the stack", remedy)


def _options(module: Module) -> Iterator[Finding]:
    for name, option in module.options.items():
        path: Path = ("options", name)
        if name in IMPLIED_NAMES:
            yield Finding(path, f"must not be called {name}, which every template knows already", "Rename the option.")
        if option.default is not None:
            refused = refusal(option, option.default)
            if refused is not None:
                yield Finding((*path, "default"), f"{refused}, but is {show(option.default)}", "Correct the default.")
        yield from _kinds(path, option)


def _told_options(module: Module) -> Iterator[Finding]:
    for index, probe in enumerate(module.detect):
        for name, value in probe.options.items():
            path: Path = ("detect", index, "options", name)
            if name not in module.options:
                yield Finding(path, f"{name} is not an option", f"{nearest(name, module.options)}Describe it first.")
            elif (refused := refusal(module.options[name], value)) is not None:
                yield Finding(path, f"{refused}, but is {show(value)}", "Correct it.")


def _kinds(path: Path, option: Option) -> Iterator[Finding]:
    if option.threshold and option.type not in THRESHOLD_TYPES:
        yield Finding(
            (*path, "type"),
            f"must be integer, number or duration for a threshold, but is {option.type.value}",
            "A threshold stands in PromQL, where text could change the query.",
        )
    if option.threshold and option.default is None:
        yield Finding(path, "is a threshold and needs a default", "Add default: with a value that suits most hosts.")
    if option.choices and option.type not in CHOOSING_TYPES:
        yield Finding((*path, "choices"), "belongs to the types string and list", "Remove it.")
    if option.default is not None and option.type is OptionType.SECRET:
        yield Finding((*path, "default"), "must not be given for a secret", "Remove it; each host names its own.")


def _endpoint(module: Module) -> Iterator[Finding]:
    exporter, path = module.exporter, ("exporter",)
    if exporter.through is not None:
        for key in ("port", "backend_port"):
            if getattr(exporter, key) is not None:
                yield Finding((*path, key), f"must not be given: its series come with {exporter.through}", "Remove it.")
        return
    if exporter.port is None:
        yield Finding(
            (*path, "port"), "is required unless the exporter goes through another module", "port: 9104", path
        )
    if exporter.tls == "proxy" and exporter.backend_port is None:
        yield Finding(
            (*path, "backend_port"), "is required with tls: proxy", "backend_port: the exporter's own port", path
        )
    if exporter.tls == "web-config" and exporter.backend_port is not None:
        yield Finding((*path, "backend_port"), "belongs to tls: proxy", "Remove it.")
    if exporter.tls == "web-config" and module.service is None:
        yield Finding((*path, "tls"), "must be proxy where there is no service of ours", "tls: proxy", path)


def _service(module: Module) -> Iterator[Finding]:
    service = module.service
    if service is None:
        return
    environment = [file.path for file in module.files if file.format is FileFormat.ENVIRONMENT]
    if service.environment_file is not None and service.environment_file not in environment:
        yield Finding(
            ("service", "environment_file"),
            f"{service.environment_file} is not a file of format environment",
            nearest(service.environment_file, environment) or "Describe it below files.",
        )
    if module.account is not None and module.account.option not in module.options:
        yield Finding(
            ("account", "option"),
            f"{module.account.option} is not an option",
            f"{nearest(module.account.option, module.options)}Describe it below options, with type: boolean.",
        )


def _unit_name(module: Module) -> Iterator[Finding]:
    """Linux takes no longer names of users, and a unit file of ours would hide that of the machine's own service."""
    if module.service is None:
        return
    name, path = module.service.name, ("service", "name")
    if len(name) > LONGEST_USER_NAME:
        yield Finding(path, f"must have at most {LONGEST_USER_NAME} characters, as a user has its name", "Shorten it.")
    watched = (*module.service.after, *(file.unit for file in module.files))
    if SYSTEM_USERS.fullmatch(name):
        yield Finding(path, f"must not be {name}, whose rights the service would have", "name: web-exporter")
    if name in RESERVED_UNITS or name.startswith("observability-") or f"{name}.service" in watched:
        yield Finding(
            path, f"must not be {name}, which is another unit's name", "Write for example: name: web-exporter"
        )


def _file_rules(module: Module) -> Iterator[Finding]:
    counted = Counter(file.path for file in module.files)
    for index, file in enumerate(module.files):
        path: Path = ("files", index)
        if counted[file.path] > 1:
            yield Finding((*path, "path"), f"{file.path} is given more than once", "Give each file once.")
        if file.unit is not None and file.link is None:
            yield Finding((*path, "unit"), "belongs to a file with a link", "Add link, or remove unit.")
        wanted = _unlike(file)
        if wanted is not None:
            yield Finding(
                (*path, "content"), f"must be {wanted} for the format {file.format.value}", "Correct the content."
            )


def _unlike(file: ModuleFile) -> str | None:
    """Return what the content must be when it is something else."""
    content = file.content
    match file.format:
        case FileFormat.INI:
            fits = isinstance(content, dict) and all(_settings(section) for section in content.values())
            return None if fits else "a mapping of sections, each a mapping of settings"
        case FileFormat.ENVIRONMENT:
            return None if _settings(content) else "a mapping of settings"
        case FileFormat.TEXT:
            fits = isinstance(content, list) and all(isinstance(line, str) for line in content)
            return None if fits else "a list of lines"
        case FileFormat.NGINX:
            fits = isinstance(content, list) and all(_directive(item) for item in content)
            return None if fits else "a list of directives, each a list of words with the block as its last item"
        case _:
            return None


def _settings(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str | int | float | bool) for item in value.values())


def _directive(value: Any) -> bool:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        return False
    *words, last = value
    block = isinstance(last, list) and all(_directive(item) for item in last)
    return all(isinstance(word, str | int) for word in words) and (block or isinstance(last, str | int))


# ------------------------------------------------------------------------------------------------------- templates


def _templates(module: Module, files: Collection[str]) -> Iterator[Finding]:
    programs = module.artifact.programs if module.artifact else {}
    known = frozenset(
        (
            *BUILT_IN,
            *options_of(module),
            *(f"{PROGRAM}{program}" for program in programs),
            *(f"{FILE}{file}" for file in files),
        )
    )
    for path, template in _places(module):
        yield from _faulty(path, template, known)
    thresholds = frozenset(_thresholds(module))
    if module.exporter.up is not None:
        yield from _faulty(("exporter", "up"), module.exporter.up, thresholds)


def _places(module: Module) -> Iterator[tuple[Path, str]]:
    """Yield every template of the manifest that is filled for a host."""
    service, account = module.service, module.account
    if service is not None:
        yield from _strings(("service", "command"), service.command)
        yield from _strings(("service", "environment"), service.environment)
    for index, file in enumerate(module.files):
        yield from _strings(("files", index, "content"), file.content)
        for key in ("link", "unit", "check"):
            yield from _strings(("files", index, key), getattr(file, key))
    if account is not None:
        for key in ("command", "create", "remove"):
            yield from _strings(("account", key), getattr(account, key))
    yield ("exporter", "path"), module.exporter.path
    yield from _strings(("exporter", "parameters"), module.exporter.parameters)


def _strings(path: Path, content: Any) -> Iterator[tuple[Path, str]]:
    for below, text in strings(content):
        yield (*path, *below), text


def _faulty(path: Path, template: str, known: frozenset[str]) -> Iterator[Finding]:
    for fault in faults(template, known):
        if fault.unknown:
            yield Finding(
                path,
                f"names ${{{fault.unknown}}}, which nothing gives a value",
                f"{nearest(fault.unknown, sorted(known))}Known here: {', '.join(sorted(known)) or 'nothing'}.",
            )
        else:
            yield Finding(
                path, f"holds a dollar sign that stands alone: {show(fault.text)}", "Write $$ for a dollar sign."
            )


def _secrets(module: Module) -> Iterator[Finding]:
    """A secret may stand in files that only the exporter reads, and in what the account's command reads."""
    secrets = {name for name, option in module.options.items() if option.type is OptionType.SECRET}
    for path, template in _places(module):
        told = secrets.intersection(names(template))
        file = module.files[int(path[1])] if path[0] == "files" else None
        if told and not (file is not None and file.secret) and path[:2] not in _SECRET_PLACES:
            yield Finding(
                path,
                f"shows the secret {', '.join(sorted(told))} to everybody on the machine",
                "Put it into a file with secret: true, for example one of format environment for environment_file.",
            )


_SECRET_PLACES: Final = (("account", "create"), ("account", "remove"))


# ----------------------------------------------------------------------------------------------------------- rules


def _thresholds(module: Module) -> Sequence[str]:
    return [name for name, option in module.options.items() if option.threshold]


def _places_of_rules(module: Module, rules: ModuleRules) -> Iterator[Finding]:
    known = frozenset(_thresholds(module))
    for index, alert in enumerate(rules.alerts):
        yield from _faulty(("alerts", index, "expr"), alert.expr, known)
        yield from _faulty(("alerts", index, "for"), alert.hold, known)


def _unused_thresholds(module: Module, rules: ModuleRules) -> Iterator[Finding]:
    used = {name for alert in rules.alerts for text in (alert.expr, alert.hold) for name in names(text)}
    for name in _thresholds(module):
        if name not in used:
            yield Finding(
                ("alerts",),
                f"no alert uses the threshold {name}",
                f"Use ${{{name}}} in an alert, or remove the option from module.yaml.",
            )


def _doubles(rules: ModuleRules) -> Iterator[Finding]:
    first: dict[tuple[str, str], int] = {}
    for index, alert in enumerate(rules.alerts):
        key = (alert.alert, alert.severity)
        if key in first and not alert.labels:
            yield Finding(
                ("alerts", index, "alert"),
                f"{alert.alert} of severity {alert.severity} is alerts[{first[key]}] already",
                "Give each alert once for each severity.",
            )
        first.setdefault(key, index)
