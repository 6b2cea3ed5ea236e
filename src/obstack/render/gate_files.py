"""What the agent's own gate needs to ask the exporters of its host: a certificate that is trusted there alone."""

from __future__ import annotations

from typing import Final

from obstack.render.place import FOLDER, Place
from obstack.render.tree import RenderedFile, Rendering

AUTHORITY: Final = f"{FOLDER}/observability-gate/authority.pem"
CERTIFICATE: Final = f"{FOLDER}/observability-gate/certificate.pem"
KEY: Final = f"{FOLDER}/observability-gate/key.pem"


def render_gate_files(place: Place) -> Rendering:
    """Given a host, return the files of its gate; the key is root's alone."""
    materials = place.materials
    return Rendering(
        files=(
            RenderedFile(AUTHORITY, materials.certificate.authority.encode()),
            RenderedFile(CERTIFICATE, materials.gate.chain.encode()),
            RenderedFile(KEY, materials.gate.key.reveal().encode(), 0o600, secret=True),
        )
    )
