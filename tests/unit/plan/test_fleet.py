"""Which nodes a run is about, in which order, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obstack.errors import FAMILIES, UsageError
from obstack.model.site import Site
from obstack.plan.fleet import (
    SEVERITY,
    Record,
    batch_size,
    by_bundle,
    decide_resume,
    decide_waves,
    demand_hosts,
    group_members,
    node_names,
    select_nodes,
    worst,
)

SITE = Site.model_validate(
    {
        "domain": "observability.example.org",
        "server": {"name": "mon-1", "address": "192.0.2.1"},
        "fleet": {"groups": {"web": {}, "idle": {}}},
        "hosts": {
            "web-2": {"address": "192.0.2.12", "groups": ["web"]},
            "web-1": {"address": "192.0.2.11", "groups": ["web", "shop"]},
            "db-1": {"address": "192.0.2.21", "groups": ["shop"]},
            "far-1": {"address": "192.0.2.31", "ssh": None},
        },
    }
)
HOSTS = ("db-1", "far-1", "web-1", "web-2")


def test_all_nodes_are_the_hosts_in_order_and_the_server_last() -> None:
    assert node_names(SITE) == (*HOSTS, "mon-1")
    assert select_nodes(SITE) == (*HOSTS, "mon-1")
    assert by_bundle(SITE, node_names(SITE)) == ("far-1",)


def test_groups_are_known_by_their_members() -> None:
    assert group_members(SITE) == {"web": ("web-1", "web-2"), "idle": (), "shop": ("db-1", "web-1")}


@pytest.mark.parametrize(
    ("hosts", "limits", "chosen"),
    [
        (["web-1"], [], ["web-1"]),
        (["mon-1"], [], ["mon-1"]),
        (["mon-1", "db-1", "db-1"], [], ["db-1", "mon-1"]),
        ([], ["web"], ["web-1", "web-2"]),
        ([], ["web-*"], ["web-1", "web-2"]),
        ([], ["*-1"], ["db-1", "far-1", "web-1", "mon-1"]),
        ([], ["web", "db-?"], ["db-1", "web-1", "web-2"]),
        (["web-1", "db-1"], ["web"], ["web-1"]),
    ],
)
def test_nodes_are_chosen_by_name_group_and_pattern(hosts: list[str], limits: list[str], chosen: list[str]) -> None:
    assert select_nodes(SITE, hosts, limits) == tuple(chosen)


@pytest.mark.parametrize(
    ("hosts", "limits", "said"),
    [
        (["web1"], [], "No host is called 'web1'."),
        ([], ["wbe"], "No group or pattern is called 'wbe'."),
        ([], ["idle"], "No group or pattern is called 'idle'."),
        (["db-1"], ["web"], "No node is both"),
    ],
)
def test_what_is_not_there_is_refused_by_name(hosts: list[str], limits: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_nodes(SITE, hosts, limits)
    assert said in caught.value.what
    assert caught.value.do


def test_canaries_are_hosts_and_never_the_server() -> None:
    demand_hosts(SITE, HOSTS)
    for name in ("mon-1", "web-9"):
        with pytest.raises(UsageError, match=name):
            demand_hosts(SITE, ["web-1", name])


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(UsageError, match="web1") as caught:
        select_nodes(SITE, ["web1"])
    assert "web-1" in caught.value.where


@pytest.mark.parametrize(
    ("batch", "hosts", "size"),
    [("1", 10, 1), ("25%", 10, 2), ("10%", 5, 1), ("100%", 7, 7), ("50", 3, 50), ("25%", 0, 1)],
)
def test_a_batch_is_a_number_or_a_share(batch: str, hosts: int, size: int) -> None:
    assert batch_size(batch, hosts) == size


def test_waves_have_names_that_people_understand() -> None:
    waves = decide_waves(node_names(SITE), server="mon-1", canaries=("web-1",), batch="2")
    assert [(wave.title, wave.nodes) for wave in waves] == [
        ("canary", ("web-1",)),
        ("batch 1 of 2", ("db-1", "far-1")),
        ("batch 2 of 2", ("web-2",)),
        ("server", ("mon-1",)),
    ]


BATCHES = st.one_of(st.integers(1, 40).map(str), st.integers(1, 100).map("{}%".format))


@given(st.lists(st.integers(0, 60).map("host-{}".format), unique=True), st.sets(st.integers(0, 60)), BATCHES)
def test_every_node_is_in_one_wave_canaries_first_and_the_server_last(
    hosts: Sequence[str], chosen: set[int], batch: str
) -> None:
    canaries = {f"host-{number}" for number in chosen}
    waves = decide_waves((*hosts, "mon-1"), server="mon-1", canaries=canaries, batch=batch)
    order = [name for wave in waves for name in wave.nodes]
    assert sorted(order) == sorted((*hosts, "mon-1"))
    assert waves[-1].nodes == ("mon-1",)
    first = [name for name in order if name in canaries]
    assert order[: len(first)] == first
    assert all(wave.nodes for wave in waves)
    others = [wave for wave in waves if not set(wave.nodes) & {*canaries, "mon-1"}]
    assert all(len(wave.nodes) <= batch_size(batch, len(hosts) - len(first)) for wave in others)


def test_every_exit_code_has_its_severity() -> None:
    assert set(SEVERITY) == {0, *FAMILIES}


@given(st.lists(st.sampled_from(SEVERITY)))
def test_the_worst_code_counts(codes: list[int]) -> None:
    code = worst(codes)
    assert all(SEVERITY.index(code) <= SEVERITY.index(other) for other in codes)
    assert code in codes or (code == 0 and not codes)


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 6], 6), ([6, 3, 0], 3), ([3, 4], 4), ([130, 3], 130), ([0, 99, 3], 70), ([5, 3], 3)]
)
def test_worse_is_what_needs_a_person_sooner(codes: list[int], code: int) -> None:
    assert worst(codes) == code


IDENTITIES = st.dictionaries(st.sampled_from(node_names(SITE)), st.sampled_from(["a" * 64, "b" * 64]))


@given(IDENTITIES, IDENTITIES, st.sets(st.sampled_from(node_names(SITE))))
def test_a_resumed_run_skips_exactly_what_is_done_and_still_desired(
    before: dict[str, str], now: dict[str, str], done: set[str]
) -> None:
    skipped = decide_resume(Record(before, frozenset(done & set(before))), now)
    assert set(skipped) == {name for name in now if name in done and before.get(name) == now[name]}


def test_nothing_can_be_resumed_without_a_run_before() -> None:
    with pytest.raises(UsageError, match="no earlier run") as caught:
        decide_resume(None, {"web-1": "a" * 64})
    assert caught.value.do == "observability apply"
