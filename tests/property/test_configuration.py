"""Whatever stands in a configuration file, reading it ends in a site or in problems, never in a crash."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from obstack.edges.configfile import FileConfigurations
from obstack.model.base import Section
from obstack.model.describe import describe
from obstack.model.example import inline
from obstack.model.site import Site
from obstack.operations.configuration import rows


def names(section: type[Section]) -> set[str]:
    found = set()
    for key in describe(section):
        found |= {key.name} | (names(key.section) if key.section is not None else set())
    return found


KEYS = st.sampled_from(sorted(names(Site))) | st.text(max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["30d", "2GB", "mon.test", "secret:a", "https://a.test/", "a@b.test", "web-1:9100", "tcp"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
WORDS = [
    "domain: a.test", "\n", "  ", "\t", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!str ", "|", ">", "'", '"', "#",
    "~", "prometheus:", "port: 1", "<<: ", "---", "...", "%YAML 1.1", "? ", "\u2028", "\\", "0x_", "!", "\ufeff",
]  # fmt: skip
FRAGMENTS = st.lists(st.sampled_from(WORDS), max_size=25).map("".join)


def conclude(content: bytes, overlay: bytes | None = None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "global.yaml").write_bytes(content)
        if overlay is not None:
            (folder / "environments").mkdir()
            (folder / "environments" / "staging.yaml").write_bytes(overlay)
        examination = FileConfigurations(folder).examine(None if overlay is None else "staging")
        assert examination.loaded is not None or examination.problems
        for problem in examination.problems:
            assert problem.message
            assert problem.remedy
            json.dumps(vars(problem)).encode()
            if problem.excerpt:
                assert problem.line > 0
        if examination.loaded is not None:
            assert rows(examination.loaded)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_values_end_in_a_site_or_in_problems(values: dict[str, Any]) -> None:
    lines = [f"{inline(key)}: {inline(value)}" for key, value in values.items()]
    conclude("\n".join(lines).encode("utf-8", "surrogatepass"))


EVERYTHING: dict[str, Any] = {
    "domain": "a.test",
    **{
        key.name: {inner.name: inner.example for inner in describe(key.section)}
        for key in describe(Site)
        if key.section
    },
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_in_place_of_a_valid_one_ends_in_a_site_or_in_problems(data: st.DataObject) -> None:
    values = copy.deepcopy(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 4))):
        parent: Any = values
        while True:
            key = data.draw(st.sampled_from(range(len(parent)) if isinstance(parent, list) else sorted(parent)))
            if not isinstance(parent[key], dict | list) or not parent[key] or data.draw(st.booleans()):
                break
            parent = parent[key]
        parent[key] = data.draw(VALUES)
    lines = [f"{inline(key)}: {inline(value)}" for key, value in values.items()]
    conclude("\n".join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(FRAGMENTS, st.none() | FRAGMENTS)
def test_any_text_ends_in_a_site_or_in_problems(text: str, overlay: str | None) -> None:
    conclude(text.encode(), None if overlay is None else overlay.encode())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_site_or_in_problems(content: bytes) -> None:
    conclude(content)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"\A[a-z]{1,5}\Z"),
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12),
    )
)
def test_labels_read_back_as_they_were_written(labels: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        wanted = {f"x_{key}": value for key, value in labels.items()}
        (Path(name) / "global.yaml").write_text(f"domain: a.test\nserver: {{labels: {inline(wanted)}}}\n", "utf-8")
        loaded = FileConfigurations(Path(name)).examine().loaded
        assert loaded is not None
        assert loaded.site.server.labels == wanted
