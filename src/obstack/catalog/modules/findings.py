"""What is wrong with a site's use of modules: names, options, what a module needs, ports and places that two want."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from obstack.catalog.modules.claims import claims
from obstack.catalog.modules.options import refusal
from obstack.catalog.modules.resolve import NODE, enabled_modules, merged_options, module_uses, usage_key
from obstack.catalog.modules.shipped import PORT, ModuleSet, ShippedModule
from obstack.model.host import Host, ModuleUse
from obstack.model.module import Option, OptionType
from obstack.model.rules import RESERVED_PORTS, Finding, Path
from obstack.model.site import Site
from obstack.model.words import nearest, show

PROBER = "blackbox"
"""The module that probes from hosts."""


def module_findings(site: Site, modules: ModuleSet) -> list[Finding]:
    """Given a site and all modules, return everything that is wrong with how its groups and hosts use them."""
    found: list[Finding] = []
    for name, group in site.fleet.groups.items():
        found.extend(_uses(("fleet", "groups", name, "modules"), group.modules, modules))
    fine: set[object] = set()
    for name, host in site.hosts.items():
        key = usage_key(host)
        if key in fine:  # most hosts of a large fleet say the same of their modules
            continue
        path: Path = ("hosts", name)
        of_host = [*_uses((*path, "modules"), host.modules, modules), *_host(site, path, host, modules)]
        if not of_host:
            fine.add(key)
        found.extend(of_host)
    found.extend((*_probes(site), *_jobs(site)))
    return list(dict.fromkeys(found))  # what a group lacks is found again at each of its hosts


def secret_options(site: Site, modules: ModuleSet) -> Iterator[tuple[Path, str]]:
    """Given a site, yield every secret that an option of a module refers to, with the path of the reference."""
    holders: list[tuple[Path, Mapping[str, ModuleUse]]] = [
        (("fleet", "groups", name, "modules"), group.modules) for name, group in site.fleet.groups.items()
    ]
    holders += [(("hosts", name, "modules"), host.modules) for name, host in site.hosts.items()]
    for path, uses in holders:
        for name, use in uses.items():
            known = modules[name].options if name in modules else {}
            for option, value in use.options.items():
                if option in known and known[option].type is OptionType.SECRET and isinstance(value, str):
                    yield (*path, name, "options", option), value.removeprefix("secret:")


def _probes(site: Site) -> Iterator[Finding]:
    for index, probe in enumerate(site.blackbox.probes):
        for position, name in enumerate(probe.hosts):
            host = site.hosts.get(name)
            if host is not None and PROBER not in enabled_modules(site, host):
                yield Finding(
                    ("blackbox", "probes", index, "hosts", position),
                    f"{name} does not run the module {PROBER}",
                    f"observability module enable {PROBER} --host {name}",
                )


def _jobs(site: Site) -> Iterator[Finding]:
    used = {name for host in site.hosts.values() for name in enabled_modules(site, host)}
    for index, target in enumerate(site.prometheus.targets):
        if target.job in used:
            yield Finding(
                ("prometheus", "targets", index, "job"),
                f"must not be {target.job}, the job of the hosts' module of that name",
                "Give the job another name.",
            )


def _uses(path: Path, uses: Mapping[str, ModuleUse], modules: ModuleSet) -> Iterator[Finding]:
    for name, use in uses.items():
        module = modules.get(name)
        if module is None:
            yield Finding(
                (*path, name),
                f"{name} is not a module",
                f"{nearest(name, modules)}Modules: {', '.join(sorted(modules))}.",
            )
            continue
        for option, value in use.options.items():
            yield from _option((*path, name, "options", option), module, option, value)


def _option(path: Path, module: ShippedModule, name: str, value: object) -> Iterator[Finding]:
    option = module.options.get(name)
    if option is None:
        known = f"Options: {', '.join(module.options)}." if module.options else f"{module.name} has no options."
        yield Finding(path, f"{name} is not an option of {module.name}", f"{nearest(name, module.options)}{known}")
        return
    refused = refusal(option, value)
    if refused is not None:
        secret = option.type is OptionType.SECRET
        shown = "" if secret else f", but is {show(value)}"
        yield Finding(path, f"{refused}{shown}", f"observability module show {module.name}    describes {name}")


def _host(site: Site, path: Path, host: Host, modules: ModuleSet) -> Iterator[Finding]:
    enabled = tuple(enabled_modules(site, host))
    places = {name: _place(site, path, host, name) for name in enabled}
    ports: dict[int, str] = {}
    claimed: dict[str, str] = {}
    for name in enabled:
        module = modules.get(name)
        if module is None:
            continue
        options = merged_options(site, host, module)
        yield from _missing(places[name], module, options)
        yield from _needs(places[name], module, enabled)
        for owner, port in _ports(module, options):
            if port in ports or port in RESERVED_PORTS:
                other = ports.get(port) or RESERVED_PORTS[port]
                yield Finding(
                    places[name],
                    f"{owner} must not have the port {port}, which {other} has",
                    f"Give {name} another: options: {{port: NUMBER}}.",
                    path,
                )
            ports.setdefault(port, owner)
        for claim in claims(module, options):
            if claimed.setdefault(claim, name) != name:
                yield Finding(
                    places[name],
                    f"{name} must not have {claim}, which {claimed[claim]} has",
                    f"Disable one of the two on this host, or give {claim} another name in module.yaml.",
                    places[claimed[claim]],
                )


def _place(site: Site, path: Path, host: Host, name: str) -> Path:
    """Return where the host, or the last group that it is in, says that the module is there."""
    for way, uses in reversed(list(module_uses(site, host))):
        if name in uses:
            return (*way, name) if way[0] == "fleet" else (*path, *way, name)
    return (*path, "modules")


def _missing(path: Path, module: ShippedModule, options: Mapping[str, object]) -> Iterator[Finding]:
    for name, option in module.options.items():
        if name not in options and not option.optional:
            yield Finding((*path, "options", name), "is required", _example(name, option), path)


def _example(name: str, option: Option) -> str:
    value = "secret:NAME" if option.type is OptionType.SECRET else "…"
    return f"Add it, for example: {name}: {value}    # {option.description}"


def _needs(path: Path, module: ShippedModule, enabled: tuple[str, ...]) -> Iterator[Finding]:
    through = module.module.exporter.through
    for need in dict.fromkeys((*module.module.needs, *((through,) if through else ()))):
        if need not in enabled:
            remedy = (
                "Do not disable it." if need == NODE else f"Enable it: observability module enable {need} --host HOST"
            )
            yield Finding(path, f"{module.name} needs the module {need}, which is not enabled", remedy)


def _ports(module: ShippedModule, options: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    port = options.get(PORT)
    if isinstance(port, int):
        yield module.name, port
    backend = module.module.exporter.backend_port
    if backend is not None:
        yield f"the exporter behind {module.name}", backend
