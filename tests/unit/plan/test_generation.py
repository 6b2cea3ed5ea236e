"""Generations: equal input gives the equal identity, and every unit, file and blob belongs together."""

from __future__ import annotations

import hashlib

import pytest

from obstack.agent import wire
from obstack.agent.store import content_digest
from obstack.model.layout import Layout
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, PRIVATE, SERVER, full_site, materials, small_site

LAYOUTS = pytest.mark.parametrize("layout", [SERVER, PRIVATE], ids=["server", "private"])


def generation(layout: Layout, suite: str = "trixie") -> tuple[wire.Manifest, dict[str, bytes]]:
    return build_generation("mon-1", "observability", layout, render_node(full_site(), layout, materials(suite)), KEY)


@LAYOUTS
def test_equal_input_gives_the_equal_identity_and_another_site_another(layout: Layout) -> None:
    first, blobs = generation(layout)
    again, same_blobs = generation(layout)
    other, _ = build_generation("mon-1", "observability", layout, render_node(small_site(), layout, materials()), KEY)
    assert first.identity == again.identity
    assert blobs == same_blobs
    assert first.identity != other.identity


@LAYOUTS
def test_the_manifest_crosses_the_wire_unchanged(layout: Layout) -> None:
    manifest, _ = generation(layout)
    assert wire.decode(wire.Manifest, wire.encode(manifest)) == manifest


@LAYOUTS
def test_blobs_are_exactly_the_contents_of_the_files(layout: Layout) -> None:
    manifest, blobs = generation(layout)
    assert {file.digest for file in manifest.files} | {manifest.key} == set(blobs)
    assert hashlib.sha256(blobs[manifest.key]).hexdigest() == manifest.key
    for file in manifest.files:
        assert content_digest(blobs[file.digest], KEY if file.secret else b"") == file.digest
        assert len(blobs[file.digest]) == file.size


@LAYOUTS
@pytest.mark.security
def test_a_guessed_secret_cannot_be_compared_with_what_a_manifest_says(layout: Layout) -> None:
    manifest, blobs = generation(layout)
    told = manifest.body.decode()
    secret = [file for file in manifest.files if file.secret]
    assert secret
    for file in secret:
        content = blobs[file.digest]
        for guess in (content, content.strip(), *content.split()):
            assert hashlib.sha256(guess).hexdigest() not in told
    assert KEY.hex() not in told


@pytest.mark.security
def test_equal_secrets_of_two_nodes_have_different_digests() -> None:
    rendering = render_node(small_site(), SERVER, materials())
    one, _ = build_generation("mon-1", "observability", SERVER, rendering, KEY)
    other, _ = build_generation("mon-1", "observability", SERVER, rendering, KEY[::-1])
    same = {(file.path, file.digest) for file in one.files} & {(file.path, file.digest) for file in other.files}
    assert {path for path, _ in same} == {file.path for file in one.files if not file.secret}
    assert one.identity != other.identity


@LAYOUTS
def test_paths_are_relative_unique_and_sorted(layout: Layout) -> None:
    paths = [file.path for file in generation(layout)[0].files]
    assert paths == sorted(set(paths))
    assert all(path.startswith(("etc/", "units/")) and ".." not in path for path in paths)


@LAYOUTS
def test_every_reference_inside_the_manifest_resolves(layout: Layout) -> None:
    manifest, _ = generation(layout)
    files = {file.path for file in manifest.files}
    artifacts = {artifact.name for artifact in manifest.artifacts}
    units = {unit.name for unit in manifest.units}
    for unit in manifest.units:
        assert not unit.file or unit.file in files
        assert set(unit.after) <= units
        for item in unit.inputs:
            kind, _, name = item.source.rpartition(":")
            if kind:
                assert name in artifacts
            else:
                assert item.source in files or any(path.startswith(item.source) for path in files)
    for link in manifest.links:
        assert any(path == link.target or path.startswith(f"{link.target}/") for path in files)
    for gate in manifest.gates:
        assert not gate.unit or gate.unit in units
        for parameter in ("file", "authority", "credentials"):
            assert gate.params.get(parameter, manifest.files[0].path) in files


@LAYOUTS
def test_every_file_of_the_tree_is_an_input_of_a_unit_or_its_definition(layout: Layout) -> None:
    manifest, _ = generation(layout)
    sources = [item.source for unit in manifest.units for item in unit.inputs]
    definitions = {unit.file for unit in manifest.units}
    for file in manifest.files:
        read = any(file.path == source or (source[-1] == "/" and file.path.startswith(source)) for source in sources)
        assert read or file.path in definitions, file.path


def test_a_server_owns_its_files_by_component_and_a_private_root_by_nobody_special() -> None:
    server, _ = generation(SERVER)
    private, _ = generation(PRIVATE)
    assert {user.name for user in server.users} >= {"prometheus", "alertmanager", "nginx"}
    assert {file.group for file in server.files} <= {"root", *(user.name for user in server.users)}
    assert private.users == ()
    assert {(file.owner, file.group) for file in private.files} == {("root", "root")}
    assert {(directory.owner, directory.group) for directory in private.directories} == {("root", "root")}


def test_everything_outside_a_private_root_stays_untouched() -> None:
    manifest, _ = generation(PRIVATE)
    outward = [entry.path for entry in manifest.directories] + [link.path for link in manifest.links]
    assert outward
    assert all(path.startswith(f"{PRIVATE.root}/") for path in outward)


def test_a_change_of_targets_changes_only_target_files_which_reload_nothing() -> None:
    site = full_site()
    more = site.prometheus.targets[0].model_copy(update={"addresses": ("web-9:9100",)})
    prometheus = site.prometheus.model_copy(update={"targets": (more, *site.prometheus.targets[1:])})
    changed_site = site.model_copy(update={"prometheus": prometheus})
    before, _ = generation(SERVER)
    rendering = render_node(changed_site, SERVER, materials())
    after, _ = build_generation("mon-1", "observability", SERVER, rendering, KEY)
    old = {file.path: file.digest for file in before.files}
    changed = [file.path for file in after.files if old.get(file.path) != file.digest]
    assert changed == ["etc/prometheus/targets/website.json"]
    (prometheus_unit,) = (unit for unit in after.units if unit.name == "prometheus")
    first_match = next(item for item in prometheus_unit.inputs if changed[0].startswith(item.source))
    assert first_match.effect == "none"


def test_secrets_are_marked_closed_and_stand_nowhere_else() -> None:
    manifest, blobs = generation(SERVER)
    settled = materials()
    values = [settled.secrets["smtp-password"], settled.gate.password, settled.certificate.key]
    for file in manifest.files:
        holds = any(value.reveal().encode() in blobs[file.digest] for value in values)
        assert not holds or file.secret, file.path
        assert not file.secret or file.mode & 0o007 == 0, file.path
    text = wire.canonical(wire.encode(manifest)).decode()
    assert not any(value.reveal() in text for value in values)


def test_the_step_to_a_new_data_format_is_visible() -> None:
    formats = {
        suite: [
            unit.state.format for unit in generation(SERVER, suite)[0].units if unit.name == "prometheus" and unit.state
        ]
        for suite in ("bookworm", "trixie", "sid")
    }
    assert formats == {"bookworm": ["prometheus-tsdb-2"], "trixie": ["prometheus-tsdb-2"], "sid": ["prometheus-tsdb-3"]}
