"""The quick reading of simple files is the slow reading, only quick."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obstack.edges.configfile.nodes import read_yaml
from obstack.edges.configfile.simple import parse_simple

HOST = """\
# yaml-language-server: $schema=host.schema.json
address: 192.0.2.10
groups: [web, eu]
labels: {}   # none

modules:
  nginx:
  mysqld:
    options:
      ratio: 0.9  # much
      port: 9104
      names:
        - a.b
        - /run/x
    scrape_interval: 1m30s
logs: true
"""


def test_an_ordinary_host_is_read_quickly() -> None:
    document = read_yaml("web-1.yaml", HOST)
    assert document.problems == ()
    assert parse_simple("web-1.yaml", HOST) == document.tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# none\n",
        "- a\n",
        "a\n",
        " a: 1\n",
        "a: 'b'\n",
        "a: b c\n",
        "a: {b: 1}\n",
        "a: &x b\n",
        "a: *x\n",
        "a: !!str b\n",
        "a: 1\na: 2\n",
        "a: 1\n  b: 2\n",
        "a:\n  - b\n  c: 1\n",
        "a:\n- b\n",
        "a:\n  b: 1\n c: 2\n",
        "a: 0x1f\n",
        "a: 1_000\n",
        "a: 010\n",
        "a: 1e5\n",
        "a: null\n",
        "a: ~\n",
        "a: yes\n",
        "yes: 1\n",
        "a: 2026-01-02\n",
        "a: |\n  b\n",
        "---\na: 1\n",
        "a:b\n",
        "a: b#c\n",
        "a:\tb\n",
        "a: ü\n",
        "a: 1\r\n",
        "a: .5\n",
        "a: 1.\n",
        "a: Null\n",
        "a: TRUE\n",
        "<<: {}\n",
        "a: -1\n",
    ],
)
def test_whatever_is_not_simple_is_left_to_the_real_parser(text: str) -> None:
    assert parse_simple("web-1.yaml", text) is None


keys = st.sampled_from(["a", "b-1", "c.d", "_e", "labels", "No1"])
plain = st.sampled_from(
    ["a", "192.0.2.1", "0", "10", "0.5", "10.10", "1.0", "30s", "1m30s", "true", "false", "/run/x", "Nope"]
)
short = st.lists(plain, max_size=3).map(lambda items: f"[{', '.join(items)}]")
remarks = st.sampled_from(["", "", "", " ", "  # a remark", "\n", "\n# a: 1", "\n   # deep"])


@st.composite
def blocks(draw: st.DrawFn, indent: int = 0, depth: int = 0) -> list[str]:
    """The lines of a mapping in block form."""
    found: list[str] = []
    step = draw(st.sampled_from([2, 4]))
    for key in draw(st.lists(keys, min_size=1, max_size=3, unique=True)):
        kind = draw(st.sampled_from(["none", "word", "short", "{}", "list", "block" if depth < 4 else "word"]))
        value = {"none": "", "word": f" {draw(plain)}", "short": f"  {draw(short)}", "{}": " {}"}.get(kind, "")
        found.append(f"{' ' * indent}{key}:{value}{draw(remarks)}")
        if kind == "list":
            items = draw(st.lists(plain, min_size=1, max_size=3))
            found += [f"{' ' * (indent + step)}- {item}{draw(remarks)}" for item in items]
        if kind == "block":
            found += draw(blocks(indent + step, depth + 1))
    return found


@given(blocks())
def test_what_people_write_is_read_quickly_and_the_same(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    document = read_yaml("web-1.yaml", text)
    assert document.problems == ()
    assert parse_simple("web-1.yaml", text) == document.tree


words = st.sampled_from(
    ["a", "b-1", "c_2", "on", "true", "192.0.2.1", "10", "0.5", "30s", "1m30s", "/run/x", "[]", "{}", "007"]
)
lines = st.builds(
    lambda indent, begin, value, end: f"{' ' * indent}{begin}{value}{end}",
    st.sampled_from([0, 0, 2, 2, 4, 4, 6, 1, 3]),
    st.sampled_from(["a:", "b:", "c:", "d-e:", "- ", "-", "#", "", "a: ", "b: ", "c:  ", "f.g: ", "[", "y: "]),
    st.one_of(st.just(""), words, st.lists(words, max_size=3).map(lambda items: f"[{', '.join(items)}]")),
    st.sampled_from(["", "", "", " ", "  # c", " #", "#", ":"]),
)


@settings(max_examples=1500)
@given(st.lists(lines, max_size=9).map(lambda found: "\n".join(found) + "\n"))
def test_what_is_read_quickly_is_what_the_real_parser_reads(text: str) -> None:
    quick = parse_simple("web-1.yaml", text)
    if quick is not None:
        document = read_yaml("web-1.yaml", text)
        assert document.problems == ()
        assert document.tree == quick
