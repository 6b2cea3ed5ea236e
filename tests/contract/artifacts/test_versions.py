"""Debian versions are ordered as dpkg itself orders them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obstack.catalog.versions import compare_debian

pytestmark = pytest.mark.contract

PART = st.text("019a~+.", min_size=1, max_size=6)
VERSIONS = st.builds(
    lambda epoch, upstream, revision: f"{epoch}1{upstream}{revision}",
    st.sampled_from(["", "0:", "2:"]),
    PART,
    st.just("") | PART.map(lambda part: f"-{part}"),
)


@settings(max_examples=150, deadline=None)
@given(left=VERSIONS, right=VERSIONS)
def test_the_order_is_dpkgs(left: str, right: str) -> None:
    order = compare_debian(left, right)
    relation = "lt" if order < 0 else "gt" if order > 0 else "eq"
    assert subprocess.run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0
