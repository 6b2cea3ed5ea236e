"""Judge a machine and its configuration before anything is written: all findings at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from obstack.agent import wire
from obstack.errors import StackError, UsageError
from obstack.model.rules import value_references
from obstack.model.secrets import Credential
from obstack.operations.configuration import Judge, examine_configuration
from obstack.operations.inspection import inspect
from obstack.operations.secrets import DRAWN
from obstack.plan.closing import decide_closings
from obstack.plan.preflight import (
    PACKAGES,
    PATHS,
    PROVIDERS,
    UNITS,
    Finding,
    Needs,
    Port,
    blocked,
    closing_findings,
    configuration_findings,
    decide_findings,
    error_finding,
    in_order,
)
from obstack.ports import Channel, Configurations, Reporter, Secrets, SecretsOf
from obstack.render.firewall import server_openings
from obstack.render.journal_receive import shipping_hosts
from obstack.render.sizes import megabytes

if TYPE_CHECKING:
    from obstack.model.site import Site


class RepairableSecrets(Secrets, Protocol):
    """Secrets whose permissions can be put right."""

    def protect(self) -> list[str]:
        """Take the rights of others off the folder and its files; return what was changed."""


@dataclass(frozen=True)
class Preflight:
    """All findings, the blocking ones first."""

    findings: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        """Whether an apply must not be tried."""
        return blocked(self.findings)


def preflight(
    channel: Channel,
    configurations: Configurations,
    secrets_of: SecretsOf,
    reporter: Reporter,
    *,
    environment: str | None,
    private: bool,
    resolve: Callable[[str], wire.Fact],
    settle_artifacts: Callable[[Site], object],
    judge: Judge = lambda _: (),
    judge_door: Callable[[Site], Iterable[Finding]] = lambda _: (),
) -> Preflight:
    """Return everything that is in the way of an apply, or may become so. The machine is not changed.

    `resolve` looks a name up; `settle_artifacts` finds out where all artifacts come from, without fetching them. Faults
    of the configuration are findings as well; then what depends on it is not judged. `judge` judges the files that the
    configuration names, and `judge_door` how the front door gets its certificate. Raises Unreachable and LockHeld.
    """
    reporter.step("Reading the configuration")
    examination = examine_configuration(configurations, secrets_of, environment, judge)
    findings = list(configuration_findings(examination.problems))
    site = examination.loaded.site if examination.loaded else None
    reporter.step("Looking at the machine")
    inspection = inspect(channel, reporter, question=QUESTION)
    facts = list(inspection.facts)
    if site is not None:
        facts.append(resolve(site.domain))
    needs = needs_of(site, channel.node, installed=inspection.manifest is not None, private=private)
    findings += decide_findings(facts, needs)
    if site is not None and site.server.firewall.enabled and not private:
        findings += closing_findings(decide_closings(facts, server_openings(site), UNITS), channel.node)
    if site is not None:
        findings += judge_door(site)
        reporter.step("Resolving artifacts")
        try:
            settle_artifacts(site)
        except StackError as error:
            findings.append(error_finding(error))
    return Preflight(in_order(findings))


QUESTION = {"units": list(UNITS), "paths": list(PATHS), "packages": list(PACKAGES), "commands": list(PROVIDERS)}
"""What the agent is asked about by name."""


def needs_of(site: Site | None, node: str, *, installed: bool, private: bool) -> Needs:
    """Given the site, if there is a valid one, return what it asks of the machine."""
    if site is None:
        return Needs(node, None, (), installed=installed, private=private)
    retention = site.prometheus.retention_size
    return Needs(
        node=node,
        domain=site.domain,
        ports=(
            *(() if site.front_door.plain_http else (Port(site.front_door.https_port, "nginx"),)),
            Port(site.front_door.http_port, "nginx"),
            Port(site.prometheus.port, "prometheus"),
            Port(site.alertmanager.port, "alertmanager"),
            Port(site.node_exporter.port, "node-exporter"),
            Port(site.blackbox.port, "blackbox-exporter"),
            *((Port(site.logs.receive_port, "journal-receive"),) if shipping_hosts(site) else ()),
        ),
        retention_bytes=megabytes(retention) << 20 if retention else None,
        installed=installed,
        private=private,
        ipv6=site.front_door.ipv6,
        encrypted=tuple(
            name for name, kind in site.secrets.credentials.items() if kind is Credential.ENCRYPTED and not private
        ),
    )


def repair(
    configurations: Configurations, secrets_of: Callable[[Site], RepairableSecrets], *, environment: str | None
) -> tuple[str, ...]:
    """Do what is safe: close secrets to others, and draw the passwords of the front door's logins that have none.

    Return what was done. A password that somebody else gave us, such as a mail relay's, cannot be made up.
    """
    loaded = configurations.examine(environment).loaded
    if loaded is None:
        return ()
    secrets = secrets_of(loaded.site)
    done = [f"closed {path} to others" for path in secrets.protect()]
    for path, name in value_references(loaded.site):
        if path[:2] in DRAWN and _missing(secrets, name):
            secrets.create(name, DRAWN[path[:2]])
            done.append(f"drew a password into {secrets.place(name)}")
    return tuple(done)


def _missing(secrets: Secrets, name: str) -> bool:
    try:
        return secrets.get(name) is None
    except UsageError:
        return False
