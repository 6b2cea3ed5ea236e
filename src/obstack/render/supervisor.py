"""Services as supervisor programs, for machines on which systemd is not PID 1 and for private roots.

Preflight commands and private views have no setting there; a shell does them and then becomes the program, so that
signals reach the program itself. The shell's text is fixed by their number alone: all data are positional arguments.
"""

from __future__ import annotations

import posixpath
from typing import Final

from obstack.errors import UsageError
from obstack.model.layout import Layout
from obstack.render.emit import program_command, program_environment, program_text, section_bytes
from obstack.render.service import Service, View
from obstack.render.tree import RenderedFile

# Without root a mount needs a user namespace; with root one is used only where the machine grants no other.
UNSHARE: Final = (
    'if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then exec unshare --mount -- "$@"; fi; '
    'exec unshare --user --map-root-user --mount -- "$@"'
)
# -n: /run/mount is root's, and mount fails after the mount where it may not write there (a user on Debian 12).
# Built on the service's own folder and moved at once, for what it hides (the time zones) must still be seen meanwhile.
VIEW: Final = (
    'mount -n -t tmpfs tmpfs "$1" && mkdir "$1/$2" && mount -n --bind "$3" "$1/$2" && '
    'if [ -d "$4/zoneinfo" ]; then mkdir "$1/zoneinfo" && mount -n --rbind "$4/zoneinfo" "$1/zoneinfo"; fi && '
    'mount -n --move "$1" "$4" || exit 71; shift 4; exec "$@"'
)


def render_supervisor(service: Service, layout: Layout) -> RenderedFile:
    """Given a service, return its supervisor program. Raises UsageError for one that needs what only systemd has."""
    if service.credentials:
        raise UsageError(
            code="credentials-need-systemd",
            what="Credentials are handed over by systemd, which does not run the services of a private root.",
            where="secrets.credentials: " + ", ".join(item.name for item in service.credentials),
            state="nothing was touched",
            do="remove them from secrets.credentials, and run: observability secrets set NAME",
        )
    argv = _with_preflight(service.preflight, service.argv)
    for view in service.views:
        argv = _with_view(view, service.data or layout.run, argv)
    environment = dict(service.environment)
    if service.libraries:
        environment["LD_LIBRARY_PATH"] = ":".join(service.libraries)
    settings = [
        ("command", program_command(argv)),
        ("directory", program_text(service.data or layout.run)),
        ("autostart", "true"),
        ("autorestart", "unexpected"),
        ("exitcodes", "0"),
        ("startsecs", "1"),
        ("startretries", "3"),
        ("stopsignal", service.stop_signal),
        ("stopwaitsecs", str(service.stop_timeout_s)),
        ("killasgroup", "true"),
        ("umask", "077"),
        ("redirect_stderr", "true"),
        ("stdout_logfile", program_text(f"{layout.root}/var/log/{service.name}.log")),
        ("stdout_logfile_maxbytes", "10MB"),
        ("stdout_logfile_backups", "3"),
    ]
    if environment:
        settings.append(("environment", program_environment(environment)))
    return RenderedFile(path=f"units/{service.name}.conf", content=section_bytes(f"program:{service.name}", settings))


def _with_preflight(preflight: tuple[tuple[str, ...], ...], argv: tuple[str, ...]) -> tuple[str, ...]:
    for command in reversed(preflight):
        words = " ".join(f'"${{{number}}}"' for number in range(1, len(command) + 1))
        script = f'{words} || exit; shift {len(command)}; exec "$@"'
        argv = ("/bin/sh", "-c", script, "preflight", *command, *argv)
    return argv


def _with_view(view: View, scratch: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    folder, name = posixpath.split(view.target)
    inner = ("/bin/sh", "-c", VIEW, "view", scratch, name, view.source, folder, *argv)
    return ("/bin/sh", "-c", UNSHARE, "unshare", *inner)
