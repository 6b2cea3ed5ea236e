"""The verbs of modules: who uses them, turn one on or off on a host, judge one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from obstack.catalog.modules import ModuleSet, ShippedModule
from obstack.catalog.modules.options import parse_value, refusal
from obstack.catalog.modules.resolve import enabled_modules
from obstack.errors import UsageError
from obstack.model.module import OptionType
from obstack.model.site import Site
from obstack.model.words import nearest, show
from obstack.ports import HostEditor, KeyChange


@dataclass(frozen=True)
class Use:
    """A module, and the hosts that use it."""

    module: ShippedModule
    hosts: tuple[str, ...]


def uses(modules: ModuleSet, site: Site | None) -> tuple[Use, ...]:
    """Given all modules and the site, None where there is none, return each module with its hosts, by name."""
    found: dict[str, list[str]] = {name: [] for name in sorted(modules)}
    for host, described in site.hosts.items() if site is not None else ():
        for name in enabled_modules(site, described) if site is not None else ():
            found.get(name, []).append(host)
    return tuple(Use(modules[name], tuple(hosts)) for name, hosts in found.items())


def need_module(modules: ModuleSet, name: str) -> ShippedModule:
    """Given all modules and a name, return the module. Raises UsageError with the nearest name."""
    if name not in modules:
        raise unknown_module(name, list(modules))
    return modules[name]


def unknown_module(name: str, known: Sequence[str]) -> UsageError:
    """Given a name and those that there are, return the error that says there is no such module."""
    return UsageError(
        code="module-unknown",
        what=f"There is no module {name}. {nearest(name, known)}".rstrip(),
        where="the name of the module",
        state="nothing was written",
        do="observability module list",
    )


def need_site(site: Site | None, place: str) -> Site:
    """Given the site or None and where it was looked for, return the site. Raises UsageError when there is none."""
    if site is None:
        raise UsageError(
            code="no-configuration",
            what="There is no configuration that can be read.",
            where=place,
            state="nothing was written",
            do="observability config validate",
        )
    return site


def enable(
    module: ShippedModule, hosts: Sequence[str], options: Sequence[str], editor: HostEditor, site: Site
) -> Mapping[str, bool]:
    """Given a module, hosts, options as `name=value` and the site, turn the module on in the hosts' files.

    Return which were changed. Raises UsageError for an unknown host or a wrong option, ConfigurationError where the
    site would not be valid.
    """
    values = dict(_option(module, text) for text in options)
    return {host: editor.edit(host, _on(module.name, values, site, host)) for host in hosts}


def disable(module: ShippedModule, hosts: Sequence[str], editor: HostEditor) -> Mapping[str, bool]:
    """Given a module and hosts, turn it off in their files, where its options stay; return which were changed.

    Raises UsageError for an unknown host, ConfigurationError where another module needs it.
    """
    change = KeyChange(("modules", module.name, "enabled"), False)
    return {host: editor.edit(host, [change]) for host in hosts}


def _on(name: str, values: Mapping[str, object], site: Site, host: str) -> list[KeyChange]:
    path, described = ("modules", name), site.hosts.get(host)
    if described is None or name not in described.modules:
        # A group may have turned it off; else to be named is enough.
        off = described is not None and any(
            group.modules[name].enabled is False
            for key in described.groups
            if (group := site.fleet.groups.get(key)) is not None and name in group.modules
        )
        return [KeyChange(path, ({"enabled": True} if off else {}) | ({"options": dict(values)} if values else {}))]
    enabled = [] if described.modules[name].enabled else [KeyChange((*path, "enabled"), True)]
    return [*enabled, *(KeyChange((*path, "options", option), value) for option, value in values.items())]


def _option(module: ShippedModule, text: str) -> tuple[str, object]:
    name, equals, written = text.partition("=")
    option = module.options.get(name)
    if not equals or option is None:
        known = ", ".join(module.options) or "none"
        raise UsageError(
            code="option-unknown",
            what=f"“{text}” is not NAME=VALUE of an option of {module.name}. {nearest(name, module.options)}".rstrip(),
            where="--option",
            state="nothing was written",
            do=f"observability module show {module.name}    options: {known}",
        )
    value = parse_value(option, written)
    refused = refusal(option, value)
    if refused is not None:
        shown = "" if option.type is OptionType.SECRET else f", but is {show(value)}"
        raise UsageError(
            code="option-refused",
            what=f"The option {name} {refused}{shown}.",
            where="--option",
            state="nothing was written",
            do=f"observability module show {module.name}",
        )
    return name, list(value) if isinstance(value, tuple) else value
