"""The transaction in a real root with real processes: forward, nothing, back."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crash.world import World, mounted, with_gate
from obstack.agent import lock, wire
from obstack.edges.agent_archive import build_agent
from obstack.ports import Contents


def actions(reply: wire.Reply) -> dict[str, str]:
    return {action.unit: action.action for action in reply.actions}


def await_true(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def moments(root: Path) -> dict[str, int]:
    """The time of the last change of everything below a folder that is no service's own."""
    return {
        path: os.lstat(path).st_mtime_ns
        for base, folders, files in os.walk(root)
        for path in (os.path.join(base, name) for name in (*folders, *files))
        if "/run" not in path and "/var/log" not in path
    }


def test_the_first_apply_brings_everything_up_and_the_second_does_nothing(small: World) -> None:
    one = small.generation("one")
    reply = small.apply(one)
    assert reply.outcome == "committed"
    assert actions(reply) == {"alpha": "start", "beta": "start"}
    pids, before = small.pids(), moments(small.root)
    reply = small.apply(one)
    assert reply.outcome == "unchanged"
    assert small.pids() == pids
    assert moments(small.root) == before


def test_a_reload_keeps_all_processes_and_a_restart_only_the_others(small: World) -> None:
    small.apply(small.generation("one"))
    pids = small.pids()
    reply = small.apply(small.generation("two"))
    assert actions(reply) == {"alpha": "reload", "beta": "none"}
    assert small.pids() == pids
    reply = small.apply(small.generation("two", units=("alpha", "beta", "gamma")))
    assert actions(reply) == {"alpha": "none", "beta": "none", "gamma": "start"}
    assert {name: small.pids()[name] for name in pids} == pids
    reply = small.apply(small.generation("two", version=2))
    assert actions(reply) == {"gamma": "stop", "alpha": "restart", "beta": "restart"}
    assert not set(small.pids().values()) & set(pids.values())


def test_a_red_gate_takes_the_change_back(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    pids = small.pids()
    reply = small.ask("apply", small.generation("two", gate="red"))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code, reply.fault.code) == ("rolled-back", 3, "gate-failed")
    assert "answered 503" in reply.fault.what
    assert reply.fault.state is not None and one.identity[:12] in reply.fault.state
    small.assert_whole(one)
    assert small.pids() == pids  # a reload forward, a reload back
    evidence = small.state / "transactions" / str(reply.data["transaction"]) / "evidence"
    assert "503" in (evidence / "gates.json").read_text()
    assert stat.S_IMODE((evidence / "gates.json").stat().st_mode) == 0o600


def test_a_first_apply_that_fails_leaves_nothing_but_data(small: World) -> None:
    reply = small.ask("apply", small.generation("one", gate="red"))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code) == ("rolled-back", 3)
    small.assert_whole(None)
    assert not (small.root / "etc/alpha").exists()
    assert (small.root / "var/lib/alpha").is_dir()  # the unit may have been stopped before it wrote anything


def test_a_unit_that_cannot_start_takes_the_change_back(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    reply = small.ask("apply", small.generation("two", version=2, program="#!/bin/sh\nexit 7\n"))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code) == ("rolled-back", 3)
    small.assert_whole(one)


def test_a_refused_file_changes_nothing(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    before = small.pids()
    refuse = wire.CheckEntry("alpha", ("/bin/sh", "-c", "grep two {tree}/etc/alpha/alpha.conf; echo no; exit 1"))
    reply = small.ask("apply", small.generation("two", checks=(refuse,)))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code, reply.fault.code) == ("refused", 3, "check-failed")
    assert reply.fault.detail is not None and "alpha two\nno" in reply.fault.detail
    assert small.pids() == before
    small.assert_whole(one)
    assert small.transactions()[0]["outcome"] == "abandoned"


def test_when_the_way_back_fails_a_person_is_told(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    # The old generation can no longer be made whole: its file was edited, and the store's copy is damaged.
    (small.state / "store/blobs" / one.manifest.files[0].digest).write_bytes(b"damaged")
    (small.root / "etc/alpha/alpha.conf").write_text("edited by hand\n")
    reply = small.ask("apply", small.generation("two", gate="red"))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code) == ("rollback-failed", 4)
    assert reply.fault.do
    small.apply(one)


