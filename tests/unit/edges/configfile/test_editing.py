"""Editing changes the keys that were meant, and no other character."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.edges.configfile.editing import block, changed_values, edited
from obstack.edges.configfile.merge import unfold
from obstack.edges.configfile.nodes import parse
from obstack.errors import UsageError
from obstack.ports import KeyChange

TEXT = """\
# The first of the shop.
address: '192.0.2.10'   # quoted on purpose
groups:
    - web               # its group

# What runs there:
modules:
  mysqld:               # the base
    options:
      # more than usual
      connections_ratio: 0.9

  nginx: {}
# at the end
"""


def change(*path: str, value: Any = None, gone: bool = False) -> KeyChange:
    return KeyChange(path, value, gone=gone)


@pytest.mark.parametrize(
    ("changes", "before", "after"),
    [
        ([change("modules", "mysqld", "options", "connections_ratio", value=0.7)], "ratio: 0.9\n", "ratio: 0.7\n"),
        ([change("address", value="db.test")], "'192.0.2.10'   # q", "db.test   # q"),
        (
            [change("modules", "redis", value={"options": {"address": "/run/redis.sock"}})],
            "  nginx: {}\n",
            "  nginx: {}\n  redis:\n    options:\n      address: /run/redis.sock\n",
        ),
        ([change("modules", "nginx", "enabled", value=False)], "nginx: {}\n", "nginx: {enabled: false}\n"),
        ([change("modules", "nginx", gone=True)], "  nginx: {}\n", ""),
        (
            [change("modules", "mysqld", "options", "connections_ratio", gone=True)],
            "options:\n      # more than usual\n      connections_ratio: 0.9\n",
            "options: {}\n      # more than usual\n",
        ),
        ([change("labels", "rack", value="a1")], "  nginx: {}\n", "  nginx: {}\nlabels:\n  rack: a1\n"),
        ([change("groups", value=["web", "eu"])], "groups:\n    - web   ", "groups: [web, eu]   "),
        ([change("groups", gone=True)], "groups:\n    - web               # its group\n", ""),
        ([change("suite", gone=True), change("labels", "rack", gone=True)], "", ""),
    ],
)
def test_the_change_is_made_and_nothing_else(changes: list[KeyChange], before: str, after: str) -> None:
    assert edited("web-1.yaml", TEXT, changes) == TEXT.replace(before, after)


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("# nothing yet", [change("address", value="a.test")], "# nothing yet\naddress: a.test\n"),
        ("", [change("modules", "nginx", value={})], "modules:\n  nginx: {}\n"),
        ("modules:\n", [change("modules", "nginx", value={})], "modules:\n  nginx: {}\n"),
        (
            "modules:   # none\nlogs: true\n",
            [change("modules", "a", value={})],
            "modules:   # none\n  a: {}\nlogs: true\n",
        ),
        ("modules:\n  nginx:\n  redis:", [change("modules", "nginx", gone=True)], "modules:\n  redis:"),
        ("modules:\n  nginx:", [change("modules", "redis", value={})], "modules:\n  nginx:\n  redis: {}\n"),
        ("modules: {a: {}, b: {},}\n", [change("modules", "c", value={})], "modules: {a: {}, b: {}, c: {}}\n"),
        ("modules: {a: {}, b: {}}\n", [change("modules", "a", gone=True)], "modules: {b: {}}\n"),
        ("modules: {a: {}, b: {}}\n", [change("modules", "b", gone=True)], "modules: {a: {}}\n"),
        ("modules: {a: {}}\n", [change("modules", "a", gone=True)], "modules: {}\n"),
        ("{address: a.test}\n", [change("logs", value=False)], "{address: a.test, logs: false}\n"),
        ("a: |\n  long\n  text\n\nb: 1\n", [change("a", value="x")], "a: x\n\nb: 1\n"),
        ("a: 1\r\nb: 2\r\n", [change("c", value=3)], "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("ssh: null\n", [change("ssh", "port", value=2222)], "ssh:\n  port: 2222\n"),
    ],
)
def test_unusual_forms_are_changed_too(text: str, changes: list[KeyChange], expected: str) -> None:
    assert edited("web-1.yaml", text, changes) == expected


def test_what_cannot_be_changed_for_sure_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        edited("web-1.yaml", "{a, b: 1}\n", [change("a", value=5)])
    assert caught.value.code == "file-not-editable"


names = st.sampled_from(["a", "b", "c-1", "d_2"])
plain = st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["x", "1.5", "yes", "a: b", "# no", "", "ü"]))
values = st.recursive(
    st.one_of(plain, st.lists(plain, max_size=2)), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8
)
trees = st.dictionaries(names, values, max_size=4)
comments = st.sampled_from(["", "  # beside", "\n# below\n", "\n\n    # deeper"])
changes_of_keys = st.lists(
    st.builds(KeyChange, st.lists(names, min_size=1, max_size=3).map(tuple), values, gone=st.booleans()), max_size=4
)


@given(tree=trees, beside=st.lists(comments, max_size=20), changes=changes_of_keys)
def test_any_change_of_any_file_gives_the_values_and_keeps_the_comments(
    tree: dict[str, Any], beside: list[str], changes: list[KeyChange]
) -> None:
    lines = list(block(tree))
    remarks = [*beside, *[""] * len(lines)]
    text = "".join(f"{line}{remark}\n" for line, remark in zip(lines, remarks, strict=False))
    wanted = tree
    for one in changes:
        wanted = changed_values(wanted, one)
    after = edited("web-1.yaml", text, changes)
    document = parse("web-1.yaml", after.encode())
    assert document.problems == ()
    assert document.tree is not None
    assert unfold(document.tree)[0] == wanted
    if not any(one.gone or isinstance(one.value, list | dict) for one in changes) and wanted.keys() >= tree.keys():
        kept = [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
        assert [line for line in map(str.strip, after.splitlines()) if line.startswith("#")] == kept
