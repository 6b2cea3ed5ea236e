"""One node: the sum of its components, in dependency order, with the gate that all of its units are up."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from obstack.agent.wire import GateEntry
from obstack.catalog.modules import ModuleSet
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.alertmanager import render_alertmanager
from obstack.render.blackbox import render_blackbox
from obstack.render.firewall import render_server_firewall
from obstack.render.grafana import render_grafana
from obstack.render.journal import render_journal
from obstack.render.journal_receive import render_journal_receive
from obstack.render.materials import Materials
from obstack.render.nginx import render_nginx
from obstack.render.nginx_challenge import render_challenge
from obstack.render.node_exporter import render_node_exporter
from obstack.render.prometheus import render_prometheus
from obstack.render.recovery import render_recovery
from obstack.render.renewal import render_renewal
from obstack.render.sizes import whole_seconds
from obstack.render.tree import Rendering, combine

NO_MODULES: Final[ModuleSet] = MappingProxyType({})


def render_node(site: Site, layout: Layout, materials: Materials, modules: ModuleSet = NO_MODULES) -> Rendering:
    """Given the site, the server's layout, settled materials and the modules of hosts, return what the server must be.

    A site without hosts needs no modules.
    """
    components = combine(
        (
            render_journal(site, layout, materials),
            render_alertmanager(site, layout, materials),
            render_node_exporter(site, layout, materials),
            render_blackbox(site, layout, materials),
            render_prometheus(site, layout, materials, modules),
            render_grafana(site, layout, materials, modules),
            render_nginx(site, layout, materials),
            render_challenge(site, layout, materials),
            render_journal_receive(site, layout, materials),
            render_renewal(site, layout, materials),
            render_server_firewall(site, layout, materials.artifacts),
        )
    )
    running = GateEntry("all units are running", "units-active", "", {}, whole_seconds(site.gates.deadline))
    return combine((render_recovery(layout, components), components, Rendering(gates=(running,))))
