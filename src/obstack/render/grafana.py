"""Grafana: its settings, data sources and dashboards, its unit, and what proves that it works.

It listens on a socket that only the front door's nginx and root can open (under a private root, on loopback), so that
the headers by which the front door says who somebody is can be given by nobody else.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, LinkEntry, StateEntry
from obstack.catalog import capabilities
from obstack.catalog.modules import ModuleSet
from obstack.catalog.releases import GRAFANA
from obstack.content.dashboards import STACK, used_dashboards
from obstack.model.layout import Layout, Manager
from obstack.model.secret import reference_name
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.emit import go_ini_bytes, json_bytes
from obstack.render.grafana_dashboard import grafana_dashboard, grafana_uid
from obstack.render.grafana_settings import SECRETS, USER_HEADER, settings
from obstack.render.materials import Materials
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import megabytes, memory_limit, whole_seconds
from obstack.render.tree import RenderedFile, Rendering

ARTIFACT: Final = "grafana"
UNIT: Final = "grafana-server"
FOLDER: Final = "etc/grafana"
BOARDS: Final = f"{FOLDER}/dashboards"
FOLDERS: Final = ("Stack", "Modules")
"""The folders in Grafana: dashboards of the stack itself, and of what runs on hosts."""
OWN_FOLDER: Final = "Own"
"""The folder of the site's further dashboards."""
MARK: Final = "Drawn by Observability Stack, revision"
LOOK_S: Final = 10
"""How often Grafana looks for changed dashboards: the shortest time that it takes."""
GATE_USER: Final = "observability-gate"


def grafana_address(site: Site, layout: Layout) -> str:
    """Given a site that has Grafana, return where it answers, as nginx writes it."""
    return (
        f"http://unix:{socket(layout)}:"
        if layout.manager is Manager.SYSTEMD
        else f"http://127.0.0.1:{site.grafana.port}"
    )


def socket(layout: Layout) -> str:
    """Return the path of Grafana's socket on a server."""
    return f"{layout.data(ARTIFACT)}/grafana.sock"


def render_grafana(site: Site, layout: Layout, materials: Materials, modules: ModuleSet) -> Rendering:
    """Given the settled site and the modules of its hosts, return what Grafana contributes; nothing without it."""
    if not site.runs_grafana:
        return Rendering()
    programs = Programs(layout, materials.artifacts[ARTIFACT])
    account = owner(layout, ARTIFACT)
    etc = layout.etc(ARTIFACT)
    address = socket(layout) if layout.manager is Manager.SYSTEMD else ""
    ini = go_ini_bytes(settings(site, layout, programs.artifact.version, address))
    documents = grafana_documents(site, materials, modules)
    files = [
        RenderedFile(f"{FOLDER}/grafana.ini", ini),
        # Grafana reads files of this ending only; JSON is YAML.
        RenderedFile(f"{FOLDER}/provisioning/datasources/observability.yaml", json_bytes(_sources(site))),
        RenderedFile(f"{FOLDER}/provisioning/dashboards/observability.yaml", json_bytes(_providers(etc))),
        *_secrets(site, materials, account),
        *_dashboards(documents),
    ]
    return Rendering(
        files=tuple(files),
        # The front door's nginx is of this group: it opens the socket.
        directories=(DirectoryEntry(layout.data(ARTIFACT), 0o750, account, account),),
        links=(LinkEntry(etc, FOLDER),),
        users=users(layout, ARTIFACT),
        services=(_service(site, layout, programs),),
        gates=_gates(site, layout, documents, programs.artifact.version),
        artifacts=(programs.artifact.entry,),
    )


def _sources(site: Site) -> dict[str, Any]:
    prometheus = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://127.0.0.1:{site.prometheus.port}",
        "isDefault": True,
        "editable": False,
        "jsonData": {
            "httpMethod": "POST",
            "timeInterval": site.prometheus.scrape_interval,
            "prometheusType": "Prometheus",
            "alertmanagerUid": "alertmanager",
        },
    }
    alertmanager = {
        "name": "Alertmanager",
        "uid": "alertmanager",
        "type": "alertmanager",
        "access": "proxy",
        "url": f"http://127.0.0.1:{site.alertmanager.port}",
        "editable": False,
        "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
    }
    # What was provisioned and is not here any more goes; what people made stays.
    return {"apiVersion": 1, "prune": True, "datasources": [prometheus, alertmanager]}


def _providers(etc: str) -> dict[str, Any]:
    provider = {
        "name": "observability",
        "type": "file",
        "updateIntervalSeconds": LOOK_S,
        "disableDeletion": True,
        # What somebody changes in the interface is kept there, shown by `dashboard drift`, and taken by `pull`.
        "allowUiUpdates": True,
        "options": {"path": f"{etc}/dashboards", "foldersFromFilesStructure": True},
    }
    return {"apiVersion": 1, "providers": [provider]}


