"""Bills of materials in the form of CycloneDX, written by the library of that project."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from obstack import __version__
from obstack.catalog.licences import Licence
from obstack.catalog.parts import Deployed, Part, vouched_by

PREFIX: Final = "observability"
"""Of the properties that are this program's own."""


def write_bom(site: str, deployed: Iterable[Deployed], libraries: Iterable[Part], now: float) -> str:
    """Given a site's name, what is deployed, the program's libraries and the time, return the bill as JSON.

    The site is what the bill is about. It depends on its nodes, they on their artifacts, and those on the archives
    that they are unpacked from; and it depends on this program, and that on its libraries. Equal bills have equal
    serial numbers.
    """
    bom = Bom()
    bom.metadata.timestamp = datetime.fromtimestamp(now, UTC)
    root = Component(name=site, type=ComponentType.APPLICATION, bom_ref="site", description="An observability stack")
    bom.metadata.component = root
    parts: dict[str, Component] = {}
    nodes: dict[str, list[Component]] = {}
    for item in deployed:
        artifact = _artifact(item)
        bom.components.add(artifact)
        bom.register_dependency(artifact, [_part(bom, parts, part) for part in item.parts])
        for node in item.nodes:
            nodes.setdefault(node, []).append(artifact)
    machines = [_node(bom, name, artifacts) for name, artifacts in sorted(nodes.items())]
    bom.register_dependency(root, [*machines, _program(bom, parts, libraries)])
    identity = "\n".join(sorted(str(component.bom_ref) for component in bom.components))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{site}\n{__version__}\n{identity}")
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _artifact(item: Deployed) -> Component:
    artifact = item.artifact
    identity = artifact.entry.identity
    return Component(
        name=artifact.component,
        version=artifact.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"artifact/{artifact.component}/{artifact.architecture}/{identity}",
        properties=[
            Property(name=f"{PREFIX}:source", value=artifact.source),
            Property(name=f"{PREFIX}:architecture", value=artifact.architecture),
            Property(name=f"{PREFIX}:vouched-for-by", value=vouched_by(artifact)),
            *([Property(name=f"{PREFIX}:suite", value=artifact.suite)] if artifact.suite else []),
        ],
    )


def _node(bom: Bom, name: str, artifacts: Iterable[Component]) -> Component:
    node = Component(name=name, type=ComponentType.PLATFORM, bom_ref=f"node/{name}", description="A machine")
    bom.components.add(node)
    bom.register_dependency(node, artifacts)
    return node


def _program(bom: Bom, parts: dict[str, Component], libraries: Iterable[Part]) -> Component:
    program = Component(
        name="observability-stack",
        version=__version__,
        type=ComponentType.APPLICATION,
        bom_ref="program",
        licenses=[LicenseExpression("MIT")],
    )
    bom.components.add(program)
    bom.register_dependency(program, [_part(bom, parts, part) for part in libraries])
    return program


def _part(bom: Bom, parts: dict[str, Component], part: Part) -> Component:
    """Return the component of a part; one that several need is there once."""
    reference = f"{part.purl}#{part.digest}" if part.digest else part.purl
    if reference not in parts:
        parts[reference] = Component(
            name=part.name,
            version=part.version,
            type=ComponentType.LIBRARY,
            bom_ref=reference,
            purl=PackageURL.from_string(part.purl),
            licenses=[_licence(part.licence)],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.digest)] if part.digest else [],
            external_references=(
                [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(part.location))]
                if part.location
                else []
            ),
        )
        bom.components.add(parts[reference])
    return parts[reference]


def _licence(licence: Licence) -> DisjunctiveLicense | LicenseExpression:
    if licence.expression:
        return LicenseExpression(licence.expression)
    return DisjunctiveLicense(name=licence.note)
