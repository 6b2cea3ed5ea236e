"""Alertmanager: who is told, how alerts are grouped and silenced by worse ones, its unit and its proofs."""

from __future__ import annotations

import json
from typing import Any, Final

from obstack.agent.wire import CheckEntry, DirectoryEntry, GateEntry, InputEntry, LinkEntry, ReloadEntry, StateEntry
from obstack.catalog import capabilities
from obstack.model import secrets
from obstack.model.alertmanager import Receiver, Smtp
from obstack.model.layout import Layout
from obstack.model.secret import reference_name
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.emit import yaml_bytes
from obstack.render.materials import Materials
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Credential, Sandbox, Service, View
from obstack.render.sizes import megabytes, memory_limit, whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "alertmanager"
FOLDER: Final = "etc/alertmanager"
PASSWORD_FILE: Final = "secrets/smtp-password"
THERE: Final = ("/bin/sh", "-c", 'test -s "$1" || { echo "error: $1 is missing or empty"; exit 1; }', "credential")
"""Finds out, before anything is switched, whether an administrator has put a credential in its place."""
NOBODY: Final = "nobody"
GATE: Final = "gate"
GATE_ALERT: Final = "ObservabilityGate"
# What makes two alerts the same trouble at two severities.
SUBJECT: Final = ["alertname", "host", "instance", "device", "mountpoint", "probe"]


def render_alertmanager(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what Alertmanager contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    account = owner(layout, NAME)
    configuration = yaml_bytes(_configuration(site, layout))
    files = [RenderedFile(f"{FOLDER}/alertmanager.yml", configuration, mode=0o640, group=account)]
    smtp, credentials = site.alertmanager.smtp, _credentials(site)
    if smtp is not None and smtp.password is not None and not credentials:
        password = materials.secrets[reference_name(smtp.password)].reveal().encode()
        files.append(
            RenderedFile(f"{FOLDER}/{PASSWORD_FILE}", password, mode=0o640, group=account, secret=True),
        )
    return Rendering(
        files=tuple(files),
        directories=(DirectoryEntry(layout.data(NAME), 0o700, account, account),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(_service(site, layout, programs),),
        checks=(
            programs.check(
                "alertmanager configuration", "amtool", "check-config", f"{{tree}}/{FOLDER}/alertmanager.yml"
            ),
            *(CheckEntry(f"credential {item.name}", (*THERE, item.source)) for item in credentials),
        ),
        gates=_gates(site),
        artifacts=(programs.artifact.entry,),
    )


def _configuration(site: Site, layout: Layout) -> dict[str, Any]:
    alertmanager = site.alertmanager
    document: dict[str, Any] = {}
    if alertmanager.smtp is not None:
        password_file = next((item.path(NAME) for item in _credentials(site)), f"{layout.etc(NAME)}/{PASSWORD_FILE}")
        document["global"] = _smtp(alertmanager.smtp, password_file)
    own_route = {"receiver": GATE, "matchers": [_matcher("alertname", GATE_ALERT)]}
    routes = [
        {"receiver": route.receiver, "matchers": [_matcher(name, value) for name, value in route.match.items()]}
        for route in alertmanager.routes
    ]
    document["route"] = {
        "receiver": alertmanager.default_receiver or NOBODY,
        "group_by": ["alertname", "host"],
        "group_wait": alertmanager.group_wait,
        "group_interval": alertmanager.group_interval,
        "repeat_interval": alertmanager.repeat_interval,
        "routes": [own_route, *routes],
    }
    document["inhibit_rules"] = [_inhibition("critical", "warning|info"), _inhibition("warning", "info")]
    document["receivers"] = [{"name": NOBODY}, {"name": GATE}, *(_receiver(item) for item in alertmanager.receivers)]
    return document


def _credentials(site: Site) -> tuple[Credential, ...]:
    """Return the password of the mail relay where only the server's systemd has it."""
    smtp = site.alertmanager.smtp
    name = reference_name(smtp.password) if smtp is not None and smtp.password is not None else ""
    kind = site.secrets.credentials.get(name)
    return () if kind is None else (Credential(name, kind is secrets.Credential.ENCRYPTED),)


def _smtp(smtp: Smtp, password_file: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "smtp_smarthost": f"{smtp.host}:{smtp.port}",
        "smtp_from": smtp.sender,
        "smtp_require_tls": smtp.require_tls,
    }
    if smtp.username is not None:
        settings["smtp_auth_username"] = smtp.username
    if smtp.password is not None:
        settings["smtp_auth_password_file"] = password_file
    return settings


def _matcher(name: str, value: str, operator: str = "=") -> str:
    return f"{name}{operator}{json.dumps(value, ensure_ascii=False)}"


def _inhibition(source: str, target: str) -> dict[str, Any]:
    return {
        "source_matchers": [_matcher("severity", source)],
        "target_matchers": [_matcher("severity", target, "=~")],
        "equal": SUBJECT,
    }


def _receiver(receiver: Receiver) -> dict[str, Any]:
    document: dict[str, Any] = {"name": receiver.name}
    if receiver.email:
        document["email_configs"] = [{"to": address, "send_resolved": True} for address in receiver.email]
    if receiver.webhook:
        document["webhook_configs"] = [{"url": url, "send_resolved": True} for url in receiver.webhook]
    return document


def _service(site: Site, layout: Layout, programs: Programs) -> Service:
    data = layout.data(NAME)
    memory = megabytes(site.alertmanager.memory_max)
    configuration = f"{layout.etc(NAME)}/alertmanager.yml"
    # Debian's build reads its default notification template from /usr/share instead of carrying it inside.
    templates = View(layout.artifact(NAME, "usr/share/prometheus"), "/usr/share/prometheus")
    return Service(
        name=NAME,
        description="Alertmanager, the alert router",
        argv=(
            programs.live("alertmanager"),
            f"--config.file={configuration}",
            f"--storage.path={data}",
            f"--web.listen-address=127.0.0.1:{site.alertmanager.port}",
            f"--web.external-url={targets.public_url(site)}/alertmanager/",
            "--web.route-prefix=/",
            # One instance needs no gossip, and its port would be open on every interface.
            "--cluster.listen-address=",
        ),
        user=NAME,
        data=data,
        preflight=((programs.live("amtool"), "check-config", configuration),),
        environment=memory_limit(memory),
        libraries=programs.libraries,
        views=(templates,) if programs.is_debian else (),
        # The password is read anew for each mail.
        inputs=(
            InputEntry(f"{FOLDER}/{PASSWORD_FILE}", "none"),
            InputEntry(f"{FOLDER}/", "reload"),
            programs.input,
        ),
        reload=ReloadEntry("signal", "HUP"),
        state=StateEntry(
            data,
            capabilities.alertmanager_data_format(programs.artifact.version),
            capabilities.alertmanager_readable_formats(programs.artifact.version),
        ),
        sandbox=Sandbox(),
        credentials=_credentials(site),
        memory_max=f"{memory}M",
    )


def _gates(site: Site) -> tuple[GateEntry, ...]:
    url = f"http://127.0.0.1:{site.alertmanager.port}"
    deadline_s = whole_seconds(site.gates.deadline)
    loaded = {"url": url, "file": f"{FOLDER}/alertmanager.yml"}
    return (
        GateEntry("alertmanager is ready", "alertmanager-ready", NAME, {"url": url}, deadline_s),
        GateEntry("alertmanager runs this configuration", "alertmanager-configuration", NAME, loaded, deadline_s),
        GateEntry(
            "alertmanager takes and ends an alert", "alertmanager-alert", NAME, {"url": url}, deadline_s, active=True
        ),
    )