def grafana_documents(site: Site, materials: Materials, modules: ModuleSet) -> dict[str, dict[str, Any]]:
    """Given the settled site and all modules, return Grafana's documents of its dashboards by `FOLDER/NAME`.

    One of the site's own takes the place of ours of the same name; any further one is in a folder beside them.
    """
    interval = targets.longest_interval(site, modules)
    drawn = {
        name: _marked(grafana_dashboard(name, board, interval))
        for name, board in used_dashboards(site, modules).items()
    }
    documents = {f"{FOLDERS[name not in STACK]}/{name}": document for name, document in drawn.items()}
    for name, own in materials.dashboards.items():
        if name in drawn:
            documents[f"{FOLDERS[name not in STACK]}/{name}"] = {**own, "uid": grafana_uid(name)}
        else:
            documents[f"{OWN_FOLDER}/{name}"] = dict(own)
    return documents


def _marked(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a description that names its content.

    Whatever people do to a dashboard in Grafana, this says from which file it came last.
    """
    digest = hashlib.sha256(json_bytes(document)).hexdigest()[:12]
    return document | {"description": f"{MARK} {digest}"}


def _dashboards(documents: dict[str, dict[str, Any]]) -> list[RenderedFile]:
    return [RenderedFile(f"{BOARDS}/{place}.json", json_bytes(document)) for place, document in documents.items()]


def _secrets(site: Site, materials: Materials, account: str) -> list[RenderedFile]:
    grafana = site.grafana
    references = {"admin-password": grafana.admin_password, "secret-key": grafana.secret_key}
    if grafana.oidc is not None:
        references["client-secret"] = grafana.oidc.client_secret
    if grafana.postgres is not None:
        references["database-password"] = grafana.postgres.password
    return [
        RenderedFile(
            f"{FOLDER}/{SECRETS}/{name}",
            materials.secrets[reference_name(reference)].reveal().encode(),
            0o640,
            "root",
            account,
            secret=True,
        )
        for name, reference in references.items()
    ]


def _service(site: Site, layout: Layout, programs: Programs) -> Service:
    data = layout.data(ARTIFACT)
    home = layout.artifact(ARTIFACT, "").rstrip("/")
    memory = megabytes(site.grafana.memory_max)
    version = programs.artifact.version
    return Service(
        name=UNIT,
        description="Grafana, dashboards",
        argv=(
            programs.live("grafana"),
            "server",
            "--homepath",
            home,
            "--config",
            f"{layout.etc(ARTIFACT)}/grafana.ini",
        ),
        user=ARTIFACT,
        data=data,
        preflight=_plugin_commands(home, data, version),
        environment=memory_limit(memory),
        after=("prometheus", "alertmanager"),
        inputs=(
            # Grafana looks for changed dashboards by itself.
            InputEntry(f"{BOARDS}/", "none"),
            # It counts when the database is made.
            InputEntry(f"{FOLDER}/{SECRETS}/admin-password", "none"),
            InputEntry(f"{FOLDER}/", "restart"),
            programs.input,
        ),
        state=None
        if site.grafana.postgres is not None
        else StateEntry(
            data,
            capabilities.grafana_data_format(version),
            capabilities.grafana_readable_formats(version, GRAFANA.digests),
        ),
        sandbox=Sandbox(
            families=("AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"),
            # Its scripting compiles what it runs, and its plugins are given limits of their own.
            writable_executable_memory=True,
            calls=("@resources",),
            umask="0027",
        ),
        memory_max=f"{memory}M",
        tasks_max=1024,
        open_files=65536,
        start_timeout_s=120,
        stop_timeout_s=40,
    )


def _plugin_commands(home: str, data: str, version: str) -> tuple[tuple[str, ...], ...]:
    """What puts the version's own plugins where they can be written to, and takes those of other versions away.

    In the read-only tree of the artifact Grafana 13 would stop a data source to replace it, and then could not.
    """
    if not capabilities.grafana_keeps_plugins_apart(version):
        return ()
    kept = plugin_folder(data, version)
    name = kept.rpartition("/")[2]
    old = ("-maxdepth", "1", "-name", "plugins-bundled-*", "!", "-name", name, "-exec", "/bin/rm", "-rf", "{}", "+")
    return (
        ("/usr/bin/find", data, *old),
        ("/bin/mkdir", "-p", kept),
        ("/bin/cp", "-R", "-u", f"{home}/data/plugins-bundled/.", kept),
    )


def plugin_folder(data: str, version: str) -> str:
    """Given the data folder and a version, return where that version's own plugins are."""
    return f"{data}/plugins-bundled-{version}"


def _gates(site: Site, layout: Layout, documents: dict[str, dict[str, Any]], version: str) -> tuple[GateEntry, ...]:
    deadline_s = whole_seconds(site.gates.deadline)
    place = {"socket": socket(layout)} if layout.manager is Manager.SYSTEMD else {"port": site.grafana.port}
    asked = place | {"header": USER_HEADER, "user": GATE_USER}
    wanted = {str(document["uid"]): str(document.get("description", "")) for document in documents.values()}
    return (
        GateEntry("grafana is ready", "grafana-ready", UNIT, place | {"version": version}, deadline_s),
        GateEntry(
            "grafana asks prometheus",
            "grafana-sources",
            UNIT,
            asked | {"source": "prometheus", "sources": ["alertmanager", "prometheus"]},
            deadline_s,
        ),
        GateEntry(
            "grafana has every dashboard",
            "grafana-dashboards",
            UNIT,
            asked | {"dashboards": wanted, "mark": MARK},
            deadline_s + 2 * LOOK_S,
        ),
    )
