"""Whatever stands in a host's file, reading the site ends in hosts or in problems at their place, never in a crash."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obstack.edges.configfile import FileConfigurations
from obstack.model.describe import describe
from obstack.model.example import inline
from obstack.model.host import Host, ModuleUse, Ssh

BASE = "domain: a.test\nserver: {address: 192.0.2.1}\nfleet: {groups: {web: {}}, canaries: [web-1]}\n"
NAMES = sorted(key.name for section in (Host, ModuleUse, Ssh) for key in describe(section))
KEYS = st.sampled_from([*NAMES, "node", "nginx", "port", "hosts", "adress"])
WORDS = st.sampled_from(
    ["192.0.2.10", "192.0.2.1", "web", "wep", "30s", "-x", "a=b", "CHANGE_ME", "trixie", "amd64", "::1", "é", "a b"]
)
SCALARS = st.none() | st.booleans() | st.integers(-1, 70000) | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes it quick to read the modules again and again."""
    return tmp_path_factory.mktemp("cache")


def conclude(content: bytes, cache: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hosts").mkdir()
        (folder / "global.yaml").write_text(BASE, encoding="utf-8")
        (folder / "hosts" / "web-1.yaml").write_bytes(content)
        (folder / "hosts" / "web-2.yaml").write_text("address: 192.0.2.11\n", encoding="utf-8")
        examination = FileConfigurations(folder, cache).examine()
        assert examination.loaded is not None or examination.problems
        for problem in examination.problems:
            assert problem.file == str(folder / "hosts" / "web-1.yaml")
            assert problem.message
            assert problem.remedy
            json.dumps(vars(problem)).encode()


@settings(max_examples=150, deadline=None)
@given(values=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_values_end_in_hosts_or_in_problems_of_their_file(cache: Path, values: dict[str, Any]) -> None:
    lines = [f"{inline(key)}: {inline(value)}" for key, value in values.items()]
    conclude("\n".join(lines).encode("utf-8", "surrogatepass"), cache)


@settings(max_examples=100, deadline=None)
@given(values=st.dictionaries(KEYS, VALUES, max_size=5))
def test_one_fault_beside_what_is_right_is_told_at_its_place(cache: Path, values: dict[str, Any]) -> None:
    whole = {key.name: key.example for key in describe(Host)} | {"groups": ["web"], "modules": {"node": {}}}
    lines = [f"{inline(key)}: {inline(value)}" for key, value in (whole | values).items()]
    conclude("\n".join(lines).encode("utf-8", "surrogatepass"), cache)


@given(
    text=st.lists(st.sampled_from(["address: a", "\n", "  ", "- ", ": ", "{", "]", "&a ", "'", "#", "ssh:", "~"])).map(
        "".join
    )
)
def test_any_text_ends_in_hosts_or_in_problems_of_its_file(cache: Path, text: str) -> None:
    conclude(text.encode(), cache)