def test_a_generation_whose_manifest_is_lost_is_left_by_what_the_error_says(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    for copy in (
        small.state / "generations" / one.identity / "manifest.json",
        small.state / "store/blobs" / one.identity,
    ):
        copy.chmod(0o600)
        copy.write_bytes(b"damaged")
    reply = small.ask("apply", small.generation("two"))
    assert reply.fault is not None
    assert (reply.fault.code, reply.fault.do.partition("    ")[0]) == ("generation-missing", "observability uninstall")
    assert small.ask("uninstall", purge=False).fault is None
    assert small.apply(one).outcome == "committed"


def test_drift_of_every_kind_is_seen_and_healed(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    etc = small.root / "etc/alpha"
    (etc / "alpha.conf").write_text("edited by hand\n")
    (etc / "extra.conf").write_text("added by hand\n")
    (etc / "secret").chmod(0o644)
    (small.root / "etc/beta").unlink()
    (small.root / "etc/supervisor/conf.d/beta.conf").write_text("[program:beta]\ncommand=/bin/true\n")
    artifact = small.state / "current/artifacts/worker/bin/worker"
    artifact.chmod(0o755)
    artifact.write_text("#!/bin/sh\nexit 0\n")
    os.kill(small.pids()["beta"], signal.SIGKILL)
    await_true(lambda: small.pids()["beta"] == 0)
    kinds = {(item.kind, Path(item.subject).name) for item in small.inspect().drift}
    assert kinds == {
        ("file-changed", "alpha.conf"),
        ("file-changed", "extra.conf"),
        ("mode-changed", "secret"),
        ("link-missing", "beta"),
        ("unit-file-changed", "beta"),
        ("artifact-changed", "worker"),
        ("unit-failed", "beta"),
    }
    reply = small.apply(one)
    assert reply.outcome == "committed"
    assert actions(reply) == {"alpha": "restart", "beta": "start"}
    assert stat.S_IMODE((etc / "secret").stat().st_mode) == 0o600
    aside = small.state / "transactions" / str(reply.data["transaction"]) / "aside/etc/alpha"
    assert (aside / "alpha.conf").read_text() == "edited by hand\n"
    assert (aside / "extra.conf").read_text() == "added by hand\n"


def test_what_is_not_ours_stands_in_the_way(small: World) -> None:
    (small.root / "etc/beta").mkdir(parents=True)
    (small.root / "etc/beta/mine").write_text("mine")
    reply = small.ask("apply", small.generation("one"))
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code, reply.fault.code) == ("refused", 3, "occupied")
    assert (small.root / "etc/beta/mine").read_text() == "mine"
    assert not (small.root / "etc/alpha").exists()


def test_rollback_goes_to_the_one_before_by_name_and_by_time(small: World) -> None:
    one, two, three = (small.generation(word) for word in ("one", "two", "three"))
    small.apply(one)
    time.sleep(0.01)
    moment = time.time()
    time.sleep(0.01)
    small.apply(two)
    small.apply(three)
    assert small.ask("rollback", to="previous").outcome == "committed"
    small.assert_whole(two)
    assert small.ask("rollback", to=three.identity[:10]).outcome == "committed"
    small.assert_whole(three)
    assert small.ask("rollback", to={"at": moment}).outcome == "committed"
    small.assert_whole(one)
    listed = small.ask("generations").data["generations"]
    times = {item["identity"]: int(item["committed"][-1]) for item in listed}
    assert small.ask("rollback", to={"at": times[one.identity]}).outcome == "unchanged", "a list shows whole seconds"
    for goal in ("ffff", {"at": 1.0}):
        fault = small.ask("rollback", to=goal).fault
        assert fault is not None and fault.exit_code == 2
    small.assert_whole(one)


def test_prune_keeps_the_newest_and_the_one_in_force(small: World) -> None:
    generations = [small.generation(word, version=n) for n, word in enumerate(("one", "two", "three"), 1)]
    for generation in generations:
        small.apply(generation)
    small.ask("rollback", to=generations[1].identity)
    assert small.ask("prune", keep=1).data["removed"] == [generations[2].identity, generations[0].identity]
    small.assert_whole(generations[1])
    assert sorted(p.name for p in (small.state / "generations").iterdir()) == [generations[1].identity]
    names = {p.name.removesuffix(".json") for p in (small.state / "store/artifacts").iterdir()}
    assert names == {artifact.identity for artifact in generations[1].manifest.artifacts}
    blobs = {p.name for p in (small.state / "store/blobs").iterdir()}
    manifest = generations[1].manifest
    assert blobs == {file.digest for file in manifest.files} | {manifest.identity, manifest.key}


def test_uninstall_keeps_data_and_purge_removes_exactly_what_was_made(small: World) -> None:
    mine = small.root / "var/lib/mine"
    mine.mkdir(parents=True)
    before = sorted(os.listdir(small.root / "etc")), sorted(os.listdir(small.root / "var/lib"))
    one = small.generation("one")
    small.apply(one)
    assert small.ask("uninstall", purge=False).fault is None
    small.assert_whole(None)
    assert (small.root / "var/lib/alpha/log").is_file()
    assert sorted(p.name for p in small.state.iterdir()) == [
        "audit.jsonl",
        "ledger.json",
        "lock",
        "transactions",
    ]
    small.apply(one)
    assert small.ask("uninstall", purge=True).fault is None
    assert (sorted(os.listdir(small.root / "etc")), sorted(os.listdir(small.root / "var/lib"))) == before


def test_data_of_another_format_are_copied_and_come_back(small: World) -> None:
    old = small.generation("one", version=1, data_format="one")
    new = small.generation("one", version=2, data_format="two")
    small.apply(old)
    log = Path(small.data("alpha")) / "log"
    assert log.read_text() == "1\n"
    small.apply(new)
    assert log.read_text() == "1\n2\n"
    reply = small.ask("rollback", to=old.identity)
    assert reply.fault is None
    small.assert_whole(old)
    assert log.read_text() == "1\n1\n"
    (newer,) = [p for p in log.parent.parent.iterdir() if ".newer-" in p.name]
    assert (newer / "log").read_text() == "1\n2\n"
    assert reply.data["kept"] == [{"unit": "alpha", "what": "its newer data, set aside", "path": str(newer)}]
    assert small.ask("uninstall", purge=True).fault is None
    assert not newer.exists()


def test_data_behind_a_link_of_the_owner_are_exchanged_where_they_lie(small: World) -> None:
    large = small.root / "large"
    large.mkdir(mode=0o700)
    Path(small.data("alpha")).parent.mkdir(parents=True)
    Path(small.data("alpha")).symlink_to(large)
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    small.apply(small.generation("one", version=2, data_format="two"))
    assert small.ask("rollback", to=old.identity).fault is None
    assert Path(small.data("alpha")).readlink() == large
    assert (large / "log").read_text() == "1\n1\n"
    assert large.stat().st_mode & 0o777 == 0o750, "the mode of the data, not of the link"


def test_a_red_upgrade_of_the_format_gets_its_data_back(small: World) -> None:
    old = small.generation("one", version=1, data_format="one")
    small.apply(old)
    reply = small.ask("apply", small.generation("one", version=2, data_format="two", gate="red"))
    assert reply.outcome == "rolled-back"
    small.assert_whole(old)
    assert (Path(small.data("alpha")) / "log").read_text() == "1\n1\n"


@pytest.mark.parametrize("verb", ["rollback", "apply"])
def test_a_way_back_without_a_copy_in_the_old_format_is_refused(small: World, verb: str) -> None:
    old = small.generation("one", version=1, data_format="one")
    new = small.generation("one", version=2, data_format="two")
    small.apply(old)
    small.apply(new)
    (copy,) = (small.state / "snapshots").iterdir()
    copy.rename(small.root / "elsewhere")
    reply = small.ask("rollback", to="previous") if verb == "rollback" else small.ask("apply", old)
    assert reply.fault is not None and (reply.fault.exit_code, reply.fault.code) == (3, "format-downgrade")
    small.assert_whole(new)


def test_of_two_applies_at_once_one_is_told_who_holds_the_lock(small: World) -> None:
    small.apply(small.generation("one"))
    slow = small.generation("two", checks=(wire.CheckEntry("slow", ("sleep", "2")),))
    begun = len(small.events)
    first = threading.Thread(target=small.ask, args=("apply", slow))
    first.start()
    await_true(lambda: any((e.step, e.state) == ("check", "started") for e in small.events[begun:]))
    fault = small.ask("apply", small.generation("three"), wait_s=0).fault
    assert fault is not None and (fault.exit_code, fault.code) == (5, "lock-held")
    assert "apply by a test, process" in fault.what
    waited = small.ask("apply", small.generation("three"), wait_s=20)
    first.join()
    assert waited.outcome == "committed"


@pytest.mark.parametrize(("step", "outcome"), [("check", "refused"), ("gate", "rolled-back")])
def test_an_interruption_leaves_off_or_goes_back_and_says_so(small: World, step: str, outcome: str) -> None:
    one = small.generation("one")
    small.apply(one)
    slow = small.generation("two", gate="red", checks=(wire.CheckEntry("slow", ("sleep", "1.5")),))
    slow = with_gate(slow, deadline_s=60)

    def interrupt(event: wire.Event) -> None:
        if (event.step, event.state) == (step, "started"):
            os.kill(os.getpid(), signal.SIGINT)

    request = wire.Request("apply", manifest=slow.manifest)
    reply = small.channel().ask(request, Contents(blobs=slow.blobs), interrupt)
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.exit_code, reply.fault.code) == (outcome, 130, "interrupted")
    small.assert_whole(one)


