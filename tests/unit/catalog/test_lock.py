"""The lock file: strict on the way in, canonical on the way out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.agent.wire import ArchiveEntry
from obstack.catalog.artifact import Archive, Artifact
from obstack.catalog.components import ARCHITECTURES, COMPONENTS
from obstack.catalog.lock import Lock, Platform, decode_lock, encode_lock, satisfies
from obstack.errors import ConfigurationError
from obstack.model.components import ArtifactChoice, Source

PROMETHEUS = Artifact(
    component="prometheus",
    version="2.42.0+ds-5+deb12u1",
    source="debian",
    suite="bookworm",
    architecture="amd64",
    archives=(
        Archive(ArchiveEntry("prometheus.deb", "a" * 64, 123, "deb", only=("usr/bin",)), "pool/main/p/prometheus.deb"),
    ),
    binaries={"prometheus": "usr/bin/prometheus", "promtool": "usr/bin/promtool"},
    libraries=("usr/lib/x86_64-linux-gnu",),
)
LOCK = Lock({"amd64": {"prometheus": PROMETHEUS}})


def test_a_lock_reads_back_as_it_was() -> None:
    assert decode_lock(encode_lock(LOCK), "lock") == LOCK
    assert decode_lock(encode_lock(Lock()), "lock") == Lock()


TEXT = st.text(max_size=8)
ARCHIVES = st.builds(
    Archive,
    entry=st.builds(
        ArchiveEntry,
        name=TEXT,
        digest=st.text("0123456789abcdef", min_size=64, max_size=64),
        size=st.integers(0, 1 << 40),
        kind=st.sampled_from(["deb", "tar", "zip", "file"]),
        strip=st.integers(0, 3),
        path=TEXT,
        only=st.lists(TEXT, max_size=2).map(tuple),
    ),
    location=TEXT,
)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    lock = Lock()
    for architecture in draw(st.sets(st.sampled_from(ARCHITECTURES))):
        artifacts = {
            name: Artifact(
                name,
                draw(st.from_regex(r"[0-9][A-Za-z0-9.+~:-]{0,8}", fullmatch=True)),
                draw(st.sampled_from(list(Source))).value,
                draw(st.none() | TEXT),
                architecture,
                tuple(draw(st.lists(ARCHIVES, max_size=2))),
                draw(st.dictionaries(TEXT, TEXT, max_size=2)),
                tuple(draw(st.lists(TEXT, max_size=2))),
            )
            for name in draw(st.sets(st.sampled_from(sorted(COMPONENTS))))
        }
        lock = lock.updated(architecture, artifacts)
    return lock


@given(locks())
def test_every_lock_reads_back_as_it_was_and_has_one_form(lock: Lock) -> None:
    content = encode_lock(lock)
    assert decode_lock(content, "lock") == lock
    assert encode_lock(decode_lock(content, "lock")) == content


def test_artifacts_of_hosts_read_back_and_a_server_alone_has_no_word_of_them() -> None:
    platform = Platform("bookworm", "amd64")
    exporter = replace(PROMETHEUS, component="mysqld-exporter")
    lock = LOCK.updated_hosts(platform, {"mysqld-exporter": exporter})
    assert decode_lock(encode_lock(lock), "lock") == lock
    assert lock.host_artifacts(platform) == {"mysqld-exporter": exporter}
    assert lock.host_artifacts(Platform("trixie", "amd64")) == {}
    assert "hosts" not in json.loads(encode_lock(LOCK))


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("bookworm", "mysqld-exporter", "architecture '' is not known"),
        ("bookworm/vax", "mysqld-exporter", "architecture 'vax' is not known"),
        ("Book worm/amd64", "mysqld-exporter", "not of the form suite/architecture"),
        ("bookworm/amd64", "other", "stands in a wrong place"),
        ("bookworm/arm64", "mysqld-exporter", "is of architecture 'amd64'"),
    ],
)
def test_a_damaged_lock_of_hosts_is_refused(key: str, name: str, message: str) -> None:
    lock = replace(LOCK, hosts={key: {name: replace(PROMETHEUS, component="mysqld-exporter")}})
    with pytest.raises(ConfigurationError, match="problem") as caught:
        decode_lock(encode_lock(lock), "lock")
    assert message in caught.value.problems[0].message


def test_the_file_is_readable_and_sorted() -> None:
    lines = encode_lock(LOCK).decode().splitlines()
    assert lines[0] == "{"
    assert lines[1] == '  "architectures": {'
    assert lines[-1] == "}"
    assert json.loads(encode_lock(LOCK))["version"] == 1


def changed(path: list[str | int], value: Any) -> bytes:
    data: Any = json.loads(encode_lock(LOCK))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data).encode()


IN = ["architectures", "amd64", "prometheus"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting property name"),
        (b"\xff", "not UTF-8"),
        (b"[]", "an object was expected"),
        (b'{"version": 2}', "version 2 is not known"),
        (changed(["surprise"], 1), "unknown field 'surprise'"),
        (changed([*IN, "surprise"], 1), "unknown field 'surprise'"),
        (changed([*IN, "version"], 1), "str was expected"),
        (changed([*IN, "source"], "guess"), "source 'guess' is not known"),
        (changed([*IN, "component"], "nginx"), "stands in a wrong place"),
        (changed([*IN, "architecture"], "arm64"), "is of architecture 'arm64'"),
        (changed([*IN, "archives", 0, "entry", "digest"], "abc"), "not a SHA-256"),
        (changed([*IN, "archives", 0, "entry", "digest"], "A" * 64), "not a SHA-256"),
        (changed(["architectures", "amd64", "surprise"], {}), "is missing"),
        (changed(["architectures", "vax"], {}), "architecture 'vax' is not known"),
        (
            changed(
                ["architectures", "amd64", "mysqld"],
                json.loads(encode_lock(LOCK))["architectures"]["amd64"]["prometheus"],
            ),
            "component 'mysqld' is not known",
        ),
    ],
)
def test_a_damaged_lock_is_refused_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_lock(content, "config/artifacts.lock.json")
    (problem,) = caught.value.problems
    assert problem.file == "config/artifacts.lock.json"
    assert message in problem.message
    assert "observability lock" in problem.remedy


@pytest.mark.parametrize(
    ("choice", "fits"),
    [
        (ArtifactChoice(suite="bookworm"), True),
        (ArtifactChoice(suite="bookworm", version="2.42.0"), True),
        (ArtifactChoice(suite="bookworm", version="2.42.0+ds-5+deb12u1"), True),
        (ArtifactChoice(suite="bookworm", version="2.53.3"), False),
        (ArtifactChoice(suite="trixie"), False),
        (ArtifactChoice(source=Source.RELEASE), False),
    ],
)
def test_a_locked_artifact_satisfies_the_choice_it_was_made_for(choice: ArtifactChoice, fits: bool) -> None:
    assert satisfies(PROMETHEUS, choice) is fits


def test_an_update_of_one_architecture_leaves_the_other() -> None:
    other = replace(PROMETHEUS, architecture="arm64")
    lock = LOCK.updated("arm64", {"prometheus": other})
    assert lock.artifacts("amd64")["prometheus"] == PROMETHEUS
    assert lock.artifacts("arm64")["prometheus"] == other
    assert Lock().artifacts("amd64") == {}
