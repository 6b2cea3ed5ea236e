"""Rendering, for any valid site: the same bytes each time, documents that parse, and data that stay data."""

from __future__ import annotations

import configparser
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, PRIVATE, SERVER, materials

# One line of anything that a configuration may hold, with what is special somewhere made likely.
LINE = st.text(
    st.one_of(
        st.sampled_from("\"'\\$%{}[]();#&*!|>`@:=,- ~^<"),
        st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Zl", "Zp")),
    ),
    min_size=1,
    max_size=40,
)
NAME = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
LABEL = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).map(lambda name: f"x_{name}")
LABELS = st.dictionaries(LABEL, LINE, max_size=3)
TARGETS = st.lists(NAME.map(lambda name: f"user-{name}"), unique=True, max_size=3)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    targets = [
        {"job": job, "addresses": [f"{draw(NAME)}:{draw(st.integers(1, 65535))}"], "labels": draw(LABELS)}
        for job in draw(TARGETS)
    ]
    return Site.model_validate(
        {
            "name": draw(NAME),
            "environment": draw(NAME),
            "domain": f"{draw(st.from_regex(r'[a-z][a-z0-9]{0,9}', fullmatch=True))}.example.org",
            "server": {"name": draw(NAME), "labels": draw(LABELS)},
            "prometheus": {"targets": targets, "external_labels": draw(LABELS)},
            "alertmanager": {
                "smtp": {
                    "host": "mail.example.org",
                    "sender": "alerts@example.org",
                    "username": draw(LINE),
                    "password": "secret:smtp-password",
                },
                "receivers": [{"name": "somebody", "webhook": ["https://hooks.example.org/"]}],
                "routes": [{"receiver": "somebody", "match": {"severity": draw(LINE)}}],
            },
        }
    )


def contents(site: Site, layout: Layout) -> dict[str, bytes]:
    manifest, blobs = build_generation("mon-1", "observability", layout, render_node(site, layout, materials()), KEY)
    return {file.path: blobs[file.digest] for file in manifest.files}


def yaml_document(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(content.decode())


@settings(max_examples=25, deadline=None)
@given(site=sites())
def test_rendering_is_deterministic_and_every_document_parses(site: Site) -> None:
    first = contents(site, SERVER)
    assert first == contents(Site.model_validate(site.model_dump()), SERVER)
    for path, content in first.items():
        if path.endswith(".yml"):
            assert isinstance(yaml_document(content), dict)
        if path.endswith(".json"):
            assert isinstance(json.loads(content), list | dict)


@settings(max_examples=25, deadline=None)
@given(site=sites())
def test_text_from_the_configuration_arrives_unchanged(site: Site) -> None:
    files = contents(site, SERVER)
    labels = yaml_document(files["etc/prometheus/prometheus.yml"])["global"]["external_labels"]
    assert site.prometheus.external_labels.items() <= labels.items()
    for target in site.prometheus.targets:
        (group,) = json.loads(files[f"etc/prometheus/targets/{target.job}.json"])
        assert target.labels.items() <= group["labels"].items()
    alertmanager = yaml_document(files["etc/alertmanager/alertmanager.yml"])
    assert site.alertmanager.smtp is not None
    assert alertmanager["global"]["smtp_auth_username"] == site.alertmanager.smtp.username
    (matcher,) = alertmanager["route"]["routes"][1]["matchers"]
    assert json.loads(matcher.removeprefix("severity=")) == site.alertmanager.routes[0].match["severity"]


@settings(max_examples=25, deadline=None)
@given(site=sites())
def test_units_have_the_same_settings_whatever_the_configuration_says(site: Site) -> None:
    usual = Site.model_validate({"domain": "observability.example.org"})
    for layout in (SERVER, PRIVATE):
        expected = {path: keys(content) for path, content in contents(usual, layout).items() if "units/" in path}
        found = {path: keys(content) for path, content in contents(site, layout).items() if "units/" in path}
        assert found == expected


def keys(content: bytes) -> list[tuple[str, list[str]]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(content.decode())
    return [(section, list(parser[section])) for section in parser.sections()]
