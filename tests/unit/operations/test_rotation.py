"""New values for secrets on a real private folder, killed at every instant by which a run can be cut."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from obstack.edges.secrets import FileSecrets
from obstack.errors import LockHeld, UsageError
from obstack.model.secret import Secret
from obstack.operations import rotation
from obstack.operations.rotation import alone, begin, demand_settled, drop, read, rendered, settle, take

OLD = {"a": "old value of a", "b": "old value of b"}
NEW = {"a": Secret("new value of a"), "b": Secret("new value of b")}
NODES = {"mon-1": "1" * 64, "web-1": "2" * 64}


@pytest.fixture
def store(tmp_path: Path) -> FileSecrets:
    made = FileSecrets(tmp_path / "secrets")
    for name, value in OLD.items():
        made.put(name, Secret(value))
    return made


def values(store: FileSecrets) -> set[str]:
    """Return which world the values are of: `old`, `new`, or both for a mixture."""
    return {store.need(name).reveal().split()[0] for name in OLD}


def rotate(store: FileSecrets, *, green: bool) -> None:
    begun = rendered(store, begin(store, NEW), NODES)
    if green:
        take(store, begun)
    else:
        drop(store)


def test_a_green_rotation_takes_the_new_values_and_a_red_one_keeps_the_old(store: FileSecrets) -> None:
    rotate(store, green=False)
    assert values(store) == {"old"}
    rotate(store, green=True)
    assert values(store) == {"new"}
    assert read(store) is None
    assert settle(store, NODES.get) is None


POINTS = sorted(set(re.findall(r'crash_point\("([a-z-]+)"\)', Path(rotation.__file__).read_text())))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("green", [True, False], ids=["green", "red"])
@pytest.mark.security
def test_a_run_that_is_killed_at_any_instant_is_settled_as_the_machines_say(
    store: FileSecrets, point: str, green: bool
) -> None:
    died = killed_at(point, lambda: rotate(store, green=green))
    assert died == (
        point not in (("rotation-red",) if green else ("rotation-green", "rotation-taking", "rotation-taken"))
    )
    # Machines whose gates were green stay in the generation; after a red one they are not in it.
    reached = green and point not in ("rotation-begun", "rotation-rendered")
    settled = settle(store, NODES.get if reached else lambda _: "0" * 64)
    assert (settled is not None) == died
    assert values(store) == ({"new"} if reached else {"old"})
    assert read(store) is None
    assert settled is None or settled.taken == reached


@pytest.mark.parametrize("point", ["rotation-taking", "rotation-taken"])
def test_one_that_was_taking_the_values_is_finished_without_asking_anybody(store: FileSecrets, point: str) -> None:
    assert killed_at(point, lambda: rotate(store, green=True))
    settled = settle(store, lambda _: None)
    assert settled is not None and settled.taken
    assert values(store) == {"new"}


def test_the_new_values_are_dropped_unless_every_machine_has_them(store: FileSecrets) -> None:
    rendered(store, begin(store, NEW), NODES)
    settled = settle(store, {"mon-1": NODES["mon-1"]}.get)
    assert settled is not None and not settled.taken
    assert "the old value holds" in settled.text
    assert values(store) == {"old"}


def test_two_at_once_are_refused_and_a_dead_one_holds_nothing(store: FileSecrets) -> None:
    with alone(store), pytest.raises(LockHeld), alone(FileSecrets(store.folder.path)):
        pass

    def hold() -> None:
        with alone(store):
            os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at("", hold)
    with alone(store):
        pass


def test_a_value_that_waits_to_be_settled_is_not_set(store: FileSecrets) -> None:
    begin(store, {"a": Secret("new value of a")})
    demand_settled(store, "b")
    with pytest.raises(UsageError) as caught:
        demand_settled(store, "a")
    assert caught.value.code == "rotation-unsettled"


def test_the_hash_of_the_old_password_is_kept_until_the_new_one_holds(store: FileSecrets) -> None:
    from obstack.model.site import Site

    site = Site.model_validate(
        {"domain": "mon.test", "front_door": {"users": [{"name": "ada", "password": "secret:a"}]}}
    )
    (old,) = store.logins(site)
    tried = store.with_pending({"a": Secret("another new value")})
    (new,) = tried.logins(site)
    assert new.password == Secret("another new value")
    for _ in range(3):
        assert tried.logins(site) == (new,)
        assert store.logins(site) == (old,)
    store.put("a", new.password)
    assert store.logins(site) == (new,)


def killed_at(point: str, work: Callable[[], None]) -> bool:
    """Do the work in a process that dies at the crash point; return whether it died there."""
    child = os.fork()
    if child == 0:
        os.environ["OBSERVABILITY_CRASH_AT"] = point
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
