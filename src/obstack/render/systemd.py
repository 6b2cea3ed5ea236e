"""Services as systemd units: one hardened base for all, every deviation asked for by the service's Sandbox."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Final

from obstack.model.layout import Layout
from obstack.render.emit import unit_bind, unit_bytes, unit_command, unit_quoted, unit_text
from obstack.render.hardening import Settings, fences, limits
from obstack.render.service import Service
from obstack.render.tree import RenderedFile

# A configuration that its own checker refuses fails each start within a second: the fourth failure is the last, the
# unit stays failed, and its log holds the checker's line four times. A crash every 20 s or slower is restarted forever.
RESTART_S: Final = 2
START_LIMIT: Final = 4
START_INTERVAL_S: Final = 60


def render_systemd(service: Service, layout: Layout) -> RenderedFile:
    """Given a service, return its unit file."""
    sections = {"Unit": _unit(service, layout), "Service": _service(service)}
    if not service.passing:
        sections["Install"] = [("WantedBy", "multi-user.target")]
    return RenderedFile(path=f"units/{service.name}.service", content=unit_bytes(sections))


def _unit(service: Service, layout: Layout) -> Settings:
    after = " ".join(f"{name}.service" for name in service.after)
    order = " ".join(["network.target", *service.follows, *([after] if after else [])])
    mounts = " ".join(unit_quoted(path) for path in (layout.state, *([service.data] if service.data else [])))
    return [
        ("Description", unit_text(service.description)),
        ("After", order),
        *([("Wants", after)] if after else []),
        *([("ReloadPropagatedFrom", " ".join(service.reloads_with))] if service.reloads_with else []),
        ("RequiresMountsFor", mounts),
        *_start_limit(service),
    ]


def _start_limit(service: Service) -> Settings:
    if service.persistent:
        return [("StartLimitIntervalSec", "0")]
    return [("StartLimitIntervalSec", f"{START_INTERVAL_S}s"), ("StartLimitBurst", str(START_LIMIT))]


def _service(service: Service) -> Settings:
    environment = dict(service.environment)
    if service.libraries:
        environment["LD_LIBRARY_PATH"] = ":".join(service.libraries)
    settings: Settings = [("Type", "oneshot" if service.oneshot else "exec")]
    settings += [("RemainAfterExit", "yes")] if service.oneshot and not service.passing else []
    settings += [("User", service.user), ("Group", service.user)]
    if service.sandbox.groups:
        settings.append(("SupplementaryGroups", " ".join(service.sandbox.groups)))
    settings += [("Environment", unit_quoted(f"{name}={value}")) for name, value in environment.items()]
    if service.environment_file is not None:
        settings.append(("EnvironmentFile", unit_quoted(service.environment_file)))
    for item in service.credentials:
        key = "LoadCredentialEncrypted" if item.encrypted else "LoadCredential"
        settings.append((key, f"{item.name}:{item.source}"))
    settings += [("ExecStartPre", unit_command(argv)) for argv in service.preflight]
    settings.append(("ExecStart", unit_command(service.argv)))
    settings += [("ExecStop", unit_command(argv)) for argv in service.stop]
    if service.reload is not None and service.reload.kind == "signal":
        settings.append(("ExecReload", f"/bin/kill -{service.reload.value} $MAINPID"))
    if service.reload is not None and service.reload.kind == "again":
        settings.append(("ExecReload", unit_command(service.argv)))
    settings += [
        ("KillSignal", f"SIG{service.stop_signal}"),
        ("TimeoutStartSec", f"{service.start_timeout_s}s"),
        ("TimeoutStopSec", f"{service.stop_timeout_s}s"),
        *([] if service.oneshot else [("Restart", "always" if service.persistent else "on-failure")]),
        *([] if service.oneshot else [("RestartSec", f"{RESTART_S}s")]),
        *limits(service.memory_max, service.tasks_max, service.open_files),
    ]
    # A oneshot may act as a user of the machine's own, whose shared memory is in use: PostgreSQL's would be taken away.
    changed = {"RemoveIPC": "no"} if service.oneshot else {}
    writable = (*([service.data] if service.data else []), *service.sandbox.writable)
    sandbox = replace(service.sandbox, writable=writable)
    return settings + fences(sandbox, service.user, **changed) + _views(service)


def _views(service: Service) -> Settings:
    settings: Settings = []
    for view in service.views:
        # The folder around the target is emptied for this service, so that the target can be made in it.
        settings += [
            ("TemporaryFileSystem", unit_quoted(f"{posixpath.dirname(view.target)}:ro")),
            ("BindReadOnlyPaths", unit_bind(view.source, view.target)),
            ("BindReadOnlyPaths", "-/usr/share/zoneinfo"),
        ]
    return settings
