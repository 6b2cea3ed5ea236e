"""From a rendering to a generation: the manifest, and the contents it names by digest."""

from __future__ import annotations

import hashlib
import hmac

from obstack.agent.wire import KEY_SIZE, FileEntry, Manifest, UnitEntry
from obstack.model.layout import Layout, Manager
from obstack.render.service import Service
from obstack.render.supervisor import render_supervisor
from obstack.render.systemd import render_systemd
from obstack.render.tree import RenderedFile, Rendering


def build_generation(
    node: str, role: str, layout: Layout, rendering: Rendering, key: bytes
) -> tuple[Manifest, dict[str, bytes]]:
    """Given a node's rendering and its key, return its manifest and the blobs that it refers to, by digest.

    The blobs are the contents of the files, and the key, by which the digests of the secret ones are made.
    """
    if len(key) != KEY_SIZE:
        raise ValueError(f"the key of a node has {KEY_SIZE} bytes, not {len(key)}")
    definitions = {service.name: _definition(service, layout) for service in rendering.services}
    files = sorted((*rendering.files, *definitions.values()), key=lambda file: file.path)
    name = hashlib.sha256(key).hexdigest()
    blobs = {_digest(file, key): file.content for file in files} | {name: key}
    manifest = Manifest(
        node=node,
        role=role,
        manager=layout.manager.value,
        files=tuple(_entry(file, key) for file in files),
        artifacts=rendering.artifacts,
        directories=rendering.directories,
        links=rendering.links,
        users=rendering.users,
        units=(
            *rendering.units,
            *(_unit(service, definitions[service.name].path) for service in rendering.services),
        ),
        checks=rendering.checks,
        gates=rendering.gates,
        key=name,
    )
    return manifest, blobs


def _definition(service: Service, layout: Layout) -> RenderedFile:
    if layout.manager is Manager.SYSTEMD:
        return render_systemd(service, layout)
    return render_supervisor(service, layout)


def _digest(file: RenderedFile, key: bytes) -> str:
    if file.secret:
        return hmac.digest(key, file.content, "sha256").hex()
    return hashlib.sha256(file.content).hexdigest()


def _entry(file: RenderedFile, key: bytes) -> FileEntry:
    return FileEntry(
        path=file.path,
        digest=_digest(file, key),
        size=len(file.content),
        mode=file.mode,
        owner=file.owner,
        group=file.group,
        secret=file.secret,
    )


def _unit(service: Service, file: str) -> UnitEntry:
    return UnitEntry(
        name=service.name,
        file=file,
        after=service.after,
        inputs=service.inputs,
        reload=service.reload,
        state=service.state,
        start_timeout_s=service.start_timeout_s,
        stop_timeout_s=service.stop_timeout_s,
        undoes=service.undoes,
        boot_only=service.passing,
        enabled=not service.passing,
    )
