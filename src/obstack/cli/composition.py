"""The composition root: which edges each operation is given. The only module that knows both.

Everything is imported where it is used: a verb that only asks the agent starts without the model and its libraries.
"""

from __future__ import annotations

import getpass
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

from obstack.cli.options import Target
from obstack.ports import Channel, Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from obstack.catalog.modules import ModuleSet
    from obstack.edges.audit_memory import FileAuditMemory
    from obstack.edges.configfile import FileConfigurations
    from obstack.edges.door_files import DoorFiles
    from obstack.edges.secrets import FileSecrets, SecretStore
    from obstack.model.site import Site
    from obstack.operations.desired import Desired
    from obstack.operations.preflight import Preflight


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since 1970-01-01 UTC."""
        return time.time()


def who() -> str:
    """Return who runs this, for the lock and the record: the person behind sudo, if any."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def open_channel(target: Target, node: str = "") -> Channel:
    """Given a target and the node's name where it is known, return the channel to its agent. Nothing is started yet.

    Else the name is the one that the generation in force gives its node, so that all verbs call it the same; before
    there is one it is the host's.
    """
    from obstack.cli.supply import cache_folder
    from obstack.edges.kept import Kept
    from obstack.edges.local_channel import LocalChannel

    own = "localhost" if target.private else platform.node().partition(".")[0]
    node = node or Kept(target.layout.root).node() or own or "localhost"
    channel = LocalChannel(node, target.layout.root, cache_folder(target) / "agent", environment=_handed_on())
    return _audited(target, channel)


def open_host_channel(target: Target, site: Site, name: str) -> Channel:
    """Given a site and the name of a host that SSH leads to, return the channel to it. Nothing is started yet."""
    from obstack.cli.supply import cache_folder
    from obstack.edges.ssh_channel import SshChannel

    channel = SshChannel(name, site.hosts[name], cache_folder(target) / "agent", environment=_handed_on())
    return _audited(target, channel)


def audit_memory(target: Target) -> FileAuditMemory:
    """Given a target, return what is remembered of the audit logs of its machines."""
    from obstack.edges.audit_memory import FileAuditMemory

    return FileAuditMemory(target.configuration)


def _audited(target: Target, channel: Channel) -> Channel:
    from obstack.edges.audit_memory import AuditedChannel

    return AuditedChannel(channel, audit_memory(target))


def _handed_on() -> tuple[tuple[str, str], ...]:
    from obstack.agent.durable import CRASH_VARIABLES

    return tuple((name, os.environ[name]) for name in CRASH_VARIABLES if name in os.environ)


def file_secrets(target: Target) -> FileSecrets:
    """Given a target, return its private folder, which has what is kept beside the secrets whatever keeps those."""
    from obstack.edges.configfile import SECRETS_FOLDER
    from obstack.edges.secrets import FileSecrets

    return FileSecrets(target.configuration / SECRETS_FOLDER)


def site_secrets(target: Target, site: Site) -> SecretStore:
    """Given a target and its site, return where the site says that its secrets are kept. Nothing is read yet."""
    from obstack.edges.secrets import open_secrets

    return open_secrets(target.configuration, site.secrets, os.environ)


def secrets_of(target: Target) -> Callable[[Site], SecretStore]:
    """Given a target, return what finds the secrets of a site of its configuration."""
    return lambda site: site_secrets(target, site)


def load_site(target: Target) -> Site:
    """Given a target, return its configuration, judged with its secrets. Raises ConfigurationError with all."""
    from obstack.operations.configuration import load_configuration

    return load_configuration(configurations(target), secrets_of(target), target.environment).site


def configurations(target: Target) -> FileConfigurations:
    """Given a target, return where its configurations are read from."""
    from obstack.edges.configfile import FileConfigurations

    return FileConfigurations(target.configuration, module_cache(target))


def module_cache(target: Target) -> Path:
    """Given a target, return the folder of what makes it quick to read modules."""
    from obstack.cli.supply import cache_folder

    return cache_folder(target) / "modules"


