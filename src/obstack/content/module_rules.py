"""The rules of modules: each alert once for every set of thresholds that hosts have, whatever their number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from obstack.catalog.modules import ModuleSet, ResolvedModule, ShippedModule, resolve_hosts
from obstack.catalog.modules.template import Values, fill_text, names
from obstack.content.rules import Alert, Group, Recording, Severity
from obstack.model.host import OptionValue
from obstack.model.module import AlertRule
from obstack.model.site import Site

HOSTS_IN_A_MATCHER: Final = 500
"""How many names stand in one matcher at most; Prometheus looks up plain names of an alternation in a table."""


class Share(NamedTuple):
    """The hosts that have the same thresholds; None means all that no other share names."""

    thresholds: Values
    hosts: tuple[str, ...] | None


def module_groups(site: Site, modules: ModuleSet) -> tuple[Group, ...]:
    """Given a site and all modules, return the rules of each module that a host uses, a group each, by name."""
    used: dict[str, dict[str, ResolvedModule]] = {}
    for host, resolved in resolve_hosts(site, modules).items():
        for module in resolved:
            used.setdefault(module.name, {})[host] = module
    return tuple(group_of(modules[name], used[name]) for name in sorted(used))


def group_of(module: ShippedModule, hosts: Mapping[str, ResolvedModule]) -> Group:
    """Given a module and the hosts that use it, return its rules."""
    recordings = tuple(Recording(rule.record, rule.expr) for rule in module.rules.recordings)
    alerts = tuple(alert for rule in module.rules.alerts for alert in _alerts(module, rule, hosts))
    return Group(module.name, (*recordings, *alerts))


def default_group(module: ShippedModule) -> Group:
    """Given a module, return its rules with the default thresholds, as its own tests judge them.

    The pages of alerts are those below modules/NAME, wherever the module lies.
    """
    return group_of(replace(module, folder=f"modules/{module.name}"), {})


def _alerts(module: ShippedModule, rule: AlertRule, hosts: Mapping[str, ResolvedModule]) -> Iterator[Alert]:
    others = ""
    shares = _shares(module, rule, hosts)
    named = [share.hosts for share in shares if share.hosts is not None]
    if named:
        others = _existence(module.job, [host for part in named for host in part])
    for share in shares:
        expression = fill_text(rule.expr, share.thresholds)
        if share.hosts is not None:
            expression = f"({expression}) and on (host) {_existence(module.job, share.hosts)}"
        elif others:
            expression = f"({expression}) unless on (host) {others}"
        yield Alert(
            name=rule.alert,
            expression=expression,
            hold=fill_text(rule.hold, share.thresholds),
            severity=Severity(rule.severity),
            summary=rule.summary,
            description=rule.description,
            labels=dict(rule.labels),
            runbook=f"{module.folder}/runbooks/{rule.alert}.md",
        )


def _shares(module: ShippedModule, rule: AlertRule, hosts: Mapping[str, ResolvedModule]) -> Sequence[Share]:
    """Divide the hosts by the thresholds that the rule uses. The largest share needs no list of its hosts.

    Among equally large ones that is the share with the defaults, so that a fleet without settings has plain rules.
    """
    wanted = tuple(dict.fromkeys((*names(rule.expr), *names(rule.hold))))
    defaults = {name: option.default for name in wanted if (option := module.options[name]).default is not None}
    divided: dict[tuple[OptionValue, ...], list[str]] = {tuple(defaults.values()): []}
    for host, resolved in hosts.items():
        divided.setdefault(tuple(resolved.options[name] for name in wanted), []).append(host)
    largest = max(divided, key=lambda values: len(divided[values]))
    return [
        Share(dict(zip(wanted, values, strict=True)), None if values == largest else tuple(sorted(named)))
        for values, named in sorted(divided.items(), key=lambda item: (item[0] != largest, str(item[0])))
        if named or values == largest
    ]


def _existence(job: str, hosts: Iterable[str]) -> str:
    """Return a query that has a sample for each of the hosts, whether it can be scraped or not."""
    named = sorted(hosts)
    parts = [
        f'up{{job="{job}",host=~"{"|".join(map(_literal, named[start : start + HOSTS_IN_A_MATCHER]))}"}}'
        for start in range(0, len(named), HOSTS_IN_A_MATCHER)
    ]
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


def _literal(host: str) -> str:
    """Return a name as a regular expression inside a string of PromQL. A hyphen is plain outside of brackets."""
    return re.escape(host).replace("\\-", "-").replace("\\", "\\\\")