def test_a_lost_connection_does_not_stop_the_agent(small: World) -> None:
    small.apply(small.generation("one"))
    two = small.generation("two", checks=(wire.CheckEntry("slow", ("sleep", "1")),))
    channel = small.channel()
    small.ask("apply", small.generation("two", gate="red"))  # the contents are on the machine now
    argv = [channel.python, "-I", str(next(small.cache.glob("agent-*"))), "--root", str(small.root), "serve"]
    request = wire.line(wire.Request("apply", manifest=two.manifest, who="a test"))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(request)
        process.stdin.close()
        process.stdout.close()
        await_true(lambda: lock.holder_pid(str(small.state / "lock")) == process.pid)
        process.send_signal(signal.SIGHUP)
        assert process.wait() == 0
    small.assert_whole(two)


def test_a_full_disk_changes_nothing(small: World, tmp_path: Path) -> None:
    small.state.mkdir(parents=True)
    if not mounted(small.state, "2M"):
        pytest.fail("this test needs root to mount a small file system")
    try:
        one = small.generation("one")
        small.apply(one)
        pids = small.pids()
        large = small.generation("two", extra={"etc/alpha/large": os.urandom(4 << 20)})
        reply = small.ask("apply", large)
        assert reply.fault is not None
        assert (reply.outcome, reply.fault.exit_code, reply.fault.code) == ("refused", 3, "disk-full")
        assert small.pids() == pids
        small.assert_whole(one)
        small.apply(small.generation("three"))
    finally:
        subprocess.run(["umount", "--lazy", str(small.state)], check=True)