def load_modules(target: Target, site: Site) -> ModuleSet:
    """Given a target and its site, return all modules by name. Raises ConfigurationError with all their problems."""
    from obstack.edges import modulefile

    further = modulefile.further_folder(site, target.configuration)
    return modulefile.load_modules(*(() if further is None else (further,)), cache=module_cache(target))


def build_desired(target: Target, reporter: Reporter, *, keep_door: bool = False) -> Desired:
    """Given a target, return what its configuration says the server must be; artifacts it lacks are fetched.

    `keep_door` is as for `build_nodes`.
    """
    reporter.step("Reading the configuration")
    site = load_site(target)
    return build_nodes(target, site, (site.server.name,), reporter, keep_door=keep_door)[site.server.name]


def door_files(target: Target) -> DoorFiles:
    """Given a target, return where certificates of its front door are found."""
    from obstack.edges.door_files import DoorFiles

    return DoorFiles(target.configuration, target.layout)


def build_nodes(
    target: Target,
    site: Site,
    names: Collection[str],
    reporter: Reporter,
    secrets: SecretStore | None = None,
    *,
    keep_door: bool = False,
) -> dict[str, Desired]:
    """Given a site that was judged and names of its nodes, return what each must be; missing artifacts are fetched.

    `secrets` stand in for those of the site, while new values are tried. Raises ConfigurationError for a provided
    certificate that is no good, unless `keep_door`: then the front door goes on with the one that it has.
    """
    from obstack.cli.door import demand_files
    from obstack.cli.provision import provide_nodes
    from obstack.cli.renewing import deploy_command, renewal_command
    from obstack.edges.certificates import InternalAuthority
    from obstack.edges.dashboard_files import read_dashboards
    from obstack.operations import desired

    internal = site.front_door.certificate.mode == "internal"
    # What looks at files takes longer to load than the rest of a run that changes nothing.
    doors = None if target.private or internal else door_files(target)
    if doors is not None and site.server.name in names and not keep_door:
        demand_files(target, site, doors)
    modules = load_modules(target, site) if site.hosts else {}
    provisions = provide_nodes(target, site, modules, names, reporter)
    secrets, clock = secrets or site_secrets(target, site), SystemClock()
    authority = InternalAuthority(secrets, site.name)
    reporter.step("Rendering")
    built = {}
    for number, name in enumerate(names):
        if len(names) > 1:
            reporter.progress("Rendering", number, len(names))
        if name == site.server.name:
            built[name] = desired.build_desired(
                site,
                target.layout,
                provisions[name],
                modules,
                secrets=secrets,
                authority=authority,
                clock=clock,
                renewal=renewal_command(target),
                deploy=deploy_command(target),
                doors=doors,
                dashboards=read_dashboards(target.configuration) if site.runs_grafana else None,
            )
        else:
            built[name] = desired.build_host_desired(
                site, name, modules, provisions[name], secrets=secrets, authority=authority, clock=clock
            )
    return built


def judge(target: Target, reporter: Reporter) -> Preflight:
    """Given a target, return the findings of preflight."""
    from obstack.cli.door import judge_door, judge_files
    from obstack.cli.provision import provide
    from obstack.edges.resolution import resolve
    from obstack.operations.preflight import preflight

    return preflight(
        open_channel(target),
        configurations(target),
        secrets_of(target),
        reporter,
        environment=target.environment,
        private=target.private,
        resolve=resolve,
        settle_artifacts=lambda site: provide(target, site, reporter, fetch=False),
        judge=judge_files(target),
        judge_door=judge_door(target),
    )


def repair_secrets(target: Target) -> tuple[str, ...]:
    """Given a target, do what `preflight --fix` may do, and return what was done."""
    from obstack.edges.configfile import FileConfigurations
    from obstack.operations.preflight import repair

    return repair(FileConfigurations(target.configuration), secrets_of(target), environment=target.environment)
