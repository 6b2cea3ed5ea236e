"""One node: the sum of its components, in dependency order, with the gate that all of its units are up."""

from __future__ import annotations

from obstack.agent.wire import GateEntry
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.alertmanager import render_alertmanager
from obstack.render.blackbox import render_blackbox
from obstack.render.journal import render_journal
from obstack.render.journal_receive import render_journal_receive
from obstack.render.materials import Materials
from obstack.render.nginx import render_nginx
from obstack.render.node_exporter import render_node_exporter
from obstack.render.prometheus import render_prometheus
from obstack.render.recovery import render_recovery
from obstack.render.sizes import whole_seconds
from obstack.render.tree import Rendering, combine


def render_node(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the site, the node's layout and settled materials, return everything the node must be."""
    components = combine(
        render(site, layout, materials)
        for render in (
            render_journal,
            render_alertmanager,
            render_node_exporter,
            render_blackbox,
            render_prometheus,
            render_nginx,
            render_journal_receive,
        )
    )
    names = [service.name for service in components.services]
    running = GateEntry("all units are running", "units-active", "", {}, whole_seconds(site.gates.deadline))
    return combine((render_recovery(layout, names), components, Rendering(gates=(running,))))
