"""A module as people read it: on the terminal and in the generated reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from obstack.catalog.modules import ShippedModule
from obstack.catalog.modules.options import meaning
from obstack.catalog.modules.template import as_text
from obstack.cli.output import paint, table
from obstack.model.module import Option

SHOWN_HOSTS: Final = 5


def description_lines(module: ShippedModule) -> Iterator[str]:
    """Given a module, yield the lines that describe it."""
    described = module.module
    yield f"{paint(described.title, bold=True)} ({module.name}, from {module.folder})"
    yield described.description
    for title, rows in (
        ("Facts", facts(module)),
        ("Options", [(name, default_text(option), option_text(option)) for name, option in module.options.items()]),
        ("Alerts", [(rule.alert, rule.severity, summary_text(rule.summary)) for rule in module.rules.alerts]),
    ):
        if rows:
            yield ""
            yield f"{paint(title, bold=True)}"
            yield from (f"  {line}" for line in table([tuple(row) for row in rows], margin=2))


def facts(module: ShippedModule) -> list[tuple[str, str]]:
    """Given a module, return what there is to know of it beside options and alerts."""
    described, exporter = module.module, module.module.exporter
    rows = [("key metric", exporter.key_metric), ("metrics", _way(module))]
    if described.artifact is not None:
        packages = ", ".join(package.name for package in described.artifact.packages)
        suite = described.artifact.source_suite
        rows.append(("program from", f"{packages}{f' of {suite}, whatever the host has' if suite else ''}"))
    if described.service is not None:
        user = "root" if described.service.access.root else described.service.name
        rows.append(("service", f"{described.service.name}, run as {user}"))
    for file in described.files:
        if file.link is not None:
            rows.append(("adds", f"{file.link} ({file.effect}s {file.unit})" if file.unit else file.link))
    if described.account is not None:
        rows.append(("account", f"made when the option {described.account.option} is true, removed with the module"))
    if described.needs:
        rows.append(("needs", ", ".join(described.needs)))
    rows += [(f"tested on {suite}", text) for suite, text in described.tested.items()]
    return rows


def _way(module: ShippedModule) -> str:
    exporter = module.module.exporter
    if exporter.through is not None:
        return f"come with those of the module {exporter.through}"
    if exporter.tls == "web-config":
        return f"port {exporter.port}, TLS by the exporter itself"
    return f"port {exporter.port}, TLS by the host's proxy in front of 127.0.0.1:{exporter.backend_port}"


def default_text(option: Option) -> str:
    """Given an option, return its default as it is written; what stands for none says whether one must be given."""
    if option.default is None:
        return "none" if option.optional else "required"
    return as_text(option.default)


def option_text(option: Option) -> str:
    """Given an option, return what its values are and what they mean."""
    return f"{option.description} ({'threshold: ' if option.threshold else ''}{meaning(option)})"


def summary_text(summary: str) -> str:
    """Given the summary of an alert, return it with the names of labels in the places of their values."""
    return re.sub(r"{{ \$(?:labels\.)?(\w+).*?}}", r"\1", summary)


def hosts_text(hosts: Sequence[str]) -> str:
    """Given the hosts that use a module, return the first of them and how many more there are."""
    more = len(hosts) - SHOWN_HOSTS
    return (", ".join(hosts[:SHOWN_HOSTS]) + (f" and {more} more" if more > 0 else "")) or "no host"


def modules_page(generated: str) -> str:
    """Given the line that says the page is generated, return the reference of the modules that this program brings."""
    from obstack.edges.modulefile import load_modules

    modules = load_modules()
    lines = [
        "# Modules",
        "",
        generated,
        "",
        "What a monitored host can run: `observability module enable NAME --host HOST`, then `observability apply`.",
        "`observability module show NAME` tells the same. A threshold may differ by host and by group.",
        "",
        "| module | watches | metrics |",
        "|---|---|---|",
        *(
            f"| [{name}](#{name}) | {_cell(modules[name].module.title)} | {_way(modules[name])} |"
            for name in sorted(modules)
        ),
        "",
    ]
    for name in sorted(modules):
        lines += _module_section(modules[name])
    return "\n".join(lines).rstrip() + "\n"


def _module_section(module: ShippedModule) -> Iterator[str]:
    yield from (f"## {module.name}", "", module.module.description, "")
    yield from (f"- {title}: {text}" for title, text in facts(module))
    if module.options:
        yield from ("", "| option | default | meaning |", "|---|---|---|")
        for name, option in module.options.items():
            yield f"| `{name}` | {_cell(default_text(option))} | {_cell(option_text(option))} |"
    if module.rules.alerts:
        yield from ("", "| alert | severity | page |", "|---|---|---|")
        for rule in module.rules.alerts:
            page = f"../../{module.folder}/runbooks/{rule.alert}.md"
            yield f"| {rule.alert} | {rule.severity} | [{_cell(summary_text(rule.summary))}]({page}) |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
