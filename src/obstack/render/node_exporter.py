"""The node exporter: the machine's own metrics, and the folder for metrics that scripts leave behind."""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import DirectoryEntry, GateEntry
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.materials import Materials
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import whole_seconds
from obstack.render.tree import Rendering

NAME: Final = "node-exporter"


def render_node_exporter(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return what the node exporter contributes to the node."""
    programs = Programs(layout, materials.artifacts[NAME])
    data = layout.data(NAME)
    argv = [
        programs.live("node_exporter"),
        f"--web.listen-address=127.0.0.1:{site.node_exporter.port}",
        f"--collector.textfile.directory={data}",
    ]
    if layout.manager is Manager.SYSTEMD:
        argv += ["--collector.systemd", r"--collector.systemd.unit-include=.+\.service"]
    else:
        argv.append("--no-collector.systemd")  # Debian's build asks for it by default and complains at every scrape.
    deadline_s = whole_seconds(site.gates.deadline)
    exporter = f"http://127.0.0.1:{site.node_exporter.port}/metrics"
    return Rendering(
        directories=(DirectoryEntry(data, 0o755, owner(layout, NAME), owner(layout, NAME)),),
        users=users(layout, NAME),
        services=(
            Service(
                name=NAME,
                description="Node exporter, the metrics of this machine",
                argv=tuple(argv),
                user=NAME,
                data=data,
                libraries=programs.libraries,
                inputs=(programs.input,),
                # Less would still answer 200, with collectors missing or describing the sandbox instead of the machine.
                sandbox=Sandbox(
                    families=("AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"),
                    host_processes=True,
                    host_mounts=True,
                    clock=True,
                    loopback_only=True,
                ),
                memory_max="128M",
                stop_timeout_s=10,
            ),
        ),
        gates=(
            GateEntry(
                "node exporter answers",
                "http",
                NAME,
                {"url": exporter, "status": 200, "contains": "node_uname_info"},
                deadline_s,
            ),
            GateEntry(
                "machine metrics are stored",
                "metric",
                NAME,
                {
                    "url": f"http://127.0.0.1:{site.prometheus.port}",
                    "query": f'node_uname_info{{job="{NAME}",host="{site.server.name}"}}',
                },
                deadline_s,
            ),
        ),
        artifacts=(programs.artifact.entry,),
    )
