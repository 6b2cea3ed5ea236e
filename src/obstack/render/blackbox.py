"""The blackbox exporter: probes from the server outwards."""

from __future__ import annotations

from typing import Any, Final

from obstack.agent.wire import GateEntry, InputEntry, LinkEntry, ReloadEntry
from obstack.model.blackbox import ProbeKind
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.emit import yaml_bytes
from obstack.render.materials import Materials
from obstack.render.programs import Programs, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import whole_seconds
from obstack.render.targets import DOOR_MODULE, MODULES
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "blackbox-exporter"
FOLDER: Final = "etc/blackbox-exporter"
TIMEOUT: Final = "10s"
ADDRESSES: Final = {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": True}


def render_blackbox(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what the blackbox exporter contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    return Rendering(
        files=(RenderedFile(f"{FOLDER}/blackbox.yml", yaml_bytes({"modules": _modules(site)})),),
        links=(LinkEntry(layout.etc(NAME), FOLDER),),
        users=users(layout, NAME),
        services=(_service(site, layout, programs),),
        checks=(
            programs.check(
                "blackbox configuration",
                "blackbox_exporter",
                f"--config.file={{tree}}/{FOLDER}/blackbox.yml",
                "--config.check",
            ),
        ),
        gates=_gates(site),
        artifacts=(programs.artifact.entry,),
    )


def _modules(site: Site) -> dict[str, Any]:
    modules: dict[str, Any] = {
        MODULES[ProbeKind.HTTP]: {"prober": "http", "timeout": TIMEOUT, "http": dict(ADDRESSES)},
        MODULES[ProbeKind.TCP]: {"prober": "tcp", "timeout": TIMEOUT, "tcp": dict(ADDRESSES)},
        MODULES[ProbeKind.ICMP]: {"prober": "icmp", "timeout": TIMEOUT, "icmp": dict(ADDRESSES)},
        # The root's servers are the one thing that every resolver can be asked for.
        MODULES[ProbeKind.DNS]: {
            "prober": "dns",
            "timeout": TIMEOUT,
            "dns": {**ADDRESSES, "query_name": ".", "query_type": "NS", "valid_rcodes": ["NOERROR"]},
        },
    }
    if not site.front_door.plain_http:
        # Whether it is trusted, its gate judges; this one sees also one that is not, or has expired.
        judged = {"insecure_skip_verify": True, "server_name": site.domain}
        modules[DOOR_MODULE] = {
            "prober": "tcp",
            "timeout": TIMEOUT,
            "tcp": {**ADDRESSES, "tls": True, "tls_config": judged},
        }
    if any(probe.kind is ProbeKind.TLS and not probe.hosts for probe in site.blackbox.probes):
        modules[MODULES[ProbeKind.TLS]] = {"prober": "tcp", "timeout": TIMEOUT, "tcp": {**ADDRESSES, "tls": True}}
    return modules


def _service(site: Site, layout: Layout, programs: Programs) -> Service:
    configuration = f"{layout.etc(NAME)}/blackbox.yml"
    pings = any(probe.kind is ProbeKind.ICMP and not probe.hosts for probe in site.blackbox.probes)
    program = programs.live("blackbox_exporter")
    return Service(
        name=NAME,
        description="Blackbox exporter, the prober",
        argv=(
            program,
            f"--config.file={configuration}",
            f"--web.listen-address=127.0.0.1:{site.blackbox.port}",
        ),
        user=NAME,
        preflight=((program, f"--config.file={configuration}", "--config.check"),),
        libraries=programs.libraries,
        inputs=(InputEntry(f"{FOLDER}/", "reload"), programs.input),
        reload=ReloadEntry("signal", "HUP"),
        sandbox=Sandbox(capabilities=("CAP_NET_RAW",) if pings else ()),
        memory_max="128M",
        stop_timeout_s=10,
    )


def _gates(site: Site) -> tuple[GateEntry, ...]:
    deadline_s = whole_seconds(site.gates.deadline)
    exporter = f"http://127.0.0.1:{site.blackbox.port}/-/healthy"
    query = f'blackbox_exporter_config_last_reload_successful{{job="{NAME}"}} == 1'
    stored = {"url": f"http://127.0.0.1:{site.prometheus.port}", "query": query}
    return (
        GateEntry("blackbox exporter answers", "http", NAME, {"url": exporter, "status": 200}, deadline_s),
        GateEntry("blackbox exporter runs its configuration", "metric", NAME, stored, deadline_s),
    )
