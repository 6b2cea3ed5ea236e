"""One monitored host: the sum of its modules, the TLS proxy in front of some, and the gates that prove them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from obstack.agent.wire import GateEntry, InputEntry, LinkEntry, UnitEntry
from obstack.catalog.modules import ModuleSet, ResolvedModule, resolve_host
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render.exporter_proxy import Backend, proxy_digest, render_exporter_proxy
from obstack.render.firewall import render_firewall
from obstack.render.gate_files import render_gate_files
from obstack.render.journal_upload import render_journal_upload
from obstack.render.materials import HostMaterials
from obstack.render.module import endpoint, endpoint_gate, render_module, textfile_rendering, writes_textfile
from obstack.render.place import COMPONENT, FOLDER, Place, has_endpoint
from obstack.render.recovery import render_recovery
from obstack.render.sizes import whole_seconds
from obstack.render.tree import Rendering, combine

ROLE: Final = "monitored-host"
T = TypeVar("T", bound=Hashable)


def render_host(site: Site, name: str, layout: Layout, materials: HostMaterials, modules: ModuleSet) -> Rendering:
    """Given a site without findings, a host of it and its settled materials, return everything the host must be.

    Raises UsageError when a value of the configuration cannot be written where it must go.
    """
    place = Place(site, name, layout, materials)
    resolved = resolve_host(site, modules, name)
    backends = _backends(place, resolved)
    components = [
        *([textfile_rendering(place)] if any(writes_textfile(module) for module in resolved) else []),
        *(render_module(place, module) for module in resolved),
        render_exporter_proxy(place, backends),
        render_gate_files(place),
        render_journal_upload(site, name, layout, materials),
        render_firewall(site, name, layout, materials.artifacts, exposed_ports(resolved)),
    ]
    parts = combine(components)
    everything = combine(
        (
            render_recovery(layout, parts),
            Rendering(links=(LinkEntry(layout.etc(COMPONENT), FOLDER),)),
            parts,
            Rendering(gates=(_running(site), *_gates(place, resolved, proxy_digest(place, backends)))),
        )
    )
    return _merged(everything)


def exposed_ports(resolved: Iterable[ResolvedModule]) -> tuple[int, ...]:
    """Given the modules of a host, return the ports that the server must reach, in order."""
    return tuple(sorted(module.port for module in resolved if has_endpoint(module)))


def _backends(place: Place, resolved: Iterable[ResolvedModule]) -> tuple[Backend, ...]:
    found = []
    for module in resolved:
        exporter = module.shipped.module.exporter
        if has_endpoint(module) and exporter.tls == "proxy" and exporter.backend_port is not None:
            found.append(Backend(module.port, exporter.backend_port, endpoint(place, module)[0]))
    return tuple(found)


def _running(site: Site) -> GateEntry:
    return GateEntry("all units are running", "units-active", "", {}, whole_seconds(site.gates.deadline))


def _gates(place: Place, resolved: tuple[ResolvedModule, ...], digest: str) -> Iterable[GateEntry]:
    by_name = {module.name: module for module in resolved}
    for module in resolved:
        carrier = by_name[module.shipped.job]
        yield endpoint_gate(place, module, carrier, digest)


def _merged(rendering: Rendering) -> Rendering:
    """Return the rendering with what several modules share given once: artifacts, users, and foreign units."""
    units: dict[str, UnitEntry] = {}
    for unit in rendering.units:
        known = units.get(unit.name)
        units[unit.name] = unit if known is None else _both(known, unit)
    return replace(
        rendering,
        units=tuple(units.values()),
        artifacts=_once(rendering.artifacts),
        users=_once(rendering.users),
        directories=_once(rendering.directories),
    )


def _both(one: UnitEntry, other: UnitEntry) -> UnitEntry:
    inputs: tuple[InputEntry, ...] = (*one.inputs, *other.inputs)
    return replace(one, inputs=inputs, check=one.check or other.check)


def _once(items: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