def test_a_defect_is_told_without_a_traceback(small: World) -> None:
    small.apply(small.generation("one"))
    channel = small.channel()
    reply = channel.ask(wire.Request("rollback", {"to": {"at": "no number"}}), Contents(), lambda _: None)
    assert reply.fault is not None and reply.fault.exit_code == 70
    assert "Traceback" not in json.dumps(wire.encode(reply))
    assert "Traceback" in Path(reply.fault.where).read_text()


def test_the_agent_keeps_itself_for_the_boot(small: World) -> None:
    small.apply(small.generation("one"))
    kept = small.state / "agent/agent.pyz"
    assert kept.resolve().stem == hashlib.sha256(kept.read_bytes()).hexdigest() == build_agent().digest
    argv = [sys.executable, "-I", "-S", str(kept), "--root", str(small.root), "boot-recover"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "nothing to recover\n", "")


def test_recovery_at_boot_sees_to_files_only(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    pids = small.pids()
    assert small.crash("acted-gamma:1", "apply", small.generation("two", version=2, units=("gamma", "beta")))
    argv = [sys.executable, "-I", str(small.state / "agent/agent.pyz"), "--root", str(small.root), "boot-recover"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "rolled-back\n"), done.stderr
    assert (small.state / "current").readlink().name == one.identity
    assert sorted(p.name for p in (small.root / "etc/supervisor/conf.d").iterdir()) == ["alpha.conf", "beta.conf"]
    assert {item.kind for item in small.inspect().drift} == {"unit-stopped"}
    assert small.pids()["beta"] == pids["beta"]
